//! What one viewer sees of communities: read in a few statements, all of one moment.

use std::collections::HashMap;

use contracts::communities::{Channel, Snapshot};
use contracts::identity::User;
use kernel::perm::{Chat, Permissions};
use kernel::{ChannelId, CommunityId, UserId};

use crate::Communities;
use crate::error::{Error, Result};
use crate::model::{
    ChannelRow, CommunityRow, MemberRow, OverwriteRow, RoleRow, channel_object, guild_object,
};
use crate::rights::Rights;
use crate::sql::emojis::EmojiRow;
use crate::sql::{channels, communities, emojis, members, roles};
use crate::templates::{SourceGuild, shape};

/// A community as one member sees it.
pub(crate) struct View {
    pub(crate) community: CommunityRow,
    pub(crate) rights: Rights,
    pub(crate) own: MemberRow,
    pub(crate) emojis: Vec<EmojiRow>,
    channels: Vec<ChannelRow>,
    /// By channel.
    overwrites: HashMap<ChannelId, Vec<OverwriteRow>>,
}

impl View {
    /// The viewer's rights in a channel.
    fn bits(&self, channel: ChannelId, at: jiff::Timestamp) -> Permissions {
        self.rights.in_channel(&self.own, self.of(channel), at)
    }

    fn of(&self, channel: ChannelId) -> &[OverwriteRow] {
        self.overwrites.get(&channel).map_or(&[], Vec::as_slice)
    }

    /// The channels the viewer sees.
    pub(crate) fn visible(&self, at: jiff::Timestamp) -> Vec<Channel> {
        self.channels
            .iter()
            .filter(|row| self.bits(row.id, at).has(Chat::VIEW_CHANNEL))
            .map(|row| channel_object(row, self.of(row.id)))
            .collect()
    }

    /// Its shape, for templates. The viewer may see all of it.
    pub(crate) fn shape(&self) -> SourceGuild {
        let overwrites: Vec<OverwriteRow> = self.overwrites.values().flatten().copied().collect();
        shape(
            &self.community,
            &self.rights.roles,
            &self.channels,
            &overwrites,
        )
    }

    fn snapshot(&self, user: Option<User>, at: jiff::Timestamp) -> Snapshot {
        Snapshot {
            guild: guild_object(&self.community, &self.rights.roles, &self.emojis),
            channels: self.visible(at),
            own: self.own.object(user),
            class: self.own.class,
            joined_at: self.own.joined_at,
            member_count: i64::from(self.community.member_count),
            rev: self.community.rev,
            epoch: self.community.perm_epoch,
        }
    }
}

/// Sorts rows by what they belong to.
fn group<K: std::hash::Hash + Eq, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Vec<T>> {
    let mut groups: HashMap<K, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

impl Communities {
    /// Those of `ids` in which `viewer` is a member.
    pub(crate) async fn views(&self, ids: &[CommunityId], viewer: UserId) -> Result<Vec<View>> {
        let tx = self.db.begin().await?;
        let (_, rows, own, roles, channels, overwrites, emojis) = futures::try_join!(
            communities::read_one_state(&tx),
            communities::list_communities_of_viewer(&tx, viewer, ids),
            members::list_members_of_viewer(&tx, viewer, ids),
            roles::list_roles(&tx, ids),
            channels::list_channels(&tx, ids),
            channels::list_overwrites(&tx, ids),
            emojis::list_emojis(&tx, ids),
        )?;
        tx.commit().await?;
        let mut own: HashMap<CommunityId, MemberRow> =
            own.into_iter().map(|row| (row.community_id, row)).collect();
        let mut roles: HashMap<CommunityId, Vec<RoleRow>> = group(roles, |row| row.community_id);
        let mut channels = group(channels, |row: &ChannelRow| row.community_id);
        let mut emojis = group(emojis, |row: &EmojiRow| row.community_id);
        let mut overwrites = group(overwrites, |row: &OverwriteRow| row.channel_id);
        let views = rows.into_iter().filter_map(|community| {
            let own = own.remove(&community.id)?;
            let channels = channels.remove(&community.id).unwrap_or_default();
            let overwrites = channels
                .iter()
                .filter_map(|row| overwrites.remove_entry(&row.id))
                .collect();
            let rights = Rights {
                community: community.id,
                owner: community.owner_id,
                roles: roles.remove(&community.id).unwrap_or_default(),
            };
            Some(View {
                emojis: emojis.remove(&community.id).unwrap_or_default(),
                community,
                rights,
                own,
                channels,
                overwrites,
            })
        });
        Ok(views.collect())
    }

    /// One community; unknown to those who are not in it.
    pub(crate) async fn view(&self, id: CommunityId, viewer: UserId) -> Result<View> {
        let views = self.views(&[id], viewer).await?;
        views.into_iter().next().ok_or(Error::UnknownCommunity)
    }

    /// Several communities whole, with the viewer's own member.
    pub(crate) async fn snapshots_of(
        &self,
        ids: &[CommunityId],
        viewer: UserId,
    ) -> Result<Vec<Snapshot>> {
        let views = self.views(ids, viewer).await?;
        if views.is_empty() {
            return Ok(Vec::new());
        }
        let user = self.user_or_unknown(viewer).await?;
        let at = self.clock.now();
        Ok(views
            .iter()
            .map(|view| view.snapshot(Some(user.clone()), at))
            .collect())
    }
}
