//! Polls in the dialect's form.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::PartialEmoji;

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Poll {
    /// The question.
    pub question: PollMedia,
    /// The answers, at most 10.
    pub answers: Vec<PollAnswer>,
    /// Until when votes are taken.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub expiry: Timestamp,
    /// Whether one may choose several answers.
    pub allow_multiselect: bool,
    /// Always 1.
    pub layout_type: u8,
    /// How the votes stand. In live events about messages the counts are left out: votes have
    /// events of their own.
    pub results: PollResults,
}

/// A text and an emoji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PollMedia {
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The emoji.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<PartialEmoji>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PollAnswer {
    /// Its number, from 1.
    pub answer_id: i16,
    /// What it says.
    pub poll_media: PollMedia,
}

/// How the votes of a poll stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PollResults {
    /// Whether no more votes are taken.
    pub is_finalized: bool,
    /// Answers that somebody chose.
    pub answer_counts: Vec<PollCount>,
}

/// How many chose an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PollCount {
    /// The answer.
    pub id: i16,
    /// How many chose it.
    pub count: i32,
    /// Whether the reader is one of them.
    pub me_voted: bool,
}
