//! What leaves this context: events on the bus and records on the fanout.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use contracts::communities::{Member, Role};
use contracts::identity::User;
use infra::fanout::{Body, Control, Dispatch, Record, Topic, Version};
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, RoleId, UserId};
use serde::Serialize;

/// A community was made.
pub const COMMUNITY_CREATED: &str = "communities.community_created.v1";
/// Its name, owner or settings changed.
pub const COMMUNITY_UPDATED: &str = "communities.community_updated.v1";
/// It is gone.
pub const COMMUNITY_DELETED: &str = "communities.community_deleted.v1";
/// A channel was made.
pub const CHANNEL_CREATED: &str = "communities.channel_created.v1";
/// A channel or its overwrites changed.
pub const CHANNEL_UPDATED: &str = "communities.channel_updated.v1";
/// A channel is gone.
pub const CHANNEL_DELETED: &str = "communities.channel_deleted.v1";
/// A role was made.
pub const ROLE_CREATED: &str = "communities.role_created.v1";
/// A role changed.
pub const ROLE_UPDATED: &str = "communities.role_updated.v1";
/// A role is gone.
pub const ROLE_DELETED: &str = "communities.role_deleted.v1";
/// Somebody joined, or a bot was installed.
pub const MEMBER_JOINED: &str = "communities.member_joined.v1";
/// A member's nickname, roles or time-out changed.
pub const MEMBER_UPDATED: &str = "communities.member_updated.v1";
/// Somebody left, was removed or banned.
pub const MEMBER_LEFT: &str = "communities.member_left.v1";
/// Rights changed: what was computed at an older epoch is void.
pub const ACCESS_CHANGED: &str = "communities.access_changed.v1";

/// Nothing is left of a user here but an id. The key is the user.
pub const USER_ERASED: &str = "communities.user_erased.v1";

/// A rule of automatic moderation wants moderators to be told in a channel.
/// `{community_id, alert_channel_id, channel_id, user_id, rule_id, rule_name, content}`
pub const AUTOMOD_ALERTED: &str = "communities.automod_alerted.v1";

/// All of them.
pub const EVENTS: &[&str] = &[
    COMMUNITY_CREATED,
    COMMUNITY_UPDATED,
    COMMUNITY_DELETED,
    CHANNEL_CREATED,
    CHANNEL_UPDATED,
    CHANNEL_DELETED,
    ROLE_CREATED,
    ROLE_UPDATED,
    ROLE_DELETED,
    MEMBER_JOINED,
    MEMBER_UPDATED,
    MEMBER_LEFT,
    ACCESS_CHANGED,
    AUTOMOD_ALERTED,
    USER_ERASED,
];

/// Gateway intents, as bit positions.
pub(crate) mod intent {
    pub(crate) const GUILDS: u8 = 0;
    pub(crate) const MEMBERS: u8 = 1;
    pub(crate) const MODERATION: u8 = 2;
    pub(crate) const EXPRESSIONS: u8 = 3;
    pub(crate) const INVITES: u8 = 6;
    pub(crate) const AUTOMOD_RULES: u8 = 20;
    pub(crate) const AUTOMOD_ACTIONS: u8 = 21;
}

/// Whom a gateway event is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) intent: u8,
    /// Rights they must have.
    pub(crate) needs: Chat,
    /// Only for those who see the channel.
    pub(crate) channel: Option<ChannelId>,
    pub(crate) except: Option<UserId>,
}

impl Told {
    /// Everybody in the community who asked for the intent.
    pub(crate) const fn all(name: &'static str, intent: u8) -> Self {
        Told {
            name,
            intent,
            needs: Chat::NONE,
            channel: None,
            except: None,
        }
    }

    /// Only those who see `channel`.
    pub(crate) const fn of(mut self, channel: ChannelId) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Only those with these rights: in the channel, if it has one.
    pub(crate) const fn needs(mut self, needs: Chat) -> Self {
        self.needs = needs;
        self
    }

    /// Everybody but one.
    pub(crate) const fn but(mut self, user: UserId) -> Self {
        self.except = Some(user);
        self
    }
}

/// `{guild_id, role}`.
#[derive(Serialize)]
pub(crate) struct RolePayload<'a> {
    pub(crate) guild_id: CommunityId,
    pub(crate) role: &'a Role,
}

/// `{guild_id, role_id}`.
#[derive(Serialize)]
pub(crate) struct RoleGonePayload {
    pub(crate) guild_id: CommunityId,
    pub(crate) role_id: RoleId,
}

/// A member with the community.
#[derive(Serialize)]
pub(crate) struct MemberPayload<'a> {
    pub(crate) guild_id: CommunityId,
    #[serde(flatten)]
    pub(crate) member: &'a Member,
}

/// `{guild_id, user}`.
#[derive(Serialize)]
pub(crate) struct UserPayload<'a> {
    pub(crate) guild_id: CommunityId,
    pub(crate) user: &'a User,
}

/// `{id}` of a community that is gone.
#[derive(Serialize)]
pub(crate) struct CommunityGonePayload {
    pub(crate) id: CommunityId,
}

/// `{guild_id, channel_id, code}`.
#[derive(Serialize)]
pub(crate) struct InviteGonePayload<'a> {
    pub(crate) guild_id: CommunityId,
    pub(crate) channel_id: ChannelId,
    pub(crate) code: &'a str,
}

/// An event for clients, with the JSON of its `d`.
pub(crate) fn dispatch(
    told: Told,
    author: UserId,
    payload: &impl Serialize,
) -> serde_json::Result<Body> {
    Ok(Body::Dispatch(Dispatch {
        name: Cow::Borrowed(told.name),
        intent: Some(told.intent),
        needs: told.needs,
        author: Some(author),
        except: told.except,
        full_for: Vec::new(),
        data: Bytes::from(serde_json::to_vec(payload)?),
        redacted: None,
    }))
}

/// An order to the nodes on which a user is connected.
pub(crate) fn to_user(
    user: UserId,
    community: CommunityId,
    control: Control,
) -> (Topic, Arc<Record>) {
    let record = Record {
        body: Body::Control(control),
        community: Some(community),
        channel: None,
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    };
    (Topic::User(user), Arc::new(record))
}
