//! What can go wrong here. The context has no error of its own to show: it reads and appends.

use kernel::failure::{INTERNAL, INVALID_REQUEST};
use kernel::{ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields that break their rules.
    #[error("accept a request with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// An event or an entry is not what it must be.
    #[error("read or write an entry")]
    Entry(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

/// The rows of this context: none beside those all share.
pub const ERRORS: &[&ErrorRow] = &[];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => error.into(),
            Error::Invalid(fields) => INVALID_REQUEST.fail().fields(fields),
            other @ Error::Entry(_) => INTERNAL.fail().because(other),
        }
    }
}
