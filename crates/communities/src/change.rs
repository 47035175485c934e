//! One change of a community: its lock, its rights, and all that is told about it.
//!
//! The first statement locks the community's row; so whatever is checked afterwards stays true until
//! the commit, revisions have no gaps, and limits hold exactly. [`Change::finish`] writes revision,
//! epoch, audit entries and events in the same transaction and publishes after the commit.

use std::sync::Arc;

use db::Tx;
use infra::fanout::{Body, Control, Record, Topic, Version};
use jiff::Timestamp;
use kernel::perm::{Chat, Permissions};
use kernel::{AnyId, ChannelId, CommunityId, Event, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit_log;
use crate::error::{Error, Result};
use crate::events::{self, Told};
use crate::model::{ChannelRow, CommunityRow, MemberRow, OverwriteRow};
use crate::publish::{Batch, Ticket};
use crate::rights::Rights;
use crate::sql::audit::{self, AuditRow};
use crate::sql::{channels, communities, members, roles};
use crate::{Communities, SCHEMA};

/// Why a moderator did it, for the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reason(pub Option<String>);

/// Actions of the audit log, numbered as in the chat dialect.
///
/// Coming and going of people by themselves is on the bus and not in the log, as in the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    CommunityUpdate,
    ChannelCreate,
    ChannelUpdate,
    ChannelDelete,
    OverwriteCreate,
    OverwriteUpdate,
    OverwriteDelete,
    MemberKick,
    MemberPrune,
    BanAdd,
    BanRemove,
    MemberUpdate,
    MemberRoleUpdate,
    BotAdd,
    RoleCreate,
    RoleUpdate,
    RoleDelete,
    InviteCreate,
    InviteDelete,
    EmojiCreate,
    EmojiUpdate,
    EmojiDelete,
    AutomodRuleCreate,
    AutomodRuleUpdate,
    AutomodRuleDelete,
    AutomodBlock,
    AutomodAlert,
    AutomodTimeout,
    AutomodQuarantine,
    // Ours.
    RaidDetected,
    ReportDecide,
    ReportAppeal,
}

impl Action {
    fn number(self) -> i16 {
        match self {
            Action::CommunityUpdate => 1,
            Action::ChannelCreate => 10,
            Action::ChannelUpdate => 11,
            Action::ChannelDelete => 12,
            Action::OverwriteCreate => 13,
            Action::OverwriteUpdate => 14,
            Action::OverwriteDelete => 15,
            Action::MemberKick => 20,
            Action::MemberPrune => 21,
            Action::BanAdd => 22,
            Action::BanRemove => 23,
            Action::MemberUpdate => 24,
            Action::MemberRoleUpdate => 25,
            Action::BotAdd => 28,
            Action::RoleCreate => 30,
            Action::RoleUpdate => 31,
            Action::RoleDelete => 32,
            Action::InviteCreate => 40,
            Action::InviteDelete => 42,
            Action::EmojiCreate => 60,
            Action::EmojiUpdate => 61,
            Action::EmojiDelete => 62,
            Action::AutomodRuleCreate => 140,
            Action::AutomodRuleUpdate => 141,
            Action::AutomodRuleDelete => 142,
            Action::AutomodBlock => 143,
            Action::AutomodAlert => 144,
            Action::AutomodTimeout => 145,
            Action::AutomodQuarantine => 146,
            Action::RaidDetected => 1_000,
            Action::ReportDecide => 1_001,
            Action::ReportAppeal => 1_002,
        }
    }
}

/// A change that has begun.
#[must_use = "a change that is not finished is rolled back"]
pub(crate) struct Change<'a> {
    /// Before the transaction, so that it makes way before the lock is given to the next one.
    ticket: Ticket,
    pub(crate) tx: Tx,
    app: &'a Communities,
    pub(crate) caller: UserId,
    pub(crate) reason: Reason,
    /// When it happens.
    pub(crate) at: Timestamp,
    /// The counters in here are already those after the change.
    pub(crate) community: CommunityRow,
    pub(crate) rights: Rights,
    /// The caller, if a member.
    me: Option<MemberRow>,
    before: (i64, i32),
    audits: Vec<AuditRow>,
    events: Vec<Event>,
    batch: Batch,
}

