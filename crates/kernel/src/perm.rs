//! Rights in communities: bit sets and their evaluation. Pure.
//!
//! Positions and the order of evaluation are those of Discord's published permission reference, so
//! that stock libraries compute the same answer. Rights of trade are ours; they stand beside those
//! of chat in roles and overwrites and are evaluated by the same order.

mod bits;

use std::fmt;
use std::ops::{BitAnd, BitOr};

pub use bits::{Chat, ChatBits, Family, Set, Trade, TradeBits};

use crate::id::{CommunityId, RoleId, UserId};

/// Rights of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions {
    /// Rights of chat.
    pub chat: Chat,
    /// Rights of trade.
    pub trade: Trade,
}

impl Permissions {
    /// No right at all.
    pub const NONE: Permissions = Permissions {
        chat: Chat::NONE,
        trade: Trade::NONE,
    };
    /// Every right.
    pub const ALL: Permissions = Permissions {
        chat: Chat::ALL,
        trade: Trade::ALL,
    };
    /// What everyone may do in a new community.
    pub const DEFAULT: Permissions = Permissions {
        chat: Chat::DEFAULT,
        trade: Trade::DEFAULT,
    };
    /// What a member in time-out keeps: to see and to read.
    pub const TIMED_OUT: Permissions = Permissions {
        chat: Chat::TIMED_OUT,
        trade: Trade::TIMED_OUT,
    };

    /// Whether these chat rights are in.
    pub const fn has(self, chat: Chat) -> bool {
        self.chat.has(chat)
    }

    /// These without `other`.
    pub const fn without(self, other: Permissions) -> Permissions {
        Permissions {
            chat: self.chat.without(other.chat),
            trade: self.trade.without(other.trade),
        }
    }
}

impl From<Chat> for Permissions {
    /// Rights of chat alone.
    fn from(chat: Chat) -> Self {
        Permissions {
            chat,
            trade: Trade::NONE,
        }
    }
}
impl BitOr for Permissions {
    type Output = Permissions;
    fn bitor(self, other: Permissions) -> Permissions {
        Permissions {
            chat: self.chat | other.chat,
            trade: self.trade | other.trade,
        }
    }
}
impl BitAnd for Permissions {
    type Output = Permissions;
    fn bitand(self, other: Permissions) -> Permissions {
        Permissions {
            chat: self.chat & other.chat,
            trade: self.trade & other.trade,
        }
    }
}
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of chat and {} of trade", self.chat, self.trade)
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
    pub allow: Permissions,
    /// Rights it takes.
    pub deny: Permissions,
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
    pub everyone: Permissions,
    /// The member's other roles and their rights.
    pub roles: &'a [(RoleId, Permissions)],
    /// Whether a time-out runs.
    pub timed_out: bool,
}

/// Where rights are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the channel itself.
    Channel,
    /// In a thread of it that everybody may see who sees the channel.
    Thread,
    /// In a thread of it that only its members see, and who may manage threads.
    PrivateThread {
        /// Whether the member is in the thread.
        joined: bool,
    },
}

/// Rights before any channel speaks.
pub fn base(standing: &Standing<'_>) -> Permissions {
    if standing.owner {
        return Permissions::ALL;
    }
    let bits = standing
        .roles
        .iter()
        .fold(standing.everyone, |bits, (_, role)| bits | *role);
    if bits.has(Chat::ADMINISTRATOR) {
        Permissions::ALL
    } else {
        bits
    }
}

/// A member's rights in a channel with these overwrites.
pub fn evaluate(standing: &Standing<'_>, overwrites: &[Overwrite]) -> Permissions {
    evaluate_in(standing, overwrites, Place::Channel)
}

