//! What other contexts ask of this one.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use contracts::communities::{
    ChannelAccess, Compiled, Guild, Member, MemberQuery, Membership, Snapshot,
};
use kernel::failure::INVALID_REQUEST;
use kernel::perm::{Chat, Overwrite, Permissions, Place, Standing, evaluate, evaluate_in};
use kernel::{Caller, ChannelId, CommunityId, Failure, FieldError, RoleId, UserId};

use crate::Communities;
use crate::compile::{Graph, compile};
use crate::model::{stored, target};
use crate::sql::communities::AccessRow;
use crate::sql::{channels, communities, members, roles};

/// Most channels, or communities, of one call.
const MAX_ASKED: usize = 200;
/// Most users of one call.
const MAX_USERS: usize = 100;
/// How long the rights of a deleted channel stay compiled, so that its deletion can be told.
const DELETED_STAYS: Duration = Duration::from_secs(3600);

#[async_trait]
impl contracts::Communities for Communities {
    async fn access(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<ChannelAccess>, Failure> {
        bounded(channels.len(), MAX_ASKED)?;
        let rows = communities::list_access(&self.db, user, channels).await?;
        let at = self.clock.now();
        Ok(rows.into_iter().map(|row| access(row, user, at)).collect())
    }

    async fn compiled(&self, community: CommunityId) -> Result<Option<Compiled>, Failure> {
        match self.graph(community).await? {
            Some(graph) => Ok(Some(compile(graph).await)),
            None => Ok(None),
        }
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, Failure> {
        let limit = self.limits.communities_per_user;
        let rows = communities::list_memberships(&self.db, user, limit).await?;
        Ok(rows
            .into_iter()
            .map(|row| Membership {
                community: row.community_id,
                class: row.class,
            })
            .collect())
    }

    async fn snapshots(
        &self,
        communities: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>, Failure> {
        bounded(communities.len(), MAX_ASKED)?;
        Ok(self.snapshots_of(communities, viewer).await?)
    }

    async fn members(
        &self,
        community: CommunityId,
        query: MemberQuery,
    ) -> Result<Vec<Member>, Failure> {
        let rows = match query {
            MemberQuery::Ids(ids) => {
                bounded(ids.len(), MAX_USERS)?;
                members::list_members_by_ids(&self.db, community, &ids).await?
            }
            MemberQuery::Prefix { text, limit } => {
                return Ok(self.find_members(community, &text, limit).await?);
            }
            MemberQuery::After { after, limit } => {
                let limit = i64::from(limit.clamp(1, 1_000));
                members::list_members_after(&self.db, community, after, limit).await?
            }
        };
        Ok(self.with_users(&rows).await?)
    }

    async fn share_community(&self, one: UserId, other: UserId) -> Result<bool, Failure> {
        Ok(communities::share_community(&self.db, one, other).await?)
    }

    async fn install_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
        permissions: Chat,
    ) -> Result<Guild, Failure> {
        Ok(self.add_bot(caller, community, bot, permissions).await?)
    }

    async fn uninstall_bot(
        &self,
        caller: &Caller,
        community: CommunityId,
        bot: UserId,
    ) -> Result<(), Failure> {
        Ok(self.remove_bot(caller, community, bot).await?)
    }
}

fn bounded(asked: usize, most: usize) -> Result<(), Failure> {
    if asked <= most {
        return Ok(());
    }
    let detail = format!("at most {most} may be asked for at once");
    Err(INVALID_REQUEST
        .fail()
        .field(FieldError::new("", "TOO_LONG", detail)))
}

pub(crate) fn access(row: AccessRow, user: UserId, at: jiff::Timestamp) -> ChannelAccess {
    let roles: Vec<(RoleId, Permissions)> = row
        .role_ids
        .iter()
        .copied()
        .zip(stored_pairs(&row.role_chats, &row.role_trades))
        .collect();
    let targets = row.target_kinds.iter().zip(&row.target_ids);
    let allows = stored_pairs(&row.allows, &row.trade_allows);
    let denies = stored_pairs(&row.denies, &row.trade_denies);
    let overwrites: Vec<Overwrite> = targets
        .zip(allows.zip(denies))
        .map(|((kind, id), (allow, deny))| Overwrite {
            target: target(*kind, *id),
            allow,
            deny,
        })
        .collect();
    let standing = Standing {
        community: row.community_id,
        user,
        owner: row.owner_id == user,
        everyone: stored(row.everyone, row.everyone_trade),
        roles: &roles,
        timed_out: row.quarantined || row.timeout_until.is_some_and(|until| until > at),
    };
    let here = evaluate(&standing, &overwrites);
    ChannelAccess {
        channel: row.id,
        kind: row.kind,
        community: row.community_id,
        chat: here.chat,
        trade: here.trade,
        thread_chat: evaluate_in(&standing, &overwrites, Place::Thread).chat,
        class: row.class,
        epoch: row.perm_epoch,
        slowmode_s: row.slowmode_s,
        roles: row.role_ids,
        nick: row.nick,
        joined_at: row.joined_at,
        timeout_until: row.timeout_until,
    }
}

fn stored_pairs(chats: &[i64], trades: &[i64]) -> impl Iterator<Item = Permissions> {
    chats
        .iter()
        .zip(trades)
        .map(|(chat, trade)| stored(*chat, *trade))
}

impl Communities {
    /// All that decides over rights in a community, of one moment.
    async fn graph(&self, id: CommunityId) -> crate::error::Result<Option<Graph>> {
        let deleted_since = self.clock.now() - DELETED_STAYS;
        let tx = self.db.begin().await?;
        let ids = [id];
        let (_, community, roles, classes, listed, overwrites, named) = futures::try_join!(
            communities::read_one_state(&tx),
            communities::find_community(&tx, id),
            roles::list_roles(&tx, &ids),
            roles::list_classes(&tx, id),
            channels::list_channels_to_compile(&tx, id, deleted_since),
            channels::list_overwrites(&tx, &ids),
            members::list_named_members(&tx, id),
        )?;
        tx.commit().await?;
        let Some(community) = community else {
            return Ok(None);
        };
        let mut by_channel: HashMap<ChannelId, Vec<Overwrite>> = HashMap::new();
        for row in &overwrites {
            let list = by_channel.entry(row.channel_id).or_default();
            list.push(row.overwrite());
        }
        Ok(Some(Graph {
            community: id,
            owner: community.owner_id,
            epoch: community.perm_epoch,
            rev: community.rev,
            roles: roles.iter().map(|row| (row.id, row.rights())).collect(),
            classes: classes
                .into_iter()
                .map(|row| (row.id, row.role_ids))
                .collect(),
            channels: listed
                .into_iter()
                .map(|channel| (channel, by_channel.remove(&channel).unwrap_or_default()))
                .collect(),
            named: named
                .into_iter()
                .map(|row| (row.user_id, row.role_ids))
                .collect(),
        }))
    }
}
