//! Members: list, find, change, give roles, remove.

use std::collections::HashMap;

use contracts::communities::Member;
use contracts::identity::User;
use infra::fanout::Control;
use kernel::perm::Chat;
use kernel::{Caller, CommunityId, RoleId, UserId};
use serde_json::{Value, json};

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{self, MemberPayload, Told, UserPayload, intent};
use crate::model::{MemberRow, changes};
use crate::quarantine;
use crate::requests::UpdateMember;
use crate::rights::Rights;
use crate::sql::{channels, members, roles};

/// Most users identity is asked for at once.
pub(crate) const USERS_AT_ONCE: usize = 500;
/// Most members a page holds.
const MAX_PAGE: u16 = 1_000;
/// How many members a search by name looks at. Usernames belong to identity and are not copied, so
/// a larger community finds by username only among its first members, by nickname among all.
const SCANNED: usize = 10_000;

/// Which roles a member has from now on.
enum Roles {
    With(RoleId),
    Without(RoleId),
}

impl Communities {
    /// A page of members by user id.
    pub async fn list_members(
        &self,
        caller: &Caller,
        community: CommunityId,
        after: Option<UserId>,
        limit: u16,
    ) -> Result<Vec<Member>> {
        self.check_member(caller, community).await?;
        let after = after.unwrap_or(UserId::new(0));
        let limit = i64::from(limit.clamp(1, MAX_PAGE));
        let rows = members::list_members_after(&self.db, community, after, limit).await?;
        self.with_users(&rows).await
    }

    /// Members whose username or nickname begins with a text.
    pub async fn search_members(
        &self,
        caller: &Caller,
        community: CommunityId,
        text: &str,
        limit: u16,
    ) -> Result<Vec<Member>> {
        self.check_member(caller, community).await?;
        self.find_members(community, text, limit).await
    }

    /// One member.
    pub async fn member(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
    ) -> Result<Member> {
        self.check_member(caller, community).await?;
        let rows = members::list_members_by_ids(&self.db, community, &[user]).await?;
        let members = self.with_users(&rows).await?;
        members.into_iter().next().ok_or(Error::UnknownMember)
    }

    /// The community is unknown to those who are not in it.
    pub(crate) async fn check_member(&self, caller: &Caller, id: CommunityId) -> Result<()> {
        let rows = members::list_members_by_ids(&self.db, id, &[caller.user]).await?;
        if rows.is_empty() {
            return Err(Error::UnknownCommunity);
        }
        Ok(())
    }

    /// Members with their users; order is kept.
    pub(crate) async fn with_users(&self, rows: &[MemberRow]) -> Result<Vec<Member>> {
        let mut users: HashMap<UserId, User> = HashMap::with_capacity(rows.len());
        for part in rows.chunks(USERS_AT_ONCE) {
            let ids: Vec<UserId> = part.iter().map(|row| row.user_id).collect();
            let found = self.identity.users(&ids).await?;
            users.extend(found.into_iter().map(|user| (user.id, user)));
        }
        Ok(rows
            .iter()
            .map(|row| {
                let user = users.remove(&row.user_id);
                row.object(Some(user.unwrap_or_else(|| User::unknown(row.user_id))))
            })
            .collect())
    }

