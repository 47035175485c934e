//! What happened and must not be rewritten: who did what to whose account, in a chain of hashes.
//!
//! A context appends an event to its outbox in the transaction of the change; nothing can change
//! without it. Here the event is staged as it arrives, and a sealer puts what is staged into the
//! chain every second.
//!
//! # Invariants
//! 1. An event is in the chain once, however often it is brought.
//! 2. An entry's hash covers the stored bytes, its place and the entry before: an edited, removed or
//!    inserted entry is named by [`Audit::verify`].
//! 3. The end of a chain is signed with a key derived from the root secret, so a cut tail shows.
//! 4. Bodies hold ids and names of what changed, never values, texts or secrets: they stay when a
//!    person is erased. The person's export holds what was done to and by them.
//! 5. What is shown comes from the sealed bytes; the columns it is found by prove nothing.
//!
//! # Deliberately absent
//! Deciding what is worth an entry: a context does, by emitting the event. [`AUDITED`] only lists them.
//!
//! # Events
//! Out: `user_erased`. In: [`AUDITED`], and `identity.erasure_due` once more to answer it.
//!
//! Begin reading with `seal.rs`, then `verify.rs`.

mod entries;
pub mod error;
mod events;
mod http;
mod jobs;
mod metrics_table;
mod model;
mod personal_data;
mod seal;
mod sql;
mod verify;

use std::sync::Arc;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use kernel::{Ids, SharedClock};
use secrecy::{ExposeSecret as _, SecretString};

pub use entries::Search;
pub use error::{ERRORS, Error, Result};
pub use events::AUDITED;
pub use http::table;
pub use metrics_table::METRICS;
pub use model::{Entry, PLATFORM};
pub use verify::{Finding, Verdict};

/// The context's schema.
pub(crate) const SCHEMA: &str = "audit";

/// What is stored about people here.
pub static PRIVACY: db::privacy::PrivacyFile =
    db::privacy::PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The context's migrations.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[(
        "V0001__chain",
        include_str!("../migrations/V0001__chain.sql"),
    )],
};

/// What the context works with.
pub struct Deps {
    /// A pool with the rights of the schema.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Signs the ends of chains.
    pub key: Key,
}

/// The key that signs the ends of chains.
#[derive(Clone)]
pub struct Key(pub(crate) hmac::Key);

impl Key {
    /// Derives it from the root secret; the same on every node.
    ///
    /// # Errors
    ///
    /// When the library refuses, which it does for no input of ours.
    pub fn derive(root: &SecretString) -> std::result::Result<Self, SecretError> {
        let prk = Salt::new(HKDF_SHA256, b"meydan").extract(root.expose_secret().as_bytes());
        let mut key = [0; 32];
        prk.expand(&[b"audit"], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key))
            .or(Err(SecretError))?;
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

/// The key could not be derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("derive the key of the audit chain")]
pub struct SecretError;

/// The context.
pub struct Audit {
    pub(crate) db: db::Db,
    pub(crate) ids: Arc<Ids>,
    pub(crate) clock: SharedClock,
    pub(crate) key: Key,
}

/// Puts the context together.
pub fn build(deps: Deps) -> Arc<Audit> {
    Arc::new(Audit {
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        key: deps.key,
    })
}

/// What the composition needs of the context.
pub fn module(this: &Arc<Audit>) -> runtime::Module {
    let db = this.db.clone();
    runtime::Module {
        name: SCHEMA,
        routes: table(Arc::clone(this)).router(),
        jobs: jobs::jobs(this),
        consumers: vec![events::consumer(this), personal_data::consumer(this)],
        health: vec![runtime::Check::required("audit.database", move || {
            let db = db.clone();
            async move { db.ping().await.map_err(|error| error.to_string()) }
        })],
    }
}

/// Every statement, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    sql::ALL
}