/// A member's rights in a channel with these overwrites, or in a thread of it.
///
/// Order: owner, administrator, then everyone's overwrite, then all role denies, all role allows,
/// the member's own; then what a missing VIEW takes along, what a thread changes, what a missing
/// SEND takes along, then the time-out.
pub fn evaluate_in(standing: &Standing<'_>, overwrites: &[Overwrite], place: Place) -> Permissions {
    let bits = base(standing);
    if bits.has(Chat::ADMINISTRATOR) {
        return bits;
    }
    let bits = overwritten(standing, overwrites, bits);
    if !bits.has(Chat::VIEW_CHANNEL) {
        return Permissions::NONE;
    }
    let mut bits = match place {
        Place::Channel => bits,
        Place::PrivateThread { joined: false } if !bits.has(Chat::MANAGE_THREADS) => {
            return Permissions::NONE;
        }
        Place::Thread | Place::PrivateThread { .. } => in_thread(bits),
    };
    if !bits.has(Chat::SEND_MESSAGES) {
        bits = bits.without(Chat::NEEDS_SEND.into());
    }
    if standing.timed_out {
        bits & Permissions::TIMED_OUT
    } else {
        bits
    }
}

/// Who may send is another right in threads.
fn in_thread(bits: Permissions) -> Permissions {
    if bits.has(Chat::SEND_IN_THREADS) {
        bits | Chat::SEND_MESSAGES.into()
    } else {
        bits.without(Chat::SEND_MESSAGES.into())
    }
}

