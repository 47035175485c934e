//! The glue between HTTP and operations: routes as a table, extractors, one place that renders
//! errors, limits, tokens, and the server itself.
//!
//! Invariants:
//! 1. An error becomes a response in [`render`] and nowhere else: problem details (RFC 9457), or
//!    the chat dialect's `{code, message, errors}` under `/api/v10`. The internal cause of a
//!    failure has no path to the client.
//! 2. Every operation of a [`Table`] has a [`Policy`] that is carried out before its handler runs;
//!    the default is that one must be logged in.
//! 3. Every response carries a request id and the security headers; a panic ends one request only.
//! 4. 401 means the token is bad. When it cannot be judged (keys or revocations are stale, the
//!    issuer is away) the answer is 503, because stock clients forget their token on 401.
//! 5. Forwarding headers count only when the peer is a configured proxy.
//! 6. Everything a client sends has a bound in size and in time, and a test at that bound.
//!
//! No SQL, no business rules, no knowledge of any context here. Events in and out: none.
//!
//! Begin with [`Table`] (what a context writes), then [`stack`] (what wraps all of them), then
//! [`serve`].

#![warn(missing_docs)]

mod address;
mod body;
mod callers;
mod cookie;
mod cors;
mod demands;
mod docs;
mod extract;
pub mod fail;
mod guard;
pub mod jwt;
mod limits;
mod metrics;
mod opaque;
mod openapi;
mod ops;
mod pages;
pub mod render;
mod reply;
mod revocations;
mod serve;
mod stack;
mod table;
mod tokens;

pub use address::{Meta, Network, NetworkError, Peer};
pub use callers::{Caller, Public, Staff};
pub use cookie::{HOST_COOKIE, LOOPBACK_COOKIE};
pub use cors::Cors;
pub use demands::{Acting, Demands, Login, Policy, Whom};
pub use docs::docs;
pub use extract::{AuditReason, Json, Once, OptionalJson, Path, Query, Raw, percent_decode};
pub use fail::{ERRORS, Fail, Result};
pub use metrics::METRICS;
pub use opaque::OpaqueTokens;
pub use ops::{Details, Scrape, ops};
pub use pages::{PageSession, Pages};
pub use reply::{Created, NoContent, Replayed};
pub use revocations::{Missed, Revoked};
pub use serve::{Io, ServeOptions, Slot, serve};
pub use stack::{StackOptions, stack};
pub use table::{Doc, Operation, Routes, Table};
pub use tokens::{HS256_KID, OnStale, PublicKey, TokenVerifier, Verified, VerifyError};

pub use openapi::openapi;
