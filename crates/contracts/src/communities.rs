//! What others ask of communities, and the chat dialect's objects they own.

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::perm::{Chat, Overwrite, Permissions, Target, Trade};
use kernel::{Caller, ChannelId, CommunityId, EmojiId, Failure, RoleId, TagId, UserId};
use serde::{Deserialize, Serialize};

use crate::identity::User;

/// Kinds of channels, numbered as in the chat dialect.
pub mod channel_kind {
    /// Text channel of a community.
    pub const TEXT: i16 = 0;
    /// Direct messages between two.
    pub const DM: i16 = 1;
    /// Voice channel of a community.
    pub const VOICE: i16 = 2;
    /// Direct messages among several.
    pub const GROUP: i16 = 3;
    /// Category: a heading for channels.
    pub const CATEGORY: i16 = 4;
    /// Announcements of a community.
    pub const ANNOUNCEMENT: i16 = 5;
    /// Forum of a community: messages stand in its threads only.
    pub const FORUM: i16 = 15;

    /// Whether messages can stand in such a channel itself.
    pub const fn holds_messages(kind: i16) -> bool {
        kind != CATEGORY && kind != FORUM
    }
}

/// A permission overwrite in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OverwriteObject {
    /// A role's or a member's id.
    pub id: kernel::AnyId,
    /// 0 = role, 1 = member.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Rights given.
    pub allow: Chat,
    /// Rights taken.
    pub deny: Chat,
    /// Rights of trade given.
    #[serde(default)]
    pub trade_allow: Trade,
    /// Rights of trade taken.
    #[serde(default)]
    pub trade_deny: Trade,
}

impl From<&OverwriteObject> for Overwrite {
    fn from(object: &OverwriteObject) -> Self {
        Overwrite {
            target: match object.kind {
                0 => Target::Role(object.id.cast()),
                _ => Target::Member(object.id.cast()),
            },
            allow: Permissions {
                chat: object.allow,
                trade: object.trade_allow,
            },
            deny: Permissions {
                chat: object.deny,
                trade: object.trade_deny,
            },
        }
    }
}

/// A tag of a forum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ForumTag {
    /// The tag.
    pub id: TagId,
    /// Name, 1 to 20 characters.
    pub name: String,
    /// Whether only those who manage threads may set it.
    pub moderated: bool,
    /// An emoji of the community before the name.
    pub emoji_id: Option<EmojiId>,
    /// An emoji of everybody's before the name.
    pub emoji_name: Option<String>,
}

/// The emoji that a forum offers first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DefaultReaction {
    /// An emoji of the community.
    pub emoji_id: Option<EmojiId>,
    /// An emoji of everybody's.
    pub emoji_name: Option<String>,
}

/// What a channel says about its threads; forums say more than others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct ThreadSettings {
    /// Tags of a forum, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_tags: Option<Vec<ForumTag>>,
    /// The emoji a forum offers first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_reaction_emoji: Option<DefaultReaction>,
    /// Order of a forum: 0 by the last message, 1 by when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_sort_order: Option<i16>,
    /// How a forum is shown: 0 not set, 1 as a list, 2 as a gallery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_forum_layout: Option<i16>,
    /// Seconds between messages of one member in new threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_thread_rate_limit_per_user: Option<i32>,
    /// Minutes without a message after which new threads are archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_auto_archive_duration: Option<i32>,
    /// Flags of the dialect: 16 = threads of the forum need a tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<i32>,
}

/// A channel of a community in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Channel {
    /// The channel.
    pub id: ChannelId,
    /// See [`channel_kind`].
    #[serde(rename = "type")]
    pub kind: i16,
    /// The community.
    pub guild_id: CommunityId,
    /// Name, 1 to 100 characters.
    pub name: String,
    /// Order among its siblings.
    pub position: i32,
    /// The category it stands under.
    pub parent_id: Option<ChannelId>,
    /// What it is about.
    pub topic: Option<String>,
    /// Whether it is for adults.
    pub nsfw: bool,
    /// Seconds a member waits between messages.
    pub rate_limit_per_user: i32,
    /// Overwrites.
    pub permission_overwrites: Vec<OverwriteObject>,
    /// The newest message, where known.
    pub last_message_id: Option<kernel::MessageId>,
    /// What it says about its threads.
    #[serde(flatten)]
    pub threads: ThreadSettings,
}

