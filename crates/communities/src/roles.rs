//! Roles: list, make, change, move, delete.

use std::collections::BTreeMap;

use contracts::communities::Role;
use kernel::perm::{Chat, Permissions};
use kernel::{Caller, CommunityId, RoleId};
use serde_json::json;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, RoleGonePayload, RolePayload, Told, intent};
use crate::members::tell_class;
use crate::model::{ROLE_HOIST, ROLE_MENTIONABLE, RoleRow, changes};
use crate::requests::{MoveRole, RoleRequest, checked_moves};
use crate::rights::check_held;
use crate::sql::{channels, emojis, roles};

impl Communities {
    /// The roles of a community, everyone's first.
    pub async fn list_roles(&self, caller: &Caller, community: CommunityId) -> Result<Vec<Role>> {
        self.check_member(caller, community).await?;
        let rows = roles::list_roles(&self.db, &[community]).await?;
        Ok(rows.iter().map(RoleRow::object).collect())
    }

    /// How many members have each role but everyone's.
    pub async fn role_counts(
        &self,
        caller: &Caller,
        community: CommunityId,
    ) -> Result<BTreeMap<RoleId, i64>> {
        self.check_member(caller, community).await?;
        let rows = roles::count_members_by_role(&self.db, community).await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.role_id, row.members))
            .collect())
    }

    /// Makes a role below all others: MANAGE_ROLES, and every right it gives.
    pub async fn create_role(
        &self,
        caller: &Caller,
        community: CommunityId,
        new: RoleRequest,
        reason: Reason,
    ) -> Result<Role> {
        let new = new.checked()?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_ROLES)?;
        let most = self.limits.roles;
        if change.rights.roles.len() >= most {
            return Err(Error::TooManyRoles(most));
        }
        let everyone = change.rights.role(community.cast())?.rights();
        let asked = new.rights(Permissions::NONE);
        check_held(change.base()?, Permissions::NONE, asked)?;
        let mut row = RoleRow {
            id: self.ids.next()?,
            community_id: community,
            name: "new role".to_owned(),
            position: 1,
            colour: 0,
            flags: 0,
            chat: new.permissions.unwrap_or(everyone.chat).to_stored(),
            trade: asked.trade.to_stored(),
            bot_id: None,
        };
        apply(&mut row, &new);
        let role = insert(&mut change, &row).await?;
        change.finish().await?;
        Ok(role)
    }

    /// Changes a role that is below the caller's highest, or everyone's rights.
    pub async fn update_role(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: RoleId,
        patch: RoleRequest,
        reason: Reason,
    ) -> Result<Role> {
        let patch = patch.checked()?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_ROLES)?;
        let before = change.rights.role(id)?.clone();
        change.rights.check_role_below(change.me()?, &before)?;
        let mut after = before.clone();
        apply(&mut after, &patch);
        let wanted = patch.rights(before.rights());
        check_held(change.base()?, before.rights(), wanted)?;
        after.set_rights(wanted);
        let everyone_differs = RoleRow {
            chat: before.chat,
            trade: before.trade,
            ..after.clone()
        } != before;
        if before.is_everyone() && everyone_differs {
            return Err(Error::FixedRole);
        }
        let role = after.object();
        if after == before {
            change.drop_all().await?;
            return Ok(role);
        }
        update(&mut change, &before, &after).await?;
        change.finish().await?;
        Ok(role)
    }

    /// Gives several roles new places; all of them, before and after, below the caller's highest.
    pub async fn move_roles(
        &self,
        caller: &Caller,
        community: CommunityId,
        moves: Vec<MoveRole>,
        reason: Reason,
    ) -> Result<Vec<Role>> {
        checked_moves(&moves, self.limits.roles)?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_ROLES)?;
        let me = change.me()?.clone();
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        let mut pairs = Vec::new();
        for MoveRole { id, position } in moves {
            let before = change.rights.role(id)?.clone();
            let Some(position) = position.filter(|new| *new != before.position) else {
                continue;
            };
            if before.is_everyone() {
                return Err(Error::FixedRole);
            }
            let after = RoleRow {
                position,
                ..before.clone()
            };
            change.rights.check_role_below(&me, &before)?;
            change.rights.check_role_below(&me, &after)?;
            ids.push(id);
            positions.push(position);
            pairs.push((before, after));
        }
        if pairs.is_empty() {
            let roles = change.rights.roles.iter().map(RoleRow::object).collect();
            change.drop_all().await?;
            return Ok(roles);
        }
        roles::move_roles(&change.tx, community, &ids, &positions).await?;
        for (before, after) in &pairs {
            tell_update(&mut change, before, after)?;
        }
        let rows = roles::list_roles(&change.tx, &[community]).await?;
        change.finish().await?;
        Ok(rows.iter().map(RoleRow::object).collect())
    }

    /// Deletes a role; members and channels lose it.
    pub async fn delete_role(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: RoleId,
        reason: Reason,
    ) -> Result<()> {
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_ROLES)?;
        let row = change.rights.role(id)?.clone();
        if row.is_everyone() || row.is_managed() {
            return Err(Error::FixedRole);
        }
        change.rights.check_role_below(change.me()?, &row)?;
        remove(&mut change, &row).await?;
        change.finish().await
    }
}

