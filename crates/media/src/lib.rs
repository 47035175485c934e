//! Files: uploads that survive, what is made of them, and how they are served.
//!
//! # Invariants
//! 1. What was acknowledged is stored: an upload is at an offset only when everything before it is
//!    an object of the store and a row of the database. Killing a process loses what it had not
//!    told yet, at most ten seconds or four mebibytes of each upload.
//! 2. One sender at a time: an upload is leased to whoever sends to it; another one is refused.
//! 3. Every object is named by a row before it is written, so nothing is stored that nobody knows:
//!    what a killed process leaves goes with its row.
//! 4. A file is what its content says. Of images the header is judged before a pixel is decoded.
//! 5. An image is served without anything that tells of more than the picture; its original is
//!    never served, and goes when the image is ready.
//! 6. What browsers could run is only saved, never shown: under its own path, with a fixed type,
//!    `nosniff` and a sandbox.
//! 7. A file that nobody claims within a day goes, and so does an unfinished upload.
//! 8. No other context is called, and the object store never inside a transaction.
//!
//! Objects of a file are `media/{random}/…`: `parts/`, `original`, `clean`, `thumbnail`, or
//! `{side}.{form}` of a profile picture. They are never written twice with other content.
//!
//! Events out: [`EVENTS`]. Events in: `messaging.message_deleted.v1`,
//! `messaging.attachments_removed.v1`, `communities.channel_deleted.v1`,
//! `communities.community_deleted.v1`, `identity.erasure_due.v1`.
//!
//! Begin reading with [`Media`], then `uploads.rs` (how a file comes in), `work.rs` (what is made
//! of it), `serve.rs` (how it goes out) and `calls.rs` (what others ask).

mod calls;
pub mod error;
pub mod events;
mod finish;
mod http;
mod jobs;
mod keys;
mod kinds;
mod metrics_table;
mod model;
mod personal_data;
mod pictures;
mod probe;
mod profile;
mod receive;
mod serve;
mod sql;
mod thumbhash;
mod uploads;
mod work;

use std::sync::Arc;
use std::time::Duration;

use infra::objects::Objects;
use kernel::{AnyId, Ids, SharedClock, SharedRng};

use runtime::{Blocking, Lifecycle};
use tokio::sync::Notify;

pub use error::{ERRORS, Error, Result};
pub use events::EVENTS;
pub use http::table;
pub use keys::{Key, SecretError};
pub use kinds::Class;
pub use metrics_table::METRICS;
pub use pictures::Unusable;
pub use probe::Broken;

/// The context's schema.
pub(crate) const SCHEMA: &str = "media";

/// What is stored about people here.
pub static PRIVACY: db::privacy::PrivacyFile =
    db::privacy::PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The context's migrations.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[(
        "V0001__assets",
        include_str!("../migrations/V0001__assets.sql"),
    )],
};

/// Values of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where files are fetched: scheme, host and port.
    pub public_url: String,
    /// The largest file.
    pub max_file_bytes: u64,
    /// The largest file that begins as an image: it is held in memory while it is worked at.
    pub max_image_bytes: u64,
    /// Most pixels of an image.
    pub max_pixels: u64,
    /// Most bytes of one user's files together.
    pub quota_bytes: u64,
    /// Most unfinished uploads of one user.
    pub uploads_per_user: i64,
    /// Which files are taken.
    pub classes: Vec<Class>,
    /// How long an unfinished upload, and a file that nobody claimed, is kept.
    pub keep_unclaimed: Duration,
    /// How long an address is good at least.
    pub address_ttl: Duration,
    /// Images that are worked at side by side.
    pub workers: usize,
    /// Signs addresses.
    pub key: Key,
}

impl Settings {
    /// The built-in values.
    pub fn new(public_url: impl Into<String>, key: Key) -> Self {
        const MIB: u64 = 1024 * 1024;
        Settings {
            public_url: public_url.into(),
            max_file_bytes: 25 * MIB,
            max_image_bytes: 25 * MIB,
            max_pixels: 50_000_000,
            quota_bytes: 1024 * MIB,
            uploads_per_user: 20,
            classes: Class::ALL.to_vec(),
            keep_unclaimed: Duration::from_secs(24 * 3600),
            address_ttl: Duration::from_secs(24 * 3600),
            workers: 1,
            key,
        }
    }
}

/// What the context works with.
pub struct Deps {
    /// A pool with the rights of `media_app`.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Names folders of objects.
    pub rng: SharedRng,
    /// Where files are kept.
    pub objects: Arc<dyn Objects>,
    /// Runs the work at images.
    pub lifecycle: Lifecycle,
    /// Values of the configuration.
    pub settings: Settings,
}

/// The context: every operation is a method.
pub struct Media {
    pub(crate) db: db::Db,
    pub(crate) ids: Arc<Ids>,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    pub(crate) objects: Arc<dyn Objects>,
    pub(crate) settings: Settings,
    /// Images in memory, decoded or not; beyond its queue the request is shed.
    pub(crate) pool: Blocking,
    /// Content that is held in memory while it comes in; see `uploads.rs`.
    pub(crate) buffers: tokio::sync::Semaphore,
    /// There is an image to be worked at.
    pub(crate) work: Notify,
    /// An image was worked at.
    pub(crate) worked: Notify,
}

/// Images that may wait for the pool.
const QUEUE: usize = 64;
/// Uploads that are received side by side; each holds up to four mebibytes.
const RECEIVING: usize = 64;

/// Puts the context together and starts its workers; touches no database.
pub fn build(deps: Deps) -> Arc<Media> {
    let media = Arc::new(Media {
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        rng: deps.rng,
        objects: deps.objects,
        pool: Blocking::new(deps.settings.workers, QUEUE),
        buffers: tokio::sync::Semaphore::new(RECEIVING),
        work: Notify::new(),
        worked: Notify::new(),
        settings: deps.settings,
    });
    work::start(&media, &deps.lifecycle);
    media
}

/// What the composition needs of the context.
pub fn module(this: &Arc<Media>) -> runtime::Module {
    let db = this.db.clone();
    runtime::Module {
        name: SCHEMA,
        routes: table(Arc::clone(this)).router(),
        jobs: jobs::jobs(this),
        consumers: vec![events::consumer(this), personal_data::consumer(this)],
        health: vec![runtime::Check::required("media.database", move || {
            let db = db.clone();
            async move { db.ping().await.map_err(|error| error.to_string()) }
        })],
    }
}

/// Every statement, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    &sql::STATEMENTS
}

impl Media {
    pub(crate) fn lease(&self) -> Result<AnyId> {
        Ok(self.ids.next()?)
    }
}
