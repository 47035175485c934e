//! Every message of the product, and the private channels they stand in: sending, reading, editing,
//! deleting, reacting, pinning, forwarding, asking, sending later, disappearing, typing, direct messages; what is unread, receipts, and catching up.
//!
//! # Invariants
//! 1. In a channel `seq` numbers the messages without gaps and `ev` every change; both come from
//!    the database under the channel's row lock, never from memory.
//! 2. A message, its nonce, its counters and its event are stored by one statement; a nonce has an
//!    effect once in two days, and its replay is the original.
//! 3. Every change of a channel goes through its writer. Answer and fanout come after the commit,
//!    the fanout in the order of `ev`.
//! 4. What was acknowledged is stored; after a lost connection the writer asks what is stored
//!    before it sends again.
//! 5. Deleting empties a message and its revisions at once; its row keeps its `seq`.
//! 6. Two people have one direct channel. Membership is the permission in private channels; in
//!    community channels [`contracts::Communities`] decides, asked anew for each request.
//! 7. Between two people [`contracts::Relations`] is asked besides, anew for each message, edit and
//!    sign of typing: a block acts at once.
//! 8. Every queue is bounded; full means 503, never waiting. Cursors of sockets are dropped instead.
//! 9. What is unread is computed from two numbers and never counted. Mentions are written with
//!    their message and taken back with it; a mention of everyone is one row, however many it calls.
//! 10. A marker moves forward but by its reader's hand; a receipt never goes back.
//! 11. What is told to all readers is the same for all. What differs, as one's own reactions, is left
//!     out of events about messages, and shown to whoever asks.
//! 12. Rows are locked in one order: nonces, channels, read states, members, each sorted.
//!
//! # Deliberately absent
//! No settings of community channels, no cards of users in tables, nothing written per recipient but
//! for those whom a message names.
//! No NOTIFY in the append: it would serialize the writers.
//!
//! # Events
//! Out: [`EVENTS`]. In: `communities.channel_created.v1`, `communities.channel_deleted.v1`, and
//! `identity.user_updated.v1` with `identity.user_state_changed.v1` to drop cached cards.
//!
//! Begin reading with `messages.rs`, then `writer.rs`, `log.rs` and `sql/append.rs`; for all other
//! changes of a channel `change.rs`. Reading begins with `unread.rs`, `acks.rs` and `receipts.rs`,
//! catching up with `sync.rs`.

mod ack_queue;
mod acks;
mod attachments;
mod badges;
mod breaker;
mod calls;
mod change;
mod compose;
mod deletions;
mod dms;
mod drafts;
mod edits;
mod emoji;
pub mod error;
pub mod events;
mod expiry;
mod forwards;
mod happening;
mod http;
mod jobs;
mod later;
mod live;
pub mod log;
mod marks;
mod mentions;
mod messages;
mod metrics_table;
mod model;
mod moderation;
mod personal_data;
mod pins;
mod places;
mod polls;
mod previews;
mod reactions;
mod receipts;
mod revisions;
mod scheduled;
mod seats;
mod slow_mode;
mod sql;
mod sync;
mod typing;
mod unread;
mod users;
mod view;
mod webhooks;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use contracts::identity::User;
use contracts::{Communities, Identity, Media, Moderation, Relations};
use infra::fanout::Fanout;
use kernel::{ChannelId, Ids, Limiter, SharedClock, UserId};
use runtime::{Check, Consumer, Lifecycle, Module};
use tokio_util::sync::CancellationToken;

pub use acks::Acknowledgement;
pub use attachments::{SentAttachment, Uploaded};
pub use error::{ERRORS, Error};
pub use events::EVENTS;
pub use mentions::AllowedMentions;
pub use messages::{Delivery, Window};
pub use metrics_table::METRICS;
pub use model::{Edit, EditMessage, NewMessage, SendMessage, SentReference};
pub use pins::{Pin, Pins};
pub use polls::SentPoll;
pub use receipts::{Receipt, Receipts};
pub use revisions::Revision;
pub use scheduled::{ScheduledMessage, ScheduledState};
pub use unread::Badge;
pub use writer::Settings;

/// The schema of this context.
pub const SCHEMA: &str = "messaging";

/// What is stored about people here.
pub static PRIVACY: db::privacy::PrivacyFile =
    db::privacy::PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The schema's history, oldest first.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[
        (
            "V0001__channels",
            include_str!("../migrations/V0001__channels.sql"),
        ),
        (
            "V0002__messages",
            include_str!("../migrations/V0002__messages.sql"),
        ),
        (
            "V0003__beside_messages",
            include_str!("../migrations/V0003__beside_messages.sql"),
        ),
        (
            "V0004__read_state_versions",
            include_str!("../migrations/V0004__read_state_versions.sql"),
        ),
        (
            "V0005__reactions_in_order",
            include_str!("../migrations/V0005__reactions_in_order.sql"),
        ),
        (
            "V0006__polls",
            include_str!("../migrations/V0006__polls.sql"),
        ),
        (
            "V0007__scheduled_claims",
            include_str!("../migrations/V0007__scheduled_claims.sql"),
        ),
        (
            "V0008__scheduled_by_author",
            include_str!("../migrations/V0008__scheduled_by_author.sql"),
        ),
        (
            "V0009__scheduled_settled",
            include_str!("../migrations/V0009__scheduled_settled.sql"),
        ),
        (
            "V0010__link_previews",
            include_str!("../migrations/V0010__link_previews.sql"),
        ),
    ],
};

