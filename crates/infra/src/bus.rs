//! Durable events between contexts, at least once.
//!
//! Events come out of a context's outbox: the relay publishes them and deletes them once
//! [`Bus::publish`] has said that all is accepted. Consumers are idempotent by event id.
//!
//! What every adapter promises:
//! 1. An event reaches every consumer that subscribed to its kind, at least once.
//! 2. Events of one key reach a consumer in the order in which they were published, as long as the
//!    publisher waits for one call before it makes the next. Different keys go side by side.
//! 3. An event behind a refused one of the same key is not handed over before it.

mod local;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kernel::event::Handler;
use kernel::{Event, EventId, Failure};
use thiserror::Error;

pub use local::{Limits, LocalBus, MAX_CONSUMERS};

/// Brings events to the consumers of their kind.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes the events in order.
    ///
    /// In process, success says that every consumer's handler accepted every event. Behind a
    /// broker it says that the broker has stored them, and the broker brings them again until they
    /// are accepted.
    async fn publish(&self, events: &[Event]) -> Result<(), BusError>;

    /// Adds a consumer for events whose kind is one of `kinds`, each spelt out.
    ///
    /// All consumers subscribe before the first publish; later ones are refused.
    fn subscribe(
        &self,
        consumer: &'static str,
        kinds: &'static [&'static str],
        handler: Arc<dyn Handler>,
    ) -> Result<(), BusError>;
}

/// Why the bus could not do what was asked.
#[derive(Debug, Error)]
pub enum BusError {
    /// Some consumers did not accept some events. Events that are not listed were accepted by all.
    #[error("publish events: {} not accepted, first {}", .refusals.len(), First(.refusals))]
    NotAccepted {
        /// One entry per event and consumer.
        refusals: Vec<Refusal>,
    },
    /// The call brings more events than one call may; nothing was published.
    #[error("publish {given} events in one call, above {limit}")]
    BatchTooLarge {
        /// How many came.
        given: usize,
        /// The bound.
        limit: usize,
    },
    /// As many calls are running as may; nothing was published. Try again shortly.
    #[error("publish events beside {limit} other calls")]
    Busy {
        /// The bound.
        limit: usize,
    },
    /// Events flow already; a consumer that joins now would have missed some.
    #[error("subscribe {consumer} after the first publish")]
    Started {
        /// Who came late.
        consumer: &'static str,
    },
    /// The name is taken.
    #[error("subscribe {consumer} a second time")]
    Duplicate {
        /// The name.
        consumer: &'static str,
    },
    /// The consumer asks for no kind of event.
    #[error("subscribe {consumer} to nothing")]
    NoKinds {
        /// Who asked.
        consumer: &'static str,
    },
    /// The bus has as many consumers as it may.
    #[error("subscribe {consumer} beyond {MAX_CONSUMERS} consumers")]
    TooManyConsumers {
        /// Who came too many.
        consumer: &'static str,
    },
    /// The server behind a networked adapter did not answer.
    #[error("reach the bus server")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One event that one consumer did not accept.
#[derive(Debug)]
pub struct Refusal {
    /// The event.
    pub event: EventId,
    /// The consumer.
    pub consumer: &'static str,
    /// Why.
    pub reason: Reason,
}

/// Why an event was not accepted.
#[derive(Debug)]
pub enum Reason {
    /// The handler said so.
    Failed(Failure),
    /// The handler panicked.
    Panicked,
    /// The handler, or those before it in the queue, took longer than the deadline.
    TimedOut,
    /// An event before it in the order of its key was not accepted; it was not handed over.
    Behind,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => write!(f, "failed: {failure}"),
            Self::Panicked => f.write_str("panicked"),
            Self::TimedOut => f.write_str("timed out"),
            Self::Behind => f.write_str("behind a refused event"),
        }
    }
}

struct First<'a>(&'a [Refusal]);

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            Some(Refusal {
                event,
                consumer,
                reason,
            }) => {
                write!(f, "event {event} by {consumer}: {reason}")
            }
            None => f.write_str("none"),
        }
    }
}
