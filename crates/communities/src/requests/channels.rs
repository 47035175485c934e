//! What requests about channels ask for.

use contracts::communities::{OverwriteObject, channel_kind};
use kernel::perm::{Chat, Trade};
use kernel::{AnyId, ChannelId, Check};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ThreadsRequest, present};
use crate::error::{Error, Result};

/// Most overwrites of one channel.
pub(crate) const MAX_OVERWRITES: usize = 500;
/// Longest wait between two messages of one member.
const MAX_SLOWMODE_S: i64 = 21_600;

/// A new channel.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::CreateChannel)]
pub struct CreateChannel {
    /// Name, 1 to 100 characters.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub name: String,
    /// 0 text, 2 voice, 4 category, 5 announcements, 15 forum.
    #[serde(default, rename = "type")]
    pub kind: Option<i16>,
    /// What it is about, at most 1,024 characters.
    #[serde(default)]
    #[schema(format = "lines", max_length = 1024)]
    pub topic: Option<String>,
    /// The category it stands under.
    #[serde(default)]
    pub parent_id: Option<ChannelId>,
    /// Whether it is for adults.
    #[serde(default)]
    pub nsfw: Option<bool>,
    /// Seconds a member waits between messages.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 21600)]
    pub rate_limit_per_user: Option<i32>,
    /// Order among its siblings; last when absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 9999)]
    pub position: Option<i32>,
    /// What it changes for roles and members.
    #[serde(default)]
    #[schema(max_items = 500)]
    pub permission_overwrites: Option<Vec<OverwriteRequest>>,
    /// What it says about its threads.
    #[serde(flatten)]
    pub threads: ThreadsRequest,
}

impl CreateChannel {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        self.name = check.text("/name", &self.name, 1, 100);
        let kind = *self.kind.get_or_insert(channel_kind::TEXT);
        if !creatable(kind) {
            check.refuse("/type", "INVALID", "must be 0, 2, 4, 5 or 15");
        }
        self.topic = check_topic(&mut check, self.topic);
        self.threads.check(&mut check);
        if kind == channel_kind::CATEGORY && self.parent_id.is_some() {
            check.refuse("/parent_id", "INVALID", "a category stands under nothing");
        }
        check_numbers(&mut check, self.rate_limit_per_user, self.position);
        check_overwrites(&mut check, self.permission_overwrites.as_deref());
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

/// Changes of a channel; absent fields stay.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::UpdateChannel)]
pub struct UpdateChannel {
    /// Name, 1 to 100 characters.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Only between 0 (text) and 5 (announcements).
    #[serde(rename = "type")]
    pub kind: Option<i16>,
    /// What it is about, at most 1,024 characters; null removes it.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "lines", max_length = 1024)]
    pub topic: Option<Option<String>>,
    /// The category it stands under; null = none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<ChannelId>)]
    pub parent_id: Option<Option<ChannelId>>,
    /// Whether it is for adults.
    pub nsfw: Option<bool>,
    /// Seconds a member waits between messages.
    #[schema(minimum = 0, maximum = 21600)]
    pub rate_limit_per_user: Option<i32>,
    /// Order among its siblings.
    #[schema(minimum = 0, maximum = 9999)]
    pub position: Option<i32>,
    /// Replaces all overwrites.
    #[schema(max_items = 500)]
    pub permission_overwrites: Option<Vec<OverwriteRequest>>,
    /// What it says about its threads.
    #[serde(flatten)]
    pub threads: ThreadsRequest,
}

impl UpdateChannel {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 1, 100));
        }
        self.topic = self.topic.map(|topic| check_topic(&mut check, topic));
        self.threads.check(&mut check);
        check_numbers(&mut check, self.rate_limit_per_user, self.position);
        check_overwrites(&mut check, self.permission_overwrites.as_deref());
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

fn creatable(kind: i16) -> bool {
    [
        channel_kind::TEXT,
        channel_kind::VOICE,
        channel_kind::CATEGORY,
        channel_kind::ANNOUNCEMENT,
        channel_kind::FORUM,
    ]
    .contains(&kind)
}

/// An empty topic is none.
fn check_topic(check: &mut Check, topic: Option<String>) -> Option<String> {
    let topic = check.text("/topic", &topic?, 0, 1024);
    (!topic.is_empty()).then_some(topic)
}

fn check_numbers(check: &mut Check, slowmode: Option<i32>, position: Option<i32>) {
    if let Some(seconds) = slowmode {
        check.range("/rate_limit_per_user", seconds, 0, MAX_SLOWMODE_S);
    }
    if let Some(position) = position {
        check.range("/position", position, 0, 9_999);
    }
}

fn check_overwrites(check: &mut Check, overwrites: Option<&[OverwriteRequest]>) {
    let overwrites = overwrites.unwrap_or_default();
    if overwrites.len() > MAX_OVERWRITES {
        let detail = format!("at most {MAX_OVERWRITES}");
        check.refuse("/permission_overwrites", "TOO_LONG", &detail);
    }
    let mut ids: Vec<AnyId> = overwrites.iter().map(|o| o.id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != overwrites.len() {
        let detail = "names a role or member twice";
        check.refuse("/permission_overwrites", "DUPLICATE", detail);
    }
    for (at, overwrite) in overwrites.iter().enumerate() {
        let pointer = format!("/permission_overwrites/{at}/type");
        check.range(&pointer, overwrite.kind, 0, 1);
    }
}

/// An overwrite in a channel's list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::OverwriteRequest)]
pub struct OverwriteRequest {
    /// A role's or a member's id.
    pub id: AnyId,
    /// 0 = role, 1 = member.
    #[serde(rename = "type")]
    #[schema(minimum = 0, maximum = 1)]
    pub kind: i16,
    /// Rights given.
    #[serde(default)]
    pub allow: Option<Chat>,
    /// Rights taken.
    #[serde(default)]
    pub deny: Option<Chat>,
    /// Rights of trade given.
    #[serde(default)]
    pub trade_allow: Option<Trade>,
    /// Rights of trade taken.
    #[serde(default)]
    pub trade_deny: Option<Trade>,
}

impl OverwriteRequest {
    pub(crate) fn object(&self) -> OverwriteObject {
        OverwriteObject {
            id: self.id,
            kind: self.kind,
            allow: self.allow.unwrap_or_default(),
            deny: self.deny.unwrap_or_default(),
            trade_allow: self.trade_allow.unwrap_or_default(),
            trade_deny: self.trade_deny.unwrap_or_default(),
        }
    }
}

/// An overwrite whose target stands in the path.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[schema(as = communities::PutOverwrite)]
pub struct PutOverwrite {
    /// 0 = role, 1 = member.
    #[serde(rename = "type")]
    #[schema(minimum = 0, maximum = 1)]
    pub kind: i16,
    /// Rights given.
    #[serde(default)]
    pub allow: Option<Chat>,
    /// Rights taken.
    #[serde(default)]
    pub deny: Option<Chat>,
    /// Rights of trade given.
    #[serde(default)]
    pub trade_allow: Option<Trade>,
    /// Rights of trade taken.
    #[serde(default)]
    pub trade_deny: Option<Trade>,
}

impl PutOverwrite {
    pub(crate) fn checked(self, target: AnyId) -> Result<OverwriteObject> {
        let mut check = Check::default();
        check.range("/type", self.kind, 0, 1);
        check.done().map_err(Error::Invalid)?;
        Ok(OverwriteRequest {
            id: target,
            kind: self.kind,
            allow: self.allow,
            deny: self.deny,
            trade_allow: self.trade_allow,
            trade_deny: self.trade_deny,
        }
        .object())
    }
}
