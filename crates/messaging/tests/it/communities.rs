//! Communities in a map: who may do what where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use contracts::communities::{
    ChannelAccess, Compiled, Guild, Member, MemberQuery, Membership, Role, Snapshot,
};
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, Failure, RoleId, UserId};

/// What tests put in.
#[derive(Default)]
pub(crate) struct Rights {
    pub(crate) access: Mutex<BTreeMap<(UserId, ChannelId), ChannelAccess>>,
    pub(crate) strangers: Mutex<BTreeSet<(UserId, UserId)>>,
    pub(crate) roles: Mutex<Vec<Role>>,
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
            position: 1,
            color: 0,
            hoist: false,
            managed: false,
            mentionable: false,
        });
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

    async fn compiled(&self, _community: CommunityId) -> Result<Option<Compiled>, Failure> {
        Ok(None)
    }

    async fn memberships(&self, _user: UserId) -> Result<Vec<Membership>, Failure> {
        Ok(Vec::new())
    }

    async fn snapshots(
        &self,
        communities: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>, Failure> {
        let snapshot = |id: &CommunityId| Snapshot {
            guild: guild(*id, self.roles.lock().unwrap().clone()),
            channels: Vec::new(),
            own: Member {
                user: None,
                nick: None,
                roles: Vec::new(),
                joined_at: viewer.made_at(),
                communication_disabled_until: None,
                flags: 0,
                mute: false,
                deaf: false,
            },
            class: 0,
            joined_at: viewer.made_at(),
            member_count: 1,
            rev: 1,
            epoch: 1,
        };
        Ok(communities.iter().map(snapshot).collect())
    }

    async fn members(
        &self,
        _community: CommunityId,
        _query: MemberQuery,
    ) -> Result<Vec<Member>, Failure> {
        Ok(Vec::new())
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
    }
}
