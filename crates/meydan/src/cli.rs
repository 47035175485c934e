//! The command line: noun, then verb; data on standard output, talk on standard error.
//!
//! One file per noun. A command returns an [`Exit`] or a [`Fail`] that names the next command.

#![expect(
    clippy::print_stderr,
    reason = "this is where the program talks to people"
)]

mod accounts;
mod admin;
mod audit;
mod bench;
mod completion;
mod config;
mod confirm;
#[cfg(test)]
mod deploy;
mod doctor;
mod exit;
mod key;
mod limits;
mod local;
mod metrics;
mod migrate;
mod network;
mod node;
mod openapi;
mod output;
mod privacy;
mod problems;
mod screen;
mod serve;
mod token;
mod up;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Loaded, Request, Role, Sources};
use crate::parts::Contents;
use exit::{Exit, Fail};
use output::{Color, Format, Output, Quiet};

/// Talk, gather and trade: one backend, one binary.
#[derive(Debug, Parser)]
#[command(
    name = "meydan",
    version = version::VERSION,
    arg_required_else_help = true,
    after_help = "Examples:\n  meydan up                       everything on this computer\n  \
                  meydan config print             the settings in use\n  \
                  meydan doctor                   what is wrong, and the command that fixes it"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// How data is written.
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "table",
        value_name = "FORMAT"
    )]
    output: Format,
    /// Data only, no talk.
    #[arg(long, global = true)]
    quiet: bool,
    /// No colours; `NO_COLOR` does the same.
    #[arg(long, global = true)]
    no_color: bool,
    /// Settings file, instead of the usual three places.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as `http.port=3001`; can be repeated. Secrets are refused here.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Answers every question with yes.
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, with a private PostgreSQL unless database.url is set
    Up(up::Up),
    /// Run named services on a shared database; never migrates
    Serve(serve::Serve),
    /// Bring the database up to date
    Migrate(migrate::Migrate),
    /// Administrators
    Admin(admin::Admin),
    /// Tokens: whose they are, and whether they are good
    Token(token::Token),
    /// What is stored about people: a copy, and its end
    Privacy(privacy::Privacy),
    /// The record of what happened: verify, export
    Audit(audit::Audit),
    /// Keys: replace them before their time
    Key(key::Key),
    /// Settings: check, print, document
    Config(config::Config),
    /// Look for what is wrong, and name the command that fixes it
    Doctor(doctor::Doctor),
    /// Tell whether a node is ready, for container checks
    Health(node::Health),
    /// Show a node's checks
    Status(node::Status),
    /// Print the OpenAPI document
    Openapi(openapi::Openapi),
    /// Print every error code
    Problems(problems::Problems),
    /// Print every limit on attempts
    Limits(limits::Limits),
    /// Print every metric
    Metrics(metrics::Metrics),
    /// Measure a server on this computer
    Bench(bench::Bench),
    /// Print a completion script for a shell
    Completion(completion::Completion),
    /// Print the version
    Version(version::Version),
}

/// What every command gets.
struct Context {
    global: Global,
    sources: Sources,
    out: Output,
}

impl Context {
    fn new(global: Global) -> Self {
        let sources = Sources::of_process();
        let out = Output {
            format: global.output,
            quiet: if global.quiet { Quiet::Yes } else { Quiet::No },
            color: Color::choose(&global, &sources),
        };
        Self {
            global,
            sources,
            out,
        }
    }

    /// The settings, with the flags of one command on top.
    fn request(&self, role: Role, flags: Vec<(&'static str, &'static str, String)>) -> Request {
        Request {
            file: self.global.config.clone(),
            set: self.global.set.clone(),
            flags,
            role,
            contents: Contents::AsIs,
        }
    }

    fn load(&self, request: &Request) -> Result<Loaded, Fail> {
        Ok(crate::config::load(
            request,
            &self.sources,
            &kernel::SystemRng,
        )?)
    }

    /// The settings of a command that works on this computer's data, with notices said.
    fn load_local(&self, flags: Vec<(&'static str, &'static str, String)>) -> Result<Loaded, Fail> {
        let loaded = self.load(&self.request(Role::Node, flags))?;
        for notice in &loaded.notices {
            self.out.say(&format!("! {notice}"));
        }
        Ok(loaded)
    }
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with 0, mistakes to standard error with 2.
            let code = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            let _printed = error.print();
            return code.code();
        }
    };
    let context = Context::new(cli.global);
    match run(&context, &cli.command) {
        Ok(exit) => exit.code(),
        Err(fail) => {
            eprintln!("{fail}");
            fail.exit.code()
        }
    }
}

fn run(context: &Context, command: &Command) -> Result<Exit, Fail> {
    match command {
        Command::Config(config) => config.run(context),
        Command::Problems(problems) => problems.run(context),
        Command::Limits(limits) => limits.run(context),
        Command::Metrics(metrics) => metrics.run(context),
        Command::Bench(bench) => bench.run(),
        Command::Completion(completion) => completion.run(context),
        Command::Version(version) => version.run(context),
        Command::Up(up) => up.run(context),
        Command::Serve(serve) => serve.run(context),
        Command::Openapi(openapi) => block_on(openapi.run(context)),
        Command::Migrate(migrate) => block_on(migrate.run(context)),
        Command::Admin(admin) => block_on(admin.run(context)),
        Command::Token(token) => block_on(token.run(context)),
        Command::Privacy(privacy) => block_on(privacy.run(context)),
        Command::Audit(audit) => block_on(audit.run(context)),
        Command::Key(key) => block_on(key.run(context)),
        Command::Doctor(doctor) => block_on(doctor.run(context)),
        Command::Health(health) => block_on(health.run(context)),
        Command::Status(status) => block_on(status.run(context)),
    }
}

/// Runs one future on a runtime of its own.
fn block_on(future: impl Future<Output = Result<Exit, Fail>>) -> Result<Exit, Fail> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fail::caused(Exit::Failure, "starting the runtime", &error))?;
    let result = runtime.block_on(Box::pin(future));
    // Work that ignored the shutdown must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_level_of_help_has_an_example() {
        fn check(command: &clap::Command) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains("meydan "),
                "{} has no example",
                command.get_name()
            );
            for child in command
                .get_subcommands()
                .filter(|child| child.get_name() != "help")
            {
                check(child);
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn misspelt_verbs_and_flags_are_suggested() {
        for (line, suggestion) in [
            (vec!["meydan", "migrat"], "migrate"),
            (vec!["meydan", "config", "chek"], "check"),
            (vec!["meydan", "up", "--prot", "1"], "--port"),
            (vec!["meydan", "serve", "--only", "realtim"], "realtime"),
        ] {
            let error = Cli::try_parse_from(line).unwrap_err().to_string();
            assert!(error.contains(suggestion), "{error}");
        }
    }
}