/// A role in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Role {
    /// The role; the everyone role bears the community's id.
    pub id: RoleId,
    /// Name.
    pub name: String,
    /// Rights.
    pub permissions: Chat,
    /// Rights of trade.
    #[serde(default)]
    pub trade_permissions: Trade,
    /// Order: higher acts on lower.
    pub position: i32,
    /// RGB, 0 = none.
    pub color: i32,
    /// Shown apart in the member list.
    pub hoist: bool,
    /// Belongs to an application and cannot be given by hand.
    pub managed: bool,
    /// Whether everyone may mention it.
    pub mentionable: bool,
}

impl Role {
    /// All rights it gives.
    pub fn rights(&self) -> Permissions {
        Permissions {
            chat: self.permissions,
            trade: self.trade_permissions,
        }
    }
}

/// A member in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Member {
    /// The person or bot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Name in this community.
    pub nick: Option<String>,
    /// Roles besides everyone.
    pub roles: Vec<RoleId>,
    /// When they joined.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub joined_at: Timestamp,
    /// Until when a time-out runs.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub communication_disabled_until: Option<Timestamp>,
    /// Dialect's member flags.
    pub flags: i32,
    /// Always false: voice mute by a moderator.
    pub mute: bool,
    /// Always false: voice deafening by a moderator.
    pub deaf: bool,
}

/// An emoji of a community in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Emoji {
    /// The emoji; its image is at `/emojis/{id}.png`.
    pub id: EmojiId,
    /// Name, 2 to 32 of `A-Z a-z 0-9 _`.
    pub name: String,
    /// Roles it is for; empty = everybody.
    pub roles: Vec<RoleId>,
    /// Who made it, where emoji are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User>,
    /// Always true.
    pub require_colons: bool,
    /// Always false.
    pub managed: bool,
    /// Whether it moves.
    pub animated: bool,
    /// Always true.
    pub available: bool,
}

/// What is done against a raid, in the dialect's form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IncidentsData {
    /// Until when nobody can join.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub invites_disabled_until: Option<Timestamp>,
    /// Always null.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dms_disabled_until: Option<Timestamp>,
    /// When too many joined at once.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub raid_detected_at: Option<Timestamp>,
    /// Until when more is asked of newcomers.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verification_raised_until: Option<Timestamp>,
}

/// A community without its parts, in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Guild {
    /// The community.
    pub id: CommunityId,
    /// Name, 2 to 100 characters.
    pub name: String,
    /// Icon hash; none yet.
    pub icon: Option<String>,
    /// Who owns it.
    pub owner_id: UserId,
    /// Roles, everyone first.
    pub roles: Vec<Role>,
    /// Emoji.
    pub emojis: Vec<Emoji>,
    /// Stickers; none yet.
    pub stickers: Vec<serde_json::Value>,
    /// Dialect's feature names: `DISCOVERABLE` or none.
    pub features: Vec<String>,
    /// Verification level, 0 = none.
    pub verification_level: i32,
    /// 0 = all messages notify, 1 = mentions only.
    pub default_message_notifications: i32,
    /// Filter for explicit media, 0 = off.
    pub explicit_content_filter: i32,
    /// Second factor for moderators, 0 = not asked for.
    pub mfa_level: i32,
    /// Preferred language tag.
    pub preferred_locale: String,
    /// Age rating, 0 = default.
    pub nsfw_level: i32,
    /// Boost level, 0 = none.
    pub premium_tier: i32,
    /// Seconds until a member counts as away in voice.
    pub afk_timeout: i32,
    /// Voice channel for the away; none.
    pub afk_channel_id: Option<ChannelId>,
    /// Where system messages go; none.
    pub system_channel_id: Option<ChannelId>,
    /// Which system messages are off.
    pub system_channel_flags: i32,
    /// Rules channel; none.
    pub rules_channel_id: Option<ChannelId>,
    /// Description; none.
    pub description: Option<String>,
    /// What it is about, for whoever looks for public communities.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What is done against a raid.
    #[serde(default)]
    pub incidents_data: Option<IncidentsData>,
}

