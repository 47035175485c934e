//! What can go wrong between us and the database, and what a caller is told about it.

use std::borrow::Cow;
use std::time::Duration;

use deadpool_postgres::{PoolError, TimeoutType};
use kernel::Failure;
use kernel::failure::{INTERNAL, UNAVAILABLE};
use tokio_postgres::error::{DbError, SqlState};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An error of the data layer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or it broke. After a commit the outcome is unknown.
    #[error("database unreachable at {during}")]
    Unavailable {
        /// The statement or step that met it.
        during: Cow<'static, str>,
        /// What the driver said, if anything.
        #[source]
        source: Option<Cause>,
    },
    /// The statement ran longer than allowed; it was cancelled.
    #[error("statement {statement} ran longer than {limit_ms} ms")]
    Timeout {
        /// Name of the statement.
        statement: Cow<'static, str>,
        /// The limit.
        limit_ms: u64,
    },
    /// Every connection of the pool stayed taken for the whole wait.
    #[error("no free connection in the pool within the wait limit")]
    Busy,
    /// Somebody else holds the row: lock time-out, deadlock or serialization failure.
    #[error("statement {statement} lost against another transaction ({code})")]
    Contended {
        /// Name of the statement.
        statement: Cow<'static, str>,
        /// SQLSTATE.
        code: String,
    },
    /// A unique, check, foreign key, exclusion or NOT NULL constraint refused the change.
    #[error("statement {statement} violates {constraint}")]
    Conflict {
        /// Name of the statement.
        statement: Cow<'static, str>,
        /// Name of the constraint; for NOT NULL the name of the column.
        constraint: String,
        /// What the server said.
        #[source]
        source: Cause,
    },
    /// The server refused the statement for another reason.
    #[error("statement {statement} failed with {code}")]
    Database {
        /// Name of the statement.
        statement: Cow<'static, str>,
        /// SQLSTATE, or `driver`.
        code: String,
        /// What the server said.
        #[source]
        source: Cause,
    },
    /// A statement that returns exactly one row returned another number.
    #[error("statement {statement} returned {found} rows, expected one")]
    NotOne {
        /// Name of the statement.
        statement: Cow<'static, str>,
        /// How many there were.
        found: usize,
    },
    /// A column does not hold what the struct expects.
    #[error("column {column} does not fit")]
    Column {
        /// Its name.
        column: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A commit of a transaction in which a statement had failed; it was rolled back.
    #[error("transaction rolled back: a statement in it had failed")]
    Aborted,
    /// The settings cannot be used.
    #[error("database settings: {0}")]
    Settings(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let wait_s = match &error {
            Error::Unavailable { .. } => 2,
            Error::Busy | Error::Timeout { .. } | Error::Contended { .. } => 1,
            Error::Conflict { .. }
            | Error::Database { .. }
            | Error::NotOne { .. }
            | Error::Column { .. }
            | Error::Aborted
            | Error::Settings(_) => return INTERNAL.fail().because(error),
        };
        UNAVAILABLE
            .fail()
            .retry_after(Duration::from_secs(wait_s))
            .because(error)
    }
}

/// The message with its causes, for logs only.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl Error {
    /// The violated constraint, if that is what happened.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Error::Conflict { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// Whether the same work may succeed on another try.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Unavailable { .. }
                | Error::Busy
                | Error::Timeout { .. }
                | Error::Contended { .. }
        )
    }

    /// Whether the connection itself is gone.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }

    pub(crate) fn unavailable(during: impl Into<Cow<'static, str>>) -> Self {
        Error::Unavailable {
            during: during.into(),
            source: None,
        }
    }

    /// Sorts what the driver said about a statement.
    pub(crate) fn from_driver(
        statement: impl Into<Cow<'static, str>>,
        error: tokio_postgres::Error,
    ) -> Self {
        let statement = statement.into();
        let Some(cause) = error.as_db_error() else {
            return from_transport(statement, error);
        };
        let state = cause.code();
        let code = state.code().to_owned();
        if code.starts_with("23") {
            let constraint = constraint_of(cause);
            return Error::Conflict {
                statement,
                constraint,
                source: Box::new(error),
            };
        }
        if *state == SqlState::QUERY_CANCELED {
            return Error::Timeout {
                statement,
                limit_ms: 0,
            };
        }
        if [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ]
        .contains(state)
        {
            return Error::Contended { statement, code };
        }
        if means_unavailable(&code) {
            return Error::Unavailable {
                during: statement,
                source: Some(Box::new(error)),
            };
        }
        Error::Database {
            statement,
            code,
            source: Box::new(error),
        }
    }

    pub(crate) fn from_pool(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Error::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Error::unavailable("connecting: timed out")
            }
            PoolError::Backend(source) => match Error::from_driver("connecting", source) {
                // Whatever the server says to a new connection, there is none.
                Error::Database {
                    statement, source, ..
                } => Error::Unavailable {
                    during: statement,
                    source: Some(source),
                },
                other => other,
            },
            PoolError::Closed => Error::unavailable("connecting: the pool is closed"),
            PoolError::NoRuntimeSpecified => Error::Settings("the pool has no runtime".into()),
            PoolError::PostCreateHook(_) => Error::unavailable("connecting: refused by a hook"),
        }
    }
}

/// Connection exceptions, resources used up, operator intervention, read-only after a switch.
fn means_unavailable(code: &str) -> bool {
    code.starts_with("08")
        || code.starts_with("53")
        || code.starts_with("57P")
        || matches!(code, "25006" | "25P03")
}

fn constraint_of(cause: &DbError) -> String {
    cause
        .constraint()
        .or_else(|| cause.column())
        .unwrap_or("an unnamed constraint")
        .to_owned()
}

/// Errors the driver made itself: the socket, or our misuse (a wrong type, a wrong count).
fn from_transport(statement: Cow<'static, str>, error: tokio_postgres::Error) -> Error {
    let socket =
        std::error::Error::source(&error).is_some_and(|cause| cause.is::<std::io::Error>());
    if error.is_closed() || socket {
        return Error::Unavailable {
            during: statement,
            source: Some(Box::new(error)),
        };
    }
    Error::Database {
        statement,
        code: "driver".into(),
        source: Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_a_lost_server_are_unavailable() {
        for code in ["08006", "53300", "57P01", "57P03", "25006"] {
            assert!(means_unavailable(code), "{code}");
        }
        for code in ["57014", "42P01", "23505", "22P02"] {
            assert!(!means_unavailable(code), "{code}");
        }
    }
}
