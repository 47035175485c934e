//! gRPC: what `proto/` describes, served over the traits of `contracts`.
//!
//! Invariants:
//! 1. A call is refused unless [`METHODS`] names its method. What is not declared public needs
//!    `authorization: Bearer` and puts the [`kernel::Caller`] into the request's extensions.
//! 2. UNAUTHENTICATED means the token is bad. When it cannot be judged the answer is UNAVAILABLE.
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
//! Begin with [`METHODS`], then `gate.rs`, which stands in front of every method.

mod answer;
mod auth;
mod error;
mod gate;
mod generated;
mod health;
mod life;
mod methods;
mod metrics;
mod serve;
mod status;

pub use error::ERRORS;
pub use generated::{DESCRIPTORS, auth_client, messages};
pub use methods::{METHODS, Method, Policy};
pub use metrics::METRICS;
pub use serve::{Options, Reflection, Services, serve};
