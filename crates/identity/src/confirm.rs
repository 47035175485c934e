//! Signing up where e-mail addresses are proved first: the account is made by the link.
//!
//! Until then there is no account, only a token with the wish in it; a username is free until
//! somebody confirms.

use std::time::Duration;

use kernel::Locale;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin, later};
use crate::error::{Error, Result};
use crate::letters::LinkLetter;
use crate::limits;
use crate::registration::{Consent, Registration};
use crate::rules::{Email, Fields};
use crate::second_factor::amr;
use crate::secrets::sha256;
use crate::sql;

/// How long a sign-up waits for its letter. A day: nobody has an account to lose yet, and a first
/// letter from an unknown server is often held back for hours.
const PENDING_TTL: Duration = Duration::from_secs(24 * 3600);
/// What the token of a sign-up is stored as.
const PURPOSE: &str = "registration";

/// A sign-up that waits for its letter.
#[derive(Serialize, Deserialize)]
struct Pending {
    email: String,
    phc: String,
    username: String,
    display_name: String,
    locale: String,
    consents: Vec<Consent>,
}

impl Identity {
    /// Sends the link that makes the account; to the owner of a taken address a letter that says
    /// so. Both cost the same and get the same answer. A taken username is told: usernames are
    /// public.
    pub(crate) async fn begin_registration(
        &self,
        wish: Registration,
        email: &Email,
        origin: &Origin,
    ) -> Result<()> {
        let (limiter, keys) = (&*self.limiter, &self.settings.keys);
        let slot = self.reserve_letter()?;
        limits::registration_from(limiter, &self.settings.limits, origin.ip).await?;
        limits::link_to(limiter, self.settings.otp.target_per_hour, keys, &email.key).await?;
        self.check_texts(&wish.consents).await?;
        let phc = self
            .hash_password(wish.password.clone(), wish.words())
            .await?;
        let locale = Locale::from_tag(&wish.locale).unwrap_or_default();
        let pending = serde_json::to_value(Pending {
            email: wish.email,
            phc,
            username: wish.username.clone(),
            display_name: wish.display_name,
            locale: wish.locale,
            consents: wish.consents,
        });
        let now = self.clock.now();
        let (token, hash) = self.one_time_token();
        let row = sql::tokens::NewToken {
            hash: &hash,
            purpose: PURPOSE,
            user: None,
            data: &pending.or(Err(Error::Broken("a sign-up that cannot be written")))?,
            expires_at: later(now, PENDING_TTL),
            at: now,
        };
        let tx = self.db.begin().await?;
        if sql::users::has_username(&tx, &wish.username).await? {
            return Err(Error::UsernameTaken);
        }
        let owner = sql::owners::by_email(&tx, &email.key).await?;
        sql::tokens::insert(&tx, &row).await?;
        tx.commit().await?;
        // The token of a taken address is never learned by anybody, and could make no account.
        slot.send(match owner {
            None => self.link_letter(LinkLetter::Registration, locale, &email.text, &token),
            Some(owner) => {
                let locale = Locale::from_tag(&owner.locale).unwrap_or_default();
                self.link_letter(LinkLetter::Taken, locale, &email.text, &token)
            }
        });
        Ok(())
    }

    /// Makes the account that a link stands for and logs its owner in. `username` replaces the
    /// wished one, which somebody may have taken meanwhile.
    pub async fn confirm_registration(
        &self,
        token: &SecretString,
        username: Option<String>,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        let (now, hash) = (self.clock.now(), sha256(token.expose_secret().as_bytes()));
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        // An error from here on rolls back: a link is used up only by an account.
        let consumed = sql::tokens::consume(&tx, &hash, PURPOSE, now).await?;
        let data = consumed.ok_or(Error::TokenInvalid)?.data;
        let pending: Pending =
            serde_json::from_value(data).or(Err(Error::Broken("a sign-up that cannot be read")))?;
        let wish = Registration {
            email: pending.email,
            password: SecretString::default(),
            username: username.unwrap_or(pending.username),
            display_name: pending.display_name,
            locale: pending.locale,
            consents: pending.consents,
        };
        let email = wish.check()?;
        let made = self
            .insert_person(&tx, &wish, &email, Some(&pending.phc), Some(now))
            .await;
        let user = made.map_err(|error| match error {
            // Another link to the same address was faster.
            Error::EmailTaken => Error::TokenInvalid,
            other => other,
        })?;
        let logged_in = self
            .issue(&tx, &keys, (user, Account::New), &[amr::OTP], origin)
            .await?;
        tx.commit().await?;
        Ok(logged_in)
    }
}