    /// By beginning of username or nickname, in ASCII lower case, by user id.
    pub(crate) async fn find_members(
        &self,
        community: CommunityId,
        text: &str,
        limit: u16,
    ) -> Result<Vec<Member>> {
        let limit = usize::from(limit.clamp(1, MAX_PAGE));
        let text = text.to_ascii_lowercase();
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        if text.is_empty() {
            let first = UserId::new(0);
            let rows = members::list_members_after(&self.db, community, first, most).await?;
            return self.with_users(&rows).await;
        }
        let by_nick = members::list_members_by_nick(&self.db, community, &text, most).await?;
        let mut found: HashMap<UserId, Member> = HashMap::new();
        for (row, member) in by_nick.iter().zip(self.with_users(&by_nick).await?) {
            found.insert(row.user_id, member);
        }
        let mut after = UserId::new(0);
        for _ in 0..SCANNED / USERS_AT_ONCE {
            let page = i64::try_from(USERS_AT_ONCE).unwrap_or(i64::MAX);
            let rows = members::list_members_after(&self.db, community, after, page).await?;
            let Some(last) = rows.last() else { break };
            after = last.user_id;
            for (row, member) in rows.iter().zip(self.with_users(&rows).await?) {
                let name = member.user.as_ref().map(|user| user.username.as_str());
                if name.is_some_and(|name| name.to_ascii_lowercase().starts_with(&text)) {
                    found.entry(row.user_id).or_insert(member);
                }
            }
            if rows.len() < USERS_AT_ONCE || found.len() >= limit {
                break;
            }
        }
        let mut found: Vec<(UserId, Member)> = found.into_iter().collect();
        found.sort_unstable_by_key(|(user, _)| *user);
        found.truncate(limit);
        Ok(found.into_iter().map(|(_, member)| member).collect())
    }

    /// Changes a member's nickname, roles or time-out; each asks for its own right.
    pub async fn update_member(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        patch: UpdateMember,
        reason: Reason,
    ) -> Result<Member> {
        let patch = patch.checked(self.clock.now(), self.limits.roles)?;
        let card = self.user_or_unknown(user).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        let before = change.member(user).await?;
        let mut after = before.clone();
        if let Some(nick) = patch.nick
            && nick != before.nick
        {
            check_nick(&change, &before)?;
            after.nick = nick;
        }
        if let Some(until) = patch.communication_disabled_until
            && until != before.timeout_until
        {
            change.require(Chat::MODERATE_MEMBERS)?;
            change.rights.check_above(change.me()?, &before)?;
            // A moment that has passed is the end of a time-out.
            after.timeout_until = until.filter(|until| *until > change.at);
        }
        match patch.quarantined {
            Some(true) => quarantine::begin(&change, &mut after)?,
            Some(false) => quarantine::end(&change, &mut after)?,
            None => {}
        }
        if let Some(roles) = patch.roles {
            check_free(&after)?;
            check_roles(&change, &before.role_ids, &roles)?;
            after.role_ids = roles;
        }
        let member = after.object(Some(card));
        if after == before {
            change.drop_all().await?;
            return Ok(member);
        }
        write(&mut change, &before, &mut after, &member).await?;
        change.finish().await?;
        Ok(member)
    }

    /// Gives a role; nothing happens when the member has it.
    pub async fn add_role(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        role: RoleId,
        reason: Reason,
    ) -> Result<()> {
        self.change_role(caller, community, user, Roles::With(role), reason)
            .await
    }

    /// Takes a role; nothing happens when the member does not have it.
    pub async fn remove_role(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        role: RoleId,
        reason: Reason,
    ) -> Result<()> {
        self.change_role(caller, community, user, Roles::Without(role), reason)
            .await
    }

    async fn change_role(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        wanted: Roles,
        reason: Reason,
    ) -> Result<()> {
        let card = self.user_or_unknown(user).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_ROLES)?;
        let before = change.member(user).await?;
        check_free(&before)?;
        let mut after = before.clone();
        let role = match wanted {
            Roles::With(role) => {
                after.role_ids.push(role);
                after.role_ids.sort_unstable();
                after.role_ids.dedup();
                role
            }
            Roles::Without(role) => {
                after.role_ids.retain(|id| *id != role);
                role
            }
        };
        check_role(&change.rights, change.me()?, role)?;
        if after == before {
            return change.drop_all().await;
        }
        let member = after.object(Some(card));
        write(&mut change, &before, &mut after, &member).await?;
        change.finish().await
    }

    /// Removes a member: KICK_MEMBERS, and the member must be below.
    pub async fn kick_member(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        reason: Reason,
    ) -> Result<()> {
        let card = self.user_or_unknown(user).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::KICK_MEMBERS)?;
        let member = change.member(user).await?;
        change.rights.check_above(change.me()?, &member)?;
        remove(&mut change, &member, &card, "kicked").await?;
        change.audit(Action::MemberKick, user, None)?;
        change.finish().await
    }
}

