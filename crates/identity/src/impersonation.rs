//! Acting as a user, for staff who help (RFC 8693 §4.1): for a quarter of an hour, with a reason,
//! in the open.
//!
//! It is a device of kind `support`: the user sees it in their list and can end it. Its access
//! token names who really acts (`act`), and there is no refresh token. What must not be done in
//! somebody's name is refused by the operations themselves (`not_while_impersonating`).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kernel::{Caller, Cursor, DeviceId, PlatformRole, UserId};
use serde::Serialize;

use crate::Identity;
use crate::devices::{Login, Origin, later};
use crate::error::{Error, Result};
use crate::events::{self, Events};
use crate::model::State;
use crate::settings::Approver;
use crate::sql;
use crate::staff::{Act, check_reason, may, roles_of};
use crate::tokens::seconds;

/// How long one may act as a user.
pub(crate) const TTL: Duration = Duration::from_secs(15 * 60);
/// How long a wish may wait for approval, and an approved one for its begin.
const WAIT: SignedDuration = SignedDuration::from_hours(1);
/// How a login by staff in a user's name is proved: by nothing of the user's.
const AMR: [&str; 1] = ["act"];

/// What became of the wish to act as a user.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct Impersonated {
    /// The impersonation, and its device in the user's list.
    pub id: DeviceId,
    /// `active`, or `pending` until another member of staff agrees.
    pub state: &'static str,
    /// Shown with each request; there is no refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// Seconds for which the access token is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
}

impl std::fmt::Debug for Impersonated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Impersonated")
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Who acted, or wishes to act, as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Impersonation {
    /// Names it.
    pub id: DeviceId,
    /// Who acts.
    pub staff_id: UserId,
    /// As whom.
    pub user_id: UserId,
    /// Why.
    pub reason: String,
    /// `pending`, `approved`, `active` or `over`.
    pub state: &'static str,
    /// Who agreed.
    pub approved_by: Option<UserId>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
}

impl Identity {
    /// Begins to act as a user, or asks for another's approval where the settings demand one.
    pub async fn impersonate(
        &self,
        staff: &Caller,
        (user, reason): (UserId, &str),
        origin: &Origin,
    ) -> Result<Impersonated> {
        check_reason(reason)?;
        let keys = self.keys.set().await?;
        let now = self.clock.now();
        let needs_approval = self.settings.impersonation == Approver::Required;
        let tx = self.db.begin().await?;
        self.enter_impersonation(&tx, staff, user).await?;
        let row = sql::impersonations::NewRow {
            id: self.ids.next()?,
            staff: staff.user,
            user,
            reason,
            needs_approval,
            at: now,
        };
        sql::impersonations::insert(&tx, &row).await?;
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.impersonation(events::IMPERSONATION_ASKED, user, row.id)?;
        events.append(&tx).await?;
        let answer = if needs_approval {
            Impersonated {
                id: row.id,
                state: "pending",
                access_token: None,
                expires_in: None,
            }
        } else {
            self.begin_to_act(&tx, &keys, (staff, row.id), origin)
                .await?
        };
        tx.commit().await?;
        Ok(answer)
    }

