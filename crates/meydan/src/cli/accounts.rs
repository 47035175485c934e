//! Accounts, or another context, without a server: what commands of the operator open and close.

use std::sync::Arc;

use identity::Identity;

use super::Context;
use super::exit::{Exit, Fail};
use super::local::{self, Local};
use crate::config::Config;
use crate::parts::{Contents, Parts, Selection};

/// The accounts of this installation, brought up to date.
pub(super) struct Accounts {
    pub(super) config: Config,
    pub(super) identity: Arc<Identity>,
    local: Local,
}

impl Accounts {
    pub(super) async fn open(context: &Context) -> Result<Self, Fail> {
        let config = context.load_local(Vec::new())?.config;
        let local = Local::open(&config).await?;
        match identity(&config, &local).await {
            Ok(identity) => Ok(Accounts {
                config,
                identity,
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

/// What a context is built of, on a database that was brought up to date.
pub(super) async fn parts(config: &Config, local: &Local) -> Result<Parts, Fail> {
    local.migrate().await?;
    Ok(Parts {
        selection: Selection::all(),
        database: local.database.clone(),
        direct: local.direct.clone(),
        root_secret: local::root_secret(config, &kernel::SystemRng)?,
        contents: Contents::AsIs,
    })
}

async fn identity(config: &Config, local: &Local) -> Result<Arc<Identity>, Fail> {
    let parts = parts(config, local).await?;
    let identity = crate::compose::identity(config, &parts).await;
    Ok(identity.map_err(anyhow::Error::from)?)
}

/// Says why an operation on accounts failed, with the exit code that fits.
pub(super) fn failed(attempted: &str, error: &identity::Error) -> Fail {
    let exit = match error {
        identity::Error::UnknownUser => Exit::Missing,
        identity::Error::LastAdmin | identity::Error::AdminExists => Exit::Conflict,
        identity::Error::EmailInvalid | identity::Error::PasswordTooWeak { .. } => Exit::Usage,
        _ => Exit::Failure,
    };
    Fail::caused(exit, attempted, error)
}
