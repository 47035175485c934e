//! What a channel changes for a role or a member.

use kernel::perm::{Chat, Overwrite, Permissions};
use kernel::{AnyId, Caller, ChannelId, UserId};
use serde_json::json;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, Told, intent};
use crate::model::{ChannelRow, OverwriteRow, changes, channel_object};
use crate::requests::{MAX_OVERWRITES, PutOverwrite};
use crate::rights::check_held;
use crate::sql::{channels, members};

impl Communities {
    /// Adds or replaces an overwrite: MANAGE_ROLES in the channel, and every right that differs.
    pub async fn put_overwrite(
        &self,
        caller: &Caller,
        channel: ChannelId,
        target: AnyId,
        put: PutOverwrite,
        reason: Reason,
    ) -> Result<()> {
        let object = put.checked(target)?;
        let (mut change, row, before, held) =
            Change::of_channel(self, caller.user, channel, reason).await?;
        if !held.has(Chat::MANAGE_ROLES) {
            return Err(Error::MissingPermission(Chat::MANAGE_ROLES));
        }
        let mut after: Vec<OverwriteRow> = before
            .iter()
            .copied()
            .filter(|overwrite| overwrite.target_id != target)
            .collect();
        after.push(OverwriteRow::of(channel, &object));
        after.sort_unstable_by_key(|row| (row.target_kind, row.target_id));
        replace(&mut change, &row, &before, &after, held).await?;
        if after == before {
            return change.drop_all().await;
        }
        tell_update(&mut change, &row, &after)?;
        change.finish().await
    }

    /// Takes an overwrite away.
    pub async fn delete_overwrite(
        &self,
        caller: &Caller,
        channel: ChannelId,
        target: AnyId,
        reason: Reason,
    ) -> Result<()> {
        let (mut change, row, before, held) =
            Change::of_channel(self, caller.user, channel, reason).await?;
        if !held.has(Chat::MANAGE_ROLES) {
            return Err(Error::MissingPermission(Chat::MANAGE_ROLES));
        }
        let after: Vec<OverwriteRow> = before
            .iter()
            .copied()
            .filter(|overwrite| overwrite.target_id != target)
            .collect();
        if after.len() == before.len() {
            return Err(Error::UnknownOverwrite);
        }
        replace(&mut change, &row, &before, &after, held).await?;
        tell_update(&mut change, &row, &after)?;
        change.finish().await
    }
}

fn tell_update(
    change: &mut Change<'_>,
    row: &ChannelRow,
    overwrites: &[OverwriteRow],
) -> Result<()> {
    let object = channel_object(row, overwrites);
    let told = Told::all("CHANNEL_UPDATE", intent::GUILDS).of(row.id);
    change.tell(told, &object)?;
    change.event(
        events::CHANNEL_UPDATED,
        json!({ "community_id": row.community_id, "channel_id": row.id }),
    )
}

/// Checks and writes a channel's new list of overwrites; raises the epoch when it differs.
///
/// `held` are the caller's rights in the channel: whatever differs must be among them. Taking from
/// somebody asks to stand above them as well; giving does not, so that an application can open a
/// channel for people above it.
pub(crate) async fn replace(
    change: &mut Change<'_>,
    row: &ChannelRow,
    before: &[OverwriteRow],
    after: &[OverwriteRow],
    held: Permissions,
) -> Result<()> {
    if after.len() > MAX_OVERWRITES {
        let detail = "the channel has as many overwrites as it may have";
        return Err(Error::field("/permission_overwrites", "TOO_LONG", detail));
    }
    let find = |list: &[OverwriteRow], id: AnyId| list.iter().copied().find(|o| o.target_id == id);
    let mut targets: Vec<AnyId> = before.iter().chain(after).map(|o| o.target_id).collect();
    targets.sort_unstable();
    targets.dedup();
    targets.retain(|id| find(before, *id) != find(after, *id));
    if targets.is_empty() {
        return Ok(());
    }
    let known = known_members(change, &targets).await?;
    for id in &targets {
        let (old, new) = (find(before, *id), find(after, *id));
        check(change, old, new, held, &known)?;
        let object = |row: Option<OverwriteRow>| match row {
            Some(row) => json!(row.object()),
            None => json!({}),
        };
        let list = changes(&object(old), &object(new));
        let action = match (old, new) {
            (None, _) => Action::OverwriteCreate,
            (Some(_), Some(_)) => Action::OverwriteUpdate,
            (Some(_), None) => Action::OverwriteDelete,
        };
        let of = new.or(old);
        let role = of.and_then(|of| change.rights.role(of.target_id.cast()).ok());
        // Stock libraries take an entry without these for a mistake.
        let options = json!({
            "id": id,
            "type": of.map(|of| of.target_kind.to_string()),
            "role_name": role.map(|role| role.name.as_str()),
        });
        let target = Some(row.id.cast());
        change.audit_with(action, target, list, Some(options))?;
    }
    let (put, gone): (Vec<AnyId>, Vec<AnyId>) =
        targets.iter().partition(|id| find(after, **id).is_some());
    if !gone.is_empty() {
        channels::delete_overwrites(&change.tx, row.id, &gone).await?;
    }
    let put: Vec<OverwriteRow> = put.iter().filter_map(|id| find(after, *id)).collect();
    if !put.is_empty() {
        channels::put_overwrites(&change.tx, row.id, &put).await?;
    }
    change.raise_epoch()
}

async fn known_members(
    change: &Change<'_>,
    targets: &[AnyId],
) -> Result<Vec<crate::model::MemberRow>> {
    let users: Vec<UserId> = targets.iter().map(|id| id.cast()).collect();
    Ok(members::list_members_by_ids(&change.tx, change.community.id, &users).await?)
}

fn check(
    change: &Change<'_>,
    before: Option<OverwriteRow>,
    after: Option<OverwriteRow>,
    held: Permissions,
    known: &[crate::model::MemberRow],
) -> Result<()> {
    let Some(target) = after.or(before) else {
        return Ok(());
    };
    let sides = |row: Option<OverwriteRow>| match row.map(|row| row.overwrite()) {
        Some(Overwrite { allow, deny, .. }) => (allow, deny),
        None => (Permissions::NONE, Permissions::NONE),
    };
    let ((old_allow, old_deny), (new_allow, new_deny)) = (sides(before), sides(after));
    check_held(held, old_allow, new_allow)?;
    check_held(held, old_deny, new_deny)?;
    let takes = new_deny.without(old_deny) | old_allow.without(new_allow);
    let me = change.me()?;
    if target.target_kind == 0 {
        let found = change.rights.role(target.target_id.cast());
        // An overwrite may outlive its role only by a mistake of ours; it may always be removed.
        let role = match (found, after) {
            (Ok(role), _) => role,
            (Err(_), None) => return Ok(()),
            (Err(error), Some(_)) => return Err(error),
        };
        if takes != Permissions::NONE {
            change.rights.check_role_below(me, role)?;
        }
        return Ok(());
    }
    let user: UserId = target.target_id.cast();
    match known.iter().find(|member| member.user_id == user) {
        Some(member) if takes != Permissions::NONE && user != change.caller => {
            change.rights.check_above(me, member)
        }
        Some(_) => Ok(()),
        // Who left keeps the overwrite, so that coming back does not lift it; nobody else gets one.
        None if before.is_none() => Err(Error::UnknownMember),
        None => Ok(()),
    }
}
