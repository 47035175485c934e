//! What others ask of messaging, and the chat dialect's objects it owns.

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, Failure, MessageId, RoleId, UserId};
use serde::{Deserialize, Serialize};

use crate::identity::User;

/// Which message a reply answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageReference {
    /// The message.
    pub message_id: MessageId,
    /// Its channel; the reply's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// Its community.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guild_id: Option<CommunityId>,
    /// Whether a missing message fails the request (default) or makes it a plain message.
    #[serde(default = "yes", skip_serializing)]
    pub fail_if_not_exists: bool,
}

fn yes() -> bool {
    true
}

/// A message in the dialect's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message {
    /// The message.
    pub id: MessageId,
    /// Where it stands.
    pub channel_id: ChannelId,
    /// The community, in gateway events only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guild_id: Option<CommunityId>,
    /// Who wrote it.
    pub author: User,
    /// The author as a member, in gateway events of communities only; without the user inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<crate::communities::Member>,
    /// The text, at most 4,000 characters.
    pub content: String,
    /// When it was sent.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// When it was last edited.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub edited_timestamp: Option<Timestamp>,
    /// Read aloud.
    pub tts: bool,
    /// Whether everyone is mentioned.
    pub mention_everyone: bool,
    /// Users mentioned.
    pub mentions: Vec<User>,
    /// Roles mentioned.
    pub mention_roles: Vec<RoleId>,
    /// Files; none yet.
    pub attachments: Vec<serde_json::Value>,
    /// Embeds as they were sent, at most 10.
    pub embeds: Vec<serde_json::Value>,
    /// Components as they were sent.
    #[serde(default)]
    pub components: Vec<serde_json::Value>,
    /// Reactions; none yet.
    #[serde(default)]
    pub reactions: Vec<serde_json::Value>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// 0 = plain, 19 = reply.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Dialect's message flags.
    pub flags: i32,
    /// What the sender called it; only in the answer to the sender and in the live event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<serde_json::Value>,
    /// The message this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_reference: Option<MessageReference>,
    /// The answered message itself; null when it was deleted, absent when not a reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub referenced_message: Option<Option<Box<Message>>>,
    /// Gap-free number in its channel, from 1.
    pub seq: i64,
    /// Number of the change that made or last changed it, in its channel.
    pub ev: i64,
}

/// A direct or group channel in the dialect's form, as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PrivateChannel {
    /// The channel.
    pub id: ChannelId,
    /// 1 = DM, 3 = group.
    #[serde(rename = "type")]
    pub kind: i16,
    /// The others in it.
    pub recipients: Vec<User>,
    /// The newest message.
    pub last_message_id: Option<MessageId>,
    /// Dialect's channel flags.
    pub flags: i32,
}

/// What a session needs of messaging when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbox {
    /// Private channels, newest first; at most 1,000.
    pub channels: Vec<PrivateChannel>,
}

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The channel.
    pub channel: ChannelId,
    /// Number of the last message.
    pub last_seq: i64,
    /// Number of the last change.
    pub last_ev: i64,
    /// The newest message.
    pub last_message_id: Option<MessageId>,
}

/// Messages, as other contexts need them.
#[async_trait]
pub trait Messaging: Send + Sync + 'static {
    /// What `user` needs at the begin of a session.
    async fn inbox(&self, user: UserId) -> Result<Inbox, Failure>;

    /// Where `channels` stand; channels without a message are left out. At most 500.
    async fn positions(&self, channels: &[ChannelId]) -> Result<Vec<Position>, Failure>;
}
