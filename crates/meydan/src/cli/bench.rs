//! `meydan bench`: the load generator, which reads its own words.

use clap::Args;

use super::exit::{Exit, Fail};

/// Measure a server on this computer.
#[derive(Debug, Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  meydan bench limits\n  meydan bench realtime idle --url \
                  http://127.0.0.1:3000 --sockets 5000 -o json"
)]
pub(crate) struct Bench {
    /// Scenario and options; none prints what there is.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<Exit, Fail> {
        let code = ::bench::run(&self.words)
            .map_err(|error| Fail::new(Exit::Failure, format!("{error:#}")))?;
        Ok(match code {
            0 => Exit::Done,
            2 => Exit::Usage,
            4 => Exit::Missing,
            6 => Exit::Verification,
            _ => Exit::Failure,
        })
    }
}
