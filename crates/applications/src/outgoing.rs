//! Events that go out: who wants which, where they go, and what became of them.
//!
//! `follow.rs` puts an event on its way in the transaction in which it is taken in, `sender.rs`
//! carries it out, `render.rs` decides what may be told and words it. A delivery stores names of
//! things and never their text.

pub(crate) mod delivery;
mod follow;
pub(crate) mod kinds;
pub(crate) mod model;
mod render;
mod schedule;
mod sender;
mod signature;

use std::time::Duration;

use kernel::perm::Chat;
use kernel::{Caller, DeliveryId, Event, SubscriptionId, UserId};
use serde_json::json;

use crate::error::{Error, Result};
use crate::keys::KEK_ID;
use crate::sql::{deliveries, subscriptions as sql};
use crate::{Applications, SCHEMA, events};

use delivery::{Delivery, DeliveryRow, WithAttempts};
pub(crate) use follow::consumer;
use model::{
    CreateSubscription, Off, Owner, Subscription, SubscriptionRow, UpdateSubscription, Wanted,
    WithSecret,
};
pub use sender::{Outgoing, begin_delivering};

/// How long the secret before the present one signs, too.
const OLD_SECRET_SIGNS: Duration = Duration::from_secs(24 * 3600);

impl Applications {
    /// Subscribes: the owner of an application, or whoever may manage a community.
    pub async fn create_subscription(
        &self,
        caller: &Caller,
        owner: Owner,
        new: CreateSubscription,
    ) -> Result<WithSecret> {
        self.check_subscriber(caller, owner).await?;
        let wanted = self.checked(new, owner)?;
        let id: SubscriptionId = self.ids.next()?;
        let secret = signature::new_secret(&*self.rng);
        let row = SubscriptionRow {
            id,
            application_id: owner.application(),
            community_id: owner.community(),
            creator_id: caller.user,
            url: wanted.url,
            description: wanted.description,
            events: wanted.events,
            old_secret_until: None,
            failing_since: None,
            disabled_at: None,
            disabled_reason: None,
            created_at: self.clock.now(),
        };
        let sealed = self.seal_secret(id, &secret)?;
        let tx = self.db.begin().await?;
        sql::lock_owner(&tx, owner).await?;
        let most = self.settings.subscriptions_per_owner;
        if sql::count_subscriptions(&tx, owner).await? >= most {
            return Err(Error::TooManySubscriptions(most));
        }
        sql::insert_subscription(&tx, &row, &sealed, KEK_ID).await?;
        let what = (events::SUBSCRIPTION_CREATED, owner, id);
        self.note_subscription(&tx, what, caller.user).await?;
        tx.commit().await?;
        Ok(WithSecret {
            subscription: row.object(),
            secret: signature::shown(&secret),
        })
    }

    /// The owner's subscriptions.
    pub async fn list_subscriptions(
        &self,
        caller: &Caller,
        owner: Owner,
    ) -> Result<Vec<Subscription>> {
        self.check_subscriber(caller, owner).await?;
        let rows = sql::list_subscriptions(&self.db, owner).await?;
        Ok(rows.into_iter().map(SubscriptionRow::object).collect())
    }

    /// One of them.
    pub async fn subscription(
        &self,
        caller: &Caller,
        owner: Owner,
        id: SubscriptionId,
    ) -> Result<Subscription> {
        self.check_subscriber(caller, owner).await?;
        let found = sql::find_subscription(&self.db, owner, id).await?;
        found
            .map(SubscriptionRow::object)
            .ok_or(Error::UnknownSubscription)
    }

