//! Deliveries as they are stored and shown. Pure.

use db::FromRow;
use jiff::Timestamp;
use kernel::{ApplicationId, CommunityId, DeliveryId, EventId, SubscriptionId, UserId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One event on its way.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct DeliveryRow {
    pub(crate) id: DeliveryId,
    pub(crate) subscription_id: SubscriptionId,
    pub(crate) event_id: EventId,
    pub(crate) event: String,
    pub(crate) at: Timestamp,
    pub(crate) state: i16,
    pub(crate) attempts: i32,
    pub(crate) due_at: Timestamp,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waits,
    Delivered,
    Failed,
    /// It tells of something that is gone, or that may not be seen.
    Dropped,
}

impl State {
    pub(crate) fn number(self) -> i16 {
        match self {
            State::Waits => 0,
            State::Delivered => 1,
            State::Failed => 2,
            State::Dropped => 3,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Waits => "waiting",
            State::Delivered => "delivered",
            State::Failed => "failed",
            State::Dropped => "dropped",
        }
    }

    fn of(number: i16) -> Self {
        match number {
            1 => State::Delivered,
            2 => State::Failed,
            3 => State::Dropped,
            _ => State::Waits,
        }
    }
}

/// One event on its way to one address.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = applications::Delivery)]
pub struct Delivery {
    /// The delivery; `webhook-id` is `msg_` and this number.
    pub id: DeliveryId,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// The event; all deliveries of one event have it.
    pub event_id: EventId,
    /// Its name.
    #[serde(rename = "type")]
    pub event: String,
    /// `waiting`, `delivered`, `failed`, or `dropped` when what it tells of is gone or hidden.
    pub state: String,
    /// Attempts so far.
    pub attempts: i32,
    /// When it happened.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// When the next attempt comes at the earliest, while it waits.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub due_at: Option<Timestamp>,
}

/// A delivery with its attempts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = applications::DeliveryAttempts)]
pub struct WithAttempts {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The newest, at most 100, newest first.
    #[serde(rename = "attempt_list")]
    pub attempts: Vec<Attempt>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
#[schema(as = applications::DeliveryAttempt)]
pub struct Attempt {
    /// From 1.
    pub number: i32,
    /// When.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: i32,
    /// The status of the answer.
    pub status: Option<i32>,
    /// Why there was no answer: `timeout`, `refused`, `unreachable` or `malformed`.
    pub error: Option<String>,
    /// The first bytes of the answer.
    pub answer: String,
}

/// A claimed delivery, with what is needed to make it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct Claim {
    pub(crate) id: DeliveryId,
    pub(crate) subscription_id: SubscriptionId,
    pub(crate) event: String,
    pub(crate) data: Value,
    pub(crate) at: Timestamp,
    pub(crate) attempts: i32,
    pub(crate) tries: i32,
    pub(crate) application_id: Option<ApplicationId>,
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) creator_id: UserId,
    pub(crate) url: String,
    pub(crate) secret_enc: Vec<u8>,
    pub(crate) secret_kek: String,
    pub(crate) old_secret_enc: Option<Vec<u8>>,
    pub(crate) old_secret_until: Option<Timestamp>,
}

impl DeliveryRow {
    pub(crate) fn object(self) -> Delivery {
        let state = State::of(self.state);
        Delivery {
            id: self.id,
            subscription_id: self.subscription_id,
            event_id: self.event_id,
            event: self.event,
            state: state.word().to_owned(),
            attempts: self.attempts,
            timestamp: self.at,
            due_at: (state == State::Waits).then_some(self.due_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [
            State::Waits,
            State::Delivered,
            State::Failed,
            State::Dropped,
        ] {
            assert_eq!(State::of(state.number()), state);
        }
    }
}
