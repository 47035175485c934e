//! What can go wrong here, and what the public reads about it.

use kernel::failure::{INTERNAL, INVALID_REQUEST};
use kernel::{ErrorKind, ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none, or it is somebody else's.
    #[error("use an unknown application")]
    UnknownApplication,
    /// It is not installed there.
    #[error("use an install that does not exist")]
    UnknownInstall,
    /// A bot tried what is for people.
    #[error("own applications as a bot")]
    PeopleOnly,
    /// Only a bot can ask who it is.
    #[error("ask for the caller's application without being a bot")]
    BotsOnly,
    /// The owner has as many as one may have.
    #[error("own more than {0} applications")]
    TooMany(i32),
    /// Fields that break their rules.
    #[error("accept an application with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// A key could not be made.
    #[error("make the keys of an application")]
    Secret(#[from] crate::SecretError),
    /// The database failed.
    #[error("use the database")]
    Database(#[from] db::Error),
    /// Another context failed or refused.
    #[error("ask another context")]
    Asked(#[from] Failure),
    /// No ids can be made.
    #[error("make an id")]
    Id(#[from] kernel::IdError),
}

/// The application is unknown, or not the caller's.
pub const UNKNOWN_APPLICATION: ErrorRow = ErrorRow {
    code: "UNKNOWN_APPLICATION",
    kind: ErrorKind::NotFound,
    dialect: 10002,
    en: "Unknown Application",
    tr: "Bilinmeyen uygulama",
};
/// The application is not installed there.
pub const UNKNOWN_INSTALL: ErrorRow = ErrorRow {
    code: "UNKNOWN_INSTALL",
    kind: ErrorKind::NotFound,
    dialect: 10011,
    en: "the application is not installed in this community",
    tr: "uygulama bu toplulukta kurulu değil",
};
/// Bots own no applications.
pub const APPLICATION_PEOPLE_ONLY: ErrorRow = ErrorRow {
    code: "APPLICATION_PEOPLE_ONLY",
    kind: ErrorKind::Forbidden,
    dialect: 20001,
    en: "bots cannot use this endpoint",
    tr: "botlar bu uç noktayı kullanamaz",
};
/// Only bots have an application of their own.
pub const APPLICATION_BOTS_ONLY: ErrorRow = ErrorRow {
    code: "APPLICATION_BOTS_ONLY",
    kind: ErrorKind::Forbidden,
    dialect: 20002,
    en: "only bots can use this endpoint",
    tr: "bu uç noktayı yalnızca botlar kullanabilir",
};
/// The limit of applications is reached.
pub const TOO_MANY_APPLICATIONS: ErrorRow = ErrorRow {
    code: "TOO_MANY_APPLICATIONS",
    kind: ErrorKind::Conflict,
    dialect: 30061,
    en: "you own as many applications as one account may; delete one first",
    tr: "bir hesabın sahip olabileceği kadar uygulamanız var; önce birini silin",
};

/// All rows of this context.
pub const ERRORS: &[&ErrorRow] = &[
    &UNKNOWN_APPLICATION,
    &UNKNOWN_INSTALL,
    &APPLICATION_PEOPLE_ONLY,
    &APPLICATION_BOTS_ONLY,
    &TOO_MANY_APPLICATIONS,
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownApplication => UNKNOWN_APPLICATION.fail(),
            Error::UnknownInstall => UNKNOWN_INSTALL.fail(),
            Error::PeopleOnly => APPLICATION_PEOPLE_ONLY.fail(),
            Error::BotsOnly => APPLICATION_BOTS_ONLY.fail(),
            Error::TooMany(limit) => TOO_MANY_APPLICATIONS.fail().extra("limit", limit),
            Error::Invalid(fields) => INVALID_REQUEST.fail().fields(fields),
            Error::Secret(error) => INTERNAL.fail().because(error),
            Error::Database(error) => error.into(),
            Error::Asked(failure) => failure,
            Error::Id(error) => error.into(),
        }
    }
}
