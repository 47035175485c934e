//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

/// The place of one value; printed by `config print --show-origin` and in errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    Variable {
        name: String,
    },
    /// A variable in a `.env` file.
    DotEnv {
        path: PathBuf,
        line: usize,
        name: String,
    },
    /// `$CREDENTIALS_DIRECTORY/<key>`.
    Credential {
        path: PathBuf,
    },
    /// `--set key=value`.
    Set {
        key: String,
    },
    /// A flag of its own, such as `--port`.
    Flag {
        name: &'static str,
    },
    /// The whole file or set-up rather than one value.
    Place {
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line, column } => {
                write!(formatter, "{}:{line}:{column}", path.display())
            }
            Self::Variable { name } => write!(formatter, "env {name}"),
            Self::DotEnv { path, line, name } => {
                write!(formatter, "{}:{line} {name}", path.display())
            }
            Self::Credential { path } => write!(formatter, "credential {}", path.display()),
            Self::Set { key } => write!(formatter, "--set {key}"),
            Self::Flag { name } => formatter.write_str(name),
            Self::Place { text } => formatter.write_str(text),
        }
    }
}
