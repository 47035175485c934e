//! Webhooks that programs write to: who may manage webhooks makes, reads, changes and deletes them.
//! Writing through them is in `incoming/execute.rs`.

pub(crate) mod embed;
pub(crate) mod execute;
pub(crate) mod form;
pub(crate) mod github;
pub(crate) mod model;
pub(crate) mod slack;

use std::collections::HashMap;

use contracts::communities::{ChannelAccess, channel_kind};
use contracts::identity::User;
use infra::fanout::{Body, Dispatch, Record, Topic, Version};
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, UserId, WebhookId};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::keys::{KEK_ID, sha256};
use crate::sql::webhooks as sql;
use crate::{Applications, SCHEMA, events};

use model::{CreateWebhook, UpdateWebhook, Webhook, WebhookRow};

/// Channels that communities are asked about at once.
const ASKED_AT_ONCE: usize = 200;
/// The dialect's gateway intent for webhooks, as a bit position.
const INTENT: u8 = 5;

/// Kinds of channels with messages of which everybody who sees them may read all.
const KINDS: [i16; 3] = [
    channel_kind::TEXT,
    channel_kind::VOICE,
    channel_kind::ANNOUNCEMENT,
];

/// Why somebody does it, in their own words.
pub(crate) type Reason = Option<String>;

