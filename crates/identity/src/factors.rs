//! Changes of what proves a login: who may make them, and what each has in common.
//!
//! Whoever holds a stolen token must not be able to lock the owner out. So each change needs a
//! proof of the last minutes, and on an account with two factors a login that proved both. It ends
//! no device; the owner is told by an event, from which a letter is made.

use kernel::{Caller, DeviceId, UserId};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::second_factor::amr;
use crate::sql;

/// Words of `amr` that stand for a second factor.
const SECOND: [&str; 3] = [amr::TOTP, amr::RECOVERY, amr::PASSKEY];

impl Identity {
    /// Lets the caller change factors: their device. That the login is fresh and the caller is
    /// nobody else was judged before the handler. The second factor is judged by the device's
    /// row, which a step-up changes at once, and not by what the token said when it was made.
    pub(crate) async fn may_change_factors(&self, caller: &Caller) -> Result<DeviceId> {
        let device = caller.device.ok_or(Error::Forbidden)?;
        if !self.factors(caller.user).await?.has_second() {
            return Ok(device);
        }
        let live = sql::devices::find_live(&self.db, device).await?;
        let live = live.ok_or(Error::Unauthenticated)?;
        if live.amr.iter().any(|word| SECOND.contains(&word.as_str())) {
            return Ok(device);
        }
        let mut methods = self.ways_to_step_up(caller.user).await?;
        methods.retain(|method| *method != "password");
        Err(Error::StepUpRequired { methods })
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

    /// Refuses a removal after which nobody could log in; asked once the thing is gone in `tx`.
    pub(crate) async fn keep_a_way_in(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        if sql::factors::has_way_in(tx, user).await? {
            Ok(())
        } else {
            Err(Error::LastFactor)
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
