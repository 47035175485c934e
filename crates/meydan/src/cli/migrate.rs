//! `meydan migrate`.

use clap::Args;
use db::MigrateError;
use serde_json::json;

use super::Context;
use super::exit::{Exit, Fail};
use super::local::Local;
use super::output::Format;

/// Brings the database up to date; safe beside a running older release.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meydan migrate --plan\n  meydan migrate")]
pub(crate) struct Migrate {
    /// Only say what would be done.
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,
}

impl Migrate {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let loaded = context.load_local(Vec::new())?;
        let local = Local::open(&loaded.config).await?;
        let result = self.steps(&local).await;
        local.close().await?;
        let steps = result?;
        let state = if self.plan { "pending" } else { "applied" };
        match context.out.format {
            Format::Json => {
                let list: Vec<_> = steps
                    .iter()
                    .map(|step| json!({ "schema": step.schema, "name": step.name }))
                    .collect();
                context
                    .out
                    .json(&json!({ "state": state, "steps": list }))?;
            }
            Format::Table => {
                for step in &steps {
                    context
                        .out
                        .data(&format!("{state}  {}  {}", step.schema, step.name))?;
                }
                if steps.is_empty() {
                    context.out.say("nothing to do, the database is up to date");
                }
            }
        }
        Ok(Exit::Done)
    }

    async fn steps(&self, local: &Local) -> Result<Vec<db::Step>, Fail> {
        let all = crate::compose::migrations();
        if self.plan {
            return db::pending(&local.direct, &all)
                .await
                .map_err(|error| fail(&error));
        }
        local.migrate().await
    }
}

/// Applies what is pending.
pub(crate) async fn apply(direct: &db::Settings) -> Result<Vec<db::Step>, Fail> {
    let report = db::migrate(direct, &crate::compose::migrations())
        .await
        .map_err(|error| fail(&error))?;
    Ok(report.applied)
}

/// The exit and the next command for each way a migration can stop.
pub(crate) fn fail(error: &MigrateError) -> Fail {
    let caused = |exit| Fail::caused(exit, "migrating the database", error);
    match error {
        MigrateError::Database(_) => caused(Exit::Missing).hint("meydan doctor --only db"),
        MigrateError::Newer { .. } => {
            caused(Exit::Conflict).hint("start the newer version of meydan again")
        }
        MigrateError::Locked(_) => {
            caused(Exit::Conflict).hint("wait for the other process, then: meydan migrate")
        }
        MigrateError::Failed { .. } => caused(Exit::Failure).hint("meydan migrate"),
        MigrateError::BadSchema(_)
        | MigrateError::BadFile { .. }
        | MigrateError::Changed { .. } => caused(Exit::Failure),
    }
}
