//! Bans: who may not come back.

use contracts::identity::User;
use kernel::perm::Chat;
use kernel::{Caller, CommunityId, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{Told, UserPayload, intent};
use crate::requests::BulkBanRequest;
use crate::sql::{bans, members};

// Those hear of bans who may list them.
const TOLD_BANNED: Told = Told::all("GUILD_BAN_ADD", intent::MODERATION).needs(Chat::BAN_MEMBERS);
const TOLD_UNBANNED: Told =
    Told::all("GUILD_BAN_REMOVE", intent::MODERATION).needs(Chat::BAN_MEMBERS);

/// Somebody who may not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Ban)]
pub struct Ban {
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub user: User,
}

/// Where a page of bans begins or ends.
#[derive(Debug, Clone, Copy)]
pub enum BanFrom {
    /// Those right above a user id.
    After(UserId),
    /// Those right below a user id.
    Before(UserId),
}

/// What became of a ban of many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::BulkBan)]
pub struct BulkBan {
    /// Banned now.
    pub banned_users: Vec<UserId>,
    /// Left as they were: banned before, not below the caller, or no users.
    pub failed_users: Vec<UserId>,
}

impl Communities {
    /// Bans a user, member or not: BAN_MEMBERS, and a member must be below. Repeatable.
    pub async fn ban_user(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        reason: Reason,
    ) -> Result<()> {
        let card = self.user(user).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::BAN_MEMBERS)?;
        let card = card.ok_or(Error::UnknownUser)?;
        let member = members::find_member(&change.tx, community, user).await?;
        if let Some(member) = &member {
            change.rights.check_above(change.me()?, member)?;
        }
        let reason = change.reason.0.as_deref();
        let by = caller.user;
        let banned =
            bans::insert_bans(&change.tx, community, &[user], by, reason, change.at).await?;
        if banned.is_empty() {
            return change.drop_all().await;
        }
        if let Some(member) = &member {
            crate::members::remove(&mut change, member, &card, "banned").await?;
        }
        tell_banned(&mut change, &card)?;
        change.finish().await
    }

    /// Bans up to 200 users at once: `BAN_MEMBERS` and `MANAGE_GUILD`. Who is banned already, is not
    /// below the caller or does not exist is left as it is.
    pub async fn ban_users(
        &self,
        caller: &Caller,
        community: CommunityId,
        request: BulkBanRequest,
        reason: Reason,
    ) -> Result<BulkBan> {
        let asked = request.checked()?;
        let cards = self.identity.users(&asked).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::BAN_MEMBERS)?;
        change.require(Chat::MANAGE_GUILD)?;
        let found = members::list_members_by_ids(&change.tx, community, &asked).await?;
        let me = change.me()?;
        let may = |user: &User| {
            let member = found.iter().find(|member| member.user_id == user.id);
            member.is_none_or(|member| change.rights.check_above(me, member).is_ok())
        };
        let cards: Vec<User> = cards.into_iter().filter(may).collect();
        let users: Vec<UserId> = cards.iter().map(|user| user.id).collect();
        let why = change.reason.0.as_deref();
        let mut banned =
            bans::insert_bans(&change.tx, community, &users, caller.user, why, change.at).await?;
        if banned.is_empty() {
            return Err(Error::NobodyBanned);
        }
        banned.sort_unstable();
        for user in cards.iter().filter(|user| banned.contains(&user.id)) {
            if let Some(member) = found.iter().find(|member| member.user_id == user.id) {
                crate::members::remove(&mut change, member, user, "banned").await?;
            }
            tell_banned(&mut change, user)?;
        }
        change.finish().await?;
        let failed = asked.into_iter().filter(|user| !banned.contains(user));
        Ok(BulkBan {
            failed_users: failed.collect(),
            banned_users: banned,
        })
    }

    /// Lifts a ban: BAN_MEMBERS.
    pub async fn unban_user(
        &self,
        caller: &Caller,
        community: CommunityId,
        user: UserId,
        reason: Reason,
    ) -> Result<()> {
        let card = self.user_or_unknown(user).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::BAN_MEMBERS)?;
        if bans::delete_ban(&change.tx, community, user).await? == 0 {
            return Err(Error::UnknownBan);
        }
        change.audit(Action::BanRemove, user, None)?;
        let payload = UserPayload {
            guild_id: community,
            user: &card,
        };
        change.tell(TOLD_UNBANNED, &payload)?;
        change.finish().await
    }

    /// A page of bans, lowest user id first: BAN_MEMBERS.
    pub async fn list_bans(
        &self,
        caller: &Caller,
        community: CommunityId,
        from: BanFrom,
        limit: u16,
    ) -> Result<Vec<Ban>> {
        self.check_right(caller, community, Chat::BAN_MEMBERS)
            .await?;
        let limit = i64::from(limit.clamp(1, 1_000));
        let rows = match from {
            BanFrom::After(user) => bans::list_bans_after(&self.db, community, user, limit).await?,
            BanFrom::Before(user) => {
                bans::list_bans_before(&self.db, community, user, limit).await?
            }
        };
        self.with_cards(rows).await
    }

    /// One ban: BAN_MEMBERS.
    pub async fn ban(&self, caller: &Caller, community: CommunityId, user: UserId) -> Result<Ban> {
        self.check_right(caller, community, Chat::BAN_MEMBERS)
            .await?;
        let row = bans::find_ban(&self.db, community, user).await?;
        let bans = self.with_cards(row.into_iter().collect()).await?;
        bans.into_iter().next().ok_or(Error::UnknownBan)
    }

    /// Refuses a caller who lacks a right apart from channels; for reading.
    pub(crate) async fn check_right(
        &self,
        caller: &Caller,
        community: CommunityId,
        needed: Chat,
    ) -> Result<()> {
        let view = self.view(community, caller.user).await?;
        if view.rights.base(&view.own, self.clock.now()).has(needed) {
            Ok(())
        } else {
            Err(Error::MissingPermission(needed))
        }
    }

    async fn with_cards(&self, rows: Vec<bans::BanRow>) -> Result<Vec<Ban>> {
        let mut users = std::collections::HashMap::new();
        for part in rows.chunks(500) {
            let ids: Vec<UserId> = part.iter().map(|row| row.user_id).collect();
            for user in self.identity.users(&ids).await? {
                users.insert(user.id, user);
            }
        }
        Ok(rows
            .into_iter()
            .map(|row| Ban {
                reason: row.reason,
                user: users
                    .remove(&row.user_id)
                    .unwrap_or_else(|| User::unknown(row.user_id)),
            })
            .collect())
    }
}

fn tell_banned(change: &mut Change<'_>, user: &User) -> Result<()> {
    change.audit(Action::BanAdd, user.id, None)?;
    let payload = UserPayload {
        guild_id: change.community.id,
        user,
    };
    change.tell(TOLD_BANNED, &payload)
}
