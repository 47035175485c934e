//! Rights in communities: bit sets and their evaluation. Pure.
//!
//! Positions and the order of evaluation are those of Discord's published permission reference, so
//! that stock libraries compute the same answer.

use std::fmt;
use std::ops::{BitAnd, BitOr, Not};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{CommunityId, RoleId, UserId};

/// A set of chat rights; on the wire a decimal string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Chat(u64);

impl Chat {
    /// No right at all.
    pub const NONE: Chat = Chat(0);
    /// Make invites.
    pub const CREATE_INVITE: Chat = Chat(1);
    /// Kick members.
    pub const KICK_MEMBERS: Chat = Chat(1 << 1);
    /// Ban members.
    pub const BAN_MEMBERS: Chat = Chat(1 << 2);
    /// Everything, in every channel.
    pub const ADMINISTRATOR: Chat = Chat(1 << 3);
    /// Make, change and delete channels.
    pub const MANAGE_CHANNELS: Chat = Chat(1 << 4);
    /// Change the community, install applications.
    pub const MANAGE_GUILD: Chat = Chat(1 << 5);
    /// React to messages.
    pub const ADD_REACTIONS: Chat = Chat(1 << 6);
    /// Read what moderators did.
    pub const VIEW_AUDIT_LOG: Chat = Chat(1 << 7);
    /// See a channel, and learn that it exists.
    pub const VIEW_CHANNEL: Chat = Chat(1 << 10);
    /// Send messages.
    pub const SEND_MESSAGES: Chat = Chat(1 << 11);
    /// Have messages read aloud.
    pub const SEND_TTS: Chat = Chat(1 << 12);
    /// Delete and pin messages of others.
    pub const MANAGE_MESSAGES: Chat = Chat(1 << 13);
    /// Show embeds.
    pub const EMBED_LINKS: Chat = Chat(1 << 14);
    /// Attach files.
    pub const ATTACH_FILES: Chat = Chat(1 << 15);
    /// Read what was sent before.
    pub const READ_HISTORY: Chat = Chat(1 << 16);
    /// Mention everyone.
    pub const MENTION_EVERYONE: Chat = Chat(1 << 17);
    /// Take part in voice.
    pub const CONNECT: Chat = Chat(1 << 20);
    /// Speak in voice.
    pub const SPEAK: Chat = Chat(1 << 21);
    /// Change the own nickname.
    pub const CHANGE_NICKNAME: Chat = Chat(1 << 26);
    /// Change and give roles.
    pub const MANAGE_ROLES: Chat = Chat(1 << 28);
    /// Make and change webhooks.
    pub const MANAGE_WEBHOOKS: Chat = Chat(1 << 29);
    /// Send in threads.
    pub const SEND_IN_THREADS: Chat = Chat(1 << 38);
    /// Time members out.
    pub const MODERATE_MEMBERS: Chat = Chat(1 << 40);
    /// Every right of the dialect, positions 0 to 52.
    pub const ALL: Chat = Chat((1 << 53) - 1);
    /// What everyone may do in a new community.
    pub const DEFAULT: Chat = Chat(
        Self::CREATE_INVITE.0
            | Self::ADD_REACTIONS.0
            | Self::VIEW_CHANNEL.0
            | Self::SEND_MESSAGES.0
            | Self::EMBED_LINKS.0
            | Self::ATTACH_FILES.0
            | Self::READ_HISTORY.0
            | Self::CONNECT.0
            | Self::SPEAK.0
            | Self::CHANGE_NICKNAME.0
            | Self::SEND_IN_THREADS.0,
    );
    /// What a member in time-out keeps.
    const TIMED_OUT: Chat = Chat(Self::VIEW_CHANNEL.0 | Self::READ_HISTORY.0);
    /// What falls when sending is not allowed.
    const NEEDS_SEND: Chat = Chat(
        Self::SEND_TTS.0 | Self::EMBED_LINKS.0 | Self::ATTACH_FILES.0 | Self::MENTION_EVERYONE.0,
    );

    /// The set with these bits; unknown ones are dropped.
    pub const fn from_bits(bits: u64) -> Chat {
        Chat(bits & Self::ALL.0)
    }

    /// The bits as stored in a `bigint`.
    pub fn to_stored(self) -> i64 {
        i64::try_from(self.0).unwrap_or(0)
    }

