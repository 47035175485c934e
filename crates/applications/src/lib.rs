//! Applications: bots, their tokens, and where they are installed.
//!
//! # Invariants
//! 1. An application and its bot user bear the same id.
//! 2. A token is shown once and stored as its SHA-256; at most one is valid per application.
//! 3. A token that was replaced has no socket a moment later.
//! 4. Only the owner sees or changes an application; for all others it does not exist. Anybody may
//!    install one where they manage a community.
//! 5. A privileged intent is granted to an application, never asked for by its bot alone. New
//!    applications have members and message content, as unverified bots of small communities have
//!    elsewhere; presences must be switched on by the owner.
//!
//! # Deliberately absent
//! Commands, interactions and webhooks; membership of bots, which is communities' own.
//!
//! # Events
//! Out: [`EVENTS`]. In: none.
//!
//! Begin reading with `operations.rs`.

mod calls;
pub mod error;
pub mod events;
mod http;
mod model;
mod operations;
mod secrets;
mod sql;

use std::sync::Arc;

use contracts::{Communities, Identity};
use infra::fanout::Fanout;
use kernel::{Ids, SharedClock, SharedRng};
use runtime::{Check, Module};

pub use error::{ERRORS, Error};
pub use events::EVENTS;
pub use model::{ApplicationObject, Edit, Install, NewApplication};
pub use secrets::{SecretError, Settings};

/// The schema of this context.
pub const SCHEMA: &str = "applications";

/// The schema's history, oldest first.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[(
        "V0001__applications",
        include_str!("../migrations/V0001__applications.sql"),
    )],
};

/// What the context stands on.
pub struct Deps {
    /// Its database.
    pub db: db::Db,
    /// Makes identifiers.
    pub ids: Arc<Ids>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Makes tokens and keys.
    pub rng: SharedRng,
    /// Tells sockets of replaced tokens.
    pub fanout: Arc<dyn Fanout>,
    /// Makes bot users.
    pub identity: Arc<dyn Identity>,
    /// Makes bots members.
    pub communities: Arc<dyn Communities>,
    /// Values of the configuration.
    pub settings: Settings,
}

/// The context.
pub struct Applications {
    db: db::Db,
    ids: Arc<Ids>,
    clock: SharedClock,
    rng: SharedRng,
    fanout: Arc<dyn Fanout>,
    identity: Arc<dyn Identity>,
    communities: Arc<dyn Communities>,
    settings: Settings,
}

/// Puts the context together; touches no database.
pub fn build(deps: Deps) -> Arc<Applications> {
    Arc::new(Applications {
        db: deps.db,
        ids: deps.ids,
        clock: deps.clock,
        rng: deps.rng,
        fanout: deps.fanout,
        identity: deps.identity,
        communities: deps.communities,
        settings: deps.settings,
    })
}

/// The routes, for the composition and for the documentation.
pub fn tables(applications: Arc<Applications>) -> web_kit::Table {
    http::routes(applications)
}

/// The context, ready to be composed.
pub fn module(applications: Arc<Applications>) -> Module {
    let db = applications.db.clone();
    Module {
        name: SCHEMA,
        jobs: Vec::new(),
        consumers: Vec::new(),
        health: vec![Check::required("applications.database", move || {
            let db = db.clone();
            async move { db.ping().await.map_err(|error| error.to_string()) }
        })],
        routes: tables(applications).router(),
    }
}

/// Every statement of the crate, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    sql::ALL
}
