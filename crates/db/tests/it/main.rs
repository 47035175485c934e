//! Integration tests of the data layer on a real PostgreSQL.

mod fixture;
mod migrations;
mod pgbouncer;
mod pool;
mod statements;
mod transactions;
