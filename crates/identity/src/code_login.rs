//! One-time passwords that come back: judging them, and logging in.
//!
//! Count, compare, consume: the attempt is counted by a statement that commits by itself, the code
//! is compared in constant time after it, and it is consumed in the transaction of what it proves.

use kernel::{AnyId, Locale, UserId};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Identity;
use crate::challenges::Asker;
use crate::devices::{Account, LoggedIn, Origin};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::keys::KeySet;
use crate::limits::OTP;
use crate::metrics_table::count_login;
use crate::otp::{Channel, Purpose, Target};
use crate::rules::{Fields, phone_username};
use crate::second_factor::{Admitted, First, Proven};
use crate::secrets::sha256;
use crate::sql;
use crate::sql::otp::{Found, Moment};

/// How many digits a code has.
const CODE_DIGITS: usize = 6;

/// A code that came back.
#[derive(Debug)]
pub struct CodeProof<'a> {
    /// Names the challenge; without it the newest one of `phone_number` is meant.
    pub handle: Option<&'a str>,
    /// The number the code went to; needed without a handle, and must fit one.
    pub phone_number: Option<&'a str>,
    /// The code.
    pub code: &'a SecretString,
    /// A refresh token or cookie that the device once had.
    pub known_device: Option<SecretString>,
}

/// What becomes of a login whose account asks for a second factor.
#[derive(Debug, Clone, Copy)]
pub enum Second<'a> {
    /// The code is used up, and the login waits for another request.
    Later,
    /// It comes with the code, or the code stays good.
    Inline(Option<&'a str>),
}

/// A code that was right and is not consumed yet.
pub(crate) struct RightCode {
    id: AnyId,
    /// Where the code was sent.
    pub(crate) target: Target,
    /// The language it was sent in.
    pub(crate) locale: Locale,
    budget: Vec<u8>,
    moment: Moment,
}

impl Identity {
    /// Logs in with a one-time password; an unknown number gets an account.
    pub async fn log_in_by_code(
        &self,
        proof: CodeProof<'_>,
        second: Second<'_>,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let login = self.try_code(proof, second, origin).await;
        count_login("otp", &login);
        login
    }

    async fn try_code(
        &self,
        proof: CodeProof<'_>,
        second: Second<'_>,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        let right = self.judge_code(proof, Purpose::Login, None).await?;
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        // An error from here on rolls back: the code is used up only by what it was for.
        self.consume_code(&tx, &right).await?;
        let (user, account) = self.owner_of_code(&tx, &right).await?;
        let first = match right.target {
            Target::Phone(_) => First::Phone,
            Target::Email(_) => First::Email,
        };
        let proven = Proven {
            user,
            account,
            first,
        };
        let admitted = self.admit(&tx, &keys, proven, origin).await?;
        let Second::Inline(text) = second else {
            tx.commit().await?;
            return admitted.finish();
        };
        let Admitted::Waiting(error) = admitted else {
            tx.commit().await?;
            return admitted.finish();
        };
        tx.rollback().await?;
        if matches!(error, Error::RegistrationLocked { .. }) {
            // The wait for a lost PIN began all the same.
            let tx = self.db.begin().await?;
            self.await_pin(&tx, user).await?;
            tx.commit().await?;
        }
        let Some(text) = text else {
            // It was right, so it was no guess.
            sql::otp::refund(&self.db, right.moment, &right.budget).await?;
            return Err(without_token(error));
        };
        self.admit_with(&keys, &right, proven, text, origin).await
    }

    /// Lets somebody in by a code and a second factor that came together; neither is used up
    /// without the other.
    async fn admit_with(
        &self,
        keys: &KeySet,
        right: &RightCode,
        proven: Proven,
        text: &str,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let second = self.judge_second_text(proven.user, text).await?;
        let tx = self.db.begin().await?;
        self.consume_code(&tx, right).await?;
        let logged_in = self.admit_both(&tx, keys, proven, second, origin).await?;
        tx.commit().await?;
        Ok(logged_in)
    }

    /// Counts an attempt and says whether the code is right; for `user`, where somebody asked.
    pub(crate) async fn judge_code(
        &self,
        proof: CodeProof<'_>,
        purpose: Purpose,
        user: Option<UserId>,
    ) -> Result<RightCode> {
        let judged = self.attempt_code(proof, purpose, user).await;
        let result = match &judged {
            Ok(_) => "right",
            Err(Error::OtpInvalid) => "wrong",
            Err(_) => "unjudged",
        };
        metrics::counter!("meydan_auth_otp_checked_total", "result" => result).increment(1);
        judged
    }

    async fn attempt_code(
        &self,
        proof: CodeProof<'_>,
        purpose: Purpose,
        user: Option<UserId>,
    ) -> Result<RightCode> {
        let code = digits(proof.code).ok_or(Error::OtpInvalid)?;
        let moment = self.moment();
        let found = self.find_challenge(&proof, purpose, user, moment).await?;
        let found = found.ok_or(Error::OtpInvalid)?;
        let address = self.open_target(&found)?;
        let (budget, most) = self.failures_of(&address, proof.known_device).await?;
        let attempted = sql::otp::attempt(
            &self.db,
            moment,
            found.id,
            budget.as_deref(),
            most,
            OTP.attempts,
        );
        let attempted = attempted.await?.ok_or(Error::OtpInvalid)?;
        let channel = Channel::from_word(&attempted.channel)?;
        // What was parsed once is parsed again: only the address is stored.
        let target = self.target(channel, &address)?;
        let right = match &attempted.code_mac {
            Some(mac) => self
                .settings
                .keys
                .is_code(attempted.id, target.key(), code, mac),
            None => self.ask_company(&address, code).await?,
        };
        if !right {
            return Err(Error::OtpInvalid);
        }
        Ok(RightCode {
            id: attempted.id,
            target,
            locale: Locale::from_tag(&attempted.locale).unwrap_or_default(),
            budget: attempted.budget,
            moment,
        })
    }

