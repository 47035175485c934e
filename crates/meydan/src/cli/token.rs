//! `meydan token`.

use std::io::{IsTerminal as _, Read as _};

use clap::{Args, Subcommand};

use super::Context;
use super::accounts::{Accounts, failed};
use super::exit::{Exit, Fail};

/// No token of ours is longer.
const MAX_BYTES: u64 = 8 * 1024;

/// Tokens.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan token inspect < token.txt")]
pub(crate) struct Token {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Tell whose an access or refresh token is, and whether it is still good
    ///
    /// The token is read from standard input, so that it stays out of the shell's history.
    #[command(after_help = "Example:\n  meydan token inspect < token.txt")]
    Inspect,
}

impl Token {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let Verb::Inspect = self.verb;
        let token = given(context)?;
        let accounts = Accounts::open(context).await?;
        let done = inspect(context, &accounts, &token).await;
        accounts.close().await?;
        done
    }
}

fn given(context: &Context) -> Result<String, Fail> {
    if std::io::stdin().is_terminal() {
        context.out.say("paste the token, then Ctrl+D:");
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Fail::caused(Exit::Usage, "reading the token", &error))?;
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    if token.is_empty() {
        let fail = Fail::new(Exit::Usage, "no token came on standard input");
        return Err(fail.hint("meydan token inspect < token.txt"));
    }
    Ok(token.to_owned())
}

async fn inspect(context: &Context, accounts: &Accounts, token: &str) -> Result<Exit, Fail> {
    let inspected = accounts.contexts.identity.inspect_token(token).await;
    let inspected = inspected.map_err(|error| failed("reading the token", &error))?;
    let Some(found) = inspected else {
        return Err(Fail::new(
            Exit::Verification,
            "no key of this installation signed this token",
        ));
    };
    let good = found.device_is_live && !found.expired;
    let mut rows = vec![
        ("kind", found.kind.to_owned()),
        ("user", found.user.to_string()),
        ("device", found.device.to_string()),
        ("issued_at", found.issued_at.to_string()),
        ("expires_at", found.expires_at.to_string()),
        ("expired", found.expired.to_string()),
        ("device_is_live", found.device_is_live.to_string()),
        ("good", good.to_string()),
    ];
    rows.extend(found.act.map(|staff| ("acted_by", staff.to_string())));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value)| vec![name.to_owned(), value])
        .collect();
    context.out.rows(&["claim", "value"], &rows)?;
    Ok(if good { Exit::Done } else { Exit::Verification })
}
