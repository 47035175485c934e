//! Changes of what proves a login: who may make them, and what each has in common.
//!
//! Whoever holds a stolen token must not be able to lock the owner out. So each change needs a
//! proof of the last minutes, and on an account with two factors a login that proved both. It ends
//! no device; the owner is told by an event, from which a letter is made.

use kernel::{Caller, DeviceId, UserId};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::model::{Factors, STEP_UP_WINDOW_S};
use crate::second_factor::amr;
use crate::sql;

/// Words of `amr` that stand for a second factor.
const SECOND: [&str; 3] = [amr::TOTP, amr::RECOVERY, amr::PASSKEY];

impl Identity {
    /// Lets the caller change factors: their device. Judged by the device's row, which a step-up
    /// changes at once, and not by what the token said when it was made.
    pub(crate) async fn may_change_factors(&self, caller: &Caller) -> Result<DeviceId> {
        // Staff who act as somebody change nothing that stays.
        let device = caller.device.filter(|_| caller.act.is_none());
        let device = device.ok_or(Error::Forbidden)?;
        let live = sql::devices::find_live(&self.db, device).await?;
        let live = live.ok_or(Error::Unauthenticated)?;
        let factors = self.factors(caller.user).await?;
        let age = self.clock.now().duration_since(live.auth_time).as_secs();
        let proved = |word: &String| SECOND.contains(&word.as_str());
        if age <= STEP_UP_WINDOW_S && (!factors.has_second() || live.amr.iter().any(proved)) {
            Ok(device)
        } else {
            let methods = step_up_methods(&factors);
            Err(Error::StepUpRequired { methods })
        }
    }

    /// Opens the transaction of a change. Changes of one user's factors wait for each other, so
    /// that each sees what the one before left.
    pub(crate) async fn begin_factor_change(&self, user: UserId) -> Result<db::Tx> {
        let tx = self.db.begin().await?;
        if sql::factors::lock(&tx, user).await? {
            Ok(tx)
        } else {
            Err(Error::Unauthenticated)
        }
    }

    /// What every change ends with: codes that nothing is left to recover for go, the owner is told.
    pub(crate) async fn end_factor_change(
        &self,
        tx: &db::Tx,
        user: UserId,
        factor: &str,
    ) -> Result<()> {
        if !sql::users::factors(tx, user).await?.has_second() {
            sql::factors::delete_codes(tx, user).await?;
        }
        let mut events = Events::new(&self.ids, self.clock.now(), Some(user));
        events.factor_changed(user, factor)?;
        events.append(tx).await
    }
}

/// What somebody who is logged in can prove again who they are with.
pub(crate) fn step_up_methods(factors: &Factors) -> Vec<&'static str> {
    if !factors.has_second() {
        let first = if factors.password { "password" } else { "otp" };
        return vec![first];
    }
    [
        (factors.totp, "totp"),
        (factors.passkeys > 0, "passkey"),
        (factors.recovery_codes_left > 0, "recovery"),
    ]
    .into_iter()
    .filter_map(|(there, name)| there.then_some(name))
    .collect()
}