    /// Agrees that somebody else acts as a user.
    pub async fn approve_impersonation(&self, staff: &Caller, id: DeviceId) -> Result<()> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let held = sql::staff::live_roles(&tx, staff.user).await?;
        if !may(&roles_of(&held), Act::Impersonate, &[]) {
            return Err(Error::Forbidden);
        }
        let approved = sql::impersonations::approve(&tx, id, staff.user, now, now - WAIT).await?;
        let user = approved.ok_or(Error::NotFound)?;
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.impersonation(events::IMPERSONATION_APPROVED, user, id)?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Begins what another has approved; once, and by whom it was asked.
    pub async fn start_impersonation(
        &self,
        staff: &Caller,
        id: DeviceId,
        origin: &Origin,
    ) -> Result<Impersonated> {
        let found = sql::impersonations::find(&self.db, id).await?;
        let parties = found.ok_or(Error::NotFound)?;
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        self.enter_impersonation(&tx, staff, parties.user_id)
            .await?;
        let answer = self.begin_to_act(&tx, &keys, (staff, id), origin).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// Ends it, or takes the wish back; by whoever asked, or by a superadmin. Repeatable.
    pub async fn end_impersonation(&self, staff: &Caller, id: DeviceId) -> Result<()> {
        let found = sql::impersonations::find(&self.db, id).await?;
        let parties = found.ok_or(Error::NotFound)?;
        let held = roles_of(&sql::staff::live_roles(&self.db, staff.user).await?);
        if parties.staff_id != staff.user && !held.contains(&PlatformRole::Superadmin) {
            return Err(Error::NotFound);
        }
        if !sql::impersonations::withdraw(&self.db, id).await? {
            self.sign_out(parties.user_id, id, "impersonation_over")
                .await?;
        }
        Ok(())
    }

    /// Who acted or wishes to act as whom, the newest first, and where the next page begins.
    pub async fn list_impersonations(
        &self,
        after: Option<Cursor>,
        limit: u16,
    ) -> Result<(Vec<Impersonation>, Option<Cursor>)> {
        let limit = i64::from(limit.clamp(1, kernel::page::MAX_PAGE));
        let before = after.map_or(i64::MAX, |cursor| cursor.after);
        // One more than asked for tells whether there is another page.
        let mut rows = sql::impersonations::list_before(&self.db, before, limit + 1).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|last| Cursor {
            after: last.id.get(),
        });
        let open_since = self.clock.now() - WAIT;
        let items = rows.into_iter().map(|row| Impersonation {
            state: state_of(&row, open_since),
            id: row.id,
            staff_id: row.staff_id,
            user_id: row.user_id,
            reason: row.reason,
            approved_by: row.approved_by,
            asked_at: row.asked_at,
            started_at: row.started_at,
        });
        Ok((items.collect(), next))
    }

    /// Makes sure that the caller may act as this person, who may log in themselves.
    async fn enter_impersonation(&self, tx: &db::Tx, staff: &Caller, user: UserId) -> Result<()> {
        let state = self.enter_staff(tx, staff, Act::Impersonate, user).await?;
        if state == State::Active.word() && staff.user != user {
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Makes the device and its token. The caller has been judged.
    async fn begin_to_act(
        &self,
        tx: &db::Tx,
        keys: &crate::keys::KeySet,
        (staff, id): (&Caller, DeviceId),
        origin: &Origin,
    ) -> Result<Impersonated> {
        let now = self.clock.now();
        let begun = sql::impersonations::start(tx, id, staff.user, now, now - WAIT).await?;
        let user = begun.ok_or(Error::NotFound)?;
        let login = Login {
            user,
            device: id,
            amr: &AMR,
            auth_time: now,
            act: Some(staff.user),
        };
        let ends = later(now, TTL);
        let secret = sql::devices::Secret {
            kind: "support",
            // Nobody knows what it is the hash of: there is nothing to refresh with.
            hash: kernel::rng::bytes::<32>(&*self.rng).to_vec(),
            current: None,
            expires_at: ends,
            absolute_expires_at: ends,
        };
        self.insert_device(tx, &login, &secret, origin).await?;
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.impersonation(events::IMPERSONATION_STARTED, user, id)?;
        events.append(tx).await?;
        Ok(Impersonated {
            id,
            state: "active",
            access_token: Some(self.access_token_for(keys, &login, TTL)?),
            expires_in: Some(seconds(TTL)),
        })
    }
}

/// How far a wish has come.
fn state_of(row: &sql::impersonations::ListedRow, open_since: Timestamp) -> &'static str {
    let open = row.started_at.is_none() && row.asked_at > open_since;
    match (open, row.approved_by) {
        (true, Some(_)) => "approved",
        (true, None) if row.needs_approval => "pending",
        (true, None) => "over",
        (false, _) if row.live => "active",
        (false, _) => "over",
    }
}
