//! What those who take messages ask of moderation, and the dialect's objects of its rules.

use async_trait::async_trait;
use kernel::{AutomodRuleId, ChannelId, CommunityId, Failure, MessageId, ReportId, RoleId, UserId};
use serde::{Deserialize, Serialize};

/// What rules look for, numbered as in the chat dialect; ours from 100.
pub mod trigger_kind {
    /// Words and phrases, with `*` at their ends.
    pub const WORDS: i16 = 1;
    /// Too many messages, or the same again and again.
    pub const SPAM: i16 = 3;
    /// Too many mentions.
    pub const MENTIONS: i16 = 5;
    /// Links.
    pub const LINKS: i16 = 100;
}

/// What rules do, numbered as in the chat dialect; ours from 100.
pub mod action_kind {
    /// The message is not sent.
    pub const BLOCK: i16 = 1;
    /// Moderators are told in a channel.
    pub const ALERT: i16 = 2;
    /// The member is timed out.
    pub const TIMEOUT: i16 = 3;
    /// The member loses all roles and can only read, until a moderator ends it.
    pub const QUARANTINE: i16 = 100;
}

/// What a rule looks for; which fields count depends on its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct AutomodTrigger {
    /// Words with `*` at their ends, at most 1,000; of links hosts, `*` = all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyword_filter: Vec<String>,
    /// What is allowed all the same, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_list: Vec<String>,
    /// Not offered: must be empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regex_patterns: Vec<String>,
    /// Users and roles one message may mention, 1 to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mention_total_limit: Option<i32>,
    /// Messages a member may send within `interval_seconds`; 5 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_limit: Option<i32>,
    /// 5 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<i32>,
    /// Messages that say nearly the same a member may send within `similar_seconds`; 3 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similar_limit: Option<i32>,
    /// 60 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similar_seconds: Option<i32>,
}

/// More about an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct AutomodActionMetadata {
    /// Where moderators are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// How long a time-out is, at most 28 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// What the author reads, at most 150 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_message: Option<String>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutomodAction {
    /// See [`action_kind`].
    #[serde(rename = "type")]
    pub kind: i16,
    /// More about it.
    #[serde(default)]
    pub metadata: AutomodActionMetadata,
}

/// A rule of automatic moderation in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AutomodRule {
    /// The rule.
    pub id: AutomodRuleId,
    /// The community.
    pub guild_id: CommunityId,
    /// Name, 1 to 100 characters.
    pub name: String,
    /// Who made it.
    pub creator_id: UserId,
    /// Always 1: when a member sends a message.
    pub event_type: i16,
    /// See [`trigger_kind`].
    pub trigger_type: i16,
    /// What it looks for.
    pub trigger_metadata: AutomodTrigger,
    /// What happens then.
    pub actions: Vec<AutomodAction>,
    /// Whether it is in force.
    pub enabled: bool,
    /// Members with one of these roles are not judged.
    pub exempt_roles: Vec<RoleId>,
    /// Messages in these channels are not judged.
    pub exempt_channels: Vec<ChannelId>,
}

/// A message somebody complains about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReport {
    /// Who complains.
    pub reporter: UserId,
    /// Where the message is.
    pub channel: ChannelId,
    /// The message.
    pub message: MessageId,
    /// Who wrote it.
    pub author: UserId,
    /// Why, 1 to 1,000 characters.
    pub reason: String,
}

/// Moderation, as those who take messages need it.
#[async_trait]
pub trait Moderation: Send + Sync + 'static {
    /// Judges what a person is about to say in a channel of a community, and does what the rules
    /// say. Fails when it must not be said: with `MESSAGE_BLOCKED`, or `VERIFICATION_NEEDED`.
    async fn judge(&self, author: UserId, channel: ChannelId, said: &str) -> Result<(), Failure>;

    /// Notes that somebody complains about a message they see. Repeatable while it is open.
    async fn report(&self, report: NewReport) -> Result<ReportId, Failure>;
}
