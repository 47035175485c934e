//! Tools for tests: a PostgreSQL per test run and a database per test, other real servers, calls
//! into a router, fakes of called contexts, and the conformance suites of the seams.
//!
//! Never a dependency of the product; every function returns `anyhow::Result` so that tests decide
//! how to fail.

pub mod conformance;
pub mod corpus;
pub mod database;
pub mod fakes;
pub mod forgeries;
pub mod gateway;
pub mod http;
mod issuers;
pub mod privacy;
pub mod servers;

pub use database::{TestDb, prepare_all};
pub use http::verifier;
