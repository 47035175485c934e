//! People with platform roles, and their logins.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use identity::{AdminOutcome, Identity};
use kernel::PlatformRole;
use secrecy::ExposeSecret as _;

use super::super::Context;
use super::super::accounts::{Person, failed};
use super::super::exit::{Exit, Fail};
use super::super::output::Format;
use super::show_link;
use crate::config::Config;

/// An account and a platform role.
#[derive(Debug, Args)]
pub(super) struct Role {
    #[command(flatten)]
    person: Person,
    /// The role.
    #[arg(long, value_enum, default_value = "superadmin")]
    role: Word,
}

/// The words of [`PlatformRole`].
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    Superadmin,
    Support,
    Moderator,
    Finance,
}

impl From<Word> for PlatformRole {
    fn from(word: Word) -> Self {
        match word {
            Word::Superadmin => PlatformRole::Superadmin,
            Word::Support => PlatformRole::Support,
            Word::Moderator => PlatformRole::Moderator,
            Word::Finance => PlatformRole::Finance,
        }
    }
}

/// Every account with a platform role.
pub(super) async fn list(context: &Context, identity: &Identity) -> Result<(), Fail> {
    let holders = identity
        .role_holders()
        .await
        .map_err(|error| failed("listing accounts with a role", &error))?;
    let rows: Vec<Vec<String>> = holders
        .into_iter()
        .map(|holder| {
            vec![
                holder.id.to_string(),
                holder.username,
                holder.email.unwrap_or_default(),
                holder.roles.join(","),
                holder.state,
                holder.devices.to_string(),
                holder
                    .last_seen_at
                    .map_or_else(String::new, |at| at.to_string()),
            ]
        })
        .collect();
    let headings = [
        "id",
        "username",
        "email",
        "roles",
        "state",
        "devices",
        "last_seen_at",
    ];
    context.out.rows(&headings, &rows)
}

impl Person {
    /// The live logins.
    pub(super) async fn sessions(
        &self,
        context: &Context,
        identity: &Identity,
    ) -> Result<(), Fail> {
        let user = self.find(identity).await?;
        let devices = identity
            .devices_of(user)
            .await
            .map_err(|error| failed("listing logins", &error))?;
        let rows: Vec<Vec<String>> = devices
            .into_iter()
            .map(|device| {
                vec![
                    device.id.to_string(),
                    device.kind,
                    device.device_name.unwrap_or_default(),
                    device.ip.unwrap_or_default(),
                    device.amr.join(","),
                    device.last_seen_at.to_string(),
                    device.created_at.to_string(),
                ]
            })
            .collect();
        let headings = [
            "id",
            "kind",
            "name",
            "ip",
            "proved_by",
            "last_seen_at",
            "created_at",
        ];
        context.out.rows(&headings, &rows)
    }

    /// Sends a link to choose a new password. Whoever reads it chooses the password, so it is shown
    /// to nobody but who sits at the terminal, and only where no letter can carry it.
    pub(super) async fn reset_password(
        &self,
        context: &Context,
        config: &Config,
        identity: &Identity,
    ) -> Result<(), Fail> {
        let user = self.find(identity).await?;
        let attempted = format!("resetting the password of {}", self.user);
        let fail = |error| failed(&attempted, &error);
        if identity.reset_address(user).await.map_err(fail)?.is_some() {
            let to = identity.send_reset(user).await;
            let to = to.map_err(|error| fail(error).hint("meydan doctor --only mail"))?;
            let row = vec![user.to_string(), "sent".to_owned(), to];
            return context.out.rows(&["user", "state", "to"], &[row]);
        }
        if !std::io::stdout().is_terminal() {
            let message = format!("no letter can be sent to {}", self.user);
            let again = format!("meydan admin reset-password {}", self.user);
            return Err(Fail::new(Exit::Missing, message).hint(format!(
                "set up mail, or see the link on a terminal: {again}"
            )));
        }
        let token = identity.issue_reset(user).await.map_err(fail)?;
        let token = token.expose_secret();
        let url = format!("{}/auth/reset#{token}", config.public_url());
        match context.out.format {
            Format::Table => show_link(context, &url, identity::LINK_TTL.as_secs() / 60),
            Format::Json => {
                let row = vec![user.to_string(), "shown".to_owned(), url];
                context.out.rows(&["user", "state", "url"], &[row])
            }
        }
    }

    /// Ends all logins.
    pub(super) async fn sign_out(
        &self,
        context: &Context,
        identity: &Identity,
    ) -> Result<(), Fail> {
        let user = self.find(identity).await?;
        identity
            .sign_out_user(user)
            .await
            .map_err(|error| failed("signing out", &error))?;
        context.out.rows(
            &["user", "state"],
            &[vec![user.to_string(), "signed out".to_owned()]],
        )
    }
}

impl Role {
    pub(super) async fn grant(&self, context: &Context, identity: &Identity) -> Result<(), Fail> {
        let user = self.person.find(identity).await?;
        self.tell(context, identity.grant(user, self.role.into()).await)
    }

    pub(super) async fn withdraw(
        &self,
        context: &Context,
        identity: &Identity,
    ) -> Result<(), Fail> {
        let user = self.person.find(identity).await?;
        self.tell(context, identity.withdraw(user, self.role.into()).await)
    }

    fn tell(
        &self,
        context: &Context,
        outcome: Result<AdminOutcome, identity::Error>,
    ) -> Result<(), Fail> {
        let role = PlatformRole::from(self.role);
        let outcome = outcome.map_err(|error| failed("changing roles", &error))?;
        let (user, state) = match outcome {
            AdminOutcome::Created(user) | AdminOutcome::Promoted(user) => (user, "granted"),
            AdminOutcome::Demoted(user) => (user, "taken"),
            AdminOutcome::Unchanged(user) => (user, "unchanged"),
        };
        let row = vec![user.to_string(), role.to_string(), state.to_owned()];
        context.out.rows(&["user", "role", "state"], &[row])
    }
}
