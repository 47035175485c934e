//! Texts that people agree to, and who agreed to what when.
//!
//! A published text never changes; a newer version takes its place. Each grant is a row with the
//! version and hash of what was read, and a withdrawal ends that row without removing it: both stay
//! as the proof.

use jiff::Timestamp;
use kernel::{Caller, FieldError, UserId};
use serde::Serialize;

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::registration::Consent;
use crate::rules::Fields;
use crate::secrets::{hex, sha256};
use crate::sql;

/// Longest text, in each language.
const MAX_TEXT_CHARS: usize = 100_000;
/// Longest version and purpose.
const MAX_WORD_CHARS: usize = 64;

/// A text that people agree to, as it is current.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConsentText {
    /// What for, such as `terms` or `privacy`.
    pub purpose: String,
    /// Which version.
    pub version: String,
    /// SHA-256 in hexadecimal of purpose, version and both texts, each followed by a zero byte.
    pub hash: String,
    /// The text in Turkish.
    pub tr: String,
    /// The text in English.
    pub en: String,
    /// Since when it is current.
    pub published_at: Timestamp,
}

/// A text to be published.
#[derive(Debug)]
pub struct NewText {
    /// What for.
    pub purpose: String,
    /// Which version; a new one.
    pub version: String,
    /// The text in Turkish.
    pub tr: String,
    /// The text in English.
    pub en: String,
}

impl NewText {
    fn check(&self) -> Result<()> {
        let mut fields = Fields::default();
        let mut letters = self.purpose.bytes();
        let word = letters.next().is_some_and(|b| b.is_ascii_lowercase())
            && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && self.purpose.len() <= MAX_WORD_CHARS;
        if !word {
            let detail = "a-z, 0-9 and underscore, at most 64, a letter first";
            fields.add(FieldError::new("/purpose", "BAD_FORMAT", detail));
        }
        fields.line("/version", &self.version, MAX_WORD_CHARS);
        for (pointer, text) in [("/tr", &self.tr), ("/en", &self.en)] {
            if kernel::text::is_invisible(text) {
                fields.add(FieldError::new(pointer, "BLANK", "may not be empty"));
            }
            fields.lines(pointer, text, MAX_TEXT_CHARS);
        }
        fields.done()
    }

    /// What the proof of a consent names: it fits these words and no others.
    fn hash(&self) -> Vec<u8> {
        let parts = [&self.purpose, &self.version, &self.tr, &self.en];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
            // It is in none of the parts, so they cannot run into each other.
            bytes.push(0);
        }
        sha256(&bytes)
    }
}

/// What a user said about one purpose, last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConsentState {
    /// What for.
    pub purpose: String,
    /// Which version was agreed to.
    pub text_version: String,
    /// Whether the consent stands.
    pub granted: bool,
    /// Whether a newer text took the place of that version.
    pub outdated: bool,
    /// When it was given.
    pub granted_at: Timestamp,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Timestamp>,
}

impl Identity {
    /// The current text of every purpose.
    pub async fn consent_texts(&self) -> Result<Vec<ConsentText>> {
        let rows = sql::consents::list_current(&self.db).await?;
        let shown = rows.into_iter().map(|row| ConsentText {
            purpose: row.purpose,
            version: row.version,
            hash: hex(&row.hash),
            tr: row.tr,
            en: row.en,
            published_at: row.published_at,
        });
        Ok(shown.collect())
    }

