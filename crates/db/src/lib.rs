//! The only way to the database: typed statements, a bounded pool, transactions, and the
//! mechanics every context shares.
//!
//! Invariants
//! 1. A statement leaves unnamed, with explicit parameter types, in one round trip; nothing is
//!    prepared by name and no session state is set, so any pooler in transaction mode will do.
//! 2. A connection goes back into the pool only when nothing is open on it.
//! 3. Every wait is bounded: for a connection, for connecting, for a statement, for a lock.
//! 4. A transaction in which a statement failed never reports a successful commit.
//! 5. A database failure is an error, never an empty result.
//!
//! Events: none of its own.
//!
//! Begin reading with [`Sql`], then [`Db`] and [`Tx`].

#![warn(missing_docs)]

// The derive writes `::db::…`, also in this crate.
extern crate self as db;

mod connect;
pub mod data_dir;
pub mod dead_letters;
mod error;
pub mod inbox;
mod mechanics;
mod metrics_table;
mod migrate;
mod notes;
pub mod once;
pub mod outbox;
mod pool;
pub mod prepare;
pub mod privacy;
pub mod private;
mod purge;
mod sql;
mod tx;
mod value;
pub mod wakeup;
pub mod worker;

pub use connect::Settings;
pub use db_derive::FromRow;
pub use error::Error;
pub use metrics_table::METRICS;
pub use migrate::{
    MigrateError, Migrations, Report, Step, ensure_login, migrate, migrate_fingerprint, pending,
};
pub use pool::{Db, Usage};
pub use postgres_types::{self, Type};
pub use purge::{INBOX_DAYS, PurgeFn, PurgeJob, purge_jobs};
pub use sql::{Bound, Source, Sql};
pub use tx::Tx;
pub use value::{FromRow, Row, Scalar, Value};

/// The result of the data layer.
pub type Result<T> = std::result::Result<T, Error>;