    /// Changes one, or switches it on or off.
    pub async fn update_subscription(
        &self,
        caller: &Caller,
        owner: Owner,
        id: SubscriptionId,
        patch: UpdateSubscription,
    ) -> Result<Subscription> {
        self.check_subscriber(caller, owner).await?;
        let tx = self.db.begin().await?;
        sql::lock_owner(&tx, owner).await?;
        let before = sql::find_subscription(&tx, owner, id).await?;
        let before = before.ok_or(Error::UnknownSubscription)?;
        let after = CreateSubscription {
            url: patch.url.unwrap_or(before.url),
            events: patch.events.unwrap_or(before.events),
            description: patch.description.unwrap_or(before.description),
        };
        let wanted = self.checked(after, owner)?;
        sql::update_subscription(&tx, owner, id, &wanted).await?;
        let switched = match patch.enabled {
            Some(true) => sql::enable_subscription(&tx, id).await?,
            Some(false) => {
                let (now, reason) = (self.clock.now(), Off::Owner.word());
                sql::disable_subscription(&tx, id, now, reason).await?
            }
            None => 0,
        };
        let what = (events::SUBSCRIPTION_UPDATED, owner, id);
        self.note_subscription(&tx, what, caller.user).await?;
        let row = sql::find_subscription(&tx, owner, id).await?;
        tx.commit().await?;
        if switched > 0 {
            self.outgoing.wake();
        }
        row.map(SubscriptionRow::object)
            .ok_or(Error::UnknownSubscription)
    }

