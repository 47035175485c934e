//! `meydan health` and `meydan status`: asking a running node.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::Context;
use super::exit::{Exit, Fail};
use super::network::{self, Answer};
use super::output::Format;
use crate::config::Role;

/// The node to ask.
#[derive(Debug, Args)]
struct Target {
    /// Address of the node; otherwise MEYDAN_SERVER, otherwise the settings of this computer.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Seconds to wait for the answer.
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl Target {
    async fn ask(&self, context: &Context, path: &str) -> Result<(String, Answer), Fail> {
        let base = match self
            .server
            .clone()
            .or_else(|| context.sources.variable("MEYDAN_SERVER"))
        {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None => own_address(context)?,
        };
        let answer = network::get(&base, path, Duration::from_secs(self.timeout)).await?;
        Ok((base, answer))
    }
}

/// The address under which this computer reaches its own node.
fn own_address(context: &Context) -> Result<String, Fail> {
    // The check of a container must not fail because a secret is missing here, so the role is the
    // one that needs the least.
    let loaded = context.load(&context.request(Role::Node, Vec::new()))?;
    let http = &loaded.config.http;
    Ok(crate::config::WebOrigin::of_listener(http.listen, http.port).to_string())
}

/// Exit 0 when the node is ready, 1 when it is not, 4 when it does not answer.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan health --server http://127.0.0.1:3000")]
pub(crate) struct Health {
    #[command(flatten)]
    target: Target,
}

impl Health {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let (base, answer) = self.target.ask(context, "/readyz").await?;
        if answer.status == 200 {
            context.out.say("ready");
            return Ok(Exit::Done);
        }
        Err(Fail::new(
            Exit::Failure,
            format!("{base} is not ready ({})", answer.status),
        )
        .hint("meydan status"))
    }
}

/// The checks of a node.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan status -o json")]
pub(crate) struct Status {
    #[command(flatten)]
    target: Target,
}

impl Status {
    pub(crate) async fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let (base, answer) = self.target.ask(context, "/readyz").await?;
        let report: Value = serde_json::from_str(&answer.body).map_err(|error| {
            let attempted = format!("reading the answer of {base} ({})", answer.status);
            Fail::caused(Exit::Failure, &attempted, &error)
        })?;
        let ready = answer.status == 200;
        match context.out.format {
            Format::Json => context.out.json(&report)?,
            Format::Table => {
                let state = if ready { "ready" } else { "not ready" };
                context.out.say(&format!("{base} is {state}"));
                context.out.rows(
                    &["check", "status", "ms", "since", "reason"],
                    &checks(&report),
                )?;
            }
        }
        Ok(if ready { Exit::Done } else { Exit::Failure })
    }
}

/// The rows of `checks`; details may be hidden from this caller.
fn checks(report: &Value) -> Vec<Vec<String>> {
    let cell = |check: &Value, name: &str| match check.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    report
        .get("checks")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|check| {
            ["check", "status", "ms", "since", "reason"]
                .iter()
                .map(|name| cell(check, name))
                .collect()
        })
        .collect()
}
