//! Profiles: one's own, and user objects of the chat dialect.

use contracts::identity::User;
use contracts::media::PictureSource;
use kernel::{Caller, UserId};

use crate::Identity;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::model::{self, Account, Factors, Me, State};
use crate::registration::taken;
use crate::rules::{Fields, MAX_ABOUT_CHARS, MAX_DISPLAY_NAME_CHARS, is_reserved};
use crate::sql;

/// A change of one's own profile; what is `None` stays.
#[derive(Debug, Default)]
pub struct ProfileChange {
    /// Unique name.
    pub username: Option<String>,
    /// The name people read.
    pub display_name: Option<String>,
    /// What the user says about themselves; `Some(None)` empties it.
    pub about: Option<Option<String>>,
    /// Language tag.
    pub locale: Option<String>,
    /// A picture; `Some(None)` takes it away.
    pub picture: Option<Option<PictureSource>>,
}

impl ProfileChange {
    fn check(&self) -> Result<()> {
        let mut fields = Fields::default();
        if let Some(name) = &self.username {
            fields.username("/username", name);
        }
        if let Some(name) = &self.display_name {
            fields.line("/display_name", name, MAX_DISPLAY_NAME_CHARS);
        }
        if let Some(Some(about)) = &self.about {
            fields.lines("/about", about, MAX_ABOUT_CHARS);
        }
        if let Some(tag) = &self.locale {
            fields.locale("/locale", tag);
        }
        fields.done()?;
        match &self.username {
            Some(name) if is_reserved(name) => Err(Error::UsernameTaken),
            _ => Ok(()),
        }
    }

    fn names(&self) -> Vec<&'static str> {
        [
            (self.username.is_some(), "username"),
            (self.display_name.is_some(), "display_name"),
            (self.about.is_some(), "about"),
            (self.locale.is_some(), "locale"),
            (self.picture.is_some(), "avatar"),
        ]
        .into_iter()
        .filter_map(|(changes, name)| changes.then_some(name))
        .collect()
    }
}

/// Which version of a profile a change is made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// This one; otherwise the change is stale.
    Version(i32),
    /// Whatever it is: the chat dialect knows no versions.
    Any,
}

impl Identity {
    /// The caller's own account.
    pub async fn me(&self, caller: &Caller) -> Result<Me> {
        let account = self.account(caller.user).await?;
        self.complete(account).await
    }

    /// The caller's account as it is stored.
    pub async fn account(&self, user: UserId) -> Result<Account> {
        // The token outlived the account.
        sql::users::find(&self.db, user)
            .await?
            .ok_or(Error::Unauthenticated)
    }

    /// Changes the caller's profile. A change of nothing checks the version and does no more.
    pub async fn change_profile(
        &self,
        caller: &Caller,
        on: Precondition,
        change: ProfileChange,
    ) -> Result<Account> {
        change.check()?;
        let version = match on {
            Precondition::Version(version) => Some(version),
            Precondition::Any => None,
        };
        let names = change.names();
        if names.is_empty() || change.picture.is_some() {
            let account = self.account(caller.user).await?;
            let fits = version.is_none_or(|version| version == account.version);
            // A change that is known to be stale uses no upload up.
            if !fits {
                return Err(Error::Stale);
            }
            if names.is_empty() {
                return Ok(account);
            }
        }
        let sets_picture = change.picture.is_some();
        let source = change.picture.clone().flatten();
        let picture = self.make_picture(caller.user, source).await?;
        let row = sql::users::Change {
            username: change.username.as_deref(),
            display_name: change.display_name.as_deref(),
            about: change.about.as_ref().map(Option::as_deref),
            locale: change.locale.as_deref(),
            picture: sets_picture.then(|| {
                let picture = picture.as_ref();
                picture.map(|picture| (&*picture.hash, &*picture.url))
            }),
        };
        let changed = self.store_profile(caller.user, version, &row, &names).await;
        match &changed {
            Ok(_) if sets_picture => self.keep_picture(caller.user, picture.as_ref()).await,
            Ok(_) => {}
            Err(_) => self.drop_picture(picture.as_ref()).await,
        }
        changed
    }

    async fn store_profile(
        &self,
        user: UserId,
        version: Option<i32>,
        row: &sql::users::Change<'_>,
        names: &[&'static str],
    ) -> Result<Account> {
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        let account = sql::users::update(&tx, user, version, row, now)
            .await
            .map_err(taken)?
            .ok_or(Error::Stale)?;
        let mut events = Events::new(&self.ids, now, Some(user));
        events.user_updated(user, names, account.version)?;
        events.append(&tx).await?;
        tx.commit().await?;
        self.forget_card(user);
        Ok(account)
    }

    /// An account with its roles and factors.
    pub(crate) async fn complete(&self, account: Account) -> Result<Me> {
        let roles = sql::people::list_roles(&self.db, account.id).await?;
        let factors = self.factors(account.id).await?;
        let erase_at = match account.state {
            State::Deleting => {
                let wish = sql::erasures::find_open(&self.db, account.id).await?;
                wish.map(|wish| wish.due_at)
            }
            State::Active | State::Disabled | State::Erased => None,
        };
        Ok(Me {
            erase_at,
            ..Me::new(account, roles, factors)
        })
    }

    /// What can prove a login of a user.
    pub(crate) async fn factors(&self, user: UserId) -> Result<Factors> {
        Ok(sql::users::factors(&self.db, user).await?)
    }

    /// User objects of the chat dialect, from the cache as far as it holds them.
    pub(crate) async fn chat_users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        let mut users = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            match self.chat_cache.get(id) {
                Some(user) => users.push(user),
                None => missing.push(*id),
            }
        }
        if !missing.is_empty() {
            for account in sql::users::list(&self.db, &missing).await? {
                let user = chat_user(account);
                self.chat_cache.insert(user.id, user.clone());
                users.push(user);
            }
        }
        Ok(users)
    }

    /// Drops what is cached of a user.
    pub(crate) fn forget_card(&self, user: UserId) {
        self.chat_cache.invalidate(&user);
    }
}

/// The chat dialect's user object of an account.
pub(crate) fn chat_user(account: model::Account) -> User {
    let user = User::new(
        account.id,
        account.username,
        account.display_name,
        account.kind.into(),
    );
    User {
        avatar: account.avatar,
        ..user
    }
}
