//! Communities in a map: who may do what where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::communities::{
    Channel, ChannelAccess, ClassRights, Compiled, Guild, Member, MemberQuery, Membership, Role,
    Snapshot,
};
use contracts::identity::User;
use contracts::moderation::NewReport;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, Failure, ReportId, RoleId, UserId};

/// What tests put in.
#[derive(Default)]
pub(crate) struct Rights {
    pub(crate) access: Mutex<BTreeMap<(UserId, ChannelId), ChannelAccess>>,
    pub(crate) strangers: Mutex<BTreeSet<(UserId, UserId)>>,
    pub(crate) roles: Mutex<Vec<Role>>,
    /// Of every community.
    pub(crate) emojis: Mutex<Vec<contracts::communities::Emoji>>,
    /// What must not be said.
    pub(crate) refused: Mutex<Option<String>>,
    /// What was judged so far.
    pub(crate) judged: Mutex<Vec<(UserId, ChannelId, String)>>,
    /// What was complained about.
    pub(crate) reported: Mutex<Vec<NewReport>>,
    /// What members are told of unless they set something, as the dialect numbers it.
    pub(crate) usual: Mutex<i32>,
}

impl Rights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Changes what a user may do in a channel.
    pub(crate) fn change(
        &self,
        user: UserId,
        channel: ChannelId,
        change: impl FnOnce(&mut ChannelAccess),
    ) {
        change(
            self.access
                .lock()
                .unwrap()
                .get_mut(&(user, channel))
                .unwrap(),
        );
    }

    /// Gives a user a place in a channel.
    pub(crate) fn put(&self, user: UserId, access: ChannelAccess) {
        self.access
            .lock()
            .unwrap()
            .insert((user, access.channel), access);
    }

    /// The places of a user in a community.
    fn seats(&self, user: UserId, community: CommunityId) -> Vec<ChannelAccess> {
        let access = self.access.lock().unwrap();
        access
            .range(all_of(user))
            .map(|(_, access)| access.clone())
            .filter(|access| access.community == community)
            .collect()
    }

    fn of<T: Ord>(&self, user: UserId, take: impl Fn(&ChannelAccess) -> T) -> BTreeSet<T> {
        let access = self.access.lock().unwrap();
        let of_user = access.range(all_of(user));
        of_user.map(|(_, access)| take(access)).collect()
    }

    /// Says that two users share no community.
    pub(crate) fn part(&self, one: UserId, other: UserId) {
        self.strangers
            .lock()
            .unwrap()
            .insert((one.min(other), one.max(other)));
    }

    /// A role that everybody may mention.
    pub(crate) fn add_open_role(&self, id: i64) {
        self.add_role(id);
        let mut roles = self.roles.lock().unwrap();
        roles
            .iter_mut()
            .for_each(|role| role.mentionable |= role.id.get() == id);
    }

    pub(crate) fn add_role(&self, id: i64) {
        self.roles.lock().unwrap().push(Role {
            id: RoleId::new(id),
            name: "rol".to_owned(),
            permissions: Chat::NONE,
            trade_permissions: kernel::perm::Trade::NONE,
            position: 1,
            color: 0,
            hoist: false,
            managed: false,
            mentionable: false,
        });
    }
}

#[async_trait]
impl contracts::Moderation for Rights {
    async fn judge(&self, author: UserId, channel: ChannelId, said: &str) -> Result<(), Failure> {
        let refused = self.refused.lock().unwrap().clone();
        let mut judged = self.judged.lock().unwrap();
        judged.push((author, channel, said.to_owned()));
        match refused.filter(|word| said.contains(word.as_str())) {
            Some(_) => Err(kernel::failure::FORBIDDEN.fail()),
            None => Ok(()),
        }
    }

    async fn report(&self, report: NewReport) -> Result<ReportId, Failure> {
        self.reported.lock().unwrap().push(report);
        Ok(ReportId::new(77))
    }
}