/// What a session needs to show one community to one viewer.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The community.
    pub guild: Guild,
    /// Channels the viewer may see.
    pub channels: Vec<Channel>,
    /// The viewer's own member, with its user.
    pub own: Member,
    /// The viewer's class of roles.
    pub class: i32,
    /// When the viewer joined.
    pub joined_at: Timestamp,
    /// Number of members.
    pub member_count: i64,
    /// Number of the last change in the community; events up to it are contained.
    pub rev: i64,
    /// Number of the last change of rights.
    pub epoch: i32,
}

/// A viewer's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The community.
    pub community: CommunityId,
    /// The member's class of roles.
    pub class: i32,
}

/// What a user may do in one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelAccess {
    /// The channel.
    pub channel: ChannelId,
    /// See [`channel_kind`].
    pub kind: i16,
    /// Its community.
    pub community: CommunityId,
    /// Rights in it; without VIEW_CHANNEL the channel is to be treated as unknown.
    pub chat: Chat,
    /// Rights of trade in it.
    pub trade: Trade,
    /// Rights in those of its threads that everybody sees who sees the channel. In a private thread
    /// they are for its members and for who may manage threads; others have none.
    pub thread_chat: Chat,
    /// The member's class.
    pub class: i32,
    /// Epoch of rights it was computed at.
    pub epoch: i32,
    /// Seconds between messages of one member; 0 = off.
    pub slowmode_s: i32,
    /// Roles of the user, for mentions.
    pub roles: Vec<RoleId>,
    /// The user's nickname.
    pub nick: Option<String>,
    /// When the user joined.
    pub joined_at: Timestamp,
    /// Until when a time-out runs.
    pub timeout_until: Option<Timestamp>,
}

/// What members of one class may do, time-outs apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRights {
    /// The class.
    pub class: i32,
    /// Rights in the community, before any channel speaks.
    pub base: Permissions,
    /// Rights in every channel.
    pub channels: Vec<(ChannelId, Permissions)>,
}

/// Rights of a whole community, compiled per class of roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The community.
    pub community: CommunityId,
    /// Who owns it: sees everything.
    pub owner: UserId,
    /// Epoch of rights.
    pub epoch: i32,
    /// Number of the last change.
    pub rev: i64,
    /// The classes.
    pub classes: Vec<ClassRights>,
    /// The few members whom overwrites name: rights in those channels.
    pub members: Vec<(UserId, Vec<(ChannelId, Permissions)>)>,
}

/// Which members to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberQuery {
    /// These users; at most 100.
    Ids(Vec<UserId>),
    /// Those whose username or nickname begins with the text (ASCII case folded); empty = all.
    Prefix {
        /// The beginning.
        text: String,
        /// Most members to give back, at most 1,000.
        limit: u16,
    },
    /// A page by user id.
    After {
        /// The user after whom the page begins.
        after: UserId,
        /// Most members to give back, at most 1,000.
        limit: u16,
    },
}

/// Communities, as other contexts need them.
#[async_trait]
pub trait Communities: Send + Sync + 'static {
    /// What `user` may do in `channels`; channels that are unknown, or of communities the user is
    /// not in, are left out. At most 200.
    async fn access(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<ChannelAccess>, Failure>;

    /// The compiled rights of a community; none when it does not exist.
    async fn compiled(&self, community: CommunityId) -> Result<Option<Compiled>, Failure>;

    /// The communities a user is in. At most 200.
    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, Failure>;

    /// What `viewer` sees of `communities`; those the viewer is not in are left out.
    async fn snapshots(
        &self,
        communities: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>, Failure>;

    /// Members of a community, with their users, by user id.
    async fn members(
        &self,
        community: CommunityId,
        query: MemberQuery,
    ) -> Result<Vec<Member>, Failure>;

    /// Whether two users are in one community.
    async fn share_community(&self, one: UserId, other: UserId) -> Result<bool, Failure>;

    /// Adds a bot as a member with a managed role of `permissions`, or changes that role when it is
    /// a member already. `caller` needs MANAGE_GUILD, and every right that is given.
    async fn install_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
        permissions: Chat,
    ) -> Result<Guild, Failure>;

    /// Takes a bot out again, with its role. `caller` needs MANAGE_GUILD.
    async fn uninstall_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
    ) -> Result<(), Failure>;
}