/// A member in quarantine has no roles until it ends.
fn check_free(member: &MemberRow) -> Result<()> {
    match member.quarantined_roles {
        Some(_) => Err(Error::Quarantined),
        None => Ok(()),
    }
}

fn check_nick(change: &Change<'_>, member: &MemberRow) -> Result<()> {
    if member.user_id == change.caller {
        let base = change.base()?;
        if base.has(Chat::CHANGE_NICKNAME) || base.has(Chat::MANAGE_NICKNAMES) {
            return Ok(());
        }
        return Err(Error::MissingPermission(Chat::CHANGE_NICKNAME));
    }
    change.require(Chat::MANAGE_NICKNAMES)?;
    change.rights.check_above(change.me()?, member)
}

/// Every role that comes or goes must be one the caller may give.
fn check_roles(change: &Change<'_>, before: &[RoleId], after: &[RoleId]) -> Result<()> {
    let differs = |one: &[RoleId], other: &[RoleId]| -> Vec<RoleId> {
        one.iter()
            .copied()
            .filter(|id| !other.contains(id))
            .collect()
    };
    let mut changed = differs(after, before);
    changed.extend(differs(before, after));
    if changed.is_empty() {
        return Ok(());
    }
    change.require(Chat::MANAGE_ROLES)?;
    for role in changed {
        check_role(&change.rights, change.me()?, role)?;
    }
    Ok(())
}

fn check_role(rights: &Rights, me: &MemberRow, role: RoleId) -> Result<()> {
    let role = rights.role(role)?;
    if role.is_everyone() || role.is_managed() {
        return Err(Error::FixedRole);
    }
    rights.check_role_below(me, role)
}

/// Writes a changed member and tells of it. `after.class` is found here.
pub(crate) async fn write(
    change: &mut Change<'_>,
    before: &MemberRow,
    after: &mut MemberRow,
    member: &Member,
) -> Result<()> {
    let user = after.user_id;
    if after.role_ids != before.role_ids {
        after.class = class_of(change, &after.role_ids).await?;
        if channels::overwrites_name_members(&change.tx, change.community.id, &[user]).await? {
            change.raise_epoch()?;
        }
    }
    if members::update_member(&change.tx, after).await? != 1 {
        return Err(Error::Broken("a member found under the lock is gone"));
    }
    if after.class != before.class {
        roles::delete_empty_classes(&change.tx, change.community.id, &[before.class]).await?;
        tell_class(change, user, after.class);
    }
    let shown = |row: &MemberRow| {
        json!({
            "nick": row.nick,
            "communication_disabled_until": row.timeout_until,
            "quarantined": row.quarantined_roles.is_some(),
        })
    };
    if let Some(list) = changes(&shown(before), &shown(after)) {
        change.audit(Action::MemberUpdate, user, Some(list))?;
    }
    if after.role_ids != before.role_ids {
        let list = role_changes(&change.rights, before, after);
        change.audit(Action::MemberRoleUpdate, user, Some(list))?;
    }
    tell_update(change, user, member)
}

/// The class of a set of roles; made when it is new, which rights must learn of.
pub(crate) async fn class_of(change: &mut Change<'_>, role_ids: &[RoleId]) -> Result<i32> {
    let community = change.community.id;
    if let Some(class) = roles::find_class(&change.tx, community, role_ids).await? {
        return Ok(class);
    }
    let class = change.community.next_class;
    change.community.next_class = class.saturating_add(1);
    roles::insert_class(&change.tx, community, class, role_ids).await?;
    change.raise_epoch()?;
    Ok(class)
}

/// Roles given and taken, as the dialect's audit log writes them.
fn role_changes(rights: &Rights, before: &MemberRow, after: &MemberRow) -> Value {
    let side = |key: &str, one: &[RoleId], other: &[RoleId]| {
        let list: Vec<Value> = one
            .iter()
            .filter(|id| !other.contains(id))
            .map(|id| json!({ "id": id, "name": rights.role(*id).map(|role| role.name.as_str()).ok() }))
            .collect();
        (!list.is_empty()).then(|| json!({ "key": key, "new_value": list }))
    };
    let list: Vec<Value> = [
        side("$add", &after.role_ids, &before.role_ids),
        side("$remove", &before.role_ids, &after.role_ids),
    ]
    .into_iter()
    .flatten()
    .collect();
    Value::Array(list)
}

