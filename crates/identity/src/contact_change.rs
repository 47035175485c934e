//! Changing one's number or e-mail address, with a code that was sent to the new one.

use kernel::{Caller, Locale};
use secrecy::SecretString;

use crate::Identity;
use crate::code_login::CodeProof;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::letters::{self, News, Sender};
use crate::otp::{Purpose, Target};
use crate::sender::Parcel;
use crate::sql;

/// What a caller replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactKind {
    /// The number.
    Phone,
    /// The address.
    Email,
}

impl Identity {
    /// Replaces the caller's number or address by the one a code was sent to. Whoever reads what
    /// comes to the old one is told.
    pub async fn change_contact(
        &self,
        caller: &Caller,
        kind: ContactKind,
        handle: &str,
        code: &SecretString,
    ) -> Result<()> {
        if caller.device.is_none() || caller.act.is_some() {
            return Err(Error::Forbidden);
        }
        // Places first, so that a full queue costs nobody a code.
        let slots = (self.outgoing.reserve()?, self.outgoing.reserve()?);
        let proof = CodeProof {
            handle: Some(handle),
            phone_number: None,
            code,
            known_device: None,
        };
        let user = caller.user;
        let right = self
            .judge_code(proof, Purpose::VerifyContact, Some(user))
            .await?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        self.consume_code(&tx, &right).await?;
        let old = sql::mailboxes::lock(&tx, user).await?;
        let old = old.ok_or(Error::Unauthenticated)?;
        let (changed, field, news) = match (&right.target, kind) {
            (Target::Phone(phone), ContactKind::Phone) => (
                sql::mailboxes::set_phone(&tx, user, &phone.number, now).await,
                "phone_number",
                News::PhoneChanged,
            ),
            (Target::Email(email), ContactKind::Email) => (
                sql::mailboxes::set_email(&tx, user, &email.text, &email.key, now).await,
                "email",
                News::EmailChanged,
            ),
            (Target::Phone(_), ContactKind::Email) | (Target::Email(_), ContactKind::Phone) => {
                return Err(Error::OtpInvalid);
            }
        };
        let version = changed.map_err(taken)?;
        self.void_links(&tx, user).await?;
        let mut events = Events::new(&self.ids, now, Some(user));
        events.user_updated(user, &[field], version)?;
        events.append(&tx).await?;
        tx.commit().await?;
        self.forget_card(user);
        let locale = Locale::from_tag(&old.locale).unwrap_or_default();
        let sender = Sender {
            public_url: &self.settings.public_url,
        };
        if let (Some(email), Some(_)) = (&old.email, &self.senders.mail) {
            let letter = letters::news(sender, locale, email, news);
            slots.0.send(Parcel::Letter(letter));
        }
        if let (Some(phone), Some(_), ContactKind::Phone) =
            (&old.phone_number, &self.senders.sms, kind)
        {
            let text = letters::phone_changed_text(locale, phone);
            slots.1.send(Parcel::Text(text));
        }
        Ok(())
    }
}

fn taken(error: db::Error) -> Error {
    match error.constraint() {
        Some("users_email_key_key" | "users_phone_number_key") => Error::ContactTaken,
        _ => error.into(),
    }
}
