//! Exit codes, and the error every command ends with.

use std::fmt;
use std::process::ExitCode;

use crate::config::Report;

/// How a command ended; the numbers are promised in the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; a server drained after SIGTERM or Ctrl+C.
    Done,
    /// Failure; a drain that hit its deadline.
    Failure,
    /// Wrong usage.
    Usage,
    /// Configuration invalid or refused.
    Config,
    /// Something needed is missing or unreachable.
    Missing,
    /// Conflict or locked.
    Conflict,
    /// Something that must hold does not: a delivery was lost or doubled.
    Verification,
}

impl Exit {
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Missing => 4,
            Self::Conflict => 5,
            Self::Verification => 6,
        })
    }
}

/// Why a command could not do its work: the cause, and the command that helps.
#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fail {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Wraps an error with everything that caused it.
    pub(crate) fn caused(
        exit: Exit,
        attempted: &str,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        Self::new(exit, format!("{attempted}: {}", chain(error)))
    }
}

/// An error and its causes in one line; messages do not repeat their causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl fmt::Display for Fail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n  next: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<Report> for Fail {
    fn from(report: Report) -> Self {
        Self::new(Exit::Config, report.to_string())
    }
}

impl From<anyhow::Error> for Fail {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failure, format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_the_number_of_the_manual() {
        for (exit, number) in [
            (Exit::Done, 0_u8),
            (Exit::Failure, 1),
            (Exit::Usage, 2),
            (Exit::Config, 3),
            (Exit::Missing, 4),
            (Exit::Conflict, 5),
            (Exit::Verification, 6),
        ] {
            assert_eq!(exit.code(), ExitCode::from(number), "{exit:?}");
        }
    }
}