/// Another class applies to a member.
pub(crate) fn tell_class(change: &mut Change<'_>, user: UserId, class: i32) {
    let community = change.community.id;
    change.order(Control::ClassChanged {
        community,
        user,
        class,
    });
}

/// Tells the others by intent, and the member in any case.
fn tell_update(change: &mut Change<'_>, user: UserId, member: &Member) -> Result<()> {
    let guild_id = change.community.id;
    let payload = MemberPayload { guild_id, member };
    let told = Told::all("GUILD_MEMBER_UPDATE", intent::MEMBERS).but(user);
    change.tell(told, &payload)?;
    change.tell_user(user, "GUILD_MEMBER_UPDATE", &payload)?;
    change.event(
        events::MEMBER_UPDATED,
        json!({ "community_id": guild_id, "user_id": user }),
    )
}

/// Takes a member out, with the role of a bot; tells everybody.
pub(crate) async fn remove(
    change: &mut Change<'_>,
    member: &MemberRow,
    user: &User,
    how: &'static str,
) -> Result<()> {
    remove_all(change, &[(member.clone(), user.clone())], how).await?;
    if let Some(role) = change.rights.role_of_bot(member.user_id).cloned() {
        crate::roles::remove(change, &role).await?;
    }
    Ok(())
}

/// Takes several members out, none of them a bot with a role of its own; tells everybody.
pub(crate) async fn remove_all(
    change: &mut Change<'_>,
    gone: &[(MemberRow, User)],
    how: &'static str,
) -> Result<()> {
    let guild_id = change.community.id;
    let users: Vec<UserId> = gone.iter().map(|(member, _)| member.user_id).collect();
    let count = members::delete_members(&change.tx, guild_id, &users).await?;
    if usize::try_from(count) != Ok(gone.len()) {
        return Err(Error::Broken("a member found under the lock is gone"));
    }
    let left = i32::try_from(count).unwrap_or(i32::MAX);
    change.community.member_count = change.community.member_count.saturating_sub(left);
    let mut classes: Vec<i32> = gone.iter().map(|(member, _)| member.class).collect();
    classes.sort_unstable();
    classes.dedup();
    roles::delete_empty_classes(&change.tx, guild_id, &classes).await?;
    if channels::overwrites_name_members(&change.tx, guild_id, &users).await? {
        change.raise_epoch()?;
    }
    for (member, user) in gone {
        change.order_user(member.user_id, Control::Left(guild_id));
        let told = Told::all("GUILD_MEMBER_REMOVE", intent::MEMBERS).but(member.user_id);
        change.tell(told, &UserPayload { guild_id, user })?;
        change.event(
            events::MEMBER_LEFT,
            json!({ "community_id": guild_id, "user_id": member.user_id, "how": how, "bot": user.bot }),
        )?;
    }
    Ok(())
}

/// Puts a member in; tells everybody but the member, who gets the whole community.
pub(crate) async fn insert(change: &mut Change<'_>, member: &MemberRow, user: &User) -> Result<()> {
    let community = change.community.id;
    members::insert_member(&change.tx, member).await?;
    change.community.member_count = change.community.member_count.saturating_add(1);
    // Overwrites outlive their member, so that leaving does not lift them.
    if channels::overwrites_name_members(&change.tx, community, &[member.user_id]).await? {
        change.raise_epoch()?;
    }
    change.order_user(member.user_id, Control::Joined(community));
    let object = member.object(Some(user.clone()));
    let payload = MemberPayload {
        guild_id: community,
        member: &object,
    };
    let told = Told::all("GUILD_MEMBER_ADD", intent::MEMBERS).but(member.user_id);
    change.tell(told, &payload)?;
    change.event(
        events::MEMBER_JOINED,
        json!({ "community_id": community, "user_id": member.user_id, "bot": user.bot }),
    )
}
