//! Who may see which channel of a community, compiled per class of roles.

use std::collections::{HashMap, HashSet};

use contracts::communities::Compiled;
use kernel::perm::Chat;
use kernel::{ChannelId, UserId};

/// The part of a community's compiled rights that filters events.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Epoch of rights it was compiled at.
    pub(crate) epoch: i32,
    owner: Option<UserId>,
    /// Every channel, seen or not.
    channels: HashSet<ChannelId>,
    classes: HashMap<i32, Seen>,
    /// What overwrites for single members decide.
    members: HashMap<UserId, HashMap<ChannelId, Chat>>,
}

/// What a class sees.
#[derive(Debug, Default)]
struct Seen {
    channels: HashSet<ChannelId>,
    /// Those of them it may manage.
    managed: HashSet<ChannelId>,
    /// Whether it may ban: a right of the whole community, which every channel repeats.
    bans: bool,
}

impl View {
    pub(crate) fn new(compiled: &Compiled) -> Self {
        let mut view = View {
            epoch: compiled.epoch,
            owner: Some(compiled.owner),
            ..View::default()
        };
        for (class, rights) in &compiled.classes {
            view.channels
                .extend(rights.iter().map(|(channel, _)| *channel));
            let with = |right: Chat| {
                let has = rights.iter().filter(move |(_, bits)| bits.has(right));
                has.map(|(channel, _)| *channel).collect()
            };
            let seen = Seen {
                channels: with(Chat::VIEW_CHANNEL),
                managed: with(Chat::VIEW_CHANNEL | Chat::MANAGE_CHANNELS),
                bans: rights.iter().any(|(_, bits)| bits.has(Chat::BAN_MEMBERS)),
            };
            view.classes.insert(*class, seen);
        }
        for (user, rights) in &compiled.members {
            view.members.insert(*user, rights.iter().copied().collect());
        }
        view
    }

    /// The rights of a community that is no more: nothing is seen, and nothing newer will come.
    pub(crate) fn gone() -> Self {
        View {
            epoch: i32::MAX,
            ..View::default()
        }
    }

    /// Whether the community is no more.
    pub(crate) fn is_gone(&self) -> bool {
        self.epoch == i32::MAX
    }

    /// Whether a member of `class` sees `channel`.
    pub(crate) fn sees(&self, user: UserId, class: i32, channel: ChannelId) -> bool {
        if let Some(bits) = self.decided(user, channel) {
            return bits.has(Chat::VIEW_CHANNEL);
        }
        let seen = self.classes.get(&class);
        seen.is_some_and(|seen| seen.channels.contains(&channel))
    }

    /// Whether a member of `class` sees and may manage `channel`.
    pub(crate) fn manages(&self, user: UserId, class: i32, channel: ChannelId) -> bool {
        if let Some(bits) = self.decided(user, channel) {
            return bits.has(Chat::VIEW_CHANNEL | Chat::MANAGE_CHANNELS);
        }
        let seen = self.classes.get(&class);
        seen.is_some_and(|seen| seen.managed.contains(&channel))
    }

    /// Whether a member of `class` may ban.
    pub(crate) fn bans(&self, user: UserId, class: i32) -> bool {
        self.owner == Some(user) || self.classes.get(&class).is_some_and(|seen| seen.bans)
    }

    /// The member's own rights in a channel, where the class does not decide.
    fn decided(&self, user: UserId, channel: ChannelId) -> Option<Chat> {
        if self.owner == Some(user) {
            return Some(Chat::VIEW_CHANNEL | Chat::MANAGE_CHANNELS);
        }
        self.members.get(&user)?.get(&channel).copied()
    }

    /// Whether more than the class decides what this member sees.
    pub(crate) fn is_special(&self, user: UserId) -> bool {
        self.owner == Some(user) || self.members.contains_key(&user)
    }

    /// Channels that exist in both views and that the member sees in `self` but not in `other`,
    /// where the class may differ too.
    pub(crate) fn seen_only_here(
        &self,
        other: &View,
        user: UserId,
        class_here: i32,
        class_there: i32,
    ) -> Vec<ChannelId> {
        let both = self.channels.intersection(&other.channels);
        let mut channels: Vec<_> = both
            .filter(|channel| {
                self.sees(user, class_here, **channel) && !other.sees(user, class_there, **channel)
            })
            .copied()
            .collect();
        channels.sort_unstable();
        channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::CommunityId;

    fn compiled(epoch: i32, class_1: Chat) -> Compiled {
        Compiled {
            community: CommunityId::new(1),
            owner: UserId::new(10),
            epoch,
            rev: 1,
            classes: vec![
                (
                    0,
                    vec![
                        (ChannelId::new(5), Chat::VIEW_CHANNEL),
                        (ChannelId::new(6), Chat::NONE),
                    ],
                ),
                (
                    1,
                    vec![
                        (ChannelId::new(5), Chat::VIEW_CHANNEL),
                        (ChannelId::new(6), class_1),
                    ],
                ),
            ],
            members: vec![(UserId::new(12), vec![(ChannelId::new(5), Chat::NONE)])],
        }
    }

    #[test]
    fn owner_class_and_member_overwrite() {
        let view = View::new(&compiled(3, Chat::VIEW_CHANNEL));
        let (a, b) = (ChannelId::new(5), ChannelId::new(6));
        let someone = UserId::new(11);
        assert!(
            view.sees(UserId::new(10), 99, b),
            "the owner sees everything"
        );
        assert!(view.sees(someone, 0, a) && !view.sees(someone, 0, b));
        assert!(view.sees(someone, 1, b));
        assert!(
            !view.sees(UserId::new(12), 0, a),
            "an overwrite for the member decides"
        );
        assert!(!view.sees(someone, 7, a), "an unknown class sees nothing");
    }

    #[test]
    fn managing_takes_sight_and_the_right() {
        let managed = Chat::VIEW_CHANNEL | Chat::MANAGE_CHANNELS;
        let (a, b) = (ChannelId::new(5), ChannelId::new(6));
        let someone = UserId::new(11);
        let view = View::new(&compiled(3, managed));
        assert!(view.manages(UserId::new(10), 99, b), "the owner");
        assert!(view.manages(someone, 1, b) && !view.manages(someone, 1, a));
        assert!(!view.manages(someone, 0, b));
        assert!(!view.manages(UserId::new(12), 1, a), "an overwrite decides");
        let blind = View::new(&compiled(3, Chat::MANAGE_CHANNELS));
        assert!(!blind.manages(someone, 1, b));
    }

    #[test]
    fn differences_name_only_channels_of_both() {
        let before = View::new(&compiled(3, Chat::NONE));
        let after = View::new(&compiled(4, Chat::VIEW_CHANNEL));
        let someone = UserId::new(11);
        assert_eq!(
            after.seen_only_here(&before, someone, 1, 1),
            [ChannelId::new(6)]
        );
        assert_eq!(before.seen_only_here(&after, someone, 1, 1), []);
        assert_eq!(
            after.seen_only_here(&after, someone, 1, 0),
            [ChannelId::new(6)]
        );
        assert_eq!(
            after.seen_only_here(&View::default(), someone, 1, 1),
            [],
            "new channels announce themselves"
        );
    }
}
