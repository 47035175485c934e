//! Recovery codes: ten, for whoever lost the second factor. Each works once.
//!
//! A code is its number in the set and 80 random bits in base32, so that one stored hash and not
//! ten has to be compared with it.

use kernel::{Caller, UserId};
use secrecy::SecretString;
use totp_rs::Secret;

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::passwords;
use crate::sql;

/// Codes of a set; numbers are one digit.
const CODES: usize = 10;
/// Random bytes of a code: 16 characters of base32, without padding.
const CODE_BYTES: usize = 10;
const CODE_CHARS: usize = 16;

/// A new set: the codes to be shown once, and what is stored of them.
pub(crate) struct NewCodes {
    pub(crate) plain: Vec<SecretString>,
    phcs: Vec<String>,
}

impl NewCodes {
    /// Takes the place of the user's earlier set.
    pub(crate) async fn store(&self, tx: &db::Tx, user: UserId) -> Result<()> {
        sql::factors::delete_codes(tx, user).await?;
        sql::factors::insert_codes(tx, user, &self.phcs).await?;
        Ok(())
    }
}

impl Identity {
    /// Makes a new set of recovery codes; the old one is void.
    pub async fn renew_recovery_codes(&self, caller: &Caller) -> Result<Vec<SecretString>> {
        self.may_change_factors(caller).await?;
        let user = caller.user;
        // Without a second factor there is nothing to recover. Asked again below.
        if !self.factors(user).await?.has_second() {
            return Err(Error::NotFound);
        }
        let codes = self.hash_codes().await?;
        let tx = self.begin_factor_change(user).await?;
        if !sql::users::factors(&tx, user).await?.has_second() {
            return Err(Error::NotFound);
        }
        codes.store(&tx, user).await?;
        let mut events = Events::new(&self.ids, self.clock.now(), Some(user));
        events.factor_changed(user, "recovery_codes")?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(codes.plain)
    }

    /// Makes a set and its hashes, in the bounded queue of hashing.
    pub(crate) async fn hash_codes(&self) -> Result<NewCodes> {
        let (scheme, rng) = (self.settings.password_scheme, self.rng.clone());
        let codes = self.hashing.run(move || {
            let mut codes = NewCodes {
                plain: Vec::with_capacity(CODES),
                phcs: Vec::with_capacity(CODES),
            };
            for idx in 0..CODES {
                let random = kernel::rng::bytes::<CODE_BYTES>(&*rng);
                let code = Secret::from(random.to_vec()).to_base32();
                codes.phcs.push(passwords::hash(scheme, &*rng, &code)?);
                codes.plain.push(SecretString::from(shown(idx, &code)));
            }
            Some(codes)
        });
        codes
            .await
            .or(Err(Error::Busy))?
            .ok_or(Error::Broken("the password scheme refused a recovery code"))
    }
}

/// A code as people copy it: its number, then groups of four.
fn shown(idx: usize, code: &str) -> String {
    let mut text = idx.to_string();
    for (at, character) in code.chars().enumerate() {
        if at % 4 == 0 {
            text.push('-');
        }
        text.push(character);
    }
    text
}

/// The number and the secret of a typed code: dashes, spaces and small letters do not matter.
pub(crate) fn parse(text: &str) -> Option<(i16, SecretString)> {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let mut characters = plain.chars();
    let idx = characters.next()?.to_digit(10)?;
    let code = characters.as_str();
    let base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    if code.len() != CODE_CHARS || !code.bytes().all(base32) {
        return None;
    }
    Some((i16::try_from(idx).ok()?, SecretString::from(code)))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn plain((idx, code): (i16, SecretString)) -> (i16, String) {
        (idx, code.expose_secret().to_owned())
    }

    #[test]
    fn a_shown_code_is_read_again_however_it_is_typed() {
        let text = shown(7, "ABCDEFGHIJKLMN23");
        assert_eq!(text, "7-ABCD-EFGH-IJKL-MN23");
        for typed in [
            text.as_str(),
            "7abcdefghijklmn23",
            " 7 abcd efgh ijkl mn23 ",
        ] {
            let read = parse(typed).map(plain);
            assert_eq!(read, Some((7, "ABCDEFGHIJKLMN23".to_owned())), "{typed}");
        }
        for other in [
            "",
            "7",
            "ABCDEFGHIJKLMN23",
            "7-ABCD-EFGH-IJKL-MN2",
            "7-ABCD-EFGH-IJKL-MN234",
            "7-ABCD-EFGH-IJKL-MN21",
            "12345678901234567",
        ] {
            assert!(parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn ten_random_bytes_are_sixteen_characters() {
        let code = Secret::from(vec![0xff; CODE_BYTES]).to_base32();
        assert_eq!(code.len(), CODE_CHARS);
        assert!(parse(&shown(0, &code)).is_some());
    }
}
