//! Applications: bots, their tokens, and the communities they are installed in; webhooks by which
//! programs write into channels, and events that go out to programs elsewhere.
//!
//! # Invariants
//! 1. An application, its bot user and nobody else share an id.
//! 2. An application has one token. It is shown once; the database holds its SHA-256. A token that
//!    was replaced is void with the commit, and its sockets are told to close.
//! 3. The private signing key leaves memory only wrapped, under a key derived from the root secret
//!    and bound to the application.
//! 4. Somebody else's application does not exist, but a public one can be installed by everybody.
//! 5. Rights in a community are judged by communities alone. `installs` follows what happened
//!    there: who removes the bot removes the install.
//! 6. A deleted application is void with the commit; taking its bot out everywhere is finished by a
//!    job, however often another context is away.
//! 7. No other context is called inside a transaction.
//! 8. A webhook's token is all that is asked for, in a path. The database holds its SHA-256, and the
//!    token itself encrypted, because those who may manage webhooks are shown it again. A webhook that
//!    is not there and one whose token is another are never told apart.
//! 9. A webhook goes with its channel, and changes no messages but its own.
//! 10. An event is on its way to each subscription that wants it with the transaction that takes it
//!     in. It goes out at least once, under one `webhook-id`; every attempt is a row.
//! 11. A delivery stores names of things. What is told is read, and judged by the rights of whoever
//!     subscribed, at each attempt.
//! 12. Only addresses that the guarded calls of `infra` permit are called, and no redirect is followed.
//!
//! Privileged intents are the owner's switch; see `model.rs`.
//!
//! Events out: [`EVENTS`]. Events in: `communities.member_left.v1`,
//! `communities.channel_deleted.v1`, `communities.community_deleted.v1`; and for those who subscribed
//! all that `outgoing/kinds.rs` lists.
//!
//! Begin reading with [`Applications`], then `applications.rs` and `installs.rs`; for
//! webhooks `incoming.rs` and `incoming/execute.rs`, for events that go out `outgoing.rs`.

mod applications;
mod calls;
pub mod error;
pub mod events;
pub mod fuzz;
mod http;
mod incoming;
mod installs;
mod jobs;
mod keys;
mod metrics_table;
mod model;
mod outgoing;
mod personal_data;
mod sql;

use std::sync::Arc;

use infra::fanout::Fanout;
use infra::outbound::Outbound;
use kernel::{Event, Id, Ids, Limiter, SharedClock, SharedRng, UserId};
use serde_json::Value;

pub use error::{ERRORS, Error, Result};
pub use events::EVENTS;
pub use http::table;
pub use incoming::execute::{Bearer, Form};
pub use incoming::model::{
    CreateWebhook, EditWebhookMessage, ExecuteWebhook, UpdateWebhook, Webhook,
};
pub use keys::{Keys, MIN_ROOT_BYTES, SecretError};
pub use metrics_table::METRICS;
pub use model::{
    Application, CreateApplication, Install, NewToken, NewlyMade, PutInstall, UpdateApplication,
};
pub use outgoing::delivery::{Attempt, Delivery, WithAttempts};
pub use outgoing::model::{
    CreateSubscription, Owner, Subscription, UpdateSubscription, WithSecret,
};
pub use outgoing::{Outgoing, begin_delivering};

/// The context's schema.
pub(crate) const SCHEMA: &str = "applications";

/// What is stored about people here.
pub static PRIVACY: db::privacy::PrivacyFile =
    db::privacy::PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The context's migrations.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[
        (
            "V0001__applications",
            include_str!("../migrations/V0001__applications.sql"),
        ),
        (
            "V0002__webhooks",
            include_str!("../migrations/V0002__webhooks.sql"),
        ),
        (
            "V0003__subscriptions",
            include_str!("../migrations/V0003__subscriptions.sql"),
        ),
    ],
};

/// Values of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Applications one account may own.
    pub applications_per_user: i64,
    /// Webhooks a channel may have.
    pub webhooks_per_channel: i64,
    /// Webhooks a community may have.
    pub webhooks_per_community: i64,
    /// Subscriptions an application or a community may have.
    pub subscriptions_per_owner: i64,
    /// Deliveries that may wait for one address; more switch its subscription off.
    pub deliveries_waiting: i64,
    /// Where this installation is reached, without a slash at the end.
    pub public_url: String,
    /// The key derived from the root secret.
    pub keys: Keys,
}

impl Settings {
    /// The built-in values over `keys`.
    pub fn new(keys: Keys) -> Self {
        Settings {
            applications_per_user: 25,
            webhooks_per_channel: 15,
            webhooks_per_community: 1_000,
            subscriptions_per_owner: 10,
            deliveries_waiting: 10_000,
            public_url: String::new(),
            keys,
        }
    }
}

/// What the context works with.
pub struct Deps {
    /// A pool with the rights of `applications_app`.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Makes secrets.
    pub rng: SharedRng,
    /// Tells sockets of void tokens.
    pub fanout: Arc<dyn Fanout>,
    /// Keeps the bots' accounts.
    pub identity: Arc<dyn contracts::Identity>,
    /// Lets bots in and out.
    pub communities: Arc<dyn contracts::Communities>,
    /// Takes what webhooks say.
    pub messaging: Arc<dyn contracts::Messaging>,
    /// Counts what webhooks say.
    pub limiter: Arc<dyn Limiter>,
    /// Carries events to addresses that users name.
    pub outbound: Outbound,
    /// Values of the configuration.
    pub settings: Settings,
}

/// The context: every operation is a method.
pub struct Applications {
    pub(crate) db: db::Db,
    pub(crate) ids: Arc<Ids>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    pub(crate) fanout: Arc<dyn Fanout>,
    pub(crate) identity: Arc<dyn contracts::Identity>,
    pub(crate) communities: Arc<dyn contracts::Communities>,
    pub(crate) messaging: Arc<dyn contracts::Messaging>,
    pub(crate) limiter: Arc<dyn Limiter>,
    pub(crate) outgoing: Outgoing,
    pub(crate) settings: Settings,
}

/// Puts the context together.
pub fn build(deps: Deps) -> Arc<Applications> {
    Arc::new(Applications {
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        rng: deps.rng,
        fanout: deps.fanout,
        identity: deps.identity,
        communities: deps.communities,
        messaging: deps.messaging,
        limiter: deps.limiter,
        outgoing: Outgoing::new(deps.outbound),
        settings: deps.settings,
    })
}

/// What the composition needs of the context.
pub fn module(this: &Arc<Applications>) -> runtime::Module {
    let db = this.db.clone();
    runtime::Module {
        name: SCHEMA,
        routes: table(Arc::clone(this)).router(),
        jobs: jobs::jobs(this),
        consumers: vec![
            events::consumer(this),
            outgoing::consumer(this),
            personal_data::consumer(this),
        ],
        health: vec![runtime::Check::required(
            "applications.database",
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

impl Applications {
    /// An event of this context.
    pub(crate) fn event<K>(
        &self,
        kind: &'static str,
        actor: UserId,
        key: Id<K>,
        data: Value,
    ) -> Result<Event> {
        Ok(Event {
            id: self.ids.next()?,
            kind: kind.to_owned(),
            at: self.clock.now(),
            actor: Some(actor),
            tenant: None,
            key: key.to_string(),
            data,
        })
    }
}
