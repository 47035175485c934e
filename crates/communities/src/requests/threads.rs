//! What requests say about the threads of a channel.

use contracts::communities::{DefaultReaction, ForumTag, ThreadSettings, channel_kind};
use kernel::{Check, EmojiId, TagId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::present;
use crate::error::{Error, Result};

/// Most tags of a forum.
const MAX_TAGS: usize = 20;
/// After how long threads can be archived, in minutes.
const ARCHIVED_AFTER: [i32; 4] = [60, 1_440, 4_320, 10_080];
/// Longest wait between two messages of one member.
const MAX_SLOWMODE_S: i64 = 21_600;
/// The one flag there is: threads of the forum need a tag.
const REQUIRE_TAG: i32 = 1 << 4;

fn archived_after() -> utoipa::openapi::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::Type::Integer)
        .enum_values(Some(ARCHIVED_AFTER))
        .build()
}

/// A tag of a forum.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::ForumTagRequest)]
pub struct ForumTagRequest {
    /// A tag that is there and stays; absent = a new one.
    #[serde(default)]
    pub id: Option<TagId>,
    /// Name, 1 to 20 characters.
    #[schema(format = "line", min_length = 1, max_length = 20)]
    pub name: String,
    /// Whether only those who manage threads may set it.
    #[serde(default)]
    pub moderated: bool,
    /// An emoji of the community before the name.
    #[serde(default)]
    pub emoji_id: Option<EmojiId>,
    /// An emoji of everybody's before the name.
    #[serde(default)]
    #[schema(format = "line", max_length = 64)]
    pub emoji_name: Option<String>,
}

impl ForumTagRequest {
    pub(crate) fn object(self, id: TagId) -> ForumTag {
        ForumTag {
            id,
            name: self.name,
            moderated: self.moderated,
            emoji_id: self.emoji_id,
            emoji_name: self.emoji_name,
        }
    }
}

/// The emoji that a forum offers first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::DefaultReactionRequest)]
pub struct DefaultReactionRequest {
    /// An emoji of the community.
    #[serde(default)]
    pub emoji_id: Option<EmojiId>,
    /// An emoji of everybody's.
    #[serde(default)]
    #[schema(format = "line", max_length = 64)]
    pub emoji_name: Option<String>,
}

/// What a channel says about its threads; absent fields stay. All but the last two are for forums.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::ThreadsRequest)]
pub struct ThreadsRequest {
    /// All tags of the forum, at most 20.
    #[schema(max_items = 20)]
    pub available_tags: Option<Vec<ForumTagRequest>>,
    /// The emoji it offers first; null = none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<DefaultReactionRequest>)]
    pub default_reaction_emoji: Option<Option<DefaultReactionRequest>>,
    /// 0 by the last message, 1 by when it was made; null = not set.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<i16>, minimum = 0, maximum = 1)]
    pub default_sort_order: Option<Option<i16>>,
    /// 0 not set, 1 as a list, 2 as a gallery.
    #[schema(minimum = 0, maximum = 2)]
    pub default_forum_layout: Option<i16>,
    /// 16 = threads need a tag.
    pub flags: Option<i32>,
    /// Seconds between messages of one member in new threads.
    #[schema(minimum = 0, maximum = 21600)]
    pub default_thread_rate_limit_per_user: Option<i32>,
    /// Minutes without a message after which new threads are archived.
    #[schema(schema_with = archived_after)]
    pub default_auto_archive_duration: Option<i32>,
}

