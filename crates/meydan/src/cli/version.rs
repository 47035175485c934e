//! `meydan version`.

use clap::Args;
use serde_json::json;

use super::Context;
use super::exit::{Exit, Fail};
use super::output::Format;

/// The version of this build.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version, and with `-v` how it was built.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan version -v")]
pub(crate) struct Version {
    /// Also target, build profile and what it expects of PostgreSQL.
    #[arg(short, long)]
    verbose: bool,
}

impl Version {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let facts = [
            ("version", VERSION.to_owned()),
            ("profile", profile.to_owned()),
            ("target", target),
            ("postgresql", "15 or newer".to_owned()),
        ];
        let shown = if self.verbose { facts.len() } else { 1 };
        match context.out.format {
            Format::Json => {
                let mut object = json!({});
                for (name, value) in facts.into_iter().take(shown) {
                    if let Some(map) = object.as_object_mut() {
                        map.insert(name.to_owned(), value.into());
                    }
                }
                context.out.json(&object)?;
            }
            Format::Table if self.verbose => {
                let lines: Vec<String> = facts
                    .iter()
                    .map(|(name, value)| format!("{name:12} {value}"))
                    .collect();
                context.out.data(&lines.join("\n"))?;
            }
            Format::Table => context.out.data(VERSION)?,
        }
        Ok(Exit::Done)
    }
}
