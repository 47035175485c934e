//! Authenticator apps (RFC 6238): setting one up, checking its codes, removing it.
//!
//! SHA-1, six digits and thirty seconds, because some apps take other parameters and ignore them.
//! The step of an accepted code is stored, so a code works once; that of the set-up counts too.

use kernel::{Caller, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use totp_rs::{Algorithm, Builder, Totp};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::qr;
use crate::second_factor::amr;
use crate::secrets::KEK_ID;
use crate::sql;

/// Digits of a code.
pub(crate) const DIGITS: usize = 6;
/// Seconds for which a code is shown.
const STEP_S: u64 = 30;
/// As long as the hash, as RFC 4226 §4 recommends.
const SEED_BYTES: usize = 20;

/// What an authenticator app is set up with.
#[derive(Debug)]
pub struct NewTotp {
    /// The secret in base32, to be typed.
    pub secret: SecretString,
    /// The same as a link, to be opened.
    pub otpauth_uri: SecretString,
    /// The link as a picture, to be scanned: SVG.
    pub qr_svg: SecretString,
}

/// How many steps beside the present one a code may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// None, as ASVS has it.
    None,
    /// One before and one after, for clocks that are not quite right.
    One,
}

impl Skew {
    fn steps(self) -> u16 {
        match self {
            Skew::None => 0,
            Skew::One => 1,
        }
    }
}

impl Identity {
    /// Makes the secret of an authenticator app; on once a code of it was seen.
    pub async fn begin_totp(&self, caller: &Caller) -> Result<NewTotp> {
        self.may_change_factors(caller).await?;
        let user = caller.user;
        let account = self.account(user).await?;
        let seed = kernel::rng::bytes::<SEED_BYTES>(&*self.rng);
        let sealed = self
            .settings
            .keys
            .seal(&*self.rng, &user.to_string(), &seed)?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if !sql::factors::upsert_totp(&tx, user, &sealed, KEK_ID, now).await? {
            return Err(Error::TotpAlreadyOn);
        }
        tx.commit().await?;
        let issuer = issuer(&self.settings.public_url);
        describe(&seed, &account.username, &issuer)
            .ok_or(Error::Broken("a TOTP secret that cannot be described"))
    }

    /// Turns an authenticator app on by its first code: new recovery codes.
    pub async fn confirm_totp(
        &self,
        caller: &Caller,
        code: &SecretString,
    ) -> Result<Vec<SecretString>> {
        let device = self.may_change_factors(caller).await?;
        let user = caller.user;
        self.count_second(user).await?;
        let stored = sql::factors::find_totp(&self.db, user)
            .await?
            .ok_or(Error::TotpInvalid)?;
        if stored.confirmed_at.is_some() {
            return Err(Error::TotpAlreadyOn);
        }
        let step = self
            .matching_step(user, &stored, code)?
            .ok_or(Error::TotpInvalid)?;
        let codes = self.hash_codes().await?;
        let now = self.clock.now();
        let tx = self.begin_factor_change(user).await?;
        if !sql::factors::confirm_totp(&tx, user, &stored.seed_enc, step, now).await? {
            return Err(Error::TotpInvalid);
        }
        codes.store(&tx, user).await?;
        sql::devices::prove(&tx, user, device, now, &[amr::TOTP]).await?;
        let mut events = Events::new(&self.ids, now, Some(user));
        events.factor_changed(user, "totp")?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(codes.plain)
    }

    /// Removes the authenticator app. Never the last way in, for it opens nothing alone.
    pub async fn remove_totp(&self, caller: &Caller) -> Result<()> {
        self.may_change_factors(caller).await?;
        let user = caller.user;
        let tx = self.begin_factor_change(user).await?;
        if sql::factors::delete_totp(&tx, user).await? {
            self.end_factor_change(&tx, user, "totp").await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The step whose code this is, if it is one of those accepted now.
    pub(crate) fn matching_step(
        &self,
        user: UserId,
        stored: &sql::factors::Totp,
        code: &SecretString,
    ) -> Result<Option<i64>> {
        let keys = &self.settings.keys;
        let seed = keys.open(&stored.key_id, &user.to_string(), &stored.seed_enc)?;
        let now = u64::try_from(self.clock.now().as_second()).unwrap_or(0);
        let step = step_of(seed, self.settings.totp_skew, code.expose_secret(), now);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }
}

fn builder(seed: Vec<u8>) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(STEP_S)
        .with_secret(seed)
}

fn step_of(seed: Vec<u8>, skew: Skew, code: &str, now: u64) -> Option<u64> {
    // People type codes as they see them: in two groups.
    let code: String = code.chars().filter(|c| *c != ' ').collect();
    if code.len() != DIGITS || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let totp = builder(seed)
        .with_skew(skew.steps())
        .with_account_name("user")
        .build();
    totp.ok()?.check(&code, now)
}

fn describe(seed: &[u8], account: &str, issuer: &str) -> Option<NewTotp> {
    let totp: Totp = builder(seed.to_vec())
        .with_account_name(account)
        .with_issuer(Some(issuer))
        .build()
        .ok()?;
    let otpauth_uri = totp.to_url().ok()?;
    Some(NewTotp {
        secret: SecretString::from(totp.secret().to_base32()),
        qr_svg: SecretString::from(qr::svg(&otpauth_uri)?),
        otpauth_uri: SecretString::from(otpauth_uri),
    })
}

/// What apps list the account under: whoever uses two installations must tell them apart.
fn issuer(public_url: &str) -> String {
    let host = public_url.split("://").nth(1).unwrap_or_default();
    let host = host.split(['/', ':', '[']).next().unwrap_or_default();
    format!("Meydan {host}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let seed = b"12345678901234567890".to_vec();
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (20_000_000_000, "353130"),
        ] {
            let step = step_of(seed.clone(), Skew::None, code, now);
            assert_eq!(step, Some(now / STEP_S), "{now}");
        }
    }

    #[test]
    fn one_step_beside_the_present_is_accepted_and_two_are_not() {
        let seed = b"12345678901234567890".to_vec();
        let code = "287082"; // Of step 1.
        for (now, none, one) in [
            (0, None, Some(1)),
            (29, None, Some(1)),
            (30, Some(1), Some(1)),
            (59, Some(1), Some(1)),
            (60, None, Some(1)),
            (89, None, Some(1)),
            (90, None, None),
        ] {
            assert_eq!(step_of(seed.clone(), Skew::None, code, now), none, "{now}");
            assert_eq!(step_of(seed.clone(), Skew::One, code, now), one, "{now}");
        }
    }

    #[test]
    fn only_six_digits_are_a_code() {
        let seed = b"12345678901234567890".to_vec();
        let is = |code: &str| step_of(seed.clone(), Skew::None, code, 59).is_some();
        assert!(is("287082") && is("287 082"));
        for other in ["", "28708", "2870820", "+87082", "28708a", "２８７０８２"] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn issuers_name_the_host() {
        for (url, name) in [
            ("https://chat.example.com", "Meydan chat.example.com"),
            ("http://127.0.0.1:3000", "Meydan 127.0.0.1"),
            ("http://[::1]:3000", "Meydan"),
        ] {
            assert_eq!(issuer(url), name);
        }
    }
}
