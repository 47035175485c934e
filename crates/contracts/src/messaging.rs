//! What others ask of messaging, and the chat dialect's objects it owns.

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, Failure, MessageId, RoleId, UserId, WebhookId};
use serde::{Deserialize, Serialize};

use crate::identity::User;

mod forwards;
mod polls;
mod reactions;

pub use forwards::{MessageSnapshot, SnapshotMessage};
pub use polls::{Poll, PollAnswer, PollCount, PollMedia, PollResults};
pub use reactions::{CountDetails, PartialEmoji, Reaction};

/// Which message a reply answers, a forward shows, or a message of the system tells of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageReference {
    /// 1 = forward; absent otherwise.
    #[serde(rename = "type", default, skip_serializing_if = "is_zero")]
    pub kind: i32,
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(kind: &i32) -> bool {
    *kind == 0
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
    /// The webhook that speaks; its author is no account then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<WebhookId>,
    /// Where the picture is that the webhook's sender chose. Nothing here fetches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
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
    /// Files, at most 10.
    pub attachments: Vec<crate::media::Attachment>,
    /// Embeds as they were sent, at most 10.
    pub embeds: Vec<serde_json::Value>,
    /// Components as they were sent.
    #[serde(default)]
    pub components: Vec<serde_json::Value>,
    /// Reactions, in the order in which the emoji came. Absent in live events about messages that
    /// were there before: what they hold is the same for everybody, and reactions have events of
    /// their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reactions: Option<Vec<Reaction>>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// 0 = plain, 6 = somebody pinned the message referred to, 19 = reply,
    /// 46 = the result of the poll referred to, 102 (ours) = how long later messages stay.
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
    /// When it disappears.
    #[serde(
        default,
        with = "kernel::time::dialect_form::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// A question to vote on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// What a forward shows: one message, as it was when it was forwarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_snapshots: Option<Vec<MessageSnapshot>>,
    /// Gap-free number in its channel, from 1.
    pub seq: i64,
    /// Number of the change that made or last changed it, in its channel.
    pub ev: i64,
}

impl Message {
    /// The message for those who may not read it, with what it answers emptied too.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        self.content = String::new();
        self.embeds = Vec::new();
        self.components = Vec::new();
        self.attachments = Vec::new();
        self.poll = None;
        self.message_snapshots = self.message_snapshots.map(|_| Vec::new());
        self.referenced_message = self
            .referenced_message
            .map(|answered| answered.map(|answered| Box::new(answered.without_content())));
        self
    }
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
    /// How the user stands in every channel with messages; empty unless asked for.
    pub read_states: Vec<ReadState>,
    /// What the user has begun to write, newest first; empty unless asked for, at most 100.
    pub drafts: Vec<Draft>,
}

/// What a user has begun to write in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Draft {
    /// The channel.
    pub channel_id: ChannelId,
    /// The text; null when it was thrown away.
    pub content: Option<String>,
    /// When: of two the later one counts.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// How much of an inbox is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxParts {
    /// Private channels alone.
    Channels,
    /// Read states and drafts too.
    WithReadStates,
}

/// Which messages of a channel a user wants to be told of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotificationLevel {
    /// As the community sets it; every message in private channels.
    #[default]
    Default,
    /// Every message.
    All,
    /// Mentions.
    Mentions,
    /// None.
    Nothing,
}

/// How a user stands in a channel, at one moment: changes of the channel up to `last_ev` are
/// contained, later ones go on top.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReadState {
    /// The channel.
    pub channel_id: ChannelId,
    /// Its community.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guild_id: Option<CommunityId>,
    /// `seq` of the newest message.
    pub last_seq: i64,
    /// Number of the last change in the channel.
    pub last_ev: i64,
    /// The newest message.
    pub last_message_id: Option<MessageId>,
    /// The user has read up to this `seq`.
    pub read_seq: i64,
    /// Messages after it; deleted ones count until they are passed.
    pub unread_count: i64,
    /// Mentions of the user after it.
    pub mention_count: i64,
    /// Their `seq`, in order.
    pub mention_seqs: Vec<i64>,
    /// What the user wants to be told of.
    pub level: NotificationLevel,
    /// Until when the channel is silent.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub muted_until: Option<Timestamp>,
    /// Number of the state's last change: of two states the one with the higher number is newer.
    pub version: i64,
}

