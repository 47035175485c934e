//! Integration tests of the data layer on a real PostgreSQL.

mod events;
mod fixture;
mod migrations;
mod once;
mod pgbouncer;
mod pool;
mod private_pg;
mod statements;
mod transactions;
mod wakeup;
mod worker;
