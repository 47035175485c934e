//! Communities in maps, with the real evaluation of rights.

mod calls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use contracts::communities::{
    Channel, ChannelAccess, ClassRights, Compiled, Guild, Member, Role, Snapshot, channel_kind,
};
use contracts::identity::User;
use jiff::Timestamp;
use kernel::failure::{FORBIDDEN, NOT_FOUND, UNAVAILABLE};
use kernel::perm::{Chat, Overwrite, Permissions, Place, Standing, Target};
use kernel::perm::{Trade, base, evaluate, evaluate_in};
use kernel::{ChannelId, CommunityId, Failure, RoleId, UserId};

/// As many channels or communities as the real one takes.
const MAX_ASKED: usize = 200;
/// Roles of bots get ids from here on; far from ids tests write by hand.
const FIRST_ROLE: i64 = 8_000_000_000_000_000;

/// [`contracts::Communities`] over maps. Holds what a test put in; every change raises `rev`, every change of
/// rights the epoch, as in the real one. Classes: 0 for no roles, others as their sets appear.
#[derive(Debug, Default)]
pub struct FakeCommunities {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    communities: BTreeMap<CommunityId, Community>,
    away: bool,
}

#[derive(Debug)]
struct Community {
    guild: Guild,
    channels: BTreeMap<ChannelId, Channel>,
    overwrites: BTreeMap<ChannelId, Vec<Overwrite>>,
    members: BTreeMap<UserId, Known>,
    classes: Vec<Vec<RoleId>>,
    bot_roles: BTreeMap<UserId, RoleId>,
    rev: i64,
    epoch: i32,
}

#[derive(Debug)]
struct Known {
    member: Member,
    username: String,
}

impl FakeCommunities {
    /// Knows no community.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a community with its owner as member and no channel; everyone has the default rights.
    pub fn add(&self, id: CommunityId, name: &str, owner: &User) -> Guild {
        let everyone = role(id.cast(), "@everyone", Chat::DEFAULT, 0);
        let guild = guild(id, name, owner.id, everyone);
        let community = Community {
            guild: guild.clone(),
            channels: BTreeMap::new(),
            overwrites: BTreeMap::new(),
            members: BTreeMap::new(),
            classes: vec![Vec::new()],
            bot_roles: BTreeMap::new(),
            rev: 1,
            epoch: 1,
        };
        self.lock().communities.insert(id, community);
        self.join(id, owner);
        guild
    }

    /// Adds a text channel.
    pub fn add_channel(&self, community: CommunityId, id: ChannelId, name: &str) -> Channel {
        self.put_channel(Channel {
            id,
            kind: channel_kind::TEXT,
            guild_id: community,
            name: name.to_owned(),
            position: 0,
            parent_id: None,
            topic: None,
            nsfw: false,
            rate_limit_per_user: 0,
            permission_overwrites: Vec::new(),
            last_message_id: None,
            threads: contracts::communities::ThreadSettings::default(),
        })
    }

    /// Adds or replaces a channel; its overwrites are those of the object.
    pub fn put_channel(&self, channel: Channel) -> Channel {
        self.change(channel.guild_id, |community| {
            let overwrites = channel
                .permission_overwrites
                .iter()
                .map(Overwrite::from)
                .collect();
            community.overwrites.insert(channel.id, overwrites);
            community.channels.insert(channel.id, channel.clone());
            community.epoch += 1;
        });
        channel
    }

    /// Removes a channel.
    pub fn remove_channel(&self, community: CommunityId, channel: ChannelId) {
        self.change(community, |community| {
            community.channels.remove(&channel);
            community.overwrites.remove(&channel);
        });
    }

    /// Adds or replaces a role; also everyone's.
    pub fn put_role(&self, community: CommunityId, id: RoleId, chat: Chat, position: i32) {
        self.change(community, |community| {
            community.guild.roles.retain(|role| role.id != id);
            community.guild.roles.push(role(id, "role", chat, position));
            community
                .guild
                .roles
                .sort_by_key(|role| (role.position, role.id));
            community.epoch += 1;
        });
    }

    /// Replaces what a channel changes.
    pub fn set_overwrites(&self, id: CommunityId, channel: ChannelId, overwrites: Vec<Overwrite>) {
        self.change(id, |community| {
            community.overwrites.insert(channel, overwrites);
            community.epoch += 1;
        });
    }

