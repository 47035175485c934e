//! The trait over the maps.

use async_trait::async_trait;
use contracts::Communities;
use contracts::communities::{
    ChannelAccess, Compiled, Guild, Member, MemberQuery, Membership, Snapshot,
};
use contracts::identity::User;
use kernel::failure::{INVALID_REQUEST, NOT_FOUND};
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, Failure, RoleId, UserId};

use super::{Community, FIRST_ROLE, FakeCommunities, MAX_ASKED};

#[async_trait]
impl Communities for FakeCommunities {
    async fn access(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<ChannelAccess>, Failure> {
        let state = self.present()?;
        if channels.len() > MAX_ASKED {
            return Err(INVALID_REQUEST.fail());
        }
        let mut found = Vec::new();
        for community in state.communities.values() {
            for id in channels {
                let channel = community.channels.get(id);
                found.extend(channel.and_then(|channel| community.access(user, channel)));
            }
        }
        Ok(found)
    }

    async fn compiled(&self, community: CommunityId) -> Result<Option<Compiled>, Failure> {
        let state = self.present()?;
        Ok(state.communities.get(&community).map(Community::compiled))
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, Failure> {
        let state = self.present()?;
        let mut found = Vec::new();
        for (id, community) in &state.communities {
            if let Some(known) = community.members.get(&user) {
                found.push(Membership {
                    community: *id,
                    class: community.class(&known.member.roles),
                });
            }
        }
        found.truncate(MAX_ASKED);
        Ok(found)
    }

    async fn snapshots(
        &self,
        communities: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>, Failure> {
        let state = self.present()?;
        if communities.len() > MAX_ASKED {
            return Err(INVALID_REQUEST.fail());
        }
        Ok(communities
            .iter()
            .filter_map(|id| state.communities.get(id)?.snapshot(viewer))
            .collect())
    }

    async fn members(
        &self,
        community: CommunityId,
        query: MemberQuery,
    ) -> Result<Vec<Member>, Failure> {
        let state = self.present()?;
        let Some(community) = state.communities.get(&community) else {
            return Ok(Vec::new());
        };
        let all = community.members.iter();
        Ok(match query {
            MemberQuery::Ids(ids) => all
                .filter(|(user, _)| ids.contains(user))
                .map(|(_, known)| known.member.clone())
                .collect(),
            MemberQuery::Prefix { text, limit } => {
                let text = text.to_ascii_lowercase();
                let begins = |name: &str| name.to_ascii_lowercase().starts_with(&text);
                all.filter(|(_, known)| {
                    begins(&known.username) || known.member.nick.as_deref().is_some_and(begins)
                })
                .take(usize::from(limit))
                .map(|(_, known)| known.member.clone())
                .collect()
            }
            MemberQuery::After { after, limit } => all
                .filter(|(user, _)| **user > after)
                .take(usize::from(limit))
                .map(|(_, known)| known.member.clone())
                .collect(),
        })
    }

    async fn share_community(&self, one: UserId, other: UserId) -> Result<bool, Failure> {
        let state = self.present()?;
        Ok(state.communities.values().any(|community| {
            community.members.contains_key(&one) && community.members.contains_key(&other)
        }))
    }

    async fn install_bot(
        &self,
        caller: &Caller,
        id: CommunityId,
        bot: UserId,
        permissions: Chat,
    ) -> Result<Guild, Failure> {
        {
            let state = self.present()?;
            let community = state.communities.get(&id).ok_or_else(|| NOT_FOUND.fail())?;
            community.may_manage(caller.user, permissions)?;
        }
        let place = self
            .lock()
            .communities
            .get(&id)
            .map_or(0, |c| c.bot_roles.len());
        let next = RoleId::new(FIRST_ROLE.saturating_add(i64::try_from(place).unwrap_or(0)));
        let mut role_id = next;
        self.change(id, |community| {
            role_id = *community.bot_roles.entry(bot).or_insert(next);
        });
        self.put_role(id, role_id, permissions, 1);
        let is_member = self
            .lock()
            .communities
            .get(&id)
            .is_some_and(|community| community.members.contains_key(&bot));
        if !is_member {
            let mut user = User::unknown(bot);
            user.bot = true;
            self.join(id, &user);
        }
        self.edit_member(id, bot, |member| member.roles = vec![role_id]);
        let state = self.lock();
        let community = state.communities.get(&id).ok_or_else(|| NOT_FOUND.fail())?;
        Ok(community.guild.clone())
    }

    async fn uninstall_bot(
        &self,
        caller: &Caller,
        id: CommunityId,
        bot: UserId,
    ) -> Result<(), Failure> {
        {
            let state = self.present()?;
            let community = state.communities.get(&id).ok_or_else(|| NOT_FOUND.fail())?;
            if caller.user != bot {
                community.may_manage(caller.user, Chat::NONE)?;
            }
            if !community.members.contains_key(&bot) {
                return Err(NOT_FOUND.fail());
            }
        }
        self.change(id, |community| {
            community.members.remove(&bot);
            if let Some(role) = community.bot_roles.remove(&bot) {
                community.guild.roles.retain(|known| known.id != role);
                community.epoch += 1;
            }
        });
        Ok(())
    }
}
