//! Templates: a community's shape without its people, from which others are made.
//!
//! In a template roles and channels have small numbers of their own; everyone's role is 0. Overwrites
//! for members and roles of applications are left out: they belong to somebody.

use std::collections::HashMap;

use contracts::communities::{ThreadSettings, channel_kind};
use contracts::identity::User;
use jiff::Timestamp;
use kernel::perm::{Chat, Trade};
use kernel::{AnyId, Caller, ChannelId, CommunityId, Once, RoleId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Communities;
use crate::change::{Change, Reason};
use crate::communities::{Blueprint, Made};
use crate::error::{Error, Result};
use crate::invites::{CODE_TRIES, code};
use crate::model::{
    ChannelRow, CommunityRow, CommunitySettings, OverwriteRow, ROLE_HOIST, ROLE_MENTIONABLE,
    RoleRow,
};
use crate::requests::{CreateCommunity, CreateTemplate, UpdateTemplate};
use crate::sql::channels;
use crate::sql::templates::{self, TemplateRow};

/// Longest code that is looked up.
const MAX_CODE: usize = 64;

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

/// A template in the dialect's form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Template)]
pub struct Template {
    /// The code by which it is used.
    pub code: String,
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// How many communities were made from it.
    pub usage_count: i32,
    /// Who made it.
    pub creator_id: UserId,
    /// Who made it.
    pub creator: User,
    /// When it was made.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last brought up to date.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// The community it shows.
    pub source_guild_id: CommunityId,
    /// Its shape.
    pub serialized_source_guild: SourceGuild,
    /// Whether the community looks different by now; null where nobody looked.
    pub is_dirty: Option<bool>,
}

impl Communities {
    /// A template, for anybody who has its code.
    pub async fn template(&self, code: &str) -> Result<Template> {
        let row = self.find_template(code).await?;
        self.template_object(row, None).await
    }

    /// The templates of a community: `MANAGE_GUILD`.
    pub async fn list_templates(
        &self,
        caller: &Caller,
        community: CommunityId,
    ) -> Result<Vec<Template>> {
        self.check_right(caller, community, Chat::MANAGE_GUILD)
            .await?;
        let view = self.view(community, caller.user).await?;
        let now = view.shape();
        let rows = templates::list_templates(&self.db, community).await?;
        let mut list = Vec::with_capacity(rows.len());
        for row in rows {
            list.push(self.template_object(row, Some(&now)).await?);
        }
        Ok(list)
    }

    /// Makes a template of a community: `MANAGE_GUILD`.
    pub async fn create_template(
        &self,
        caller: &Caller,
        community: CommunityId,
        new: CreateTemplate,
    ) -> Result<Template> {
        let new = new.checked()?;
        let creator = self.user_or_unknown(caller.user).await?;
        let change = Change::begin(self, caller.user, community, Reason::default()).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let known = templates::list_templates(&change.tx, community).await?;
        let most = self.limits.templates;
        if known.len() >= most {
            return Err(Error::TooManyTemplates(most));
        }
        let shape = shape_under_lock(&change).await?;
        let mut row = TemplateRow {
            code: String::new(),
            community_id: community,
            creator_id: caller.user,
            name: new.name,
            description: new.description,
            content: serde_json::to_value(&shape)?,
            uses: 0,
            created_at: change.at,
            updated_at: change.at,
        };
        for _ in 0..CODE_TRIES {
            row.code = code(&*self.rng);
            if templates::insert_template(&change.tx, &row).await? == 1 {
                change.finish().await?;
                return Ok(object(row, creator, shape, Some(false)));
            }
        }
        Err(Error::Broken("every template code thrown was taken"))
    }

    /// Brings a template up to date with its community: `MANAGE_GUILD`.
    pub async fn sync_template(
        &self,
        caller: &Caller,
        community: CommunityId,
        code: &str,
    ) -> Result<Template> {
        let (change, mut row) = self.begin_template(caller, community, code).await?;
        let shape = shape_under_lock(&change).await?;
        row.content = serde_json::to_value(&shape)?;
        row.updated_at = change.at;
        self.write_template(change, row, Some(false)).await
    }

    /// Renames a template: `MANAGE_GUILD`.
    pub async fn update_template(
        &self,
        caller: &Caller,
        community: CommunityId,
        code: &str,
        patch: UpdateTemplate,
    ) -> Result<Template> {
        let patch = patch.checked()?;
        let (change, mut row) = self.begin_template(caller, community, code).await?;
        row.name = patch.name.unwrap_or(row.name);
        row.description = patch.description.unwrap_or(row.description);
        self.write_template(change, row, None).await
    }

    /// Deletes a template: `MANAGE_GUILD`.
    pub async fn delete_template(
        &self,
        caller: &Caller,
        community: CommunityId,
        code: &str,
    ) -> Result<Template> {
        let (change, row) = self.begin_template(caller, community, code).await?;
        templates::delete_template(&change.tx, community, code).await?;
        change.finish().await?;
        self.template_object(row, None).await
    }

    /// Makes a community of the caller's from a template.
    pub async fn create_from_template(
        &self,
        caller: &Caller,
        code: &str,
        new: CreateCommunity,
        once: Option<Once>,
    ) -> Result<Made> {
        let new = new.checked()?;
        let row = self.find_template(code).await?;
        let shape = SourceGuild::deserialize(&row.content)?;
        self.make(caller, once, async |tx, id| {
            if templates::use_template(tx, code).await? != 1 {
                return Err(Error::UnknownTemplate);
            }
            self.blueprint(&shape, id, new.name)
        })
        .await
    }

    async fn find_template(&self, code: &str) -> Result<TemplateRow> {
        if code.is_empty() || code.len() > MAX_CODE || code.contains('\0') {
            return Err(Error::UnknownTemplate);
        }
        let found = templates::find_template(&self.db, code).await?;
        found.ok_or(Error::UnknownTemplate)
    }

    async fn begin_template(
        &self,
        caller: &Caller,
        community: CommunityId,
        code: &str,
    ) -> Result<(Change<'_>, TemplateRow)> {
        let change = Change::begin(self, caller.user, community, Reason::default()).await?;
        change.require(Chat::MANAGE_GUILD)?;
        let rows = templates::list_templates(&change.tx, community).await?;
        let row = rows.into_iter().find(|row| row.code == code);
        Ok((change, row.ok_or(Error::UnknownTemplate)?))
    }

    async fn write_template(
        &self,
        change: Change<'_>,
        row: TemplateRow,
        is_dirty: Option<bool>,
    ) -> Result<Template> {
        if templates::update_template(&change.tx, &row).await? != 1 {
            return Err(Error::Broken("a template found under the lock is gone"));
        }
        change.finish().await?;
        let template = self.template_object(row, None).await?;
        Ok(Template {
            is_dirty,
            ..template
        })
    }

    async fn template_object(
        &self,
        row: TemplateRow,
        now: Option<&SourceGuild>,
    ) -> Result<Template> {
        let creator = self.user_or_unknown(row.creator_id).await?;
        let shape = SourceGuild::deserialize(&row.content)?;
        let is_dirty = now.map(|now| *now != shape);
        Ok(object(row, creator, shape, is_dirty))
    }

    /// The rows of a community of this shape, with ids of its own.
    fn blueprint(&self, shape: &SourceGuild, id: CommunityId, name: String) -> Result<Blueprint> {
        let (most_roles, most_channels) = (self.limits.roles, self.limits.channels);
        if shape.roles.len() > most_roles {
            return Err(Error::TooManyRoles(most_roles));
        }
        if shape.channels.len() > most_channels {
            return Err(Error::TooManyChannels(most_channels));
        }
        let mut roles: HashMap<i64, RoleId> = HashMap::new();
        let mut channels: HashMap<i64, ChannelId> = HashMap::new();
        for role in &shape.roles {
            let of_everyone = role.id == 0;
            let new = if of_everyone {
                id.cast()
            } else {
                self.ids.next()?
            };
            roles.insert(role.id, new);
        }
        for channel in &shape.channels {
            channels.insert(channel.id, self.ids.next()?);
        }
        Ok(shape.rows(id, name, &roles, &channels))
    }
}

impl SourceGuild {
    fn rows(
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

fn object(row: TemplateRow, creator: User, shape: SourceGuild, is_dirty: Option<bool>) -> Template {
    Template {
        code: row.code,
        name: row.name,
        description: row.description,
        usage_count: row.uses,
        creator_id: row.creator_id,
        creator,
        created_at: row.created_at,
        updated_at: row.updated_at,
        source_guild_id: row.community_id,
        serialized_source_guild: shape,
        is_dirty,
    }
}

async fn shape_under_lock(change: &Change<'_>) -> Result<SourceGuild> {
    let ids = [change.community.id];
    let (rows, overwrites) = futures::try_join!(
        channels::list_channels(&change.tx, &ids),
        channels::list_overwrites(&change.tx, &ids),
    )?;
    Ok(shape(
        &change.community,
        &change.rights.roles,
        &rows,
        &overwrites,
    ))
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