    /// Makes somebody a member without roles.
    pub fn join(&self, community: CommunityId, user: &User) {
        self.change(community, |community| {
            let member = Member {
                user: Some(user.clone()),
                nick: None,
                roles: Vec::new(),
                joined_at: Timestamp::UNIX_EPOCH,
                communication_disabled_until: None,
                flags: 0,
                mute: false,
                deaf: false,
            };
            let username = user.username.clone();
            community
                .members
                .insert(user.id, Known { member, username });
        });
    }

    /// Ends a membership.
    pub fn leave_community(&self, community: CommunityId, user: UserId) {
        self.change(community, |community| {
            community.members.remove(&user);
        });
    }

    /// Changes a member: roles, nickname, time-out, the moment of joining.
    pub fn edit_member(
        &self,
        community: CommunityId,
        user: UserId,
        edit: impl FnOnce(&mut Member),
    ) {
        self.change(community, |community| {
            let Some(known) = community.members.get_mut(&user) else {
                return;
            };
            edit(&mut known.member);
            known.member.roles.sort_unstable();
            if !community.classes.contains(&known.member.roles) {
                community.classes.push(known.member.roles.clone());
                community.epoch += 1;
            }
        });
    }

    /// Changes how long members wait between messages.
    pub fn set_slowmode(&self, community: CommunityId, channel: ChannelId, seconds: i32) {
        self.change(community, |community| {
            if let Some(channel) = community.channels.get_mut(&channel) {
                channel.rate_limit_per_user = seconds;
            }
        });
    }

    /// Revision and epoch of a community.
    pub fn numbers(&self, community: CommunityId) -> Option<(i64, i32)> {
        let state = self.lock();
        let community = state.communities.get(&community)?;
        Some((community.rev, community.epoch))
    }

    /// Removes a community.
    pub fn remove(&self, community: CommunityId) {
        self.lock().communities.remove(&community);
    }

    /// From now on every call fails as if communities were away.
    pub fn leave(&self) {
        self.lock().away = true;
    }

    /// Calls work again.
    pub fn come_back(&self) {
        self.lock().away = false;
    }

    fn change(&self, id: CommunityId, change: impl FnOnce(&mut Community)) {
        if let Some(community) = self.lock().communities.get_mut(&id) {
            change(community);
            community.rev += 1;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present(&self) -> Result<std::sync::MutexGuard<'_, State>, Failure> {
        let state = self.lock();
        if state.away {
            Err(UNAVAILABLE.fail())
        } else {
            Ok(state)
        }
    }
}

fn guild(id: CommunityId, name: &str, owner_id: UserId, everyone: Role) -> Guild {
    Guild {
        id,
        name: name.to_owned(),
        icon: None,
        owner_id,
        roles: vec![everyone],
        emojis: Vec::new(),
        stickers: Vec::new(),
        features: Vec::new(),
        verification_level: 0,
        default_message_notifications: 0,
        explicit_content_filter: 0,
        mfa_level: 0,
        preferred_locale: "en-US".to_owned(),
        nsfw_level: 0,
        premium_tier: 0,
        afk_timeout: 300,
        afk_channel_id: None,
        system_channel_id: None,
        system_channel_flags: 0,
        rules_channel_id: None,
        description: None,
        tags: Vec::new(),
        incidents_data: None,
    }
}

fn role(id: RoleId, name: &str, permissions: Chat, position: i32) -> Role {
    Role {
        id,
        name: name.to_owned(),
        permissions,
        trade_permissions: Trade::NONE,
        position,
        color: 0,
        hoist: false,
        managed: false,
        mentionable: false,
    }
}

impl Community {
    fn rights(&self, roles: &[RoleId]) -> Vec<(RoleId, Permissions)> {
        self.guild
            .roles
            .iter()
            .filter(|role| roles.contains(&role.id))
            .map(|role| (role.id, role.rights()))
            .collect()
    }

