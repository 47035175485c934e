//! `meydan audit`.

use audit::{Audit as Chain, Search};
use clap::{Args, Subcommand};

use super::Context;
use super::accounts::Accounts;
use super::exit::{Exit, Fail};

/// Entries read at a time.
const PAGE: u16 = 100;

/// The record of what happened.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan audit verify")]
pub(crate) struct Audit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Recompute the chain of hashes; exit 6 and the entries when something was changed
    #[command(after_help = "Example:\n  meydan audit verify")]
    Verify,
    /// Print entries as JSON lines, the newest first
    #[command(after_help = "Example:\n  meydan audit export > audit.jsonl")]
    Export,
}

impl Audit {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        // What another root secret sealed is told entry by entry.
        let accounts = Accounts::open_unchecked(context).await?;
        let done = self.on(context, &accounts.contexts.audit).await;
        accounts.close().await?;
        done
    }

    async fn on(&self, context: &Context, chain: &Chain) -> Result<Exit, Fail> {
        // What arrived in the last second is part of it.
        chain
            .seal()
            .await
            .map_err(|error| Fail::caused(Exit::Failure, "sealing entries", &error))?;
        match self.verb {
            Verb::Verify => verify(context, chain).await,
            Verb::Export => export(context, chain).await,
        }
    }
}

async fn verify(context: &Context, chain: &Chain) -> Result<Exit, Fail> {
    let findings = chain
        .verify()
        .await
        .map_err(|error| Fail::caused(Exit::Failure, "verifying the chain", &error))?;
    if findings.is_empty() {
        context.out.say("every entry is as it was sealed");
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            vec![
                finding.chain.to_string(),
                finding.seq.to_string(),
                finding.verdict.to_string(),
            ]
        })
        .collect();
    context.out.rows(&["chain", "seq", "finding"], &rows)?;
    Ok(if findings.is_empty() {
        Exit::Done
    } else {
        Exit::Verification
    })
}

async fn export(context: &Context, chain: &Chain) -> Result<Exit, Fail> {
    let all = Search::default();
    let mut next = None;
    loop {
        let (entries, cursor) = chain
            .entries(&all, next, PAGE)
            .await
            .map_err(|error| Fail::caused(Exit::Failure, "reading entries", &error))?;
        for entry in entries {
            let line = serde_json::to_string(&entry)
                .map_err(|error| Fail::caused(Exit::Failure, "writing JSON", &error))?;
            context.out.data(&line)?;
        }
        next = cursor;
        if next.is_none() {
            return Ok(Exit::Done);
        }
    }
}
