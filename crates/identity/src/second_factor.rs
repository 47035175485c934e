//! The gate behind every first factor: whether it is enough, and what else is asked for.
//!
//! Each login path ends in [`Identity::admit`]. Where the account has an authenticator app or a
//! passkey, a first factor alone gives no device but an `mfa_token`, good for five minutes and five
//! attempts, which the second request brings back together with the proof ([`crate::proof`]).
//!
//! A code that was sent is a first factor only: as a second one it would be weaker than what it
//! stands in for.

use std::time::Duration;

use kernel::UserId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin, later};
use crate::error::{Error, Result};
use crate::keys::KeySet;
use crate::limits;
use crate::model::Factors;
use crate::otp::Channel;
use crate::proof::{Proof, Second};
use crate::rules::Fields;
use crate::secrets::sha256;
use crate::sql;

/// How long a login may wait for its second factor.
pub(crate) const MFA_TTL: Duration = Duration::from_secs(5 * 60);
/// Proofs that one unfinished login may be tried with.
const MAX_ATTEMPTS: i32 = 5;
/// What the token of an unfinished login is stored as.
pub(crate) const PURPOSE: &str = "second_factor";

/// Words of `amr`: how a login was proved.
pub(crate) mod amr {
    /// A password (RFC 8176).
    pub(crate) const PWD: &str = "pwd";
    /// A one-time password or link that was sent (RFC 8176).
    pub(crate) const OTP: &str = "otp";
    /// A code of an authenticator app.
    pub(crate) const TOTP: &str = "totp";
    /// A recovery code.
    pub(crate) const RECOVERY: &str = "rcv";
    /// A passkey with verification of the user.
    pub(crate) const PASSKEY: &str = "pka";
    /// A login at another provider.
    pub(crate) const FEDERATED: &str = "fed";
    /// A PIN (RFC 8176).
    pub(crate) const PIN: &str = "pin";
}

/// What was proved first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum First {
    /// A password.
    Password,
    /// The phone number; such accounts may be guarded by a PIN besides.
    Phone,
    /// The e-mail address.
    Email,
    /// A login at another provider.
    Federated,
    /// A passkey that verified its user: two factors in one.
    Passkey,
}

impl First {
    /// Its word in `amr`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            First::Password => amr::PWD,
            First::Phone | First::Email => amr::OTP,
            First::Federated => amr::FEDERATED,
            First::Passkey => amr::PASSKEY,
        }
    }
}

/// What a login path has proved about whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proven {
    pub(crate) user: UserId,
    pub(crate) account: Account,
    pub(crate) first: First,
}

/// What becomes of a login after its first factor.
pub(crate) enum Admitted {
    /// It is done.
    In(LoggedIn),
    /// A second factor is asked for; the transaction is committed all the same, for it holds the
    /// token.
    Waiting(Error),
}

impl Admitted {
    /// The answer, once the transaction is committed.
    pub(crate) fn finish(self) -> Result<LoggedIn> {
        match self {
            Admitted::In(logged_in) => Ok(logged_in),
            Admitted::Waiting(error) => Err(error),
        }
    }
}

/// What is remembered of a first factor until the second comes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    pub(crate) first: First,
}

impl Identity {
    /// Lets somebody in whose first factor was right, or begins the wait for the second. The
    /// caller commits `tx` in both cases and then calls [`Admitted::finish`].
    pub(crate) async fn admit(
        &self,
        tx: &db::Tx,
        keys: &KeySet,
        proven: Proven,
        origin: &Origin,
    ) -> Result<Admitted> {
        let factors = sql::users::factors(tx, proven.user).await?;
        let guarded = factors.registration_lock && asks_for_pin(proven);
        let unlocks_at = if guarded {
            self.await_pin(tx, proven.user).await?
        } else {
            None
        };
        let mut methods = asked_for(proven, &factors);
        if unlocks_at.is_some() {
            methods.insert(0, "pin");
        }
        if methods.is_empty() {
            let who = (proven.user, proven.account);
            let amr = [proven.first.word()];
            let logged_in = self.issue(tx, keys, who, &amr, origin).await?;
            return Ok(Admitted::In(logged_in));
        }
        let mfa_token = self.begin_wait(tx, proven).await?;
        Ok(Admitted::Waiting(if unlocks_at.is_some() {
            Error::RegistrationLocked {
                mfa_token,
                methods,
                unlocks_at,
            }
        } else {
            Error::SecondFactorRequired { mfa_token, methods }
        }))
    }

    /// Stores an unfinished login; the token that stands for it.
    async fn begin_wait(&self, tx: &db::Tx, proven: Proven) -> Result<String> {
        let now = self.clock.now();
        let (mfa_token, hash) = self.one_time_token();
        let data = serde_json::to_value(Unfinished {
            first: proven.first,
        })
        .or(Err(Error::Broken(
            "an unfinished login that cannot be written",
        )))?;
        let token = sql::tokens::NewToken {
            hash: &hash,
            purpose: PURPOSE,
            user: Some(proven.user),
            data: &data,
            expires_at: later(now, MFA_TTL),
            at: now,
        };
        sql::tokens::insert(tx, &token).await?;
        Ok(mfa_token.expose_secret().to_owned())
    }

