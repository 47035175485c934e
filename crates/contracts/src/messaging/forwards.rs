//! What forwards show, in the dialect's form.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A message as it was when it was forwarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageSnapshot {
    /// The message, without its author.
    pub message: SnapshotMessage,
}

/// The part of a message that a forward shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SnapshotMessage {
    /// The text.
    pub content: String,
    /// Embeds.
    pub embeds: Vec<serde_json::Value>,
    /// Components.
    pub components: Vec<serde_json::Value>,
    /// Files.
    pub attachments: Vec<serde_json::Value>,
    /// When it was sent.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// When it was last edited.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub edited_timestamp: Option<Timestamp>,
    /// Dialect's message flags.
    pub flags: i32,
    /// The dialect's type.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Always empty: a forward calls nobody.
    pub mentions: Vec<crate::identity::User>,
    /// Always empty.
    pub mention_roles: Vec<kernel::RoleId>,
}
