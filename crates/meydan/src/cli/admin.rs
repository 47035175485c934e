//! `meydan admin`.

mod people;

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};
use identity::{AdminOutcome, Identity, NewAdmin};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::Context;
use super::accounts::{Accounts, Person, failed};
use super::exit::{Exit, Fail};
use super::output::Format;
use crate::config::Config;

/// A password is at most 256 characters of at most 4 bytes.
const PASSWORD_BYTES: u64 = 1024;

/// Administrators.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan admin create ayse@example.com")]
pub(crate) struct Admin {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make an account an administrator; a new account needs a password
    #[command(after_help = "Examples:\n  meydan admin create ayse@example.com\n  \
                            meydan admin create ayse@example.com --password-file ./password")]
    Create(Create),
    /// Print a new set-up link, good once for 30 minutes, while there is no admin
    #[command(after_help = "Example:\n  meydan admin setup-link")]
    SetupLink,
    /// Send a link to choose a new password; where no letter can go, show it on a terminal
    #[command(after_help = "Example:\n  meydan admin reset-password ayse@example.com")]
    ResetPassword(Person),
    /// List accounts with a platform role
    #[command(after_help = "Example:\n  meydan admin list -o json")]
    List,
    /// Give an account a platform role
    #[command(after_help = "Examples:\n  meydan admin promote ayse@example.com\n  \
                            meydan admin promote mehmet --role support")]
    Promote(people::Role),
    /// Take a platform role back; the last administrator keeps theirs
    #[command(after_help = "Example:\n  meydan admin demote mehmet --role support")]
    Demote(people::Role),
    /// List the live logins of an account
    #[command(after_help = "Example:\n  meydan admin sessions ayse@example.com")]
    Sessions(Person),
    /// Sign an account out everywhere
    #[command(after_help = "Example:\n  meydan admin sign-out ayse@example.com")]
    SignOut(Person),
}

#[derive(Debug, Args)]
struct Create {
    /// E-mail address of the account.
    email: String,
    /// File with the password; otherwise it is asked for, or read from a pipe.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Admin {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let given = match &self.verb {
            Verb::Create(create) => create.given()?,
            _ => None,
        };
        let accounts = Accounts::open(context).await?;
        let done = self.on(context, &accounts, given).await;
        accounts.close().await?;
        done.map(|()| Exit::Done)
    }

    async fn on(
        &self,
        context: &Context,
        accounts: &Accounts,
        given: Option<SecretString>,
    ) -> Result<(), Fail> {
        let identity = &accounts.contexts.identity;
        match &self.verb {
            Verb::Create(create) => create.run(context, identity, given).await,
            Verb::SetupLink => setup_link(context, &accounts.config, identity).await,
            Verb::ResetPassword(person) => {
                person
                    .reset_password(context, &accounts.config, identity)
                    .await
            }
            Verb::List => people::list(context, identity).await,
            Verb::Promote(role) => role.grant(context, identity).await,
            Verb::Demote(role) => role.withdraw(context, identity).await,
            Verb::Sessions(person) => person.sessions(context, identity).await,
            Verb::SignOut(person) => person.sign_out(context, identity).await,
        }
    }
}

async fn setup_link(context: &Context, config: &Config, identity: &Identity) -> Result<(), Fail> {
    let token = identity.issue_setup_link().await;
    let token = token.map_err(|error| failed("making a set-up link", &error))?;
    let minutes = identity::SETUP_LINK_TTL.as_secs() / 60;
    let url = format!("{}/setup#{}", config.public_url(), token.expose_secret());
    match context.out.format {
        Format::Json => context.out.json(&json!({
            "token": token.expose_secret(), "url": url, "minutes": minutes,
        })),
        Format::Table => show_link(context, &url, minutes),
    }
}

fn show_link(context: &Context, url: &str, minutes: u64) -> Result<(), Fail> {
    context.out.say(&format!(
        "open it in a browser; good once, for {minutes} minutes:"
    ));
    context.out.data(url)
}

impl Create {
    /// The password that came along; on a terminal it is asked for later.
    fn given(&self) -> Result<Option<SecretString>, Fail> {
        match &self.password_file {
            Some(path) => password_in(path).map(Some),
            None if !std::io::stdin().is_terminal() => piped(),
            None => Ok(None),
        }
    }