/// How far a user has got in a channel, by messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cursor {
    /// The channel.
    pub channel_id: ChannelId,
    /// Everything up to this message has arrived.
    #[serde(default)]
    pub delivered: Option<MessageId>,
    /// Everything up to this message was read.
    #[serde(default)]
    pub read: Option<MessageId>,
}

/// From where a client catches up with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncFrom {
    /// The channel.
    pub channel: ChannelId,
    /// The last change that the client has.
    pub ev: i64,
    /// The newest message that the client has.
    pub last: Option<MessageId>,
}

/// Something that a client missed, in the form of the gateway's event.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Missed {
    /// The event's name.
    pub t: String,
    /// Number of the change.
    pub ev: i64,
    /// The event's payload.
    #[schema(value_type = Object)]
    pub d: serde_json::Value,
}

/// What a client missed in a channel.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Synced {
    /// All of it: the client then has everything up to `ev`.
    Events {
        /// The last change that is contained.
        ev: i64,
        /// In the order of `ev`.
        events: Vec<Missed>,
    },
    /// Too much, or of too long ago: the client forgets the channel's messages and fetches anew.
    Reset {
        /// Always true.
        reset: bool,
        /// The last change so far; what is fetched from now on contains it.
        ev: i64,
    },
    /// The client may not read the channel, or it is gone.
    Gone {
        /// Always true.
        gone: bool,
    },
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

/// The channel in which a webhook speaks. Whoever asks has judged its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookPlace {
    /// The webhook.
    pub webhook: WebhookId,
    /// Who made it; need not be a member any more.
    pub creator: UserId,
    /// Its community.
    pub community: CommunityId,
    /// Its channel.
    pub channel: ChannelId,
    /// A thread of that channel to speak in instead.
    pub thread: Option<ChannelId>,
}

/// Under which name and picture a webhook speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// The name.
    pub name: String,
    /// Picture hash of the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// The picture that the sender chose for one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// What others do with the messages of a webhook.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookAct {
    /// Sends one: its fields in the dialect's form, and the text by which a second one is the first
    /// one again.
    Send {
        /// As whom.
        voice: Voice,
        /// The dialect's fields of a message.
        body: serde_json::Value,
        /// Never the same message twice under one key in two days.
        key: Option<String>,
    },
    /// Edits one: the dialect's fields that shall change.
    Edit(MessageId, serde_json::Value),
    /// Deletes one.
    Delete(MessageId),
}

/// Messages, as other contexts need them.
#[async_trait]
pub trait Messaging: Send + Sync + 'static {
    /// What `user` needs at the begin of a session.
    async fn inbox(&self, user: UserId, parts: InboxParts) -> Result<Inbox, Failure>;

    /// Where `channels` stand; channels without a message are left out. At most 500.
    async fn positions(&self, channels: &[ChannelId]) -> Result<Vec<Position>, Failure>;

    /// Moves cursors of `user` forward, at most 100; unknown channels and messages are left out.
    ///
    /// It is written a moment later, together with what else comes; a crash in between loses it.
    async fn advance(&self, user: UserId, cursors: &[Cursor]) -> Result<(), Failure>;

    /// What `user` missed in channels; one answer for each, at most 200.
    async fn sync(
        &self,
        user: UserId,
        from: &[SyncFrom],
    ) -> Result<Vec<(ChannelId, Synced)>, Failure>;

    /// Lets a webhook act on its own messages; gives the message as it is then, none once it is
    /// deleted.
    async fn speak(&self, place: WebhookPlace, act: WebhookAct)
    -> Result<Option<Message>, Failure>;

    /// Messages that are there, at most 100; whoever asks judges who may see them.
    async fn messages(&self, wanted: &[(ChannelId, MessageId)]) -> Result<Vec<Message>, Failure>;
}
