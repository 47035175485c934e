//! Prunes: members without a role of weight who have not written for days are removed together.

use std::collections::HashMap;

use contracts::identity::User;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, CommunityId, RoleId, UserId};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::members::{USERS_AT_ONCE, remove_all};
use crate::model::MemberRow;
use crate::requests::{PruneRequest, PruneRules};
use crate::rights::Rights;
use crate::sql::members::{self, Inactive};

/// Members one prune removes; whoever has more asks again. They share one transaction.
const MOST: i64 = 1_000;

/// How many members a prune removed, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Pruned)]
pub struct Pruned {
    /// The number; null when it was not asked for.
    pub pruned: Option<i64>,
}

impl Communities {
    /// How many members a prune would remove, were it not bounded: `MANAGE_GUILD` and
    /// `KICK_MEMBERS`.
    pub async fn count_prune(
        &self,
        caller: &Caller,
        community: CommunityId,
        request: PruneRequest,
    ) -> Result<Pruned> {
        let rules = request.checked(self.limits.roles)?;
        let view = self.view(community, caller.user).await?;
        let at = self.clock.now();
        for needed in [Chat::MANAGE_GUILD, Chat::KICK_MEMBERS] {
            if !view.rights.base(&view.own, at).has(needed) {
                return Err(Error::MissingPermission(needed));
            }
        }
        check_roles(&view.rights, &view.own, &rules.roles)?;
        let inactive = inactive(caller.user, community, &rules, at);
        let count = members::count_inactive(&self.db, inactive).await?;
        Ok(Pruned {
            pruned: Some(count),
        })
    }

    /// Removes at most 1,000 members who have not written for some days and have no roles but the
    /// named ones: `MANAGE_GUILD` and `KICK_MEMBERS`.
    pub async fn prune(
        &self,
        caller: &Caller,
        community: CommunityId,
        request: PruneRequest,
        mut reason: Reason,
    ) -> Result<Pruned> {
        let rules = request.checked(self.limits.roles)?;
        let reason_of_body = rules.reason.clone();
        reason.0 = reason.0.or(reason_of_body);
        self.check_member(caller, community).await?;
        // The cards are fetched before the transaction, for whoever it will be most likely.
        let at = self.clock.now();
        let wanted = inactive(caller.user, community, &rules, at);
        let likely = members::list_inactive(&self.db, wanted, MOST).await?;
        let cards = self.cards(&likely).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_GUILD)?;
        change.require(Chat::KICK_MEMBERS)?;
        check_roles(&change.rights, change.me()?, &rules.roles)?;
        let rows = members::list_inactive(&change.tx, wanted, MOST).await?;
        let gone: Vec<(MemberRow, User)> = rows
            .into_iter()
            .filter_map(|row| Some((row.clone(), cards.get(&row.user_id)?.clone())))
            .collect();
        let pruned = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        if gone.is_empty() {
            change.drop_all().await?;
        } else {
            remove_all(&mut change, &gone, "pruned").await?;
            let options = json!({
                "delete_member_days": rules.days.to_string(),
                "members_removed": pruned.to_string(),
            });
            change.audit_with(Action::MemberPrune, None, None, Some(options))?;
            change.finish().await?;
        }
        Ok(Pruned {
            pruned: rules.counted.then_some(pruned),
        })
    }

    async fn cards(&self, rows: &[MemberRow]) -> Result<HashMap<UserId, User>> {
        let mut cards = HashMap::with_capacity(rows.len());
        for part in rows.chunks(USERS_AT_ONCE) {
            for member in self.with_users(part).await? {
                cards.extend(member.user.map(|user| (user.id, user)));
            }
        }
        Ok(cards)
    }
}

fn inactive<'a>(
    caller: UserId,
    community: CommunityId,
    rules: &'a PruneRules,
    at: Timestamp,
) -> Inactive<'a> {
    Inactive {
        community,
        since: at - std::time::Duration::from_secs(86_400 * u64::from(rules.days)),
        roles: &rules.roles,
        but: caller,
    }
}

/// Roles whose members may be removed too must be below the caller, and no application's.
fn check_roles(rights: &Rights, me: &MemberRow, roles: &[RoleId]) -> Result<()> {
    for id in roles {
        let role = rights.role(*id)?;
        if role.is_managed() {
            return Err(Error::FixedRole);
        }
        rights.check_role_below(me, role)?;
    }
    Ok(())
}
