//! Demo people: accounts that an empty installation is filled with, so that there is something to
//! see.
//!
//! They are made without a password. When their world is whole, some are opened: they get one that
//! everybody knows, and which the rules of strength would refuse. It logs in only while the settings
//! allow demo people, which means that nobody but this computer reaches the server; a demo person
//! who changes it is like anybody else from then on.

use kernel::UserId;
use secrecy::{ExposeSecret, SecretString};

use crate::Identity;
use crate::error::{Error, Result};
use crate::passwords;
use crate::registration::Registration;
use crate::settings::DemoPeople;
use crate::sql;

/// A demo person to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewDemoPerson<'a> {
    /// E-mail address.
    pub email: &'a str,
    /// Unique name.
    pub username: &'a str,
    /// The name people read.
    pub display_name: &'a str,
    /// Language tag.
    pub locale: &'a str,
}

/// A demo person that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoPerson {
    /// The account.
    pub id: UserId,
    /// Unique name.
    pub username: String,
    /// E-mail address.
    pub email: Option<String>,
    /// What they log in with.
    pub password: DemoPassword,
}

/// What a demo person logs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoPassword {
    /// They cannot log in.
    None,
    /// The one everybody knows.
    Known,
    /// One that was chosen since.
    Own,
}

impl Identity {
    /// The demo people, in the order in which they were made.
    pub async fn demo_people(&self) -> Result<Vec<DemoPerson>> {
        let rows = sql::demo::list(&self.db).await?;
        let people = rows.into_iter().map(|row| DemoPerson {
            id: row.id,
            username: row.username,
            email: row.email,
            password: match (row.has_password, row.known_password) {
                (false, _) => DemoPassword::None,
                (true, true) => DemoPassword::Known,
                (true, false) => DemoPassword::Own,
            },
        });
        Ok(people.collect())
    }

    /// Whether anybody has an account besides demo people and bots.
    pub async fn has_real_people(&self) -> Result<bool> {
        Ok(sql::demo::has_others(&self.db).await?)
    }

    /// Makes a demo person, who cannot log in yet.
    pub async fn create_demo_person(&self, new: NewDemoPerson<'_>) -> Result<UserId> {
        self.demo_allowed()?;
        let wish = Registration {
            email: new.email.to_owned(),
            password: SecretString::default(),
            username: new.username.to_owned(),
            display_name: new.display_name.to_owned(),
            locale: new.locale.to_owned(),
            consents: Vec::new(),
        };
        let email = wish.check()?;
        let tx = self.db.begin().await?;
        let user = self.insert_person(&tx, &wish, &email, None, None).await?;
        sql::demo::insert(&tx, user).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Gives demo people a password that everybody knows, all or none. Skips the rules of strength,
    /// and those who have a password.
    pub async fn open_demo_people(&self, people: &[UserId], password: &SecretString) -> Result<()> {
        self.demo_allowed()?;
        let mut hashes = Vec::with_capacity(people.len());
        for user in people {
            hashes.push((*user, self.hash_unjudged(password.clone()).await?));
        }
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        for (user, phc) in &hashes {
            sql::demo::open(&tx, *user, phc, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn hash_unjudged(&self, password: SecretString) -> Result<String> {
        let (scheme, rng) = (self.settings.password_scheme, self.rng.clone());
        let hash = self
            .hashing
            .run(move || passwords::hash(scheme, &*rng, password.expose_secret()));
        hash.await.or(Err(Error::Busy))?.ok_or(Error::Broken(
            "the password scheme refused its own parameters",
        ))
    }

    fn demo_allowed(&self) -> Result<()> {
        if self.allows_demo_people() {
            Ok(())
        } else {
            Err(Error::DemoRefused)
        }
    }

    /// Whether a password that everybody knows is good.
    pub(crate) fn allows_demo_people(&self) -> bool {
        match self.settings.demo_people {
            DemoPeople::Allowed => true,
            DemoPeople::Refused => false,
        }
    }
}
