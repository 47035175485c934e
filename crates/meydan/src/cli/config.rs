//! `meydan config`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::exit::{Exit, Fail};
use super::output::Format;
use crate::config::{
    Catalogue, Role, Show, docs, env_list, json_schema, print, print_json, sample,
};

/// Settings: check, print, document.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meydan config check\n  meydan config print --show-origin")]
pub(crate) struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read all settings and report every mistake at once
    #[command(after_help = "Example:\n  meydan config check --config /etc/meydan/meydan.toml")]
    Check(For),
    /// Print the settings in use; secrets are ***
    #[command(after_help = "Example:\n  meydan config print --show-origin")]
    Print(Print),
    /// Print the JSON Schema of a settings file
    #[command(after_help = "Example:\n  meydan config schema > meydan.schema.json")]
    Schema,
    /// Print the documentation of all settings
    #[command(after_help = "Example:\n  meydan config docs > docs/config.md")]
    Docs,
    /// Print a settings file with every setting commented out
    #[command(after_help = "Example:\n  meydan config sample > meydan.toml")]
    Sample,
    /// List every variable
    #[command(after_help = "Example:\n  meydan config env -o json")]
    Env,
}

#[derive(Debug, Args)]
struct For {
    /// Check as `meydan serve` would, not as `meydan up`.
    #[arg(long)]
    serve: bool,
}

#[derive(Debug, Args)]
struct Print {
    /// Also say where each value comes from.
    #[arg(long)]
    show_origin: bool,
    #[command(flatten)]
    of: For,
}

impl For {
    fn role(&self) -> Role {
        if self.serve {
            Role::Service
        } else {
            Role::Node
        }
    }
}

impl Config {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let out = &context.out;
        match &self.verb {
            Verb::Check(of) => return check(context, of),
            Verb::Print(print) => print_settings(context, print)?,
            Verb::Schema => out.json(&json_schema(&Catalogue::new()))?,
            Verb::Docs => out.data(&docs(&Catalogue::new()))?,
            Verb::Sample => out.data(&sample(&Catalogue::new()))?,
            Verb::Env => {
                let rows: Vec<Vec<String>> = env_list(&Catalogue::new())
                    .into_iter()
                    .map(|(name, key, text)| vec![name, key.to_owned(), text])
                    .collect();
                out.rows(&["variable", "setting", "text"], &rows)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn check(context: &Context, of: &For) -> Result<Exit, Fail> {
    let request = context.request(of.role(), Vec::new());
    let rng = kernel::SystemRng;
    match (
        crate::config::load(&request, &context.sources, &rng),
        context.out.format,
    ) {
        (Ok(loaded), Format::Table) => {
            for notice in &loaded.notices {
                context.out.say(&format!("! {notice}"));
            }
            context.out.say("settings are good");
            Ok(Exit::Done)
        }
        (Ok(loaded), Format::Json) => {
            context
                .out
                .json(&json!({ "errors": [], "notices": loaded.notices }))?;
            Ok(Exit::Done)
        }
        (Err(report), Format::Table) => Err(report.into()),
        (Err(report), Format::Json) => {
            let errors: Vec<_> = report
                .problems
                .iter()
                .map(|problem| {
                    json!({
                        "place": problem.place.to_string(),
                        "message": problem.message,
                        "code": problem.code.as_str(),
                    })
                })
                .collect();
            context
                .out
                .json(&json!({ "errors": errors, "notices": [] }))?;
            Ok(Exit::Config)
        }
    }
}

fn print_settings(context: &Context, options: &Print) -> Result<(), Fail> {
    let loaded = context.load(&context.request(options.of.role(), Vec::new()))?;
    let show = if options.show_origin {
        Show::ValuesAndOrigins
    } else {
        Show::Values
    };
    match context.out.format {
        Format::Table => context.out.data(&print(&loaded, show)),
        Format::Json => context.out.json(&print_json(&loaded, show)),
    }
}
