//! The first administrator: by a link, by the command line, or from the environment. All three
//! end in `make_admin`; nobody becomes one in another way, and there is no default account.

use std::time::Duration;

use kernel::{PlatformRole, UserId};
use secrecy::{ExposeSecret, SecretString};

use crate::Identity;
use crate::devices::{Account, LoggedIn, Origin, later};
use crate::error::{Error, Result};
use crate::limits;
use crate::registration::Registration;
use crate::rules::{Email, made_username};
use crate::second_factor::amr;
use crate::secrets::sha256;
use crate::sql;

/// The role that may do everything.
pub const SUPERADMIN: &str = "superadmin";
/// How long a set-up link is good.
pub const SETUP_LINK_TTL: Duration = Duration::from_secs(30 * 60);
const PURPOSE: &str = "setup";

/// An administrator to be made by the operator.
#[derive(Debug)]
pub struct NewAdmin {
    /// E-mail address; the operator vouches for it.
    pub email: String,
    /// Unique name; made from the address when absent.
    pub username: Option<String>,
    /// The name people read; the username when absent.
    pub display_name: Option<String>,
    /// Needed when the account does not exist yet.
    pub password: Option<SecretString>,
}

/// What became of the wish for an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminOutcome {
    /// The account was made.
    Created(UserId),
    /// The account existed; it is an administrator now. Its password is what it was.
    Promoted(UserId),
    /// The account lost a role.
    Demoted(UserId),
    /// The account was an administrator already; nothing changed.
    Unchanged(UserId),
}

impl Identity {
    /// Whether anybody administers the platform.
    pub async fn has_admin(&self) -> Result<bool> {
        Ok(sql::people::has_admin(&self.db).await?)
    }

    /// Makes an administrator on the operator's word: a new account, or one that exists.
    pub async fn create_admin(&self, new: NewAdmin) -> Result<AdminOutcome> {
        let email = Email::parse(&new.email).ok_or(Error::EmailInvalid)?;
        let tx = self.db.begin().await?;
        let known = sql::users::find_by_email(&tx, &email.key).await?;
        tx.commit().await?;
        match known {
            Some(user) => self.grant(user, PlatformRole::Superadmin).await,
            None => self.create_admin_account(new, &email).await,
        }
    }

    /// Makes the administrator that the environment names, if there is none. Creates only: an
    /// account that has the address already might be anybody's.
    pub async fn create_admin_from_environment(
        &self,
        email: &str,
        password: SecretString,
    ) -> Result<Option<UserId>> {
        if self.has_admin().await? {
            return Ok(None);
        }
        let email = Email::parse(email).ok_or(Error::EmailInvalid)?;
        let new = NewAdmin {
            email: email.text.clone(),
            username: None,
            display_name: None,
            password: Some(password),
        };
        match self.create_admin_account(new, &email).await {
            Ok(AdminOutcome::Created(user)) => Ok(Some(user)),
            Ok(_) => Ok(None),
            // Another node was faster.
            Err(Error::EmailTaken) if self.has_admin().await? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a set-up link's token; earlier ones are void. Only while there is no administrator.
    pub async fn issue_setup_link(&self) -> Result<SecretString> {
        let now = self.clock.now();
        let (token, hash) = self.one_time_token();
        let tx = self.db.begin().await?;
        sql::people::lock_admins(&tx).await?;
        if sql::people::has_admin(&tx).await? {
            return Err(Error::AdminExists);
        }
        sql::tokens::void(&tx, None, PURPOSE).await?;
        let token_row = sql::tokens::NewToken {
            hash: &hash,
            purpose: PURPOSE,
            user: None,
            data: &serde_json::json!({}),
            expires_at: later(now, SETUP_LINK_TTL),
            at: now,
        };
        sql::tokens::insert(&tx, &token_row).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Uses a set-up link: makes the first administrator and logs them in.
    pub async fn set_up(
        &self,
        token: &SecretString,
        wish: Registration,
        origin: &Origin,
    ) -> Result<LoggedIn> {
        limits::registration_from(&*self.limiter, &self.settings.limits, origin.ip).await?;
        let now = self.clock.now();
        let hash = sha256(token.expose_secret().as_bytes());
        // Asked before the dear hash, so that strangers cannot make us compute; decided below.
        if !sql::tokens::exists(&self.db, &hash, PURPOSE, now).await? {
            return Err(Error::TokenInvalid);
        }
        let email = wish.check_from(origin)?;
        let phc = self
            .hash_password(wish.password.clone(), wish.words())
            .await?;
        let keys = self.keys.set().await?;
        let tx = self.db.begin().await?;
        sql::people::lock_admins(&tx).await?;
        // An error from here on rolls back: a link is used up only by an administrator.
        let consumed = sql::tokens::consume(&tx, &hash, PURPOSE, now).await?;
        if consumed.is_none() || sql::people::has_admin(&tx).await? {
            return Err(Error::TokenInvalid);
        }
        let user = self
            .insert_person(&tx, &wish, &email, Some(&phc), Some(now))
            .await?;
        self.make_admin(&tx, user).await?;
        let logged_in = self
            .issue(&tx, &keys, (user, Account::New), &[amr::PWD], origin)
            .await?;
        tx.commit().await?;
        Ok(logged_in)
    }

    async fn create_admin_account(&self, new: NewAdmin, email: &Email) -> Result<AdminOutcome> {
        let password = new.password.ok_or(Error::AdminPasswordMissing)?;
        let local = email.key.split('@').next().unwrap_or_default();
        let spare: UserId = self.ids.next()?;
        let chosen = new.username.is_some();
        let username = new.username.unwrap_or_else(|| made_username(local, spare));
        let display_name = new.display_name.unwrap_or_else(|| username.clone());
        let mut wish = Registration {
            email: email.text.clone(),
            password: password.clone(),
            username,
            display_name,
            locale: kernel::Locale::default().tag().to_owned(),
            consents: Vec::new(),
        };
        wish.check()?;
        let phc = self.hash_password(password, wish.words()).await?;
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        sql::people::lock_admins(&tx).await?;
        // A name the operator chose is theirs to change; one we made up is ours.
        if !chosen {
            wish.username = self.free_username(&tx, wish.username, spare).await?;
        }
        let user = self
            .insert_person(&tx, &wish, email, Some(&phc), Some(now))
            .await?;
        self.make_admin(&tx, user).await?;
        tx.commit().await?;
        Ok(AdminOutcome::Created(user))
    }

    /// Grants the role and voids every set-up link; false when the user had the role.
    pub(crate) async fn make_admin(&self, tx: &db::Tx, user: UserId) -> Result<bool> {
        let now = self.clock.now();
        let changed = sql::people::grant_role(tx, user, SUPERADMIN, now).await?;
        if changed {
            self.note_roles(tx, user).await?;
        }
        sql::tokens::void(tx, None, PURPOSE).await?;
        Ok(changed)
    }
}
