//! `meydan completion`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::exit::{Exit, Fail};
use super::{Cli, Context};

/// A completion script on standard output.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meydan completion bash > /etc/bash_completion.d/meydan")]
pub(crate) struct Completion {
    /// For which shell.
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "meydan", &mut script);
        context.out.data(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