    /// Reads a stored `bigint`.
    pub fn from_stored(stored: i64) -> Chat {
        Chat::from_bits(u64::try_from(stored).unwrap_or(0))
    }

    /// Whether all rights of `other` are in.
    pub const fn has(self, other: Chat) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without `other`.
    pub const fn without(self, other: Chat) -> Chat {
        Chat(self.0 & !other.0)
    }
}

impl BitOr for Chat {
    type Output = Chat;
    fn bitor(self, other: Chat) -> Chat {
        Chat(self.0 | other.0)
    }
}
impl BitAnd for Chat {
    type Output = Chat;
    fn bitand(self, other: Chat) -> Chat {
        Chat(self.0 & other.0)
    }
}
impl Not for Chat {
    type Output = Chat;
    fn not(self) -> Chat {
        Chat(!self.0 & Self::ALL.0)
    }
}
impl fmt::Display for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chat({:#x})", self.0)
    }
}
impl FromStr for Chat {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Chat::from_bits)
    }
}
impl Serialize for Chat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for Chat {
    /// Takes a decimal string or a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Chat;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("permission bits as a decimal string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Chat, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, bits: u64) -> Result<Chat, E> {
                Ok(Chat::from_bits(bits))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
impl utoipa::PartialSchema for Chat {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{1,20}$"))
            .description(Some("Permission bits as a decimal string."))
            .examples([serde_json::json!("3072")])
            .into()
    }
}
impl utoipa::ToSchema for Chat {
    fn name() -> std::borrow::Cow<'static, str> {
        "Permissions".into()
    }
}

/// Whom an overwrite speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A role; the everyone role bears the community's id.
    Role(RoleId),
    /// One member.
    Member(UserId),
}

/// What a channel changes for a role or a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overwrite {
    /// Whom it speaks of.
    pub target: Target,
    /// Rights it gives.
    pub allow: Chat,
    /// Rights it takes.
    pub deny: Chat,
}

/// What decides a member's rights in one community, apart from the channel.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// The community; also the id of its everyone role.
    pub community: CommunityId,
    /// The member.
    pub user: UserId,
    /// Whether the member owns the community.
    pub owner: bool,
    /// Rights of the everyone role.
    pub everyone: Chat,
    /// The member's other roles and their rights.
    pub roles: &'a [(RoleId, Chat)],
    /// Whether a time-out runs.
    pub timed_out: bool,
}

/// Rights before any channel speaks.
pub fn base(standing: &Standing<'_>) -> Chat {
    if standing.owner {
        return Chat::ALL;
    }
    let bits = standing
        .roles
        .iter()
        .fold(standing.everyone, |bits, (_, role)| bits | *role);
    if bits.has(Chat::ADMINISTRATOR) {
        Chat::ALL
    } else {
        bits
    }
}

