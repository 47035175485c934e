//! Communities: their channels, roles, members, invites, and who may do what in them.
//!
//! # Invariants
//! 1. A change of a community begins with the lock of its row. It raises `rev`, writes its audit
//!    entries and its events in one transaction, and is published after the commit in the order of
//!    `rev` (one process; between processes a node heals by `rev`).
//! 2. Every event for clients on the topic of a community has a revision of its own, without gaps,
//!    but for entries of the audit log, which no snapshot shows. Orders to nodes have none and stand
//!    before the events they prepare.
//! 3. Whatever changes the rights of a class, of a channel or of a named member raises `perm_epoch`
//!    in the same transaction. So the compiled rights are a function of the epoch, apart from
//!    channels deleted within the last hour, which stay in them so that their deletion can still be
//!    told to those who saw them.
//! 4. Members with the same roles share a class; class 0 has none. A class number is never used
//!    twice in a community.
//! 5. Who is not in a community, or does not see a channel, is told that it does not exist.
//! 6. Nobody changes a role at or above their highest, gives or takes a right they lack, or removes,
//!    renames or silences a member who is not below them. Giving a role asks only where the role
//!    stands; an overwrite that takes rights asks where its target stands.
//! 7. No other context is called inside a transaction.
//! 8. A rule of automatic moderation counts from the commit that made it: whoever judges compares the
//!    number of the last change. What it does is in the audit log. Spam is counted per process.
//! 9. A member in quarantine has no roles and can only read; the roles are kept for the end of it.
//! 10. An image is in the store as long as an emoji names it, and not much longer.
//!
//! Events out: [`EVENTS`], keyed by community. Events in: `messaging.message_created.v1` and
//! our own of members, for statistics and for who is active; `applications.webhook_{created,updated,deleted}.v1`, for the audit log;
//! `identity.erasure_due.v1`.
//!
//! Begin reading with [`Communities`], then `change.rs`; one file of operations per noun.

mod activity;
mod audit_log;
mod audit_of_others;
mod automod;
mod bans;
mod bots;
mod calls;
mod change;
mod channels;
mod communities;
mod compile;
mod discovery;
mod emojis;
pub mod error;
pub mod events;
mod http;
mod icons;
mod images;
mod invites;
mod jobs;
mod joining;
mod judge;
mod members;
mod model;
mod overwrites;
mod personal_data;
mod prune;
mod publish;
mod quarantine;
mod raids;
mod reports;
mod requests;
mod rights;
mod roles;
mod sql;
mod statistics;
mod templates;
mod views;

use std::sync::Arc;

use contracts::Identity;
use contracts::identity::User;
use infra::fanout::Fanout;
use infra::objects::Objects;
use kernel::{CommunityId, Event, Ids, SharedClock, SharedRng, UserId};
use serde_json::Value;

pub use audit_log::{AuditFrom, AuditLog, AuditLogEntry, AuditQuery};
pub use bans::{Ban, BanFrom, BulkBan};
pub use change::Reason;
pub use communities::{CommunityCard, Made};
pub use discovery::{CommunityPreview, Discovered, DiscoveryQuery, DiscoverySort, JoinedPublic};
pub use emojis::Picture;
pub use error::{ERRORS, Error, Result};
pub use events::EVENTS;
pub use http::table;
pub use invites::{Invite, InviteChannel, InviteGuild, InviteUse, Joined};
pub use judge::Lacking;
pub use prune::Pruned;
pub use raids::{Incidents, RaidAction, RaidProtection};
pub use reports::{Report, ReportState};
pub use requests::{
    AppealReport, AutomodRuleRequest, BulkBanRequest, CreateChannel, CreateCommunity, CreateEmoji,
    CreateInvite, CreateTemplate, DecideReport, DefaultReactionRequest, ForumTagRequest,
    IncidentActions, MoveRole, OverwriteRequest, PruneRequest, PutOverwrite, RoleColours,
    RoleRequest, ThreadsRequest, TransferOwnership, UpdateChannel, UpdateCommunity, UpdateEmoji,
    UpdateMember, UpdateTemplate,
};

pub use statistics::{Statistics, StatisticsDay, StatisticsWeek};
pub use templates::{SourceChannel, SourceGuild, SourceOverwrite, SourceRole, Template};

use publish::Publisher;

/// The context's schema.
pub(crate) const SCHEMA: &str = "communities";

