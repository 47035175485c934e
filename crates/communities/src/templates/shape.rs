//! The shape of a community as a template keeps it, and the rows it becomes.

use std::collections::HashMap;

use contracts::communities::{ThreadSettings, channel_kind};
use kernel::perm::{Chat, Trade};
use kernel::{AnyId, ChannelId, CommunityId, RoleId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::communities::Blueprint;
use crate::model::{
    ChannelRow, CommunityRow, CommunitySettings, OverwriteRow, ROLE_HOIST, ROLE_MENTIONABLE,
    RoleRow,
};

/// A role in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::SourceRole)]
pub struct SourceRole {
    /// Its number here; 0 is everyone's.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Rights.
    pub permissions: Chat,
    /// Rights of trade.
    pub trade_permissions: Trade,
    /// RGB.
    pub color: i32,
    /// Shown apart in the member list.
    pub hoist: bool,
    /// Whether everyone may mention it.
    pub mentionable: bool,
}

/// What a channel of a template changes for a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::SourceOverwrite)]
pub struct SourceOverwrite {
    /// The role's number here.
    pub id: i64,
    /// Always 0: a role.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Rights given.
    pub allow: Chat,
    /// Rights taken.
    pub deny: Chat,
    /// Rights of trade given.
    pub trade_allow: Trade,
    /// Rights of trade taken.
    pub trade_deny: Trade,
}

/// A channel in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::SourceChannel)]
pub struct SourceChannel {
    /// Its number here.
    pub id: i64,
    /// Kind.
    #[serde(rename = "type")]
    pub kind: i16,
    /// Name.
    pub name: String,
    /// Order among its siblings.
    pub position: i32,
    /// What it is about.
    pub topic: Option<String>,
    /// The category it stands under.
    pub parent_id: Option<i64>,
    /// Whether it is for adults.
    pub nsfw: bool,
    /// Seconds a member waits between messages.
    pub rate_limit_per_user: i32,
    /// Overwrites of roles.
    pub permission_overwrites: Vec<SourceOverwrite>,
    /// What it says about its threads.
    #[serde(flatten)]
    pub threads: ThreadSettings,
}

/// The shape of a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = communities::SourceGuild)]
pub struct SourceGuild {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// Verification level.
    pub verification_level: i32,
    /// 0 = all messages notify, 1 = mentions only.
    pub default_message_notifications: i32,
    /// Filter for explicit media.
    pub explicit_content_filter: i32,
    /// Language tag.
    pub preferred_locale: String,
    /// Seconds until a member counts as away in voice.
    pub afk_timeout: i32,
    /// Voice channel for the away.
    pub afk_channel_id: Option<i64>,
    /// Where system messages go.
    pub system_channel_id: Option<i64>,
    /// Which system messages are off.
    pub system_channel_flags: i32,
    /// Roles, everyone's first.
    pub roles: Vec<SourceRole>,
    /// Channels, categories among them.
    pub channels: Vec<SourceChannel>,
}

impl SourceGuild {
    pub(super) fn rows(
        &self,
        id: CommunityId,
        name: String,
        roles: &HashMap<i64, RoleId>,
        channels: &HashMap<i64, ChannelId>,
    ) -> Blueprint {
        let channel = |number: Option<i64>| number.and_then(|one| channels.get(&one).copied());
        let settings = CommunitySettings {
            description: self.description.clone(),
            verification_level: self.verification_level,
            default_message_notifications: self.default_message_notifications,
            explicit_content_filter: self.explicit_content_filter,
            preferred_locale: self.preferred_locale.clone(),
            afk_timeout: self.afk_timeout,
            afk_channel_id: channel(self.afk_channel_id),
            system_channel_id: channel(self.system_channel_id),
            system_channel_flags: self.system_channel_flags,
            ..CommunitySettings::default()
        };
        let role_rows = (0..).zip(&self.roles).filter_map(|(position, role)| {
            let new = *roles.get(&role.id)?;
            Some(role.row(new, id, position))
        });
        let channel_rows = self.channels.iter().filter_map(|one| {
            let new = channel(Some(one.id))?;
            Some(one.row(new, id, channel(one.parent_id)))
        });
        let overwrites = self.channels.iter().flat_map(|one| {
            let of = channel(Some(one.id));
            let all = one.permission_overwrites.iter();
            all.filter_map(move |overwrite| overwrite.row(of?, *roles.get(&overwrite.id)?))
        });
        Blueprint {
            name,
            settings,
            roles: role_rows.collect(),
            channels: channel_rows.collect(),
            overwrites: overwrites.collect(),
        }
    }
}

impl SourceRole {
    fn row(&self, id: RoleId, community: CommunityId, position: i32) -> RoleRow {
        let flag = |set: bool, flag: i32| if set { flag } else { 0 };
        RoleRow {
            id,
            community_id: community,
            name: self.name.clone(),
            position,
            colour: self.color,
            flags: flag(self.hoist, ROLE_HOIST) | flag(self.mentionable, ROLE_MENTIONABLE),
            chat: self.permissions.to_stored(),
            trade: self.trade_permissions.to_stored(),
            bot_id: None,
        }
    }
}

impl SourceChannel {
    fn row(&self, id: ChannelId, community: CommunityId, parent: Option<ChannelId>) -> ChannelRow {
        ChannelRow {
            id,
            community_id: community,
            parent_id: parent,
            kind: self.kind,
            position: self.position,
            name: self.name.clone(),
            topic: self.topic.clone(),
            nsfw: self.nsfw,
            slowmode_s: self.rate_limit_per_user,
            settings: serde_json::to_value(&self.threads).unwrap_or_default(),
        }
    }
}

impl SourceOverwrite {
    fn row(&self, channel: ChannelId, role: RoleId) -> Option<OverwriteRow> {
        Some(OverwriteRow {
            channel_id: channel,
            target_kind: 0,
            target_id: role.cast(),
            chat_allow: self.allow.to_stored(),
            chat_deny: self.deny.to_stored(),
            trade_allow: self.trade_allow.to_stored(),
            trade_deny: self.trade_deny.to_stored(),
        })
    }
}

/// The shape of a community. Emoji are images of its own and stay behind.
pub(crate) fn shape(
    community: &CommunityRow,
    roles: &[RoleRow],
    channels: &[ChannelRow],
    overwrites: &[OverwriteRow],
) -> SourceGuild {
    let settings = CommunitySettings::of(community);
    let kept: Vec<&RoleRow> = roles.iter().filter(|role| !role.is_managed()).collect();
    let role_numbers: HashMap<AnyId, i64> =
        kept.iter().map(|role| role.id.cast()).zip(0..).collect();
    let numbers: HashMap<ChannelId, i64> =
        channels.iter().map(|channel| channel.id).zip(1..).collect();
    let number = |id: Option<ChannelId>| id.and_then(|id| numbers.get(&id).copied());
    let of_role = |row: &OverwriteRow| {
        let object = row.object();
        Some(SourceOverwrite {
            id: *role_numbers.get(&row.target_id)?,
            kind: 0,
            allow: object.allow,
            deny: object.deny,
            trade_allow: object.trade_allow,
            trade_deny: object.trade_deny,
        })
    };
    SourceGuild {
        name: community.name.clone(),
        description: settings.description,
        verification_level: settings.verification_level,
        default_message_notifications: settings.default_message_notifications,
        explicit_content_filter: settings.explicit_content_filter,
        preferred_locale: settings.preferred_locale,
        afk_timeout: settings.afk_timeout,
        afk_channel_id: number(settings.afk_channel_id),
        system_channel_id: number(settings.system_channel_id),
        system_channel_flags: settings.system_channel_flags,
        roles: (0..)
            .zip(&kept)
            .map(|(number, role)| SourceRole {
                id: number,
                name: role.name.clone(),
                permissions: role.rights().chat,
                trade_permissions: role.rights().trade,
                color: role.colour,
                hoist: role.flags & ROLE_HOIST != 0,
                mentionable: role.flags & ROLE_MENTIONABLE != 0,
            })
            .collect(),
        channels: (1..)
            .zip(channels)
            .map(|(id, row)| SourceChannel {
                id,
                kind: row.kind,
                name: row.name.clone(),
                position: row.position,
                topic: row.topic.clone(),
                parent_id: number(row.parent_id),
                nsfw: row.nsfw,
                rate_limit_per_user: row.slowmode_s,
                permission_overwrites: overwrites
                    .iter()
                    .filter(|overwrite| overwrite.channel_id == row.id)
                    .filter(|overwrite| overwrite.target_kind == 0)
                    .filter_map(of_role)
                    .collect(),
                threads: portable(row.threads(), row.kind),
            })
            .collect(),
    }
}

/// Without emoji of the community, which do not go along.
fn portable(mut threads: ThreadSettings, kind: i16) -> ThreadSettings {
    if kind == channel_kind::FORUM {
        for tag in threads.available_tags.iter_mut().flatten() {
            tag.emoji_id = None;
        }
        let own = |one: &contracts::communities::DefaultReaction| one.emoji_id.is_some();
        threads.default_reaction_emoji = threads.default_reaction_emoji.filter(|one| !own(one));
    }
    threads
}