    /// Publishes a text: from now on it is the current one of its purpose.
    pub async fn publish_text(&self, staff: &Caller, text: NewText) -> Result<()> {
        text.check()?;
        let now = self.clock.now();
        let row = sql::consents::NewText {
            purpose: &text.purpose,
            version: &text.version,
            hash: &text.hash(),
            tr: &text.tr,
            en: &text.en,
            by: staff.user,
            at: now,
        };
        let tx = self.db.begin().await?;
        if !sql::consents::publish(&tx, &row).await? {
            // A text that somebody may have agreed to stays what it is.
            let error = FieldError::new("/version", "TAKEN", "was published before");
            return Err(Error::Invalid(vec![error]));
        }
        let mut events = Events::new(&self.ids, now, Some(staff.user));
        events.text_published(staff.user, &text.purpose, &text.version)?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What the caller said last about each purpose.
    pub async fn list_consents(&self, caller: &Caller) -> Result<Vec<ConsentState>> {
        let rows = sql::consents::list_last(&self.db, caller.user).await?;
        Ok(rows.into_iter().map(ConsentState::from).collect())
    }

    /// Gives or withdraws a consent of the caller; a version means that it is given. Repeatable.
    pub async fn set_consent(
        &self,
        caller: &Caller,
        purpose: &str,
        version: Option<&str>,
    ) -> Result<ConsentState> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::consents::lock_user(&tx, caller.user).await?;
        let changed = match version {
            Some(version) => {
                self.grant_consent(&tx, caller.user, purpose, version)
                    .await?
            }
            None => sql::consents::withdraw(&tx, caller.user, purpose, now).await?,
        };
        if changed {
            let mut events = Events::new(&self.ids, now, Some(caller.user));
            events.consent_changed(caller.user, &[purpose])?;
            events.append(&tx).await?;
        }
        tx.commit().await?;
        let states = self.list_consents(caller).await?;
        let state = states.into_iter().find(|state| state.purpose == purpose);
        state.ok_or(Error::NotFound)
    }

    async fn grant_consent(
        &self,
        tx: &db::Tx,
        user: UserId,
        purpose: &str,
        version: &str,
    ) -> Result<bool> {
        let current = sql::consents::current_version(tx, purpose).await?;
        if current.ok_or(Error::NotFound)? != version {
            return Err(Error::TextOutdated);
        }
        let now = self.clock.now();
        sql::consents::withdraw_others(tx, user, (purpose, version), now).await?;
        Ok(sql::consents::grant(tx, user, (purpose, version), now).await?)
    }

    /// Refuses consents to texts that were replaced. Purposes without a text of ours pass: the
    /// client vouches for what it showed.
    pub(crate) async fn check_texts(&self, consents: &[Consent]) -> Result<()> {
        if consents.is_empty() {
            return Ok(());
        }
        let (purposes, versions): (Vec<&str>, Vec<&str>) = consents
            .iter()
            .map(|consent| (consent.purpose.as_str(), consent.text_version.as_str()))
            .unzip();
        if sql::consents::any_outdated(&self.db, &purposes, &versions).await? {
            return Err(Error::TextOutdated);
        }
        Ok(())
    }
}

impl From<sql::consents::LastRow> for ConsentState {
    fn from(row: sql::consents::LastRow) -> Self {
        ConsentState {
            granted: row.withdrawn_at.is_none(),
            outdated: row.outdated,
            purpose: row.purpose,
            text_version: row.text_version,
            granted_at: row.granted_at,
            withdrawn_at: row.withdrawn_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(purpose: &str, version: &str, tr: &str, en: &str) -> NewText {
        let own = str::to_owned;
        NewText {
            purpose: own(purpose),
            version: own(version),
            tr: own(tr),
            en: own(en),
        }
    }

    #[test]
    fn texts_keep_their_rules() {
        assert!(
            text("terms", "2026-11", "Koşullar\n1.", "Terms")
                .check()
                .is_ok()
        );
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        for bad in [
            text("Terms", "1", "a", "b"),
            text("", "1", "a", "b"),
            text("1terms", "1", "a", "b"),
            text(&"x".repeat(65), "1", "a", "b"),
            text("terms", " ", "a", "b"),
            text("terms", "1", " ", "b"),
            text("terms", "1", "a", &long),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_hash_tells_where_one_part_ends() {
        let one = text("terms", "1", "ab", "c").hash();
        assert_ne!(one, text("terms", "1", "a", "bc").hash());
        assert_eq!(one, text("terms", "1", "ab", "c").hash());
    }
}
