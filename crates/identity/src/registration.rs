//! Making accounts: by signing up, for bots, and what both share.

use contracts::identity::{AccountKind, User};
use jiff::Timestamp;
use kernel::{FieldError, UserId};
use secrecy::SecretString;

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::limits;
use crate::rules::{
    Email, Fields, MAX_CONSENTS, MAX_DISPLAY_NAME_CHARS, is_reserved, made_username, username_from,
};
use crate::second_factor::amr;
use crate::settings::EmailVerification;
use crate::sql;
use crate::sql::users::NewUser;

/// A wish for an account.
#[derive(Debug)]
pub struct Registration {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: SecretString,
    /// Unique name.
    pub username: String,
    /// The name people read.
    pub display_name: String,
    /// Language tag.
    pub locale: String,
    /// Texts the user agreed to.
    pub consents: Vec<Consent>,
}

/// What becomes of a sign-up.
#[derive(Debug)]
pub enum Registered {
    /// The account is made and logged in.
    In(LoggedIn),
    /// A letter is on its way.
    Pending,
}

/// A text somebody agreed to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// What for, such as `terms` or `privacy`.
    #[schema(format = "line", min_length = 1, max_length = 64)]
    pub purpose: String,
    /// Which version of the text.
    #[schema(format = "line", min_length = 1, max_length = 64)]
    pub text_version: String,
}

impl Registration {
    /// Checks everything that needs no database.
    pub(crate) fn check(&self) -> Result<Email> {
        let mut fields = Fields::default();
        fields.username("/username", &self.username);
        fields.line("/display_name", &self.display_name, MAX_DISPLAY_NAME_CHARS);
        fields.locale("/locale", &self.locale);
        if self.consents.len() > MAX_CONSENTS {
            let detail = format!("at most {MAX_CONSENTS}");
            fields.add(FieldError::new("/consents", "TOO_MANY", detail));
        }
        for (index, consent) in self.consents.iter().take(MAX_CONSENTS).enumerate() {
            fields.line(&format!("/consents/{index}/purpose"), &consent.purpose, 64);
            fields.line(
                &format!("/consents/{index}/text_version"),
                &consent.text_version,
                64,
            );
            let earlier = self.consents.iter().take(index);
            if earlier
                .into_iter()
                .any(|other| other.purpose == consent.purpose)
            {
                let pointer = format!("/consents/{index}/purpose");
                fields.add(FieldError::new(pointer, "DUPLICATE", "named twice"));
            }
        }
        fields.done()?;
        if is_reserved(&self.username) {
            return Err(Error::UsernameTaken);
        }
        Email::parse(&self.email).ok_or(Error::EmailInvalid)
    }

    /// The same, with what the client says about its device.
    pub(crate) fn check_from(&self, origin: &Origin) -> Result<Email> {
        let mut fields = Fields::default();
        fields.device("/device", &origin.device);
        fields.done()?;
        self.check()
    }

    /// The words a password must not be made of.
    pub(crate) fn words(&self) -> Vec<String> {
        vec![
            self.email.clone(),
            self.username.clone(),
            self.display_name.clone(),
        ]
    }
}

impl Identity {
    /// Signs somebody up and logs them in.
    ///
    /// Where e-mail addresses are proved, a letter comes first (`confirm.rs`): before it, nothing
    /// may be said about the address.
    pub async fn register(&self, wish: Registration, origin: &Origin) -> Result<Registered> {
        let required = self.settings.email_verification == EmailVerification::Required;
        if required && self.senders.mail.is_none() {
            return Err(Error::RegistrationClosed);
        }
        let email = wish.check_from(origin)?;
        if required {
            self.begin_registration(wish, &email, origin).await?;
            return Ok(Registered::Pending);
        }
        limits::registration_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        self.check_texts(&wish.consents).await?;
        let phc = self
            .hash_password(wish.password.clone(), wish.words())
            .await?;
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        let user = self
            .insert_person(&tx, &wish, &email, Some(&phc), None)
            .await?;
        let logged_in = self
            .issue(&tx, &keys, (user, Account::New), &[amr::PWD], origin)
            .await?;
        tx.commit().await?;
        Ok(Registered::In(logged_in))
    }

    /// Stores a person, with what they log in with and what they agreed to.
    pub(crate) async fn insert_person(
        &self,
        tx: &db::Tx,
        wish: &Registration,
        email: &Email,
        phc: Option<&str>,
        email_verified_at: Option<Timestamp>,
    ) -> Result<UserId> {
        let now = self.clock.now();
        let id: UserId = self.ids.next()?;
        let row = NewUser {
            id,
            kind: "user",
            email: Some(&email.text),
            email_key: Some(&email.key),
            username: &wish.username,
            display_name: &wish.display_name,
            locale: &wish.locale,
            email_verified_at,
            at: now,
        };
        sql::users::insert(tx, &row).await.map_err(taken)?;
        if let Some(phc) = phc {
            sql::users::set_password(tx, id, phc, now).await?;
        }
        let mut events = Events::new(&self.ids, now, Some(id));
        events.user_created(id, row.kind)?;
        if !wish.consents.is_empty() {
            let purposes: Vec<&str> = wish.consents.iter().map(|c| c.purpose.as_str()).collect();
            let versions: Vec<&str> = wish
                .consents
                .iter()
                .map(|c| c.text_version.as_str())
                .collect();
            sql::people::insert_consents(tx, id, &purposes, &versions, now).await?;
            events.consent_changed(id, &purposes)?;
        }
        events.append(tx).await?;
        Ok(id)
    }

    /// Makes the account of a bot, owned by `owner`. Its username is made of its name.
    pub(crate) async fn make_bot(&self, owner: UserId, name: &str) -> Result<User> {
        let mut fields = Fields::default();
        fields.line("/name", name, MAX_DISPLAY_NAME_CHARS);
        fields.done()?;
        let now = self.clock.now();
        let id: UserId = self.ids.next()?;
        let tx = self.db.begin().await?;
        let username = self.free_username(&tx, made_username(name, id), id).await?;
        let row = NewUser {
            id,
            kind: "bot",
            email: None,
            email_key: None,
            username: &username,
            display_name: name,
            locale: "en",
            email_verified_at: None,
            at: now,
        };
        let mut events = Events::new(&self.ids, now, Some(owner));
        events.user_created(id, row.kind)?;
        sql::users::insert(&tx, &row).await.map_err(taken)?;
        events.append(&tx).await?;
        tx.commit().await?;
        Ok(User::new(id, username, name.to_owned(), AccountKind::Bot))
    }

    /// A made-up username, or the same with the id where somebody has it.
    pub(crate) async fn free_username(
        &self,
        tx: &db::Tx,
        made: String,
        id: UserId,
    ) -> Result<String> {
        let in_use = sql::users::has_username(tx, &made).await?;
        Ok(if in_use {
            username_from(&made, id)
        } else {
            made
        })
    }

    /// Disables a bot's account for good and takes its names; repeatable.
    pub(crate) async fn end_bot(&self, bot: UserId) -> Result<()> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        if sql::users::retire_bot(&tx, bot, now).await? {
            let mut events = Events::new(&self.ids, now, None);
            events.user_state_changed(bot, "disabled")?;
            events.append(&tx).await?;
        }
        tx.commit().await?;
        self.forget_card(bot);
        Ok(())
    }
}

/// Says which of the unique names was taken.
pub(crate) fn taken(error: db::Error) -> Error {
    match error.constraint() {
        Some("users_email_key_key") => Error::EmailTaken,
        Some("users_username_key") => Error::UsernameTaken,
        _ => error.into(),
    }
}
