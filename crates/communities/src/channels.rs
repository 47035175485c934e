//! Channels of communities: list, read, make, change, delete.

use contracts::communities::{Channel, ThreadSettings, channel_kind};
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, EmojiId};
use serde_json::json;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, Told, intent};
use crate::model::{ChannelRow, OverwriteRow, changes, channel_object};
use crate::overwrites::replace;
use crate::requests::{CreateChannel, ThreadsRequest, UpdateChannel};
use crate::sql::{channels, communities, emojis, invites};

impl Communities {
    /// The channels of a community that the caller sees.
    pub async fn list_channels(
        &self,
        caller: &Caller,
        community: CommunityId,
    ) -> Result<Vec<Channel>> {
        let view = self.view(community, caller.user).await?;
        Ok(view.visible(self.clock.now()))
    }

    /// One channel of a community; others, private ones among them, are unknown here.
    pub async fn channel(&self, caller: &Caller, id: ChannelId) -> Result<Channel> {
        let community = communities::find_community_of_channel(&self.db, id)
            .await?
            .ok_or(Error::UnknownChannel)?;
        let view = match self.view(community, caller.user).await {
            Err(Error::UnknownCommunity) => return Err(Error::UnknownChannel),
            other => other?,
        };
        let mut visible = view.visible(self.clock.now()).into_iter();
        visible
            .find(|channel| channel.id == id)
            .ok_or(Error::UnknownChannel)
    }

    /// Makes a channel: MANAGE_CHANNELS; with overwrites MANAGE_ROLES and the rights in them.
    pub async fn create_channel(
        &self,
        caller: &Caller,
        community: CommunityId,
        new: CreateChannel,
        reason: Reason,
    ) -> Result<Channel> {
        let new = new.checked()?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_CHANNELS)?;
        let known = channels::list_channels(&change.tx, &[community]).await?;
        let most = self.limits.channels;
        if known.len() >= most {
            return Err(Error::TooManyChannels(most));
        }
        check_parent(&known, new.parent_id)?;
        let last = known.iter().map(|channel| channel.position).max();
        let mut row = ChannelRow {
            id: self.ids.next()?,
            community_id: community,
            parent_id: new.parent_id,
            kind: new.kind.unwrap_or(channel_kind::TEXT),
            position: new
                .position
                .unwrap_or_else(|| last.map_or(0, |last| last.saturating_add(1))),
            name: new.name,
            topic: new.topic,
            nsfw: new.nsfw.unwrap_or(false),
            slowmode_s: new.rate_limit_per_user.unwrap_or(0),
            settings: json!({}),
        };
        let threads = self.threads(&change, &row, new.threads).await?;
        row.settings = serde_json::to_value(threads)?;
        channels::insert_channel(&change.tx, &row).await?;
        // A new channel is not in what was compiled before.
        change.raise_epoch()?;
        let overwrites = rows_of(row.id, new.permission_overwrites.as_deref());
        if !overwrites.is_empty() {
            change.require(Chat::MANAGE_ROLES)?;
            let held = change.base()?;
            replace(&mut change, &row, &[], &overwrites, held).await?;
        }
        let object = channel_object(&row, &overwrites);
        change.audit(Action::ChannelCreate, row.id, changes(&json!({}), &object))?;
        let told = Told::all("CHANNEL_CREATE", intent::GUILDS).of(row.id);
        change.tell(told, &object)?;
        change.event(
            events::CHANNEL_CREATED,
            json!({ "community_id": community, "channel_id": row.id, "kind": row.kind }),
        )?;
        change.finish().await?;
        Ok(object)
    }

    /// Changes a channel: MANAGE_CHANNELS in it; a new list of overwrites also MANAGE_ROLES.
    pub async fn update_channel(
        &self,
        caller: &Caller,
        id: ChannelId,
        patch: UpdateChannel,
        reason: Reason,
    ) -> Result<Channel> {
        let patch = patch.checked()?;
        let (mut change, before, old, held) =
            Change::of_channel(self, caller.user, id, reason).await?;
        if !held.has(Chat::MANAGE_CHANNELS) {
            return Err(Error::MissingPermission(Chat::MANAGE_CHANNELS));
        }
        if let Some(Some(parent)) = patch.parent_id {
            let known = channels::list_channels(&change.tx, &[before.community_id]).await?;
            check_parent(&known, Some(parent))?;
            if before.kind == channel_kind::CATEGORY {
                return Err(Error::ChannelKind);
            }
        }
        let mut overwrites = old.clone();
        if patch.permission_overwrites.is_some() {
            overwrites = rows_of(id, patch.permission_overwrites.as_deref());
            if overwrites != old && !held.has(Chat::MANAGE_ROLES) {
                return Err(Error::MissingPermission(Chat::MANAGE_ROLES));
            }
            replace(&mut change, &before, &old, &overwrites, held).await?;
        }
        let threads = self
            .threads(&change, &before, patch.threads.clone())
            .await?;
        let mut after = apply(before.clone(), patch)?;
        after.settings = serde_json::to_value(threads)?;
        let object = channel_object(&after, &overwrites);
        if after == before && overwrites == old {
            change.drop_all().await?;
            return Ok(object);
        }
        if after != before {
            if channels::update_channel(&change.tx, &after).await? != 1 {
                return Err(Error::Broken("a channel found under the lock is gone"));
            }
            let list = changes(&channel_object(&before, &[]), &channel_object(&after, &[]));
            change.audit(Action::ChannelUpdate, id, list)?;
        }
        tell_update(&mut change, &object)?;
        change.finish().await?;
        Ok(object)
    }

    /// Deletes a channel: MANAGE_CHANNELS in it. What stood under a category stands under nothing.
    pub async fn delete_channel(
        &self,
        caller: &Caller,
        id: ChannelId,
        reason: Reason,
    ) -> Result<Channel> {
        let (mut change, row, overwrites, held) =
            Change::of_channel(self, caller.user, id, reason).await?;
        if !held.has(Chat::MANAGE_CHANNELS) {
            return Err(Error::MissingPermission(Chat::MANAGE_CHANNELS));
        }
        if row.kind == channel_kind::CATEGORY {
            orphan_children(&mut change, &row).await?;
        }
        invites::delete_invites_of_channel(&change.tx, row.community_id, id).await?;
        channels::delete_channel(&change.tx, row.community_id, id, change.at).await?;
        let object = channel_object(&row, &overwrites);
        change.audit(Action::ChannelDelete, id, changes(&object, &json!({})))?;
        let told = Told::all("CHANNEL_DELETE", intent::GUILDS).of(id);
        change.tell(told, &object)?;
        change.event(
            events::CHANNEL_DELETED,
            json!({ "community_id": row.community_id, "channel_id": id }),
        )?;
        change.finish().await?;
        Ok(object)
    }
}