    fn standing<'a>(
        &self,
        user: UserId,
        roles: &'a [(RoleId, Permissions)],
        timeout: Option<Timestamp>,
    ) -> Standing<'a> {
        let everyone = self.guild.id.cast();
        Standing {
            community: self.guild.id,
            user,
            owner: user == self.guild.owner_id,
            everyone: self
                .guild
                .roles
                .iter()
                .find(|role| role.id == everyone)
                .map_or(Permissions::NONE, Role::rights),
            roles,
            timed_out: timeout.is_some(),
        }
    }

    fn of(&self, channel: ChannelId) -> &[Overwrite] {
        self.overwrites.get(&channel).map_or(&[], Vec::as_slice)
    }

    /// A fake has no clock: a time-out runs as long as one is set.
    fn bits(&self, user: UserId, member: &Member, channel: ChannelId, place: Place) -> Permissions {
        let roles = self.rights(&member.roles);
        let timeout = member.communication_disabled_until;
        let standing = self.standing(user, &roles, timeout);
        evaluate_in(&standing, self.of(channel), place)
    }

    fn class(&self, roles: &[RoleId]) -> i32 {
        let place = self.classes.iter().position(|class| class == roles);
        place
            .and_then(|place| i32::try_from(place).ok())
            .unwrap_or(0)
    }

    fn access(&self, user: UserId, channel: &Channel) -> Option<ChannelAccess> {
        let member = &self.members.get(&user)?.member;
        let here = self.bits(user, member, channel.id, Place::Channel);
        Some(ChannelAccess {
            channel: channel.id,
            kind: channel.kind,
            community: self.guild.id,
            chat: here.chat,
            trade: here.trade,
            thread_chat: self.bits(user, member, channel.id, Place::Thread).chat,
            class: self.class(&member.roles),
            epoch: self.epoch,
            slowmode_s: channel.rate_limit_per_user,
            roles: member.roles.clone(),
            nick: member.nick.clone(),
            joined_at: member.joined_at,
            timeout_until: member.communication_disabled_until,
        })
    }

    fn compiled(&self) -> Compiled {
        let of_class = |(class, roles): (i32, &Vec<RoleId>)| {
            let roles = self.rights(roles);
            let standing = self.standing(UserId::new(0), &roles, None);
            let in_channel = |id: &ChannelId| (*id, evaluate(&standing, self.of(*id)));
            ClassRights {
                class,
                base: base(&standing),
                channels: self.channels.keys().map(in_channel).collect(),
            }
        };
        let named = |user: UserId, member: &Member| -> Vec<(ChannelId, Permissions)> {
            let roles = self.rights(&member.roles);
            let standing = self.standing(user, &roles, None);
            self.channels
                .keys()
                .filter(|id| {
                    self.of(**id)
                        .iter()
                        .any(|o| o.target == Target::Member(user))
                })
                .map(|id| (*id, evaluate(&standing, self.of(*id))))
                .collect()
        };
        Compiled {
            community: self.guild.id,
            owner: self.guild.owner_id,
            epoch: self.epoch,
            rev: self.rev,
            classes: (0..).zip(&self.classes).map(of_class).collect(),
            members: self
                .members
                .iter()
                .map(|(user, known)| (*user, named(*user, &known.member)))
                .filter(|(_, channels)| !channels.is_empty())
                .collect(),
        }
    }

    fn snapshot(&self, viewer: UserId) -> Option<Snapshot> {
        let own = self.members.get(&viewer)?.member.clone();
        let see = |channel: &&Channel| {
            self.bits(viewer, &own, channel.id, Place::Channel)
                .has(Chat::VIEW_CHANNEL)
        };
        Some(Snapshot {
            guild: self.guild.clone(),
            channels: self.channels.values().filter(see).cloned().collect(),
            class: self.class(&own.roles),
            joined_at: own.joined_at,
            own,
            member_count: i64::try_from(self.members.len()).unwrap_or(i64::MAX),
            rev: self.rev,
            epoch: self.epoch,
        })
    }

    fn may_manage(&self, user: UserId, given: Chat) -> Result<(), Failure> {
        let member = self.members.get(&user).ok_or_else(|| NOT_FOUND.fail())?;
        let roles = self.rights(&member.member.roles);
        let held = base(&self.standing(user, &roles, None));
        if held.has(Chat::MANAGE_GUILD | given) {
            Ok(())
        } else {
            Err(FORBIDDEN.fail())
        }
    }
}
