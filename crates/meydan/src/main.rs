//! The `meydan` binary: every service in one process, or some of them.
//!
//! `cli` reads the command line, `config` the settings, `compose` builds the contexts; `parts` is
//! what the first two hand to the third, and `settings` turns settings into each context's values.
//!
//! Invariants:
//! 1. The TLS provider is installed before anything else can ask for one.
//! 2. `compose` alone builds contexts; `demo` calls them as clients do.
//! 3. A process ends with one of the exit codes of `cli/exit.rs`; a clean drain is 0.
//!
//! Begin with `cli.rs`.

#[cfg(test)]
mod alerts;
mod cli;
mod compose;
mod config;
mod credentials;
mod demo;
mod listen;
#[cfg(test)]
mod matrix;
mod oauth;
mod outbox;
mod pages;
mod parts;
mod senders;
mod settings;
mod stores;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Without a provider rustls panics at first use, not at the start. An error means that one is
    // installed already, which is as good.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::main()
}