    async fn run(
        &self,
        context: &Context,
        identity: &Identity,
        given: Option<SecretString>,
    ) -> Result<(), Fail> {
        let asks = given.is_none() && std::io::stdin().is_terminal();
        let mut result = identity.create_admin(self.wish(given)).await;
        if asks && matches!(result, Err(identity::Error::AdminPasswordMissing)) {
            // Asked for only now, as an account that exists keeps its password.
            context
                .out
                .say("password of the new account (8 to 256 characters, not shown):");
            result = identity.create_admin(self.wish(Some(asked()?))).await;
        }
        let state = match result {
            Ok(AdminOutcome::Created(_)) => "created",
            Ok(AdminOutcome::Promoted(_)) => "promoted",
            Ok(AdminOutcome::Unchanged(_) | AdminOutcome::Demoted(_)) => "unchanged",
            Err(identity::Error::AdminPasswordMissing) => {
                let message = format!(
                    "{} has no account, and a new one needs a password",
                    self.email
                );
                return Err(Fail::new(Exit::Usage, message).hint(format!(
                    "meydan admin create {} --password-file FILE",
                    self.email
                )));
            }
            Err(error) => return Err(failed("making an administrator", &error)),
        };
        match context.out.format {
            Format::Json => context
                .out
                .json(&json!({ "email": self.email, "state": state })),
            Format::Table => context.out.data(&format!("{state}  {}", self.email)),
        }
    }

    fn wish(&self, password: Option<SecretString>) -> NewAdmin {
        NewAdmin {
            email: self.email.clone(),
            username: None,
            display_name: None,
            password,
        }
    }
}

fn password_in(path: &Path) -> Result<SecretString, Fail> {
    let attempted = format!("reading the password in {}", path.display());
    let file = std::fs::File::open(path)
        .map_err(|error| Fail::caused(Exit::Missing, &attempted, &error))?;
    bounded(file)
        .map_err(|error| Fail::caused(Exit::Failure, &attempted, &error))?
        .ok_or_else(|| Fail::new(Exit::Usage, format!("{} is empty", path.display())))
}

/// The password on a pipe; nothing on it means that none was given.
fn piped() -> Result<Option<SecretString>, Fail> {
    bounded(std::io::stdin())
        .map_err(|error| Fail::caused(Exit::Failure, "reading the password", &error))
}

fn bounded(from: impl std::io::Read) -> std::io::Result<Option<SecretString>> {
    let mut text = String::new();
    from.take(PASSWORD_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > PASSWORD_BYTES {
        return Err(std::io::Error::other("longer than any password"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok((!text.is_empty()).then(|| SecretString::from(text.to_owned())))
}

/// Turns the terminal's echo on again, whatever happens in between.
struct Echo;

impl Echo {
    fn off() -> Option<Self> {
        set_echo("-echo").then_some(Self)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _restored = set_echo("echo");
    }
}

/// The terminal's own program: changing its modes ourselves would take another dependency.
fn set_echo(word: &str) -> bool {
    Command::new("stty")
        .arg(word)
        .stdin(Stdio::inherit())
        .status()
        .is_ok_and(|status| status.success())
}

fn asked() -> Result<SecretString, Fail> {
    let Some(echo) = Echo::off() else {
        return Err(
            Fail::new(Exit::Failure, "the terminal cannot hide what is typed")
                .hint("use --password-file FILE"),
        );
    };
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    drop(echo);
    read.map_err(|error| Fail::caused(Exit::Failure, "reading the password", &error))?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Fail::new(Exit::Usage, "no password was typed"));
    }
    Ok(SecretString::from(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_read_whole_up_to_their_bound() {
        let read = |text: &str| {
            bounded(text.as_bytes())
                .map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        assert_eq!(
            read("correct horse\n").unwrap().as_deref(),
            Some("correct horse")
        );
        assert_eq!(
            read("kept spaces \r\n").unwrap().as_deref(),
            Some("kept spaces ")
        );
        assert_eq!(read("\n").unwrap(), None);
        let longest = "x".repeat(1024);
        assert_eq!(read(&longest).unwrap().as_deref(), Some(longest.as_str()));
        assert!(read(&format!("{longest}x")).is_err());
    }
}
