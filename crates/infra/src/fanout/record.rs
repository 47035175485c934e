use std::borrow::Cow;

use bytes::Bytes;
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, DeviceId, UserId};

/// One thing that happened, made once by its owner and shared by all who deliver it.
///
/// The head says who may see the record; nobody on the way parses the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is delivered, or what a node shall do.
    pub body: Body,
    /// The community it happened in.
    pub community: Option<CommunityId>,
    /// The channel it happened in.
    pub channel: Option<ChannelId>,
    /// The position in its channel or community, by which a node notices a jump.
    pub version: Version,
    /// The permission epoch of the community when the record was made; 0 outside communities.
    pub epoch: i32,
    /// Whether losing it needs no healing (typing, presence).
    pub ephemeral: bool,
}

/// The position of a record in the order of its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The record has no place in an order.
    None,
    /// The change number of its channel.
    Ev(i64),
    /// The revision of its community.
    Rev(i64),
}

/// What a record carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// An event for clients.
    Dispatch(Dispatch),
    /// An order to the nodes; clients never see it.
    Control(Control),
    /// Whether somebody is here; nodes send it on when they have nothing better to do.
    Presence(Presence),
}

/// How somebody is to be shown from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Who.
    pub user: UserId,
    /// Who must not get it, in order: blocked ones and those who blocked.
    pub hidden_from: Vec<UserId>,
    /// The JSON of the event's `d`.
    pub data: Bytes,
}

/// An event for clients, encoded once by whoever makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The event's name on the wire, as in `MESSAGE_CREATE`.
    pub name: Cow<'static, str>,
    /// The bit position of the intent a client must have asked for; `None` goes to everybody.
    pub intent: Option<u8>,
    /// The rights a member must have besides seeing the channel: in the record's channel, without
    /// one in its community.
    pub needs: Chat,
    /// Who caused it; always gets `data`.
    pub author: Option<UserId>,
    /// The one user who must not get it.
    pub except: Option<UserId>,
    /// Who gets `data` even without the content intent: mentioned users, DM peers.
    pub full_for: Vec<UserId>,
    /// The JSON of the event's `d`.
    pub data: Bytes,
    /// `d` without content, for those who may not read it; `None` = `data` suits all.
    pub redacted: Option<Bytes>,
}

/// An order to the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The user of the topic became a member: follow the community, send it whole.
    Joined(CommunityId),
    /// The user of the topic is no member any more.
    Left(CommunityId),
    /// The user of the topic takes part in a channel outside communities.
    Follow(ChannelId),
    /// The user of the topic takes part no more.
    Unfollow(ChannelId),
    /// Permissions of the community changed; caches older than `epoch` are void.
    AccessChanged {
        /// The community.
        community: CommunityId,
        /// Its epoch after the change.
        epoch: i32,
    },
    /// A member's roles changed so that another role class applies.
    ClassChanged {
        /// The community.
        community: CommunityId,
        /// The member.
        user: UserId,
        /// The class after the change.
        class: i32,
    },
    /// These devices are signed out; their sockets close.
    DevicesRevoked(Vec<DeviceId>),
    /// The token of this bot is void; its sockets close.
    BotTokenRevoked(UserId),
    /// An API key of this person is void.
    ApiKeyRevoked(UserId),
    /// The cookie with this SHA-256 is void; its login has another one.
    CookieReplaced([u8; 32]),
    /// Who may see the user of the topic changed: a switch, a friend or a block.
    SightChanged,
}
