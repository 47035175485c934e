//! The registration lock: a PIN that whoever logs in by the account's number has to know.
//!
//! Telephone numbers are given to new people. Without a lock the new owner of a number inherits
//! the account that was made with it. A lost PIN is not asked for once the account lay unused for
//! seven days after the first attempt; every device is told when that wait begins.

use std::time::Duration;

use jiff::Timestamp;
use kernel::{Caller, FieldError, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::passwords;
use crate::sql;

/// How long an account must lie unused until its PIN is not asked for.
const WAIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Fewest digits of a PIN.
const MIN_DIGITS: usize = 6;
/// Most digits of a PIN.
const MAX_DIGITS: usize = 20;

impl Identity {
    /// Sets or changes the caller's PIN.
    pub async fn set_pin(&self, caller: &Caller, pin: SecretString) -> Result<()> {
        check_pin(pin.expose_secret())?;
        self.may_change_factors(caller).await?;
        let phc = self.hash_pin(pin).await?;
        let (user, now) = (caller.user, self.clock.now());
        let tx = self.begin_factor_change(user).await?;
        sql::factors::upsert_pin(&tx, user, &phc, now).await?;
        sql::factors::end_wait(&tx, user).await?;
        self.end_factor_change(&tx, user, "pin").await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes the caller's PIN.
    pub async fn remove_pin(&self, caller: &Caller) -> Result<()> {
        self.may_change_factors(caller).await?;
        let user = caller.user;
        let tx = self.begin_factor_change(user).await?;
        self.drop_pin(&tx, user).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn drop_pin(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        sql::factors::end_wait(tx, user).await?;
        if sql::factors::delete_pin(tx, user).await? {
            self.end_factor_change(tx, user, "pin").await?;
        }
        Ok(())
    }

    async fn hash_pin(&self, pin: SecretString) -> Result<String> {
        let (scheme, rng) = (self.settings.password_scheme, self.rng.clone());
        let hash = move || passwords::hash(scheme, &*rng, pin.expose_secret());
        let phc = self.hashing.run(hash).await.or(Err(Error::Busy))?;
        phc.ok_or(Error::Broken("the password scheme refused a PIN"))
    }

    /// Begins the wait for a lost PIN or looks at it: when it will be over. None when it is; the
    /// PIN is gone then, for nobody knows it.
    pub(crate) async fn await_pin(&self, tx: &db::Tx, user: UserId) -> Result<Option<Timestamp>> {
        let wait = sql::factors::await_lock(tx, user, WAIT.as_secs_f64()).await?;
        if wait.over {
            self.drop_pin(tx, user).await?;
            return Ok(None);
        }
        if wait.begun {
            let mut events = Events::new(&self.ids, self.clock.now(), None);
            events.registration_lock_waiting(user, wait.unlocks_at)?;
            events.append(tx).await?;
        }
        Ok(Some(wait.unlocks_at))
    }
}

/// Whether a text could be a PIN at all.
pub(crate) fn is_pin(text: &str) -> bool {
    (MIN_DIGITS..=MAX_DIGITS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_pin(pin: &str) -> Result<()> {
    let refused = |code, detail| Error::Invalid(vec![FieldError::new("/pin", code, detail)]);
    if !is_pin(pin) {
        return Err(refused("INVALID", "6 to 20 digits"));
    }
    if is_simple(pin) {
        return Err(refused(
            "TOO_SIMPLE",
            "not one digit repeated or digits in a row",
        ));
    }
    Ok(())
}

/// Whether all steps from digit to digit are the same small one: 111111, 123456, 987654.
fn is_simple(pin: &str) -> bool {
    let digits = pin.bytes().map(i16::from);
    let mut steps = digits.clone().zip(digits.skip(1)).map(|(a, b)| b - a);
    let first = steps.next().unwrap_or(0);
    first.abs() <= 1 && steps.all(|step| step == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins() {
        for (pin, good) in [
            ("12345", false),
            ("135790", true),
            ("20202020202020202020", true),
            ("202020202020202020202", false),
            ("13579a", false),
            ("１３５７９０", false),
            ("111111", false),
            ("123456", false),
            ("987654", false),
            ("123457", true),
        ] {
            assert_eq!(check_pin(pin).is_ok(), good, "{pin}");
        }
    }
}
