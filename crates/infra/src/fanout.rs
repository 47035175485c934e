//! Ephemeral, lossy pub/sub between the contexts and connected sockets.
//!
//! A context publishes a [`Record`] on a [`Topic`]; every realtime worker that follows the topic
//! finds it in its mailbox. Nothing is stored and nobody waits: a follower that reads too slowly
//! loses records, and is told of which topics, so that it can ask their owner for the difference.
//!
//! What every adapter promises:
//! 1. Publishing never waits for a follower.
//! 2. Records of one topic that are published one after the other arrive in that order.
//! 3. A mailbox gets a record once, however often its owner asked to follow the topic.
//! 4. A full mailbox drops records without blocking the others. Ephemeral ones are only counted;
//!    for all others the topic is remembered as a gap ([`Deliveries::take_gaps`]).

mod codec;
mod hub;
mod local;
mod mailbox;
mod record;
mod topic;

use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

pub use hub::Follower;
pub use local::LocalFanout;
pub use mailbox::{Deliveries, Delivery, MAX_MAILBOX};
pub use record::{Body, Control, Dispatch, Presence, Record, Version};
pub use topic::Topic;

/// Carries records to the mailboxes that follow their topic.
#[async_trait]
pub trait Fanout: Send + Sync + 'static {
    /// Hands the record to every mailbox that follows the topic, on any node.
    ///
    /// Success says that the record was handed on, not that anybody got it.
    async fn publish(&self, topic: Topic, record: Arc<Record>) -> Result<(), FanoutError>;

    /// Opens a mailbox of `capacity` records (at least 1, at most [`MAX_MAILBOX`]).
    ///
    /// One per realtime worker: the follower half is cloned wherever topics are chosen, the other
    /// half is read by the worker. Dropping the [`Deliveries`] closes the mailbox.
    fn open(&self, capacity: usize) -> (Follower, Deliveries);
}

/// Why the fanout could not do what was asked.
#[derive(Debug, Error)]
pub enum FanoutError {
    /// The bytes are no record of a format this build knows.
    #[error("decode fanout record: {what}")]
    Malformed {
        /// The first thing that was wrong.
        what: &'static str,
    },
    /// The text is no topic.
    #[error("parse {text:?} as fanout topic")]
    UnknownTopic {
        /// What was given, cut to 64 characters.
        text: String,
    },
    /// The mailbox follows as many topics as it may; nothing of the call was done.
    #[error("follow more than {limit} fanout topics with one mailbox")]
    TooManyTopics {
        /// The bound.
        limit: usize,
    },
    /// The reading half of the mailbox is gone.
    #[error("follow fanout topics with a closed mailbox")]
    Closed,
    /// The server behind a networked adapter did not answer.
    #[error("reach the fanout server")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