    /// The second request of a login: the proof that the first was answered with a demand for.
    ///
    /// The attempt is counted before the proof is looked at. Token and factor are used up in the
    /// transaction that makes the device, so parallel requests make one.
    pub async fn finish_login(
        &self,
        mfa_token: &SecretString,
        proof: Proof,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        limits::login_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        let hash = sha256(mfa_token.expose_secret().as_bytes());
        let now = self.clock.now();
        let token = sql::tokens::attempt(&self.db, &hash, PURPOSE, now, MAX_ATTEMPTS).await?;
        let proven = token.ok_or(Error::MfaTokenInvalid).and_then(unfinished)?;
        if matches!(proof, Proof::Pin(_)) && !asks_for_pin(proven) {
            return Err(Error::SecondFactorInvalid);
        }
        let second = self.judge_second(proven.user, proof).await?;
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        let consumed = sql::tokens::consume(&tx, &hash, PURPOSE, now).await?;
        consumed.ok_or(Error::MfaTokenInvalid)?;
        let logged_in = self.admit_both(&tx, &keys, proven, second, origin).await?;
        tx.commit().await?;
        Ok(logged_in)
    }

    /// Lets somebody in who brought both factors: spends the second and makes the device.
    pub(crate) async fn admit_both(
        &self,
        tx: &db::Tx,
        keys: &KeySet,
        proven: Proven,
        second: Second,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        // Disabled since the first factor was proved.
        if !sql::factors::may_log_in(tx, proven.user).await? {
            return Err(Error::MfaTokenInvalid);
        }
        let amr = [proven.first.word(), self.spend_second(tx, second).await?];
        sql::factors::end_wait(tx, proven.user).await?;
        let who = (proven.user, proven.account);
        self.issue(tx, keys, who, &amr, origin).await
    }

    /// Voids every login of a user that waits for its second factor: what it began with is no
    /// longer good.
    pub(crate) async fn void_unfinished(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        sql::tokens::void(tx, Some(user), PURPOSE).await?;
        Ok(())
    }

    /// With what a user can prove again that it is them.
    pub(crate) async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>> {
        let factors = sql::users::factors(&self.db, user).await?;
        let mut methods = Vec::new();
        if factors.password {
            methods.push("password");
        }
        if factors.totp {
            methods.push("totp");
        }
        if factors.passkeys > 0 {
            methods.push("passkey");
        }
        if factors.has_second() && factors.recovery_codes_left > 0 {
            methods.push("recovery");
        }
        let account = self.account(user).await?;
        let reads_texts = account.phone_verified_at.is_some();
        let reads_mail = account.email_verified_at.is_some()
            || account.email.is_some() && self.trusts_every_address();
        if reads_texts && self.serves(Channel::Sms) || reads_mail && self.serves(Channel::Email) {
            methods.push("otp");
        }
        Ok(methods)
    }

    /// A random one-time token and what is stored of it.
    pub(crate) fn one_time_token(&self) -> (SecretString, Vec<u8>) {
        let token = kernel::rng::token::<32>(&*self.rng);
        let hash = sha256(token.as_bytes());
        (SecretString::from(token), hash)
    }
}

/// What was proved first by the login that a token stands for.
fn unfinished(token: sql::tokens::Token) -> Result<Proven> {
    let unfinished: Unfinished = serde_json::from_value(token.data).or(Err(Error::Broken(
        "an unfinished login that cannot be read",
    )))?;
    Ok(Proven {
        user: token
            .user_id
            .ok_or(Error::Broken("an unfinished login of nobody"))?,
        account: Account::Known,
        first: unfinished.first,
    })
}

/// Whether the PIN of a registration lock counts for this login.
fn asks_for_pin(proven: Proven) -> bool {
    proven.first == First::Phone && proven.account == Account::Known
}

/// How the second factor may be proved, the PIN apart; empty when none is asked for.
fn asked_for(proven: Proven, factors: &Factors) -> Vec<&'static str> {
    if proven.first == First::Passkey || proven.account == Account::New {
        return Vec::new();
    }
    let mut methods = Vec::new();
    if factors.totp {
        methods.push("totp");
    }
    if factors.passkeys > 0 {
        methods.push("passkey");
    }
    if !methods.is_empty() && factors.recovery_codes_left > 0 {
        methods.push("recovery");
    }
    methods
}

/// The assurance level of a login (`acr`): `aal2` when two different kinds of factors were proved,
/// else `aal1` (after NIST SP 800-63B).
pub(crate) fn assurance(amr: &[&str]) -> String {
    let kind = |word: &str| match word {
        amr::PWD | amr::PIN => "knows",
        amr::OTP | amr::FEDERATED => "reaches",
        amr::TOTP | amr::RECOVERY => "has",
        _ => "",
    };
    let first = amr.first().map_or("", |word| kind(word));
    let two = amr.contains(&amr::PASSKEY) || amr.iter().any(|word| kind(word) != first);
    if two { "aal2" } else { "aal1" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assurance_counts_kinds_of_factors() {
        for (words, level) in [
            (&["pwd"][..], "aal1"),
            (&["otp"], "aal1"),
            (&["fed"], "aal1"),
            (&["pka"], "aal2"),
            (&["pwd", "totp"], "aal2"),
            (&["otp", "pin"], "aal2"),
            (&["pwd", "rcv"], "aal2"),
            (&["fed", "otp"], "aal1"),
            (&[], "aal1"),
        ] {
            assert_eq!(assurance(words), level, "{words:?}");
        }
    }
}
