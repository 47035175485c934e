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
use crate::sql::members;

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
            members::insert_ban(&change.tx, community, user, by, reason, change.at).await?;
        if banned == 0 {
            return change.drop_all().await;
        }
        if let Some(member) = &member {
            crate::members::remove(&mut change, member, &card, "banned").await?;
        }
        change.audit(Action::BanAdd, user, None)?;
        let payload = UserPayload {
            guild_id: community,
            user: &card,
        };
        change.tell(TOLD_BANNED, &payload)?;
        change.finish().await
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
        if members::delete_ban(&change.tx, community, user).await? == 0 {
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

    /// A page of bans by user id: BAN_MEMBERS.
    pub async fn list_bans(
        &self,
        caller: &Caller,
        community: CommunityId,
        after: Option<UserId>,
        limit: u16,
    ) -> Result<Vec<Ban>> {
        self.check_right(caller, community, Chat::BAN_MEMBERS)
            .await?;
        let after = after.unwrap_or(UserId::new(0));
        let limit = i64::from(limit.clamp(1, 1_000));
        let rows = members::list_bans(&self.db, community, after, limit).await?;
        self.with_cards(rows).await
    }

    /// One ban: BAN_MEMBERS.
    pub async fn ban(&self, caller: &Caller, community: CommunityId, user: UserId) -> Result<Ban> {
        self.check_right(caller, community, Chat::BAN_MEMBERS)
            .await?;
        let row = members::find_ban(&self.db, community, user).await?;
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

    async fn with_cards(&self, rows: Vec<members::BanRow>) -> Result<Vec<Ban>> {
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
