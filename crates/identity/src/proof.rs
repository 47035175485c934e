//! Second factors as they are brought: judged first, spent later.
//!
//! Judging counts the attempt, computes and reads; it runs without a transaction, because hashing
//! waits its turn. Spending is one statement in the transaction of what the factor is for, and only
//! one of many that were judged right at the same time gets through.

use kernel::{AnyId, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::limits;
use crate::model::Factors;
use crate::passkeys::Answer;
use crate::passwords::Check;
use crate::recovery;
use crate::registration_lock::is_pin;
use crate::second_factor::amr;
use crate::sql;
use crate::sql::passkeys::Used;
use crate::totp;

/// What somebody brings as a second factor.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A code of an authenticator app.
    Totp(SecretString),
    /// A recovery code.
    Recovery(SecretString),
    /// The PIN of the registration lock.
    Pin(SecretString),
    /// The answer of an authenticator.
    Passkey(Answer),
}

impl Proof {
    /// What a text without a name must be: programs of the gRPC service send one field for all.
    fn of_shape(text: &str, factors: &Factors) -> Self {
        let secret = SecretString::from(text.to_owned());
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if recovery::parse(text).is_some() {
            Proof::Recovery(secret)
        } else if digits && text.len() == totp::DIGITS && factors.totp {
            Proof::Totp(secret)
        } else {
            Proof::Pin(secret)
        }
    }
}

/// A second factor that was judged right and waits to be used up.
#[derive(Debug)]
#[must_use = "a factor counts only once it is spent"]
pub(crate) struct Second {
    user: UserId,
    fact: Fact,
}

impl Second {
    pub(crate) fn new(user: UserId, fact: Fact) -> Self {
        Second { user, fact }
    }
}

/// What was judged right, and what spending it needs.
#[derive(Debug)]
pub(crate) enum Fact {
    Totp { step: i64 },
    Recovery { idx: i16, phc: String },
    Pin { phc: String },
    Passkey { id: AnyId, used: Used },
}

impl Identity {
    /// Judges a second factor of the user. The attempt is counted before anything is looked at.
    pub(crate) async fn judge_second(&self, user: UserId, proof: Proof) -> Result<Second> {
        self.count_second(user).await?;
        self.judge(user, proof).await
    }

    /// Judges a second factor that came as a text alone, as the gRPC service takes it.
    pub(crate) async fn judge_second_text(&self, user: UserId, text: &str) -> Result<Second> {
        self.count_second(user).await?;
        let factors = self.factors(user).await?;
        self.judge(user, Proof::of_shape(text.trim(), &factors))
            .await
    }

    /// Counts an attempt. Beyond the burst each waits longer: a delay, never a lock.
    pub(crate) async fn count_second(&self, user: UserId) -> Result<()> {
        let (limits, keys) = (&self.settings.limits, &self.settings.keys);
        limits::second_factor_of(&*self.limiter, limits, keys, user).await
    }

    async fn judge(&self, user: UserId, proof: Proof) -> Result<Second> {
        let fact = match proof {
            Proof::Totp(code) => self.judge_totp(user, &code).await?,
            Proof::Recovery(code) => self.judge_recovery(user, &code).await?,
            Proof::Pin(pin) => self.judge_pin(user, pin).await?,
            Proof::Passkey(answer) => {
                let judged = self.judge_passkey(answer).await?;
                // Somebody else's passkey proves somebody else.
                let theirs = judged.filter(|(owner, _)| *owner == user);
                theirs.map(|(_, fact)| fact)
            }
        };
        let fact = fact.ok_or(Error::SecondFactorInvalid)?;
        Ok(Second { user, fact })
    }

    async fn judge_totp(&self, user: UserId, code: &SecretString) -> Result<Option<Fact>> {
        let stored = sql::factors::find_totp(&self.db, user).await?;
        let Some(stored) = stored.filter(|totp| totp.confirmed_at.is_some()) else {
            return Ok(None);
        };
        let step = self.matching_step(user, &stored, code)?;
        Ok(step.map(|step| Fact::Totp { step }))
    }

    async fn judge_recovery(&self, user: UserId, code: &SecretString) -> Result<Option<Fact>> {
        let Some((idx, secret)) = recovery::parse(code.expose_secret()) else {
            return Ok(None);
        };
        let stored = sql::factors::find_code(&self.db, user, idx).await?;
        let right = self.is_hashed(stored.clone(), secret).await?;
        Ok(stored
            .filter(|_| right)
            .map(|phc| Fact::Recovery { idx, phc }))
    }

    async fn judge_pin(&self, user: UserId, pin: SecretString) -> Result<Option<Fact>> {
        if !is_pin(pin.expose_secret()) {
            return Ok(None);
        }
        let stored = sql::factors::find_pin(&self.db, user).await?;
        let right = self.is_hashed(stored.clone(), pin).await?;
        Ok(stored.filter(|_| right).map(|phc| Fact::Pin { phc }))
    }

    /// Whether a secret fits a stored hash, in the bounded queue of hashing.
    async fn is_hashed(&self, stored: Option<String>, secret: SecretString) -> Result<bool> {
        let check = self.check_password(stored, secret).await?;
        Ok(matches!(check, Check::Right | Check::Upgrade(_)))
    }

    /// Uses a factor up: its word in `amr`. Fails when another request was faster.
    pub(crate) async fn spend_second(&self, tx: &db::Tx, second: Second) -> Result<&'static str> {
        let Second { user, fact } = second;
        let now = self.clock.now();
        let (spent, word) = match &fact {
            Fact::Totp { step } => (sql::factors::use_step(tx, user, *step).await?, amr::TOTP),
            Fact::Recovery { idx, phc } => (
                sql::factors::use_code(tx, user, *idx, phc, now).await?,
                amr::RECOVERY,
            ),
            // A PIN is not used up; but the one that was judged must still be it.
            Fact::Passkey { id, used } => {
                (self.spend_passkey(tx, user, *id, used).await?, amr::PASSKEY)
            }
            Fact::Pin { phc } => (sql::factors::has_pin_hash(tx, user, phc).await?, amr::PIN),
        };
        if !spent {
            return Err(Error::SecondFactorInvalid);
        }
        if matches!(fact, Fact::Recovery { .. }) {
            let mut events = Events::new(&self.ids, now, Some(user));
            events.factor_changed(user, "recovery_code")?;
            events.append(tx).await?;
        }
        Ok(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_by_its_shape() {
        let factors = |totp| Factors {
            password: true,
            totp,
            passkeys: 0,
            recovery_codes_left: 10,
            registration_lock: true,
        };
        for (text, totp, name) in [
            ("123456", true, "totp"),
            ("123456", false, "pin"),
            ("1234567", true, "pin"),
            ("0-ABCD-EFGH-IJKL-MNOP", true, "recovery"),
            ("0abcdefghijklmnop", false, "recovery"),
            ("", true, "pin"),
        ] {
            let is = match Proof::of_shape(text, &factors(totp)) {
                Proof::Totp(_) => "totp",
                Proof::Recovery(_) => "recovery",
                Proof::Pin(_) => "pin",
                Proof::Passkey(_) => "passkey",
            };
            assert_eq!(is, name, "{text} {totp}");
        }
    }
}