impl Applications {
    /// Makes a webhook: MANAGE_WEBHOOKS in the channel.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        channel: ChannelId,
        new: CreateWebhook,
        reason: Reason,
    ) -> Result<Webhook> {
        let access = self.may_manage_webhooks(caller, channel).await?;
        if !KINDS.contains(&access.kind) {
            return Err(Error::WrongChannelKind);
        }
        let id: WebhookId = self.ids.next()?;
        let token = kernel::rng::token::<48>(&*self.rng);
        let keys = &self.settings.keys;
        let row = WebhookRow {
            id,
            community_id: access.community,
            channel_id: channel,
            creator_id: caller.user,
            name: new.checked()?,
            avatar: None,
            token_sha256: sha256(&token),
            token_enc: keys.seal(&*self.rng, &WebhookRow::bound(id), token.as_bytes())?,
            token_kek: KEK_ID.to_owned(),
        };
        let tx = self.db.begin().await?;
        sql::lock_community(&tx, row.community_id).await?;
        self.check_webhook_room(&tx, row.community_id, channel)
            .await?;
        sql::insert_webhook(&tx, &row, self.clock.now()).await?;
        let changes = json!([
            {"key": "name", "new_value": row.name},
            {"key": "channel_id", "new_value": channel},
            {"key": "type", "new_value": 1},
        ]);
        let told = (caller.user, changes, reason);
        self.note_webhook(&tx, events::WEBHOOK_CREATED, &row, told)
            .await?;
        tx.commit().await?;
        self.tell_webhooks(caller.user, &row, channel).await;
        let user = self.user_of(row.creator_id).await?;
        Ok(row.object(token, Some(user), &self.settings.public_url))
    }

    /// Webhooks of a channel: MANAGE_WEBHOOKS in it.
    pub async fn webhooks_of_channel(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<Vec<Webhook>> {
        self.may_manage_webhooks(caller, channel).await?;
        let rows = sql::list_webhooks_of_channel(&self.db, channel).await?;
        self.webhook_objects(rows).await
    }

    /// Webhooks of a community, those of channels in which the caller may manage them.
    pub async fn webhooks_of_community(
        &self,
        caller: &Caller,
        community: CommunityId,
    ) -> Result<Vec<Webhook>> {
        if !self
            .base_rights(caller.user, community)
            .await?
            .has(Chat::MANAGE_WEBHOOKS)
        {
            return Err(Error::MayNotManageWebhooks);
        }
        let mut rows = sql::list_webhooks_of_community(&self.db, community).await?;
        let mut channels: Vec<ChannelId> = rows.iter().map(|row| row.channel_id).collect();
        channels.sort_unstable();
        channels.dedup();
        let mut open = Vec::with_capacity(channels.len());
        for part in channels.chunks(ASKED_AT_ONCE) {
            let found = self.communities.access(caller.user, part).await?;
            let may = found.iter().filter(|access| manages(access));
            open.extend(may.map(|access| access.channel));
        }
        rows.retain(|row| open.contains(&row.channel_id));
        self.webhook_objects(rows).await
    }

    /// One webhook: MANAGE_WEBHOOKS in its channel.
    pub async fn webhook(&self, caller: &Caller, id: WebhookId) -> Result<Webhook> {
        let row = self.managed(caller, id).await?;
        let objects = self.webhook_objects(vec![row]).await?;
        objects.into_iter().next().ok_or(Error::UnknownWebhook)
    }

    /// Changes a webhook: MANAGE_WEBHOOKS in its channel, and in the one it goes to.
    pub async fn update_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        patch: UpdateWebhook,
        reason: Reason,
    ) -> Result<Webhook> {
        let known = self.managed(caller, id).await?;
        if let Some(channel) = patch.channel_id.filter(|to| *to != known.channel_id) {
            let access = self.may_manage_webhooks(caller, channel).await?;
            if access.community != known.community_id {
                return Err(Error::UnknownChannel);
            }
            if !KINDS.contains(&access.kind) {
                return Err(Error::WrongChannelKind);
            }
        }
        let row = self
            .change_webhook(known, caller.user, &patch, reason)
            .await?;
        let objects = self.webhook_objects(vec![row]).await?;
        objects.into_iter().next().ok_or(Error::UnknownWebhook)
    }

    /// Deletes a webhook: MANAGE_WEBHOOKS in its channel.
    pub async fn delete_webhook(
        &self,
        caller: &Caller,
        id: WebhookId,
        reason: Reason,
    ) -> Result<()> {
        let row = self.managed(caller, id).await?;
        self.remove_webhook(row, caller.user, reason).await
    }

    /// Writes a change of a webhook that was found to be allowed.
    pub(crate) async fn change_webhook(
        &self,
        known: WebhookRow,
        actor: UserId,
        patch: &UpdateWebhook,
        reason: Reason,
    ) -> Result<WebhookRow> {
        let tx = self.db.begin().await?;
        sql::lock_community(&tx, known.community_id).await?;
        let before = sql::lock_webhook(&tx, known.id).await?;
        // Whoever moved it meanwhile decided over another channel.
        let before = before.filter(|row| row.channel_id == known.channel_id);
        let before = before.ok_or(Error::UnknownWebhook)?;
        let mut after = patch.apply(before.clone())?;
        if let Some(channel) = patch.channel_id.filter(|to| *to != before.channel_id) {
            self.check_webhook_room(&tx, before.community_id, channel)
                .await?;
            after.channel_id = channel;
        }
        if after == before {
            tx.rollback().await?;
            return Ok(after);
        }
        sql::update_webhook(&tx, &after).await?;
        let told = (actor, differences(&before, &after), reason);
        self.note_webhook(&tx, events::WEBHOOK_UPDATED, &after, told)
            .await?;
        tx.commit().await?;
        self.tell_webhooks(actor, &after, before.channel_id).await;
        if after.channel_id != before.channel_id {
            self.tell_webhooks(actor, &after, after.channel_id).await;
        }
        Ok(after)
    }

    /// Deletes a webhook that was found to be the caller's to delete.
    pub(crate) async fn remove_webhook(
        &self,
        row: WebhookRow,
        actor: UserId,
        reason: Reason,
    ) -> Result<()> {
        let tx = self.db.begin().await?;
        if sql::delete_webhook(&tx, row.id).await? == 0 {
            return Err(Error::UnknownWebhook);
        }
        let changes = json!([
            {"key": "name", "old_value": row.name},
            {"key": "channel_id", "old_value": row.channel_id},
            {"key": "type", "old_value": 1},
        ]);
        let told = (actor, changes, reason);
        self.note_webhook(&tx, events::WEBHOOK_DELETED, &row, told)
            .await?;
        tx.commit().await?;
        self.tell_webhooks(actor, &row, row.channel_id).await;
        Ok(())
    }

    /// The token of a webhook, to be shown.
    pub(crate) fn token_of(&self, row: &WebhookRow) -> Result<String> {
        let keys = &self.settings.keys;
        let token = keys.open(&row.token_kek, &WebhookRow::bound(row.id), &row.token_enc)?;
        Ok(String::from_utf8(token).map_err(|_not_text| crate::keys::SecretError::Open)?)
    }

    async fn managed(&self, caller: &Caller, id: WebhookId) -> Result<WebhookRow> {
        let found = sql::find_webhook(&self.db, id).await?;
        let row = found.ok_or(Error::UnknownWebhook)?;
        match self.may_manage_webhooks(caller, row.channel_id).await {
            // Whoever does not see the channel knows nothing of its webhooks.
            Err(Error::UnknownChannel) => Err(Error::UnknownWebhook),
            other => other.map(|_| row),
        }
    }

    async fn may_manage_webhooks(
        &self,
        caller: &Caller,
        channel: ChannelId,
    ) -> Result<ChannelAccess> {
        let found = self.communities.access(caller.user, &[channel]).await?;
        let seen = |access: &ChannelAccess| access.chat.has(Chat::VIEW_CHANNEL);
        let access = found.into_iter().find(seen).ok_or(Error::UnknownChannel)?;
        if !manages(&access) {
            return Err(Error::MayNotManageWebhooks);
        }
        Ok(access)
    }

    async fn check_webhook_room(
        &self,
        tx: &db::Tx,
        community: CommunityId,
        channel: ChannelId,
    ) -> Result<()> {
        let counts = sql::count_webhooks(tx, community, channel).await?;
        let settings = &self.settings;
        if counts.in_channel >= settings.webhooks_per_channel
            || counts.in_community >= settings.webhooks_per_community
        {
            return Err(Error::TooManyWebhooks);
        }
        Ok(())
    }

    async fn webhook_objects(&self, rows: Vec<WebhookRow>) -> Result<Vec<Webhook>> {
        let mut makers: Vec<UserId> = rows.iter().map(|row| row.creator_id).collect();
        makers.sort_unstable();
        makers.dedup();
        let users: HashMap<UserId, User> = self.users(&makers).await?;
        let object = |row: WebhookRow| {
            let user = users.get(&row.creator_id).cloned();
            let user = user.unwrap_or_else(|| User::unknown(row.creator_id));
            let token = self.token_of(&row)?;
            Ok(row.object(token, Some(user), &self.settings.public_url))
        };
        rows.into_iter().map(object).collect()
    }

    async fn user_of(&self, id: UserId) -> Result<User> {
        let users = self.identity.users(&[id]).await?;
        Ok(users
            .into_iter()
            .next()
            .unwrap_or_else(|| User::unknown(id)))
    }

    /// Tells other contexts, among them the community's audit log.
    async fn note_webhook(
        &self,
        tx: &db::Tx,
        kind: &'static str,
        row: &WebhookRow,
        (actor, changes, reason): (UserId, Value, Reason),
    ) -> Result<()> {
        let data = json!({
            "webhook_id": row.id,
            "community_id": row.community_id,
            "channel_id": row.channel_id,
            "changes": changes,
            "reason": reason,
        });
        let event = self.event(kind, actor, row.community_id, data)?;
        db::outbox::append(tx, SCHEMA, &[event]).await?;
        Ok(())
    }

    /// Tells connected clients that something about the webhooks of a channel changed.
    async fn tell_webhooks(&self, actor: UserId, row: &WebhookRow, channel: ChannelId) {
        let data = json!({ "guild_id": row.community_id, "channel_id": channel });
        let record = Record {
            body: Body::Dispatch(Dispatch {
                name: "WEBHOOKS_UPDATE".into(),
                intent: Some(INTENT),
                needs: Chat::NONE,
                author: Some(actor),
                except: None,
                full_for: Vec::new(),
                data: data.to_string().into(),
                redacted: None,
            }),
            community: Some(row.community_id),
            channel: Some(channel),
            version: Version::None,
            epoch: 0,
            ephemeral: false,
        };
        let topic = Topic::Community(row.community_id);
        if let Err(error) = self.fanout.publish(topic, record.into()).await {
            // Lists of webhooks are asked for when they are looked at.
            tracing::warn!(%error, "could not tell of a change of webhooks");
        }
    }
}

fn manages(access: &ChannelAccess) -> bool {
    access.chat.has(Chat::VIEW_CHANNEL) && access.chat.has(Chat::MANAGE_WEBHOOKS)
}

/// What changed, as the dialect's audit log has it.
fn differences(before: &WebhookRow, after: &WebhookRow) -> Value {
    let mut changes = Vec::new();
    if before.name != after.name {
        changes.push(json!({"key": "name", "old_value": before.name, "new_value": after.name}));
    }
    if before.channel_id != after.channel_id {
        let (old, new) = (before.channel_id, after.channel_id);
        changes.push(json!({"key": "channel_id", "old_value": old, "new_value": new}));
    }
    Value::Array(changes)
}