impl ThreadsRequest {
    pub(crate) fn check(&mut self, check: &mut Check) {
        self.check_tags(check);
        if let Some(Some(one)) = &self.default_reaction_emoji {
            let pointer = "/default_reaction_emoji";
            check_emoji(check, pointer, one.emoji_id, one.emoji_name.as_deref());
        }
        for (pointer, value, max) in [
            ("/default_sort_order", self.default_sort_order.flatten(), 1),
            ("/default_forum_layout", self.default_forum_layout, 2),
        ] {
            if let Some(value) = value {
                check.range(pointer, value, 0, max);
            }
        }
        if let Some(seconds) = self.default_thread_rate_limit_per_user {
            let pointer = "/default_thread_rate_limit_per_user";
            check.range(pointer, seconds, 0, MAX_SLOWMODE_S);
        }
        if self.flags.is_some_and(|flags| flags & !REQUIRE_TAG != 0) {
            check.refuse("/flags", "INVALID", "must be 0 or 16");
        }
        let minutes = self.default_auto_archive_duration;
        if minutes.is_some_and(|minutes| !ARCHIVED_AFTER.contains(&minutes)) {
            let detail = "must be 60, 1440, 4320 or 10080";
            check.refuse("/default_auto_archive_duration", "OUT_OF_RANGE", detail);
        }
    }

    fn check_tags(&mut self, check: &mut Check) {
        let Some(tags) = &mut self.available_tags else {
            return;
        };
        if tags.len() > MAX_TAGS {
            check.refuse("/available_tags", "TOO_LONG", format!("at most {MAX_TAGS}"));
            return;
        }
        for (at, tag) in (0..).zip(tags.iter_mut()) {
            let pointer = format!("/available_tags/{at}");
            tag.name = check.name(&format!("{pointer}/name"), &tag.name, 1, 20);
            if tag.emoji_id.is_some() || tag.emoji_name.is_some() {
                check_emoji(check, &pointer, tag.emoji_id, tag.emoji_name.as_deref());
            }
        }
        let mut names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut ids: Vec<TagId> = tags.iter().filter_map(|tag| tag.id).collect();
        let given = ids.len();
        ids.sort_unstable();
        ids.dedup();
        if names.len() != tags.len() || ids.len() != given {
            check.refuse("/available_tags", "DUPLICATE", "names one tag twice");
        }
    }

    /// Refuses what only forums have where the channel is none, and what categories cannot have.
    pub(crate) fn fits(&self, kind: i16) -> Result<()> {
        let of_forums = self.available_tags.is_some()
            || self.default_reaction_emoji.is_some()
            || self.default_sort_order.is_some()
            || self.default_forum_layout.is_some()
            || self.flags.is_some_and(|flags| flags != 0);
        if of_forums && kind != channel_kind::FORUM {
            return Err(Error::ChannelKind);
        }
        Ok(())
    }

    /// These settings over others; `tags` replace all.
    pub(crate) fn over(
        self,
        before: ThreadSettings,
        tags: Option<Vec<ForumTag>>,
    ) -> ThreadSettings {
        let reaction = self.default_reaction_emoji.map(|one| {
            one.map(|one| DefaultReaction {
                emoji_id: one.emoji_id,
                emoji_name: one.emoji_name,
            })
        });
        ThreadSettings {
            available_tags: tags.or(before.available_tags),
            default_reaction_emoji: reaction.unwrap_or(before.default_reaction_emoji),
            default_sort_order: self.default_sort_order.unwrap_or(before.default_sort_order),
            default_forum_layout: self.default_forum_layout.or(before.default_forum_layout),
            default_thread_rate_limit_per_user: self
                .default_thread_rate_limit_per_user
                .or(before.default_thread_rate_limit_per_user),
            default_auto_archive_duration: self
                .default_auto_archive_duration
                .or(before.default_auto_archive_duration),
            flags: self.flags.or(before.flags),
        }
    }
}

fn check_emoji(check: &mut Check, pointer: &str, id: Option<EmojiId>, name: Option<&str>) {
    if id.is_some() == name.is_some() {
        check.refuse(pointer, "ONE_OF", "has either emoji_id or emoji_name");
    }
    if let Some(name) = name {
        check.name(&format!("{pointer}/emoji_name"), name, 1, 64);
    }
}
