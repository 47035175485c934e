//! The workspace's own tools: repository checks, the CI run, generated files, start-up figures and
//! the commands of the documentation.
//!
//! 1. `tidy` reads files and `cargo metadata`; it never builds and never writes.
//! 2. Only `gen` without `--check` writes inside the repository.
//! 3. Servers listen on loopback, in a temporary folder, and are ended by the one who started them.
//!
//! Begin reading with [`tidy`]; each file below it is a handful of rules as pure functions.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks by printing"
)]

mod bench;
mod breached;
mod ci;
mod doc_commands;
mod generate;
mod protobuf;
mod server;
mod source;
mod statements;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask tidy                                   repository rules, one finding per line
cargo xtask ci                                     everything a change must pass
cargo xtask gen [--check]                          generated pages under docs/, code from proto/
cargo xtask tests                                  ids of the test catalogue without a test
cargo xtask statements DIR                         statements that no test noted in DIR has run
cargo xtask breached LIST                          the list of breached passwords, from one per line
cargo xtask bench startup [--runs N] [-o json] [--profile debug|release]
cargo xtask doc-commands                           runs the shell blocks of README.md and docs/";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["tidy"] => tidy::run(),
        ["ci"] => ci::run(),
        ["gen"] => generate::write(),
        ["gen", "--check"] => generate::check(),
        ["tests"] => tidy::catalogue::list_missing(),
        ["statements", folder] => statements::run(folder.as_ref()),
        ["breached", list] => breached::run(list.as_ref()),
        ["bench", "startup", options @ ..] => bench::startup(options),
        ["doc-commands"] => doc_commands::run(),
        ["help" | "--help" | "-h"] | [] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("unknown arguments: {}\n{USAGE}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    /// It has printed what is wrong.
    Bad,
}

impl Outcome {
    fn of_findings(count: usize) -> Self {
        if count == 0 { Self::Good } else { Self::Bad }
    }
}
