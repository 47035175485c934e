//! Integration tests of `web_kit`.

#![cfg(test)]

mod app;
mod bodies;
mod callers;
mod client;
mod corpus;
mod csrf;
mod demands;
mod errors;
#[path = "../../fuzz/bodies.rs"]
mod fuzz_bodies;
mod h2;
mod headers;
mod hs256;
mod limits;
mod openapi;
mod ops;
mod parsers;
mod server;
mod service_tokens;
mod sessions;
mod socket;
mod storage;
mod timeouts;
mod tokens;