/// Channels whose home is remembered; the least used is forgotten beyond it.
const CACHED_HOMES: u64 = 100_000;
/// Cards of users that are remembered; likewise.
const CACHED_USERS: u64 = 50_000;
/// Pages whose preview is remembered, and how long.
const CACHED_PAGES: u64 = 1_000;
const PAGES_FOR: Duration = Duration::from_secs(600);
/// How long a card is used on a node that missed the event of its change.
const CACHED_FOR: Duration = Duration::from_secs(30);

/// What the context stands on.
pub struct Deps {
    /// Its database.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Tells connected clients.
    pub fanout: Arc<dyn Fanout>,
    /// Counts attempts.
    pub limiter: Arc<dyn Limiter>,
    /// Who users are.
    pub identity: Arc<dyn Identity>,
    /// Who may do what in communities.
    pub communities: Arc<dyn Communities>,
    /// Who may write to whom.
    pub relations: Arc<dyn Relations>,
    /// Keeps the files of messages.
    pub media: Arc<dyn Media>,
    /// What may be said in communities.
    pub moderation: Arc<dyn Moderation>,
    /// Runs the writers.
    pub lifecycle: Lifecycle,
    /// When no request can come any more: the writers store what is left and end.
    pub end: CancellationToken,
    /// How much the writers take.
    pub settings: Settings,
}

/// The context.
pub struct Messaging {
    db: db::Db,
    ids: Arc<Ids>,
    clock: SharedClock,
    fanout: Arc<dyn Fanout>,
    limiter: Arc<dyn Limiter>,
    identity: Arc<dyn Identity>,
    communities: Arc<dyn Communities>,
    relations: Arc<dyn Relations>,
    media: Arc<dyn Media>,
    settings: Settings,
    moderation: Arc<dyn Moderation>,
    writers: writer::Writers,
    homes: moka::sync::Cache<ChannelId, places::Home>,
    users: moka::sync::Cache<UserId, User>,
    /// What pages say of themselves.
    pages: moka::sync::Cache<String, Option<serde_json::Value>>,
    acks: Arc<ack_queue::AckQueue>,
    badges: Arc<badges::Badges>,
}

/// Puts the context together and starts its writers; needs a running tokio, touches no database.
pub fn build(deps: Deps) -> Arc<Messaging> {
    let log = log::Log::new(deps.db.clone(), Arc::clone(&deps.clock));
    let messaging = Arc::new(Messaging {
        writers: writer::Writers::start(
            &deps.settings,
            &log,
            &deps.fanout,
            &deps.lifecycle,
            &deps.end,
        ),
        homes: moka::sync::Cache::new(CACHED_HOMES),
        users: moka::sync::Cache::builder()
            .max_capacity(CACHED_USERS)
            .time_to_live(CACHED_FOR)
            .build(),
        pages: moka::sync::Cache::builder()
            .max_capacity(CACHED_PAGES)
            .time_to_live(PAGES_FOR)
            .build(),
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        fanout: deps.fanout,
        limiter: deps.limiter,
        identity: deps.identity,
        communities: deps.communities,
        relations: deps.relations,
        media: deps.media,
        settings: deps.settings,
        moderation: deps.moderation,
        acks: Arc::default(),
        badges: Arc::default(),
    });
    ack_queue::start(&messaging, &deps.lifecycle, &deps.end);
    badges::start(&messaging, &deps.lifecycle);
    messaging
}

/// The routes, for the composition and for the documentation.
pub fn tables(messaging: Arc<Messaging>) -> web_kit::Table {
    http::routes(messaging)
}

/// The context, ready to be composed.
pub fn module(messaging: Arc<Messaging>) -> Module {
    let probed = messaging.db.clone();
    Module {
        name: SCHEMA,
        jobs: jobs::jobs(&messaging),
        consumers: vec![
            personal_data::consumer(&messaging),
            Consumer {
                name: events::CHANNELS,
                kinds: events::CHANNEL_KINDS,
                handler: Arc::new(events::channels(&messaging)),
            },
            Consumer {
                name: "messaging.card_cache",
                kinds: events::CARD_KINDS,
                handler: Arc::new(events::CardCache(Arc::downgrade(&messaging))),
            },
            Consumer {
                name: moderation::ALERTS,
                kinds: moderation::ALERT_KINDS,
                handler: Arc::new(moderation::Alerts(Arc::downgrade(&messaging))),
            },
        ],
        health: vec![Check::required("messaging.database", move || {
            let db = probed.clone();
            async move { db.ping().await.map_err(|error| error.to_string()) }
        })],
        routes: tables(messaging).router(),
    }
}

/// Every statement, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    sql::ALL
}

/// Every kind of change, for the test that catches up with each.
#[doc(hidden)]
pub fn kinds_of_changes() -> Vec<i16> {
    happening::kinds()
}