impl<'a> Change<'a> {
    /// Begins; the caller must be a member, for others the community is unknown.
    pub(crate) async fn begin(
        app: &'a Communities,
        caller: UserId,
        community: CommunityId,
        reason: Reason,
    ) -> Result<Change<'a>> {
        let change = Self::open(app, app.db.begin().await?, caller, community, reason).await?;
        change.me()?;
        Ok(change)
    }

    /// Begins in a transaction of the caller's, who need not be a member.
    pub(crate) async fn open(
        app: &'a Communities,
        tx: Tx,
        caller: UserId,
        id: CommunityId,
        reason: Reason,
    ) -> Result<Change<'a>> {
        let ids = [id];
        // All leave at once; the reads behind the lock see what was committed before it was given.
        let (community, roles, me) = futures::try_join!(
            communities::lock_community(&tx, id),
            roles::list_roles(&tx, &ids),
            members::find_member(&tx, id, caller),
        )?;
        let community = community.ok_or(Error::UnknownCommunity)?;
        Ok(Change {
            ticket: app.publisher.ticket(id),
            app,
            caller,
            reason,
            at: app.clock.now(),
            rights: Rights {
                community: id,
                owner: community.owner_id,
                roles,
            },
            me,
            before: (community.rev, community.perm_epoch),
            community,
            audits: Vec::new(),
            events: Vec::new(),
            batch: Vec::new(),
            tx,
        })
    }

    /// Begins with a channel the caller sees; for others it is unknown. Gives its rights in it.
    pub(crate) async fn of_channel(
        app: &'a Communities,
        caller: UserId,
        channel: ChannelId,
        reason: Reason,
    ) -> Result<(Change<'a>, ChannelRow, Vec<OverwriteRow>, Permissions)> {
        let community = communities::find_community_of_channel(&app.db, channel)
            .await?
            .ok_or(Error::UnknownChannel)?;
        let change = match Self::begin(app, caller, community, reason).await {
            Err(Error::UnknownCommunity) => return Err(Error::UnknownChannel),
            other => other?,
        };
        let ids = [channel];
        let (row, overwrites) = futures::try_join!(
            channels::find_channel(&change.tx, community, channel),
            channels::list_overwrites_of_channels(&change.tx, &ids),
        )?;
        let row = row.ok_or(Error::UnknownChannel)?;
        let bits = change
            .rights
            .in_channel(change.me()?, &overwrites, change.at);
        if !bits.has(Chat::VIEW_CHANNEL) {
            return Err(Error::UnknownChannel);
        }
        Ok((change, row, overwrites, bits))
    }

    /// The caller as a member.
    pub(crate) fn me(&self) -> Result<&MemberRow> {
        self.me.as_ref().ok_or(Error::UnknownCommunity)
    }

    /// The caller's rights apart from channels.
    pub(crate) fn base(&self) -> Result<Permissions> {
        Ok(self.rights.base(self.me()?, self.at))
    }

    /// Refuses a caller who lacks `needed` in the community.
    pub(crate) fn require(&self, needed: Chat) -> Result<()> {
        if self.base()?.has(needed) {
            Ok(())
        } else {
            Err(Error::MissingPermission(needed))
        }
    }

    /// Another member.
    pub(crate) async fn member(&self, user: UserId) -> Result<MemberRow> {
        members::find_member(&self.tx, self.community.id, user)
            .await?
            .ok_or(Error::UnknownMember)
    }

    /// Rights change: what was computed before is void. Comes before what it changes is told.
    pub(crate) fn raise_epoch(&mut self) -> Result<()> {
        if self.community.perm_epoch != self.before.1 {
            return Ok(());
        }
        self.community.perm_epoch = self.community.perm_epoch.saturating_add(1);
        let (community, epoch) = (self.community.id, self.community.perm_epoch);
        self.order(Control::AccessChanged { community, epoch });
        self.event(
            events::ACCESS_CHANGED,
            json!({ "community_id": community, "epoch": epoch }),
        )
    }

    /// Gives an order to all nodes that follow the community.
    pub(crate) fn order(&mut self, control: Control) {
        let record = self.record(Body::Control(control), None, Version::None);
        self.batch
            .push((Topic::Community(self.community.id), record));
    }

    /// Gives an order to the nodes on which a user is connected.
    pub(crate) fn order_user(&mut self, user: UserId, control: Control) {
        self.batch
            .push(events::to_user(user, self.community.id, control));
    }

    /// Tells clients, as the next revision.
    pub(crate) fn tell(&mut self, told: Told, payload: &impl Serialize) -> Result<()> {
        self.community.rev = self.community.rev.saturating_add(1);
        let body = events::dispatch(told, self.caller, payload)?;
        let record = self.record(body, told.channel, Version::Rev(self.community.rev));
        self.batch
            .push((Topic::Community(self.community.id), record));
        Ok(())
    }

    /// Tells one user on all devices, whatever intents they asked for.
    pub(crate) fn tell_user(
        &mut self,
        user: UserId,
        name: &'static str,
        payload: &impl Serialize,
    ) -> Result<()> {
        let mut body = events::dispatch(Told::all(name, 0), self.caller, payload)?;
        if let Body::Dispatch(dispatch) = &mut body {
            dispatch.intent = None;
        }
        let record = self.record(body, None, Version::None);
        self.batch.push((Topic::User(user), record));
        Ok(())
    }

    /// Tells those who may read the log. No revision: no snapshot shows the log.
    fn tell_entry(&mut self, row: AuditRow) -> Result<()> {
        let guild_id = self.community.id;
        let entry = row.into();
        let payload = audit_log::EntryPayload { guild_id, entry };
        let body = events::dispatch(audit_log::TOLD, self.caller, &payload)?;
        let record = self.record(body, None, Version::None);
        self.batch.push((Topic::Community(guild_id), record));
        Ok(())
    }

    fn record(&self, body: Body, channel: Option<ChannelId>, version: Version) -> Arc<Record> {
        Arc::new(Record {
            body,
            community: Some(self.community.id),
            channel,
            version,
            epoch: self.community.perm_epoch,
            ephemeral: false,
        })
    }

    /// Tells other contexts.
    pub(crate) fn event(&mut self, kind: &'static str, data: Value) -> Result<()> {
        let event = self
            .app
            .event(kind, self.caller, self.community.id, self.at, data)?;
        self.events.push(event);
        Ok(())
    }

    /// Writes a line of the audit log.
    pub(crate) fn audit<K>(
        &mut self,
        action: Action,
        target: kernel::Id<K>,
        changes: Option<Value>,
    ) -> Result<()> {
        self.audit_with(action, Some(target.cast()), changes, None)
    }

    /// The same with what the dialect says besides about such an act.
    pub(crate) fn audit_with(
        &mut self,
        action: Action,
        target_id: Option<AnyId>,
        changes: Option<Value>,
        options: Option<Value>,
    ) -> Result<()> {
        self.audits.push(AuditRow {
            id: self.app.ids.next()?,
            actor_id: self.caller,
            action: action.number(),
            target_id,
            changes,
            options,
            reason: self.reason.0.clone(),
        });
        Ok(())
    }

    /// Writes everything, commits, publishes.
    pub(crate) async fn finish(mut self) -> Result<()> {
        if self.community.rev == self.before.0 {
            // Nothing was told, yet something is different now.
            self.community.rev = self.community.rev.saturating_add(1);
        }
        let id = self.community.id;
        if communities::step_community(&self.tx, &self.community).await? != 1 {
            return Err(Error::Broken("a locked community is gone"));
        }
        for row in std::mem::take(&mut self.audits) {
            audit::insert(&self.tx, id, &row).await?;
            self.tell_entry(row)?;
        }
        db::outbox::append(&self.tx, SCHEMA, &self.events).await?;
        let Change {
            ticket, tx, batch, ..
        } = self;
        tx.commit().await?;
        ticket.publish(batch).await;
        Ok(())
    }

    /// Ends without an effect.
    pub(crate) async fn drop_all(self) -> Result<()> {
        let Change { ticket, tx, .. } = self;
        drop(ticket);
        tx.rollback().await?;
        Ok(())
    }
}