    /// Deletes one, with what waits for it.
    pub async fn delete_subscription(
        &self,
        caller: &Caller,
        owner: Owner,
        id: SubscriptionId,
    ) -> Result<()> {
        self.check_subscriber(caller, owner).await?;
        let tx = self.db.begin().await?;
        if sql::delete_subscription(&tx, owner, id).await? == 0 {
            return Err(Error::UnknownSubscription);
        }
        let what = (events::SUBSCRIPTION_DELETED, owner, id);
        self.note_subscription(&tx, what, caller.user).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Replaces the secret. For a day the old one signs beside it.
    pub async fn rotate_subscription_secret(
        &self,
        caller: &Caller,
        owner: Owner,
        id: SubscriptionId,
    ) -> Result<WithSecret> {
        self.check_subscriber(caller, owner).await?;
        let secret = signature::new_secret(&*self.rng);
        let sealed = self.seal_secret(id, &secret)?;
        let until = self.clock.now() + OLD_SECRET_SIGNS;
        let tx = self.db.begin().await?;
        if sql::rotate_secret(&tx, owner, id, until, (&sealed, KEK_ID)).await? == 0 {
            return Err(Error::UnknownSubscription);
        }
        let row = sql::find_subscription(&tx, owner, id).await?;
        let row = row.ok_or(Error::UnknownSubscription)?;
        let what = (events::SUBSCRIPTION_SECRET_ROTATED, owner, id);
        self.note_subscription(&tx, what, caller.user).await?;
        tx.commit().await?;
        Ok(WithSecret {
            subscription: row.object(),
            secret: signature::shown(&secret),
        })
    }

    /// Sends a test to the address.
    pub async fn test_subscription(
        &self,
        caller: &Caller,
        owner: Owner,
        id: SubscriptionId,
    ) -> Result<Delivery> {
        self.check_subscriber(caller, owner).await?;
        let found = sql::find_subscription(&self.db, owner, id).await?;
        found.ok_or(Error::UnknownSubscription)?;
        let (delivery, now): (DeliveryId, _) = (self.ids.next()?, self.clock.now());
        let data = json!({ "subscription_id": id });
        let test = self.event(kinds::TEST, caller.user, id, data)?;
        let tx = self.db.begin().await?;
        let ids: (&[_], &[_]) = (&[delivery], &[id]);
        deliveries::insert_deliveries(&tx, ids, kinds::TEST, &test, now).await?;
        let row = deliveries::find_delivery(&tx, owner, delivery).await?;
        tx.commit().await?;
        self.outgoing.wake();
        row.map(DeliveryRow::object).ok_or(Error::UnknownDelivery)
    }

    /// Deliveries of a subscription, newest first.
    pub async fn list_deliveries(
        &self,
        caller: &Caller,
        owner: Owner,
        id: SubscriptionId,
        (before, limit): (Option<DeliveryId>, u8),
    ) -> Result<Vec<Delivery>> {
        self.subscription(caller, owner, id).await?;
        let before = before.unwrap_or(DeliveryId::new(i64::MAX));
        let limit = i64::from(limit.clamp(1, 100));
        let rows = deliveries::list_deliveries(&self.db, id, before, limit).await?;
        Ok(rows.into_iter().map(DeliveryRow::object).collect())
    }

    /// One delivery with its attempts.
    pub async fn delivery(
        &self,
        caller: &Caller,
        owner: Owner,
        id: DeliveryId,
    ) -> Result<WithAttempts> {
        self.check_subscriber(caller, owner).await?;
        let found = deliveries::find_delivery(&self.db, owner, id).await?;
        let row = found.ok_or(Error::UnknownDelivery)?;
        let attempts = deliveries::list_attempts(&self.db, id).await?;
        let delivery = row.object();
        Ok(WithAttempts { delivery, attempts })
    }

    /// Sends a delivery again that has ended, under the same `webhook-id`.
    pub async fn replay_delivery(
        &self,
        caller: &Caller,
        owner: Owner,
        id: DeliveryId,
    ) -> Result<Delivery> {
        self.check_subscriber(caller, owner).await?;
        let tx = self.db.begin().await?;
        let found = deliveries::find_delivery(&tx, owner, id).await?;
        found.ok_or(Error::UnknownDelivery)?;
        if deliveries::replay_delivery(&tx, id, self.clock.now()).await? == 0 {
            return Err(Error::DeliveryWaits);
        }
        let row = deliveries::find_delivery(&tx, owner, id).await?;
        tx.commit().await?;
        self.outgoing.wake();
        row.map(DeliveryRow::object).ok_or(Error::UnknownDelivery)
    }

    /// Switches a subscription off in the caller's transaction and says so, unless it was off.
    pub(crate) async fn switch_off(
        &self,
        tx: &db::Tx,
        (owner, id, creator): (Owner, SubscriptionId, UserId),
        why: Off,
    ) -> Result<()> {
        let now = self.clock.now();
        if sql::disable_subscription(tx, id, now, why.word()).await? == 0 {
            return Ok(());
        }
        tracing::info!(
            subscription.id = id.get(),
            reason = why.word(),
            "a subscription was switched off"
        );
        let data = json!({
            "subscription_id": id,
            "application_id": owner.application(),
            "community_id": owner.community(),
            "creator_id": creator,
            "reason": why.word(),
        });
        let event = Event {
            actor: None,
            ..self.event(events::SUBSCRIPTION_DISABLED, creator, id, data)?
        };
        db::outbox::append(tx, SCHEMA, &[event]).await?;
        Ok(())
    }

    /// Fails unless the caller may subscribe for an owner.
    async fn check_subscriber(&self, caller: &Caller, owner: Owner) -> Result<()> {
        match owner {
            Owner::Application(id) => self.own(caller, id).await.map(drop),
            Owner::Community(id) => {
                let rights = self.base_rights(caller.user, id).await?;
                match rights.has(Chat::MANAGE_GUILD) {
                    true => Ok(()),
                    false => Err(Error::MayNotManage),
                }
            }
        }
    }

    /// Checks everything, also whether the address may be called.
    fn checked(&self, new: CreateSubscription, owner: Owner) -> Result<Wanted> {
        let wanted = Wanted::checked(new, owner)?;
        match self.outgoing.check(&wanted.url) {
            Ok(()) => Ok(wanted),
            Err(error) => {
                tracing::debug!(%error, "an address of a subscription was refused");
                Err(Error::AddressRefused)
            }
        }
    }

    fn seal_secret(&self, id: SubscriptionId, secret: &[u8]) -> Result<Vec<u8>> {
        let keys = &self.settings.keys;
        Ok(keys.seal(&*self.rng, &SubscriptionRow::bound(id), secret)?)
    }

    async fn note_subscription(
        &self,
        tx: &db::Tx,
        (kind, owner, id): (&'static str, Owner, SubscriptionId),
        actor: UserId,
    ) -> Result<()> {
        let data = json!({
            "subscription_id": id,
            "application_id": owner.application(),
            "community_id": owner.community(),
        });
        let event = self.event(kind, actor, id, data)?;
        db::outbox::append(tx, SCHEMA, &[event]).await?;
        Ok(())
    }
}
