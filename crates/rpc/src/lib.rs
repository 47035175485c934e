//! gRPC: what `proto/` describes, served over the traits of `contracts`, and what other processes of
//! the installation serve, as those traits.
//!
//! Invariants:
//! 1. A call is refused unless the table of its listener names its method: [`METHODS`] for clients,
//!    [`INTERNAL_METHODS`] for our own processes. What is not declared public needs
//!    `authorization: Bearer`, and puts the [`kernel::Caller`] into the request's extensions, or a
//!    service token. That one says which process calls and grants nothing: where an end user's
//!    token stands beside it, the rights are the user's.
//! 2. UNAUTHENTICATED means the token is bad. When it cannot be judged the answer is UNAVAILABLE; so
//!    is every failure of [`Remote`].
//! 3. A failure becomes a status in `status.rs` and nowhere else; its internal cause has no path
//!    to the client.
//! 4. A stream of an authenticated method ends within a second after its device was taken back; at
//!    the end of its token the device is looked at again.
//! 5. Everything a client sends has a bound in size, number and time. The bounds of connections are
//!    those of [`web_kit::serve`], which is the server below.
//! 6. Tokens, codes and numbers are in no log line; labels of metrics are names of [`METHODS`].
//!
//! No SQL and no business rules here. Events in and out: none.
//!
//! Begin with [`METHODS`], then `gate.rs`, which stands in front of every method; for the other side
//! with [`Remote`].

mod answer;
mod auth;
mod call;
mod error;
mod gate;
mod generated;
mod health;
mod internal;
mod life;
mod methods;
mod metrics;
mod remote;
mod serve;
mod status;

pub use error::ERRORS;
pub use generated::{
    DESCRIPTORS, INTERNAL_DESCRIPTORS, auth_client, credentials_client, internal_messages, messages,
};
pub use methods::{INTERNAL_METHODS, METHODS, Method, Policy};
pub use metrics::METRICS;
pub use remote::{Prove, Remote};
pub use serve::{InternalServices, Options, Reflection, Services, serve, serve_internal};
