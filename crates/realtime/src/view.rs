//! Who may see which channel of a community, compiled per class of roles.

use std::collections::{HashMap, HashSet};

use contracts::communities::Compiled;
use kernel::perm::{Chat, Permissions};
use kernel::{ChannelId, UserId};

/// The part of a community's compiled rights that filters events.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Epoch of rights it was compiled at.
    pub(crate) epoch: i32,
    owner: Option<UserId>,
    /// Every channel, seen or not.
    channels: HashSet<ChannelId>,
    classes: HashMap<i32, Class>,
    /// What overwrites for single members decide.
    members: HashMap<UserId, HashMap<ChannelId, Chat>>,
}

/// Events are filtered by rights of chat.
fn chat((channel, rights): &(ChannelId, Permissions)) -> (ChannelId, Chat) {
    (*channel, rights.chat)
}

/// What the members of a class may do.
#[derive(Debug, Default)]
struct Class {
    /// In the community as a whole.
    base: Chat,
    channels: HashMap<ChannelId, Chat>,
}

impl View {
    pub(crate) fn new(compiled: &Compiled) -> Self {
        let mut view = View {
            epoch: compiled.epoch,
            owner: Some(compiled.owner),
            ..View::default()
        };
        for rights in &compiled.classes {
            let all = rights.channels.iter();
            view.channels.extend(all.map(|(channel, _)| *channel));
            let seen = rights.channels.iter().map(chat);
            let class = Class {
                base: rights.base.chat,
                // What is not seen lets nothing through, whatever else it has.
                channels: seen
                    .filter(|(_, bits)| bits.has(Chat::VIEW_CHANNEL))
                    .collect(),
            };
            view.classes.insert(rights.class, class);
        }
        for (user, rights) in &compiled.members {
            view.members
                .insert(*user, rights.iter().map(chat).collect());
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
        self.may(user, class, Some(channel), Chat::NONE)
    }

    /// Whether a member of `class` sees `channel` and has the rights `needs` in it; without a
    /// channel, whether they have them in the community.
    pub(crate) fn may(
        &self,
        user: UserId,
        class: i32,
        channel: Option<ChannelId>,
        needs: Chat,
    ) -> bool {
        let Some(channel) = channel else {
            return needs == Chat::NONE || self.base(user, class).has(needs);
        };
        self.in_channel(user, class, channel)
            .has(needs | Chat::VIEW_CHANNEL)
    }

    fn base(&self, user: UserId, class: i32) -> Chat {
        if self.owner == Some(user) {
            return Chat::ALL;
        }
        self.classes
            .get(&class)
            .map_or(Chat::NONE, |class| class.base)
    }

    fn in_channel(&self, user: UserId, class: i32, channel: ChannelId) -> Chat {
        if self.owner == Some(user) {
            return Chat::ALL;
        }
        let own = self.members.get(&user).and_then(|own| own.get(&channel));
        let class = || self.classes.get(&class)?.channels.get(&channel);
        own.or_else(class).copied().unwrap_or(Chat::NONE)
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
    use contracts::communities::ClassRights;
    use kernel::CommunityId;

    fn compiled(epoch: i32, class_1: Chat) -> Compiled {
        let class = |class, base: Chat, in_6: Chat| ClassRights {
            class,
            base: base.into(),
            channels: vec![
                (ChannelId::new(5), Chat::VIEW_CHANNEL.into()),
                (ChannelId::new(6), in_6.into()),
            ],
        };
        Compiled {
            community: CommunityId::new(1),
            owner: UserId::new(10),
            epoch,
            rev: 1,
            classes: vec![
                class(0, Chat::NONE, Chat::NONE),
                class(1, Chat::BAN_MEMBERS, class_1),
            ],
            members: vec![(
                UserId::new(12),
                vec![(ChannelId::new(5), Permissions::NONE)],
            )],
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
        let (a, b) = (Some(ChannelId::new(5)), Some(ChannelId::new(6)));
        let someone = UserId::new(11);
        let manages = |view: &View, user, class, channel| {
            view.may(user, class, channel, Chat::MANAGE_CHANNELS)
        };
        let view = View::new(&compiled(3, managed));
        assert!(manages(&view, UserId::new(10), 99, b), "the owner");
        assert!(manages(&view, someone, 1, b) && !manages(&view, someone, 1, a));
        assert!(!manages(&view, someone, 0, b));
        assert!(
            !manages(&view, UserId::new(12), 1, a),
            "an overwrite decides"
        );
        let blind = View::new(&compiled(3, Chat::MANAGE_CHANNELS));
        assert!(!manages(&blind, someone, 1, b));
    }

    #[test]
    fn rights_in_the_community_need_no_channel() {
        let view = View::new(&compiled(3, Chat::NONE));
        let (owner, someone) = (UserId::new(10), UserId::new(11));
        let bans = |user, class| view.may(user, class, None, Chat::BAN_MEMBERS);
        assert!(bans(owner, 99) && bans(someone, 1));
        assert!(!bans(someone, 0) && !bans(someone, 7));
        assert!(view.may(someone, 7, None, Chat::NONE), "nothing is needed");
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