    /// Uses a right code up, in the transaction of what it proves.
    pub(crate) async fn consume_code(&self, tx: &db::Tx, right: &RightCode) -> Result<()> {
        if !sql::otp::consume(tx, right.id, self.clock.now()).await? {
            return Err(Error::OtpInvalid);
        }
        Ok(sql::otp::refund(tx, right.moment, &right.budget).await?)
    }

    /// Notes that a user reads what is sent to their address: a code of theirs came back.
    pub(crate) async fn prove_target(
        &self,
        tx: &db::Tx,
        user: UserId,
        right: &RightCode,
    ) -> Result<()> {
        if let Target::Email(_) = right.target {
            sql::mailboxes::prove(tx, user, self.clock.now()).await?;
        }
        Ok(())
    }

    async fn find_challenge(
        &self,
        proof: &CodeProof<'_>,
        purpose: Purpose,
        user: Option<UserId>,
        moment: Moment,
    ) -> Result<Option<Found>> {
        let number = match proof.phone_number {
            Some(text) => Some(self.target(Channel::Sms, text)?),
            None => None,
        };
        let hmac = number.map(|target| self.settings.keys.target_mac(target.key()));
        match (proof.handle, hmac) {
            (Some(handle), hmac) => {
                let hash = sha256(handle.as_bytes());
                let word = purpose.word();
                Ok(sql::otp::find(&self.db, &hash, word, user, hmac.as_deref()).await?)
            }
            (None, Some(hmac)) if purpose == Purpose::Login => {
                Ok(sql::otp::find_newest(&self.db, &hmac, moment.now).await?)
            }
            (None, _) => Ok(None),
        }
    }

    /// The number or address a challenge was sent to.
    fn open_target(&self, found: &Found) -> Result<String> {
        let (Some(sealed), Some(key_id)) = (&found.target_enc, &found.key_id) else {
            return Err(Error::OtpInvalid);
        };
        let id = found.id.to_string();
        let plain = self.settings.keys.open(key_id, &id, sealed)?;
        String::from_utf8(plain).or(Err(Error::Broken("a sealed address that is no text")))
    }

    /// The budget an attempt is counted in, and how many failures it allows.
    async fn failures_of(
        &self,
        address: &str,
        known_device: Option<SecretString>,
    ) -> Result<(Option<Vec<u8>>, i32)> {
        if known_device.is_none() {
            return Ok((None, OTP.failures_per_day));
        }
        let channel = if address.contains('@') {
            Channel::Email
        } else {
            Channel::Sms
        };
        let target = self.target(channel, address)?;
        let owner = self.owner(&self.db, &target).await?;
        Ok(match self.who_asks(known_device, owner.as_ref()).await? {
            Asker::Known => (Some(self.known_budget(target.key())), OTP.known_per_day),
            Asker::Stranger => (None, OTP.failures_per_day),
        })
    }

    async fn ask_company(&self, number: &str, code: &str) -> Result<bool> {
        let unavailable = Error::ChannelUnavailable { channel: "sms" };
        let Some(verify) = &self.senders.verify else {
            return Err(unavailable);
        };
        verify.check(number, code).await.or(Err(unavailable))
    }

    /// The account that a login by code is for; a number without one gets it.
    async fn owner_of_code(&self, tx: &db::Tx, right: &RightCode) -> Result<(UserId, Account)> {
        if let Target::Phone(phone) = &right.target {
            let id: UserId = self.ids.next()?;
            let (now, locale) = (self.clock.now(), right.locale.tag());
            let name = phone_username(id);
            let owner = self.owner(tx, &right.target).await?;
            if owner.is_none()
                && sql::owners::insert_by_phone(tx, id, &phone.number, &name, locale, now).await?
            {
                self.keep_phone_key(tx, id, &phone.number, now).await?;
                let mut events = Events::new(&self.ids, now, Some(id));
                events.user_created(id, "user")?;
                events.append(tx).await?;
                return Ok((id, Account::New));
            }
        }
        let owner = self.owner(tx, &right.target).await?;
        let owner = owner.filter(|owner| self.opens(owner));
        let owner = owner.ok_or(Error::OtpInvalid)?;
        self.prove_target(tx, owner.id, right).await?;
        Ok((owner.id, Account::Known))
    }
}

/// The digits of a code as it was typed; none where it cannot be one of ours.
pub(crate) fn digits(code: &SecretString) -> Option<&str> {
    let code = code.expose_secret().trim();
    let fits = code.len() == CODE_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(code)
}

/// The same refusal, without the token of a login that was rolled back.
fn without_token(mut error: Error) -> Error {
    if let Error::RegistrationLocked { mfa_token, .. }
    | Error::SecondFactorRequired { mfa_token, .. } = &mut error
    {
        mfa_token.clear();
    }
    error
}
