//! The contexts without a server: what commands of the operator open and close.

use clap::Args;
use identity::Identity;
use kernel::UserId;

use super::Context;
use super::exit::{Exit, Fail};
use super::local::{self, Local};
use crate::compose::{self, Contexts};
use crate::config::Config;
use crate::parts::{Contents, Parts, Selection};

/// The contexts of this installation, brought up to date.
pub(super) struct Accounts {
    pub(super) config: Config,
    pub(super) contexts: Contexts,
    local: Local,
}

impl Accounts {
    /// Opens them; a root secret that is not this installation's is noticed.
    pub(super) async fn open(context: &Context) -> Result<Self, Fail> {
        let accounts = Self::open_unchecked(context).await?;
        match accounts.contexts.identity.prepare().await {
            Ok(()) => Ok(accounts),
            Err(error) => {
                accounts.close().await?;
                Err(failed("preparing accounts", &error))
            }
        }
    }

    /// The same under whatever root secret there is.
    pub(super) async fn open_unchecked(context: &Context) -> Result<Self, Fail> {
        let config = context.load_local(Vec::new())?.config;
        let local = Local::open(&config).await?;
        match contexts(&config, &local).await {
            Ok(contexts) => Ok(Accounts {
                config,
                contexts,
                local,
            }),
            Err(fail) => {
                local.close().await?;
                Err(fail)
            }
        }
    }

    pub(super) async fn close(self) -> Result<(), Fail> {
        self.local.close().await
    }
}

async fn contexts(config: &Config, local: &Local) -> Result<Contexts, Fail> {
    local.migrate().await?;
    let parts = Parts {
        selection: Selection::all(),
        database: local.database.clone(),
        direct: local.direct.clone(),
        root_secret: local::root_secret(config, &kernel::SystemRng)?,
        contents: Contents::AsIs,
    };
    let contexts = compose::contexts(config, &parts).await;
    Ok(contexts.map_err(anyhow::Error::from)?)
}

/// An account.
#[derive(Debug, Args)]
pub(super) struct Person {
    /// Its id, e-mail address, phone number or username.
    pub(super) user: String,
}

impl Person {
    pub(super) async fn find(&self, identity: &Identity) -> Result<UserId, Fail> {
        let attempted = format!("finding {}", self.user);
        let found = identity.person_named(&self.user).await;
        found.map_err(|error| failed(&attempted, &error).hint("meydan admin list"))
    }
}

/// Says why an operation on accounts failed, with the exit code that fits and what helps.
pub(super) fn failed(attempted: &str, error: &identity::Error) -> Fail {
    let exit = match error {
        identity::Error::UnknownUser | identity::Error::LetterNotTaken(_) => Exit::Missing,
        identity::Error::LastAdmin
        | identity::Error::AdminExists
        | identity::Error::AccountDisabled
        | identity::Error::ErasureBlocked { .. } => Exit::Conflict,
        identity::Error::EmailInvalid | identity::Error::PasswordTooWeak { .. } => Exit::Usage,
        _ => Exit::Failure,
    };
    let fail = Fail::caused(exit, attempted, error);
    let another_admin = "meydan admin promote SOMEBODY";
    match error {
        identity::Error::EmailInvalid => fail.hint("meydan admin create NAME@EXAMPLE.COM"),
        identity::Error::LastAdmin => fail.hint(another_admin),
        identity::Error::ErasureBlocked { reasons } if reasons.contains(&"last_superadmin") => {
            fail.hint(another_admin)
        }
        identity::Error::ErasureBlocked { .. } => {
            fail.hint("its owner hands over what is named, or deletes it")
        }
        _ => fail,
    }
}