/// A member's rights in a channel with these overwrites.
///
/// Order: owner, administrator, then everyone's overwrite, then all role denies, all role allows,
/// the member's own; then what a missing VIEW or SEND takes along, then the time-out.
pub fn evaluate(standing: &Standing<'_>, overwrites: &[Overwrite]) -> Chat {
    let mut bits = base(standing);
    if bits == Chat::ALL {
        return bits;
    }
    let everyone = Target::Role(standing.community.cast());
    for o in overwrites.iter().filter(|o| o.target == everyone) {
        bits = bits.without(o.deny) | o.allow;
    }
    let (mut allow, mut deny) = (Chat::NONE, Chat::NONE);
    for o in overwrites.iter().filter(|o| o.target != everyone) {
        if standing
            .roles
            .iter()
            .any(|(role, _)| o.target == Target::Role(*role))
        {
            allow = allow | o.allow;
            deny = deny | o.deny;
        }
    }
    bits = bits.without(deny) | allow;
    for o in overwrites
        .iter()
        .filter(|o| o.target == Target::Member(standing.user))
    {
        bits = bits.without(o.deny) | o.allow;
    }
    if !bits.has(Chat::VIEW_CHANNEL) {
        return Chat::NONE;
    }
    if !bits.has(Chat::SEND_MESSAGES) {
        bits = bits.without(Chat::NEEDS_SEND);
    }
    if standing.timed_out {
        bits & Chat::TIMED_OUT
    } else {
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMUNITY: CommunityId = CommunityId::new(1);
    const USER: UserId = UserId::new(2);

    fn standing(everyone: Chat, roles: &[(RoleId, Chat)]) -> Standing<'_> {
        Standing {
            community: COMMUNITY,
            user: USER,
            owner: false,
            everyone,
            roles,
            timed_out: false,
        }
    }

    fn role(raw: i64, allow: Chat, deny: Chat) -> Overwrite {
        Overwrite {
            target: Target::Role(RoleId::new(raw)),
            allow,
            deny,
        }
    }

    #[test]
    fn rules_one_by_one() {
        let see = Chat::VIEW_CHANNEL;
        let send = Chat::SEND_MESSAGES;
        let all = see | send;
        let roles = [(RoleId::new(9), Chat::NONE), (RoleId::new(8), Chat::NONE)];
        let s = standing(all, &roles);
        let member = |allow, deny| Overwrite {
            target: Target::Member(USER),
            allow,
            deny,
        };
        let table: &[(&str, &[Overwrite], Chat)] = &[
            ("no overwrite", &[], all),
            ("everyone denies", &[role(1, Chat::NONE, send)], see),
            (
                "role allows over everyone",
                &[role(1, Chat::NONE, send), role(9, send, Chat::NONE)],
                all,
            ),
            (
                "one role's allow beats another's deny",
                &[role(9, Chat::NONE, send), role(8, send, Chat::NONE)],
                all,
            ),
            (
                "role of others is nothing",
                &[role(7, Chat::NONE, see)],
                all,
            ),
            (
                "member beats roles",
                &[role(9, Chat::NONE, send), member(send, Chat::NONE)],
                all,
            ),
            (
                "member denied",
                &[role(9, send, Chat::NONE), member(Chat::NONE, send)],
                see,
            ),
            (
                "without view nothing is left",
                &[role(1, send, see)],
                Chat::NONE,
            ),
        ];
        for (name, overwrites, expected) in table {
            assert_eq!(evaluate(&s, overwrites), *expected, "{name}");
        }
    }

    #[test]
    fn owner_administrator_and_time_out() {
        let denied = [role(1, Chat::NONE, Chat::ALL)];
        let mut s = standing(Chat::NONE, &[]);
        assert_eq!(evaluate(&s, &denied), Chat::NONE);
        s.owner = true;
        s.timed_out = true;
        assert_eq!(evaluate(&s, &denied), Chat::ALL);
        let admin = [(RoleId::new(9), Chat::ADMINISTRATOR)];
        assert_eq!(evaluate(&standing(Chat::NONE, &admin), &denied), Chat::ALL);
        let mut timed_out = standing(Chat::DEFAULT, &[]);
        timed_out.timed_out = true;
        assert_eq!(
            evaluate(&timed_out, &[]),
            Chat::VIEW_CHANNEL | Chat::READ_HISTORY
        );
    }

    #[test]
    fn no_send_takes_embeds_along() {
        let s = standing(Chat::DEFAULT, &[]);
        let bits = evaluate(&s, &[role(1, Chat::NONE, Chat::SEND_MESSAGES)]);
        assert!(!bits.has(Chat::EMBED_LINKS) && !bits.has(Chat::ATTACH_FILES));
    }

    #[test]
    fn wire_form() {
        assert_eq!(
            serde_json::to_string(&Chat::SEND_MESSAGES).unwrap(),
            "\"2048\""
        );
        assert_eq!(
            serde_json::from_str::<Chat>("\"2048\"").unwrap(),
            Chat::SEND_MESSAGES
        );
        assert_eq!(
            serde_json::from_str::<Chat>("2048").unwrap(),
            Chat::SEND_MESSAGES
        );
        assert_eq!(Chat::from_bits(u64::MAX), Chat::ALL);
        assert_eq!(Chat::from_stored(-1), Chat::NONE);
    }

    proptest! {
        #[test]
        fn removing_a_role_never_adds_base_rights(everyone in any::<u64>(), roles in prop::collection::vec(any::<u64>(), 0..6)) {
            let all: Vec<_> = roles.iter().enumerate()
                .map(|(i, bits)| (RoleId::new(10 + i64::try_from(i).unwrap()), Chat::from_bits(*bits))).collect();
            let with = base(&standing(Chat::from_bits(everyone), &all));
            let fewer = all.get(1..).unwrap_or_default();
            prop_assert!(with.has(base(&standing(Chat::from_bits(everyone), fewer))));
        }
    }
}