#[async_trait]
impl contracts::Communities for Rights {
    async fn access(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<ChannelAccess>, Failure> {
        let access = self.access.lock().unwrap();
        Ok(channels
            .iter()
            .filter_map(|channel| access.get(&(user, *channel)).cloned())
            .collect())
    }

    async fn compiled(&self, community: CommunityId) -> Result<Option<Compiled>, Failure> {
        let access = self.access.lock().unwrap();
        let here: BTreeSet<ChannelId> = access
            .values()
            .filter(|access| access.community == community)
            .map(|access| access.channel)
            .collect();
        let class = ClassRights {
            class: 0,
            base: Chat::DEFAULT.into(),
            channels: here
                .into_iter()
                .map(|id| (id, Chat::DEFAULT.into()))
                .collect(),
        };
        Ok(Some(Compiled {
            community,
            owner: UserId::new(1),
            epoch: 5,
            rev: 1,
            classes: vec![class],
            members: Vec::new(),
        }))
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, Failure> {
        let communities: BTreeSet<CommunityId> = self.of(user, |access| access.community);
        let membership = |community| Membership {
            community,
            class: 1,
        };
        Ok(communities.into_iter().map(membership).collect())
    }

    async fn snapshots(
        &self,
        communities: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>, Failure> {
        let snapshot = |id: &CommunityId| {
            let seats: Vec<ChannelAccess> = self.seats(viewer, *id);
            let first = seats.first();
            let joined_at = first.map_or(viewer.made_at(), |access| access.joined_at);
            let roles = first.map(|access| access.roles.clone()).unwrap_or_default();
            let seen = seats.iter().filter(|a| a.chat.has(Chat::VIEW_CHANNEL));
            Snapshot {
                guild: Guild {
                    default_message_notifications: *self.usual.lock().unwrap(),
                    emojis: self.emojis.lock().unwrap().clone(),
                    ..guild(*id, self.roles.lock().unwrap().clone())
                },
                channels: seen.map(channel).collect(),
                own: Member {
                    roles,
                    ..member(UserId::new(0), joined_at)
                },
                class: 0,
                joined_at,
                member_count: 1,
                rev: 1,
                epoch: 1,
            }
        };
        let is_in = |id: &&CommunityId| !self.seats(viewer, **id).is_empty();
        Ok(communities.iter().filter(is_in).map(snapshot).collect())
    }

    async fn members(
        &self,
        community: CommunityId,
        query: MemberQuery,
    ) -> Result<Vec<Member>, Failure> {
        let MemberQuery::Ids(ids) = query else {
            return Ok(Vec::new());
        };
        assert!(ids.len() <= 100, "as many as the real one takes");
        let known = ids
            .into_iter()
            .filter(|user| !self.seats(*user, community).is_empty());
        Ok(known.map(|user| member(user, user.made_at())).collect())
    }

    async fn share_community(&self, one: UserId, other: UserId) -> Result<bool, Failure> {
        let pair = (one.min(other), one.max(other));
        Ok(!self.strangers.lock().unwrap().contains(&pair))
    }

    async fn install_bot(
        &self,
        _caller: &Caller,
        community: CommunityId,
        _bot: UserId,
        _permissions: Chat,
    ) -> Result<Guild, Failure> {
        Ok(guild(community, Vec::new()))
    }

    async fn uninstall_bot(
        &self,
        _caller: &Caller,
        _community: CommunityId,
        _bot: UserId,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

fn all_of(user: UserId) -> std::ops::RangeInclusive<(UserId, ChannelId)> {
    (user, ChannelId::new(0))..=(user, ChannelId::new(i64::MAX))
}

fn member(user: UserId, joined_at: Timestamp) -> Member {
    Member {
        user: Some(User::unknown(user)),
        nick: None,
        roles: Vec::new(),
        joined_at,
        communication_disabled_until: None,
        flags: 0,
        mute: false,
        deaf: false,
    }
}

fn channel(access: &ChannelAccess) -> Channel {
    Channel {
        id: access.channel,
        kind: access.kind,
        guild_id: access.community,
        name: "oda".to_owned(),
        position: 0,
        parent_id: None,
        topic: None,
        nsfw: false,
        rate_limit_per_user: 0,
        permission_overwrites: Vec::new(),
        last_message_id: None,
        threads: contracts::communities::ThreadSettings::default(),
    }
}

fn guild(id: CommunityId, roles: Vec<Role>) -> Guild {
    Guild {
        id,
        name: "meydan".to_owned(),
        icon: None,
        owner_id: UserId::new(1),
        roles,
        emojis: Vec::new(),
        stickers: Vec::new(),
        features: Vec::new(),
        verification_level: 0,
        default_message_notifications: 0,
        explicit_content_filter: 0,
        mfa_level: 0,
        preferred_locale: "tr".to_owned(),
        nsfw_level: 0,
        premium_tier: 0,
        afk_timeout: 0,
        afk_channel_id: None,
        system_channel_id: None,
        system_channel_flags: 0,
        rules_channel_id: None,
        description: None,
        tags: Vec::new(),
        incidents_data: None,
    }
}