impl Communities {
    /// What a request says about threads, over what the channel says already. New tags get ids.
    async fn threads(
        &self,
        change: &Change<'_>,
        row: &ChannelRow,
        asked: ThreadsRequest,
    ) -> Result<ThreadSettings> {
        asked.fits(row.kind)?;
        let before = row.threads();
        let known = before.available_tags.clone().unwrap_or_default();
        let tags = match asked.available_tags.clone() {
            None => None,
            Some(tags) => {
                let mut list = Vec::with_capacity(tags.len());
                for tag in tags {
                    let kept = tag.id.filter(|id| known.iter().any(|one| one.id == *id));
                    let id = match kept {
                        Some(id) => id,
                        None => self.ids.next()?,
                    };
                    list.push(tag.object(id));
                }
                Some(list)
            }
        };
        let after = asked.over(before, tags);
        let named: Vec<EmojiId> = after
            .available_tags
            .iter()
            .flatten()
            .filter_map(|tag| tag.emoji_id)
            .chain(
                after
                    .default_reaction_emoji
                    .iter()
                    .filter_map(|one| one.emoji_id),
            )
            .collect();
        if !named.is_empty() && after != row.threads() {
            let emojis = emojis::list_emojis(&change.tx, &[row.community_id]).await?;
            if named
                .iter()
                .any(|id| !emojis.iter().any(|emoji| emoji.id == *id))
            {
                return Err(Error::UnknownEmoji);
            }
        }
        Ok(after)
    }
}

fn tell_update(change: &mut Change<'_>, object: &Channel) -> Result<()> {
    let told = Told::all("CHANNEL_UPDATE", intent::GUILDS).of(object.id);
    change.tell(told, object)?;
    change.event(
        events::CHANNEL_UPDATED,
        json!({ "community_id": object.guild_id, "channel_id": object.id }),
    )
}

async fn orphan_children(change: &mut Change<'_>, category: &ChannelRow) -> Result<()> {
    let known = channels::list_channels(&change.tx, &[category.community_id]).await?;
    let children: Vec<ChannelRow> = known
        .into_iter()
        .filter(|row| row.parent_id == Some(category.id))
        .map(|row| ChannelRow {
            parent_id: None,
            ..row
        })
        .collect();
    if children.is_empty() {
        return Ok(());
    }
    let ids: Vec<ChannelId> = children.iter().map(|row| row.id).collect();
    let overwrites = channels::list_overwrites_of_channels(&change.tx, &ids).await?;
    channels::move_channels(&change.tx, category.community_id, &children).await?;
    for child in &children {
        tell_update(change, &channel_object(child, &overwrites))?;
    }
    Ok(())
}

fn rows_of(
    channel: ChannelId,
    list: Option<&[crate::requests::OverwriteRequest]>,
) -> Vec<OverwriteRow> {
    let mut rows: Vec<OverwriteRow> = list
        .unwrap_or_default()
        .iter()
        .map(|request| OverwriteRow::of(channel, &request.object()))
        .collect();
    rows.sort_unstable_by_key(|row| (row.target_kind, row.target_id));
    rows
}

fn check_parent(known: &[ChannelRow], parent: Option<ChannelId>) -> Result<()> {
    let Some(parent) = parent else { return Ok(()) };
    let is_category = known
        .iter()
        .any(|row| row.id == parent && row.kind == channel_kind::CATEGORY);
    if is_category {
        Ok(())
    } else {
        let detail = "no category of this community";
        Err(Error::field("/parent_id", "NOT_FOUND", detail))
    }
}

fn apply(mut row: ChannelRow, patch: UpdateChannel) -> Result<ChannelRow> {
    if let Some(kind) = patch.kind
        && kind != row.kind
    {
        let talk = [channel_kind::TEXT, channel_kind::ANNOUNCEMENT];
        if !talk.contains(&kind) || !talk.contains(&row.kind) {
            return Err(Error::ChannelKind);
        }
        row.kind = kind;
    }
    if let Some(name) = patch.name {
        row.name = name;
    }
    if let Some(topic) = patch.topic {
        row.topic = topic;
    }
    if let Some(parent) = patch.parent_id {
        row.parent_id = parent;
    }
    row.nsfw = patch.nsfw.unwrap_or(row.nsfw);
    row.slowmode_s = patch.rate_limit_per_user.unwrap_or(row.slowmode_s);
    row.position = patch.position.unwrap_or(row.position);
    Ok(row)
}