fn apply(row: &mut RoleRow, request: &RoleRequest) {
    if let Some(name) = &request.name {
        row.name.clone_from(name);
    }
    if let Some(colour) = request.color {
        row.colour = colour;
    }
    for (flag, wanted) in [
        (ROLE_HOIST, request.hoist),
        (ROLE_MENTIONABLE, request.mentionable),
    ] {
        match wanted {
            Some(true) => row.flags |= flag,
            Some(false) => row.flags &= !flag,
            None => {}
        }
    }
}

/// Writes a new role. Nobody has it yet, so no rights change.
pub(crate) async fn insert(change: &mut Change<'_>, row: &RoleRow) -> Result<Role> {
    let guild_id = change.community.id;
    roles::insert_role(&change.tx, row).await?;
    let role = row.object();
    let list = changes(&json!({}), &role);
    change.audit(Action::RoleCreate, row.id, list)?;
    let payload = RolePayload {
        guild_id,
        role: &role,
    };
    change.tell(Told::all("GUILD_ROLE_CREATE", intent::GUILDS), &payload)?;
    change.event(
        events::ROLE_CREATED,
        json!({ "community_id": guild_id, "role_id": row.id }),
    )?;
    Ok(role)
}

/// Writes a changed role.
pub(crate) async fn update(
    change: &mut Change<'_>,
    before: &RoleRow,
    after: &RoleRow,
) -> Result<()> {
    if roles::update_role(&change.tx, after).await? != 1 {
        return Err(Error::Broken("a role found under the lock is gone"));
    }
    if after.rights() != before.rights() {
        change.raise_epoch()?;
    }
    tell_update(change, before, after)
}

fn tell_update(change: &mut Change<'_>, before: &RoleRow, after: &RoleRow) -> Result<()> {
    let guild_id = change.community.id;
    let role = after.object();
    let list = changes(&before.object(), &role);
    change.audit(Action::RoleUpdate, after.id, list)?;
    let payload = RolePayload {
        guild_id,
        role: &role,
    };
    change.tell(Told::all("GUILD_ROLE_UPDATE", intent::GUILDS), &payload)?;
    change.event(
        events::ROLE_UPDATED,
        json!({ "community_id": guild_id, "role_id": after.id }),
    )
}

/// Takes a role out of classes, overwrites and the list.
pub(crate) async fn remove(change: &mut Change<'_>, row: &RoleRow) -> Result<()> {
    let community = change.community.id;
    let moved = roles::merge_members_without_role(&change.tx, community, row.id).await?;
    roles::delete_merged_classes(&change.tx, community, row.id).await?;
    roles::shrink_classes(&change.tx, community, row.id).await?;
    channels::delete_overwrites_of_role(&change.tx, row.id).await?;
    let of_emojis = emojis::drop_role(&change.tx, community, row.id).await?;
    if roles::delete_role(&change.tx, community, row.id).await? != 1 {
        return Err(Error::Broken("a role found under the lock is gone"));
    }
    change.raise_epoch()?;
    for member in moved {
        tell_class(change, member.user_id, member.class);
    }
    let list = changes(&row.object(), &json!({}));
    change.audit(Action::RoleDelete, row.id, list)?;
    let payload = RoleGonePayload {
        guild_id: community,
        role_id: row.id,
    };
    change.tell(Told::all("GUILD_ROLE_DELETE", intent::GUILDS), &payload)?;
    change.event(
        events::ROLE_DELETED,
        json!({ "community_id": community, "role_id": row.id }),
    )?;
    if of_emojis > 0 {
        crate::emojis::tell(change).await?;
    }
    Ok(())
}
