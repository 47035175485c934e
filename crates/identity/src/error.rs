//! What can go wrong here, and what the public reads about it.

use std::time::Duration;

use kernel::failure::{
    FORBIDDEN, INTERNAL, INVALID_REQUEST, NOT_FOUND, RATE_LIMITED, UNAUTHENTICATED,
};
use kernel::{ErrorRow, Failure, FieldError};

/// Why an operation of this context failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown account, wrong password, or an account that may not log in: never told apart.
    #[error("log in with credentials that do not fit")]
    InvalidCredentials,
    /// The queue of password hashing is full.
    #[error("hash a password while the queue is full")]
    Busy,
    /// A limit was reached.
    #[error("exceed the limit {limit}")]
    RateLimited {
        /// Name of the rule.
        limit: &'static str,
        /// Until the next attempt is allowed.
        retry_after: Duration,
    },
    /// Fields that break their rules.
    #[error("accept a request with {} invalid fields", .0.len())]
    Invalid(Vec<FieldError>),
    /// The text is no e-mail address.
    #[error("read an e-mail address")]
    EmailInvalid,
    /// Somebody has this e-mail address.
    #[error("take an e-mail address that is in use")]
    EmailTaken,
    /// Somebody has this username, or nobody may have it.
    #[error("take a username that is in use")]
    UsernameTaken,
    /// The password is too easy to guess, too short or too long.
    #[error("accept a weak password ({})", .reasons.join(", "))]
    PasswordTooWeak {
        /// Stable codes.
        reasons: Vec<&'static str>,
    },
    /// New accounts are made by administrators only.
    #[error("register while registration is closed")]
    RegistrationClosed,
    /// The refresh token was just exchanged by another request of the same client.
    #[error("refresh with the token before the present one, within the grace")]
    RefreshRotated,
    /// A spent refresh token came back; its device was signed out.
    #[error("refresh with a spent token")]
    RefreshReused,
    /// The refresh token is not one of ours, has expired or was revoked.
    #[error("refresh with a token that is not valid")]
    RefreshInvalid,
    /// The link or code is wrong, expired or used.
    #[error("use a one-time token that is not valid")]
    TokenInvalid,
    /// There is an administrator, so set-up is over.
    #[error("set up although an administrator exists")]
    AdminExists,
    /// A new account for the administrator needs a password.
    #[error("create an administrator without a password")]
    AdminPasswordMissing,
    /// The login is too old for this.
    #[error("act on a login that is older than five minutes")]
    StepUpRequired,
    /// No valid access token.
    #[error("act without a valid access token")]
    Unauthenticated,
    /// Bots and other credentials without a device cannot do this.
    #[error("act on a device with a credential that has none")]
    Forbidden,
    /// The thing is absent or somebody else's.
    #[error("find a thing that is not there")]
    NotFound,
    /// The same, where the chat dialect has a number for it.
    #[error("find a user who is not there")]
    UnknownUser,
    /// There may be no people whose password everybody knows.
    #[error("make demo people where others can reach the server")]
    DemoRefused,
    /// `If-Match` is missing.
    #[error("change a profile without naming its version")]
    PreconditionRequired,
    /// Somebody else changed the profile since.
    #[error("change a profile by a stale version")]
    Stale,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// No identifier could be made.
    #[error(transparent)]
    Id(#[from] kernel::IdError),
    /// A key could not be made, opened or used.
    #[error(transparent)]
    Secret(#[from] crate::secrets::SecretError),
    /// Something of ours does not hold; a bug.
    #[error("{0}")]
    Broken(&'static str),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

kernel::error_rows! {
    INVALID_CREDENTIALS, Unauthenticated, 0,
        "no account fits this name and password",
        "bu ad ve parolaya uyan bir hesap yok";
    BUSY, Unavailable, 0,
        "too many logins at once; try again after the time in Retry-After",
        "aynı anda çok fazla giriş var; Retry-After süresinden sonra yeniden deneyin";
    EMAIL_INVALID, Invalid, 0,
        "this is not an e-mail address we can write to",
        "bu, yazabileceğimiz bir e-posta adresi değil";
    EMAIL_TAKEN, Conflict, 0,
        "an account has this e-mail address; log in instead",
        "bu e-posta adresi bir hesaba ait; bunun yerine giriş yapın";
    USERNAME_TAKEN, Conflict, 0,
        "this username is taken; choose another",
        "bu kullanıcı adı alınmış; başka bir ad seçin";
    PASSWORD_TOO_WEAK, Invalid, 0,
        "this password is too easy to guess; `reasons` says why, a few unusual words work well",
        "bu parola çok kolay tahmin edilir; `reasons` nedenini söyler, birkaç alışılmadık sözcük işe yarar";
    REGISTRATION_CLOSED, Forbidden, 0,
        "this server does not take registrations: an administrator creates accounts (`meydan admin create`)",
        "bu sunucu kayıt almıyor: hesapları bir yönetici açar (`meydan admin create`)";
    REFRESH_ROTATED, Unauthenticated, 0,
        "this refresh token was just exchanged; read the new one from your own store",
        "bu yenileme belirteci az önce değiştirildi; yenisini kendi deponuzdan okuyun";
    REFRESH_REUSED, Unauthenticated, 0,
        "this refresh token was used before; for safety the login was ended, log in again",
        "bu yenileme belirteci daha önce kullanıldı; güvenlik için oturum kapatıldı, yeniden giriş yapın";
    REFRESH_INVALID, Unauthenticated, 0,
        "this refresh token is not valid; log in again",
        "bu yenileme belirteci geçerli değil; yeniden giriş yapın";
    TOKEN_INVALID, Unauthenticated, 0,
        "this link or code is not valid: it was used, has expired or was replaced",
        "bu bağlantı ya da kod geçerli değil: kullanılmış, süresi dolmuş ya da yenilenmiş";
    ADMIN_EXISTS, Conflict, 0,
        "an administrator exists already; set-up is over",
        "bir yönetici zaten var; kurulum bitti";
    ADMIN_PASSWORD_MISSING, Invalid, 0,
        "a new administrator needs a password",
        "yeni bir yönetici için parola gerekir";
    STEP_UP_REQUIRED, Forbidden, 0,
        "prove again that it is you: send the current password or log in anew",
        "siz olduğunuzu yeniden kanıtlayın: şimdiki parolayı gönderin ya da yeniden giriş yapın";
    UNKNOWN_USER, NotFound, 10013,
        "no such user",
        "böyle bir kullanıcı yok";
    PRECONDITION_REQUIRED, PreconditionRequired, 0,
        "send If-Match with the ETag you read",
        "okuduğunuz ETag ile If-Match gönderin";
    STALE, Stale, 0,
        "somebody changed this meanwhile; read it again and repeat your change",
        "bu arada başkası değiştirdi; yeniden okuyup değişikliğinizi yineleyin";
}

impl Error {
    /// The public row.
    pub fn row(&self) -> &'static ErrorRow {
        match self {
            Error::InvalidCredentials => &INVALID_CREDENTIALS,
            Error::Busy => &BUSY,
            Error::RateLimited { .. } => &RATE_LIMITED,
            Error::Invalid(_) => &INVALID_REQUEST,
            Error::EmailInvalid => &EMAIL_INVALID,
            Error::EmailTaken => &EMAIL_TAKEN,
            Error::UsernameTaken => &USERNAME_TAKEN,
            Error::PasswordTooWeak { .. } => &PASSWORD_TOO_WEAK,
            Error::RegistrationClosed => &REGISTRATION_CLOSED,
            Error::RefreshRotated => &REFRESH_ROTATED,
            Error::RefreshReused => &REFRESH_REUSED,
            Error::RefreshInvalid => &REFRESH_INVALID,
            Error::TokenInvalid => &TOKEN_INVALID,
            Error::AdminExists => &ADMIN_EXISTS,
            Error::AdminPasswordMissing => &ADMIN_PASSWORD_MISSING,
            Error::StepUpRequired => &STEP_UP_REQUIRED,
            Error::Unauthenticated => &UNAUTHENTICATED,
            Error::Forbidden | Error::DemoRefused => &FORBIDDEN,
            Error::NotFound => &NOT_FOUND,
            Error::UnknownUser => &UNKNOWN_USER,
            Error::PreconditionRequired => &PRECONDITION_REQUIRED,
            Error::Stale => &STALE,
            Error::Database(_) | Error::Id(_) | Error::Secret(_) | Error::Broken(_) => &INTERNAL,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let row = error.row();
        match error {
            // These know by themselves whether to come back later.
            Error::Database(error) => error.into(),
            Error::Id(error) => error.into(),
            Error::Busy => row.fail().retry_after(Duration::from_secs(1)),
            Error::RateLimited { limit, retry_after } => {
                row.fail().retry_after(retry_after).because(limit)
            }
            Error::Invalid(fields) => row.fail().fields(fields),
            Error::PasswordTooWeak { reasons } => row.fail().extra("reasons", reasons),
            Error::StepUpRequired => row.fail().extra("methods", vec!["password"]),
            other => row.fail().because(other),
        }
    }
}
