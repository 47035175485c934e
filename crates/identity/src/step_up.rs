//! Proving again who one is, for acts that a login of hours ago is not enough for.

use kernel::Caller;
use secrecy::SecretString;

use crate::Identity;
use crate::code_login::CodeProof;
use crate::devices::{Browser, Login};
use crate::error::{Error, Result};
use crate::otp::Purpose;
use crate::proof::Proof;
use crate::second_factor::amr;
use crate::sql;
use crate::tokens::seconds;

/// With what somebody proves again who they are.
#[derive(Debug)]
pub enum Again {
    /// The password.
    Password(SecretString),
    /// A code that was sent to the caller's own number or address.
    Otp {
        /// Names the challenge.
        handle: String,
        /// The code.
        code: SecretString,
    },
    /// A second factor.
    Second(Proof),
}

/// A login that was proved anew.
#[derive(Debug)]
pub enum SteppedUp {
    /// For apps: a token that says so.
    Token {
        /// Shown with the next requests.
        access_token: String,
        /// Seconds for which it is good.
        expires_in: i64,
    },
    /// For pages: a new cookie, since a stolen one of before must not gain anything.
    Browser(Browser),
}

impl Identity {
    /// Proves again who the caller is, on the device they are logged in with.
    pub async fn step_up(&self, caller: &Caller, again: Again) -> Result<SteppedUp> {
        let device = caller.device.filter(|_| caller.act.is_none());
        let device = device.ok_or(Error::Forbidden)?;
        let user = caller.user;
        // Judged before the transaction, because hashing waits its turn.
        let judged = self.judge_again(caller, again).await?;
        let keys = self.keys.set().await?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let word = match judged {
            Judged::Password => amr::PWD,
            Judged::Code(right) => {
                self.consume_code(&tx, &right).await?;
                self.prove_target(&tx, user, &right).await?;
                amr::OTP
            }
            Judged::Second(second) => self.spend_second(&tx, second).await?,
        };
        let words = sql::devices::prove(&tx, user, device, now, &[word]).await?;
        let words = words.ok_or(Error::Unauthenticated)?;
        if sql::mailboxes::is_browser(&tx, device).await? {
            let browser = self.renew_cookie(tx, user, device).await?;
            return Ok(SteppedUp::Browser(browser));
        }
        tx.commit().await?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let login = Login {
            user,
            device,
            amr: &words,
            auth_time: now,
            act: None,
        };
        Ok(SteppedUp::Token {
            access_token: self.access_token(&keys, &login)?,
            expires_in: seconds(self.settings.access_ttl),
        })
    }

    async fn judge_again(&self, caller: &Caller, again: Again) -> Result<Judged> {
        match again {
            Again::Password(password) => {
                self.prove_again(caller, Some(password)).await?;
                Ok(Judged::Password)
            }
            Again::Otp { handle, code } => {
                let proof = CodeProof {
                    handle: Some(&handle),
                    phone_number: None,
                    code: &code,
                    known_device: None,
                };
                let right = self
                    .judge_code(proof, Purpose::StepUp, Some(caller.user))
                    .await?;
                Ok(Judged::Code(right))
            }
            // A PIN guards a number; it is too short to prove more.
            Again::Second(Proof::Pin(_)) => Err(Error::SecondFactorInvalid),
            Again::Second(proof) => {
                let second = self.judge_second(caller.user, proof).await?;
                Ok(Judged::Second(second))
            }
        }
    }
}

/// What was right and is not used up yet.
enum Judged {
    Password,
    Code(crate::code_login::RightCode),
    Second(crate::proof::Second),
}