/// What is stored about people here.
pub static PRIVACY: db::privacy::PrivacyFile =
    db::privacy::PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The context's migrations.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[
        (
            "V0001__communities",
            include_str!("../migrations/V0001__communities.sql"),
        ),
        (
            "V0002__audit_log",
            include_str!("../migrations/V0002__audit_log.sql"),
        ),
        (
            "V0003__audit_entries_actor",
            include_str!("../migrations/V0003__audit_entries_actor.sql"),
        ),
        (
            "V0004__member_activity",
            include_str!("../migrations/V0004__member_activity.sql"),
        ),
        (
            "V0005__discovery",
            include_str!("../migrations/V0005__discovery.sql"),
        ),
        (
            "V0006__emoji_images",
            include_str!("../migrations/V0006__emoji_images.sql"),
        ),
        (
            "V0007__statistics",
            include_str!("../migrations/V0007__statistics.sql"),
        ),
        (
            "V0008__moderation",
            include_str!("../migrations/V0008__moderation.sql"),
        ),
        (
            "V0009__members_joined",
            include_str!("../migrations/V0009__members_joined.sql"),
        ),
        (
            "V0010__reports_once",
            include_str!("../migrations/V0010__reports_once.sql"),
        ),
    ],
};

/// How much of everything there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Communities one account may be in.
    pub communities_per_user: i64,
    /// Roles of a community, everyone's included.
    pub roles: usize,
    /// Channels of a community, categories included.
    pub channels: usize,
    /// Usable invites of a community.
    pub invites: i64,
    /// Emoji of a community.
    pub emojis: usize,
    /// Templates of a community.
    pub templates: usize,
    /// Rules of automatic moderation of a community.
    pub automod_rules: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            communities_per_user: 200,
            roles: 250,
            channels: 500,
            invites: 1_000,
            emojis: 250,
            templates: 10,
            automod_rules: 20,
        }
    }
}

/// What the context works with.
pub struct Deps {
    /// A pool with the rights of `communities_app`.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Makes invite codes.
    pub rng: SharedRng,
    /// Tells connected clients.
    pub fanout: Arc<dyn Fanout>,
    /// Keeps images.
    pub objects: Arc<dyn Objects>,
    /// Makes and serves pictures of communities.
    pub media: Arc<dyn contracts::Media>,
    /// Knows the accounts.
    pub identity: Arc<dyn Identity>,
    /// How much of everything there may be.
    pub limits: Limits,
}

/// The context: every operation is a method.
pub struct Communities {
    pub(crate) db: db::Db,
    pub(crate) ids: Arc<Ids>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) media: Arc<dyn contracts::Media>,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) limits: Limits,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) judge: judge::Judge,
}

/// Puts the context together.
pub fn build(deps: Deps) -> Arc<Communities> {
    Arc::new(Communities {
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        rng: deps.rng,
        objects: deps.objects,
        media: deps.media,
        identity: deps.identity,
        limits: deps.limits,
        publisher: Publisher::new(deps.fanout),
        judge: judge::Judge::new(),
    })
}

/// What the composition needs of the context.
pub fn module(this: &Arc<Communities>) -> runtime::Module {
    let db = this.db.clone();
    runtime::Module {
        name: SCHEMA,
        routes: table(Arc::clone(this)).router(),
        jobs: jobs::jobs(this),
        consumers: vec![
            personal_data::consumer(this),
            activity::consumer(this),
            audit_of_others::consumer(this),
        ],
        health: vec![runtime::Check::required(
            "communities.database",
            move || {
                let db = db.clone();
                async move { db.ping().await.map_err(|error| error.to_string()) }
            },
        )],
    }
}

/// Every statement, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    &sql::ALL
}

impl Communities {
    /// An event of this context.
    pub(crate) fn event(
        &self,
        kind: &'static str,
        actor: UserId,
        community: CommunityId,
        at: jiff::Timestamp,
        data: Value,
    ) -> Result<Event> {
        Ok(Event {
            id: self.ids.next()?,
            kind: kind.to_owned(),
            at,
            actor: Some(actor),
            tenant: None,
            key: community.to_string(),
            data,
        })
    }

    /// The public card of one account; never called inside a transaction.
    pub(crate) async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.identity.users(&[id]).await?.into_iter().next())
    }

    /// The same, where the account is known to have existed.
    pub(crate) async fn user_or_unknown(&self, id: UserId) -> Result<User> {
        Ok(self.user(id).await?.unwrap_or_else(|| User::unknown(id)))
    }
}
