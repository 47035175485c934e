//! `meydan key`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use identity::Rotation;

use super::Context;
use super::accounts::{Accounts, failed};
use super::confirm::confirm;
use super::exit::{Exit, Fail};
use super::output::Format;

/// Keys of this installation.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan key rotate jwt")]
pub(crate) struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Replace a key before its time; it is replaced by itself every 90 days
    #[command(after_help = "Examples:\n  meydan key rotate jwt\n  \
                            meydan key rotate jwt --compromised --yes")]
    Rotate(Rotate),
}

#[derive(Debug, Args)]
struct Rotate {
    /// Which key.
    #[arg(value_enum)]
    key: Name,
    /// Hours for which the new key is published before it signs.
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = clap::value_parser!(u64).range(1..=168))]
    after: u64,
    /// The old key is stolen: give it up at once. Everybody has to log in again.
    #[arg(long, conflicts_with = "after")]
    compromised: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The key that signs access and refresh tokens.
    Jwt,
}

impl Key {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let Verb::Rotate(rotate) = &self.verb;
        let Name::Jwt = rotate.key;
        if rotate.compromised {
            confirm(
                context,
                "every token dies and everybody has to log in again",
                "jwt",
                "meydan key rotate jwt --compromised",
            )?;
        }
        let accounts = Accounts::open(context).await?;
        let done = rotate.run(context, &accounts).await;
        accounts.close().await?;
        done.map(|()| Exit::Done)
    }
}

impl Rotate {
    async fn run(&self, context: &Context, accounts: &Accounts) -> Result<(), Fail> {
        let how = if self.compromised {
            Rotation::Compromised
        } else {
            Rotation::After(Duration::from_secs(self.after * 3600))
        };
        let (kid, from) = accounts
            .contexts
            .identity
            .replace_signing_key(how)
            .await
            .map_err(|error| failed("replacing the signing key", &error))?;
        if context.out.format == Format::Table {
            context.out.say("running nodes take it in within a minute");
        }
        let row = vec![kid, from.to_string()];
        context.out.rows(&["kid", "signs_from"], &[row])
    }
}