fn overwritten(
    standing: &Standing<'_>,
    overwrites: &[Overwrite],
    mut bits: Permissions,
) -> Permissions {
    let everyone = Target::Role(standing.community.cast());
    for o in overwrites.iter().filter(|o| o.target == everyone) {
        bits = bits.without(o.deny) | o.allow;
    }
    let (mut allow, mut deny) = (Permissions::NONE, Permissions::NONE);
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
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMUNITY: CommunityId = CommunityId::new(1);
    const USER: UserId = UserId::new(2);

    fn standing(everyone: impl Into<Permissions>, roles: &[(RoleId, Permissions)]) -> Standing<'_> {
        Standing {
            community: COMMUNITY,
            user: USER,
            owner: false,
            everyone: everyone.into(),
            roles,
            timed_out: false,
        }
    }

    fn role(raw: i64, allow: Chat, deny: Chat) -> Overwrite {
        Overwrite {
            target: Target::Role(RoleId::new(raw)),
            allow: allow.into(),
            deny: deny.into(),
        }
    }

    #[test]
    fn rules_one_by_one() {
        let see = Chat::VIEW_CHANNEL;
        let send = Chat::SEND_MESSAGES;
        let all = see | send;
        let roles = [
            (RoleId::new(9), Permissions::NONE),
            (RoleId::new(8), Permissions::NONE),
        ];
        let s = standing(all, &roles);
        let member = |allow: Chat, deny: Chat| Overwrite {
            target: Target::Member(USER),
            allow: allow.into(),
            deny: deny.into(),
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
            assert_eq!(evaluate(&s, overwrites).chat, *expected, "{name}");
        }
    }

    #[test]
    fn owner_administrator_and_time_out() {
        let denied = [role(1, Chat::NONE, Chat::ALL)];
        let mut s = standing(Chat::NONE, &[]);
        assert_eq!(evaluate(&s, &denied), Permissions::NONE);
        s.owner = true;
        s.timed_out = true;
        assert_eq!(evaluate(&s, &denied), Permissions::ALL);
        let admin = [(RoleId::new(9), Chat::ADMINISTRATOR.into())];
        assert_eq!(
            evaluate(&standing(Chat::NONE, &admin), &denied),
            Permissions::ALL
        );
        let mut timed_out = standing(Permissions::ALL.without(Chat::ADMINISTRATOR.into()), &[]);
        timed_out.timed_out = true;
        assert_eq!(
            evaluate(&timed_out, &[]),
            Permissions {
                chat: Chat::VIEW_CHANNEL | Chat::READ_HISTORY,
                trade: Trade::from_bits(0b10_0000_0000_1111),
            }
        );
    }

    #[test]
    fn no_send_takes_embeds_along() {
        let s = standing(Chat::DEFAULT, &[]);
        let bits = evaluate(&s, &[role(1, Chat::NONE, Chat::SEND_MESSAGES)]);
        assert!(!bits.has(Chat::EMBED_LINKS) && !bits.has(Chat::ATTACH_FILES));
    }

    #[test]
    fn trade_follows_the_same_order_and_falls_with_sight() {
        let trade = |bits| Permissions {
            chat: Chat::NONE,
            trade: bits,
        };
        let (see, bid) = (Trade::VIEW_PRICES, Trade::BID);
        let on = |target, allow, deny| Overwrite {
            target,
            allow: trade(allow),
            deny: trade(deny),
        };
        let everyone = Target::Role(COMMUNITY.cast());
        let own = Target::Role(RoleId::new(9));
        let all = Chat::VIEW_CHANNEL.into();
        let roles = [(RoleId::new(9), trade(bid))];
        let s = standing(trade(see) | all, &roles);
        let none = Trade::NONE;
        for (overwrites, expected) in [
            (vec![], see | bid),
            (vec![on(everyone, none, see | bid)], none),
            (vec![on(everyone, none, see), on(own, see, bid)], see),
            (
                vec![on(own, none, bid), on(Target::Member(USER), bid, see)],
                bid,
            ),
            (vec![role(1, Chat::NONE, Chat::VIEW_CHANNEL)], none),
        ] {
            assert_eq!(evaluate(&s, &overwrites).trade, expected, "{overwrites:?}");
        }
    }

    #[test]
    fn threads_ask_for_their_own_right_to_send_and_private_ones_for_membership() {
        let chat = |bits: Chat, deny: Chat, place| {
            let s = standing(bits, &[]);
            evaluate_in(&s, &[role(1, Chat::NONE, deny)], place).chat
        };
        let talk = Chat::VIEW_CHANNEL | Chat::SEND_IN_THREADS | Chat::EMBED_LINKS;
        let (out, within) = (
            Place::PrivateThread { joined: false },
            Place::PrivateThread { joined: true },
        );
        assert!(!chat(talk, Chat::NONE, Place::Channel).has(Chat::EMBED_LINKS));
        let in_thread = chat(talk, Chat::NONE, Place::Thread);
        assert_eq!(in_thread, talk | Chat::SEND_MESSAGES, "embeds come back");
        let silent = chat(Chat::DEFAULT, Chat::SEND_IN_THREADS, Place::Thread);
        assert!(!silent.has(Chat::SEND_MESSAGES) && !silent.has(Chat::EMBED_LINKS));
        assert_eq!(chat(talk, Chat::NONE, out), Chat::NONE);
        assert_eq!(chat(talk, Chat::NONE, within), in_thread);
        assert_eq!(chat(talk, Chat::VIEW_CHANNEL, within), Chat::NONE);
        let manager = talk | Chat::MANAGE_THREADS;
        assert!(chat(manager, Chat::NONE, out).has(Chat::SEND_MESSAGES));
        let mut owner = standing(Chat::NONE, &[]);
        owner.owner = true;
        assert_eq!(evaluate_in(&owner, &[], out), Permissions::ALL);
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
        assert_eq!(Trade::from_bits(u64::MAX), Trade::ALL);
        assert_eq!(Trade::ALL.to_stored(), (1 << 20) - 1);
        assert_eq!(Chat::ALL.to_stored(), (1 << 53) - 1);
        assert_eq!(
            serde_json::from_str::<Trade>("\"1048576\"").unwrap(),
            Trade::NONE,
            "unknown rights are dropped"
        );
    }

    proptest! {
        #[test]
        fn removing_a_role_never_adds_base_rights(everyone in any::<u64>(), roles in prop::collection::vec(any::<u64>(), 0..6)) {
            let all: Vec<_> = roles.iter().enumerate()
                .map(|(i, bits)| (RoleId::new(10 + i64::try_from(i).unwrap()), Chat::from_bits(*bits).into())).collect();
            let with = base(&standing(Chat::from_bits(everyone), &all));
            let fewer = all.get(1..).unwrap_or_default();
            prop_assert!(with.has(base(&standing(Chat::from_bits(everyone), fewer)).chat));
        }
    }
}
