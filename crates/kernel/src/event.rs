//! Events between contexts: durable, at least once.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::id::{EventId, UserId};

/// Something that happened, as it travels on the bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The event's own id; consumers are idempotent by it.
    pub id: EventId,
    /// `context.what_happened.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was committed, by the writer's clock.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Option<UserId>,
    /// The gallery it belongs to, in the trade half.
    pub tenant: Option<i64>,
    /// The thing whose order matters: events of one key arrive in the order they were written.
    pub key: String,
    /// The payload; ids as decimal strings.
    pub data: serde_json::Value,
}

/// The future a [`Handler`] gives back.
pub type Handling<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Consumes events. Called at least once per event, in order per key.
pub trait Handler: Send + Sync + 'static {
    /// Handles one event. An error means "not accepted": the bus will bring it again.
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a>;
}
