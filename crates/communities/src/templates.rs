//! Templates: a community's shape without its people, from which others are made.
//!
//! In a template roles and channels have small numbers of their own; everyone's role is 0. Overwrites
//! for members and roles of applications are left out: they belong to somebody.

mod shape;

use std::collections::HashMap;

use contracts::identity::User;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, Once, RoleId, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use shape::shape;
pub use shape::{SourceChannel, SourceGuild, SourceOverwrite, SourceRole};

use crate::Communities;
use crate::change::{Change, Reason};
use crate::communities::{Blueprint, Made};
use crate::error::{Error, Result};
use crate::invites::{CODE_TRIES, code};
use crate::requests::{CreateCommunity, CreateTemplate, UpdateTemplate};
use crate::sql::channels;
use crate::sql::templates::{self, TemplateRow};

/// Longest code that is looked up.
const MAX_CODE: usize = 64;

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
