//! What went wrong, for the public and for the log, kept apart.
//!
//! Every crate has one table of [`ErrorRow`]s in its `error.rs`. A row's `code` is stable for ever.
//! Only `web_kit` turns an [`ErrorKind`] into an HTTP status. The shape follows RFC 9457 under
//! `/v1` and the chat dialect under `/api/v10`; both are made from the same row.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::locale::Locale;

/// The class of a failure; decides the status code on every surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is malformed or breaks a rule of its fields (400).
    Invalid,
    /// Who is calling is not known (401).
    Unauthenticated,
    /// Known, visible, but not allowed (403).
    Forbidden,
    /// Absent, or not to be known by the caller (404).
    NotFound,
    /// The path exists, the method does not (405).
    MethodNotAllowed,
    /// The client was too slow to send the request (408).
    Timeout,
    /// In conflict with the present state (409).
    Conflict,
    /// The state the caller saw is stale (412).
    Stale,
    /// The body exceeds its limit (413).
    TooLarge,
    /// The body has the wrong media type (415).
    UnsupportedType,
    /// Well-formed but contradicting an earlier request (422).
    Unprocessable,
    /// A precondition header is missing (428).
    PreconditionRequired,
    /// Too many requests (429); always with `retry_after`.
    RateLimited,
    /// The request head exceeds its limit (431).
    HeadTooLarge,
    /// A bug or an unknown state (500).
    Internal,
    /// An outside company did not answer as it should (502).
    BadGateway,
    /// Overload or a dependency that is away (503); always with `retry_after`.
    Unavailable,
    /// The disk is full (507).
    StorageFull,
}

/// One line of a crate's error table.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorRow {
    /// Stable, upper snake case, unique in the whole product.
    pub code: &'static str,
    /// Class, hence status.
    pub kind: ErrorKind,
    /// Number in the chat dialect; 0 where the dialect has none.
    pub dialect: u32,
    /// Public text, English: what happened and what to do next.
    pub en: &'static str,
    /// Public text, Turkish.
    pub tr: &'static str,
}

impl ErrorRow {
    /// The public text in `locale`.
    pub fn text(&self, locale: Locale) -> &'static str {
        match locale {
            Locale::En => self.en,
            Locale::Tr => self.tr,
        }
    }

    /// A failure of this row and nothing more.
    pub fn fail(&'static self) -> Failure {
        Failure::new(self)
    }
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// RFC 6901 pointer into the body (`/channels/0/name`), or `?name` for a query parameter.
    pub pointer: String,
    /// Stable code, e.g. `REQUIRED`, `TOO_LONG`; the dialect shows it as it is.
    pub code: &'static str,
    /// Text for people.
    pub detail: String,
}

impl FieldError {
    /// One field's error.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        FieldError {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
        }
    }
}

/// A failed request: the public part, and the cause that only the log sees.
pub struct Failure {
    /// The table row.
    pub row: &'static ErrorRow,
    /// Errors of single fields; public.
    pub fields: Vec<FieldError>,
    /// When to come back; mandatory for 429 and 503 (a second is assumed when absent).
    pub retry_after: Option<Duration>,
    /// More public members of the answer (for instance `reasons`).
    pub extra: Box<serde_json::Map<String, serde_json::Value>>,
    /// The internal cause. It has no path to the client.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without details.
    pub fn new(row: &'static ErrorRow) -> Self {
        Failure {
            row,
            fields: Vec::new(),
            retry_after: None,
            extra: Box::default(),
            source: None,
        }
    }

    /// Adds one field's error.
    #[must_use]
    pub fn field(mut self, error: FieldError) -> Self {
        self.fields.push(error);
        self
    }

    /// Replaces the list of field errors.
    #[must_use]
    pub fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.fields = errors;
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Adds a public member.
    #[must_use]
    pub fn extra(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the internal cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the same call may succeed later without any change.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.row.kind,
            ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Timeout
        )
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("code", &self.row.code)
            .field("fields", &self.fields)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Failure {
    /// For the log: the code and the chain of causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row.code)?;
        for field in &self.fields {
            write!(f, " [{} {}]", field.pointer, field.code)?;
        }
        let mut cause: Option<&(dyn Error + 'static)> = match &self.source {
            Some(source) => Some(&**source),
            None => None,
        };
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

/// A crate's error table: a constant per row, named as its code, and `ERRORS` with all of them.
///
/// A row is `CODE, Kind, dialect number, "English text", "Turkish text";`.
#[macro_export]
macro_rules! error_rows {
    ($($name:ident, $kind:ident, $dialect:literal, $en:literal, $tr:literal;)*) => {
        $(
            #[doc = $en]
            pub const $name: $crate::ErrorRow = $crate::ErrorRow {
                code: stringify!($name),
                kind: $crate::ErrorKind::$kind,
                dialect: $dialect,
                en: $en,
                tr: $tr,
            };
        )*
        /// Every row of this crate.
        pub const ERRORS: &[&$crate::ErrorRow] = &[$(&$name),*];
    };
}

crate::error_rows! {
    INTERNAL, Internal, 0,
        "something went wrong on our side; quote the request id when you report it",
        "bizim tarafta bir şeyler ters gitti; bildirirken istek kimliğini yazın";
    UNAVAILABLE, Unavailable, 0,
        "the service is briefly unavailable; try again after the time in Retry-After",
        "hizmet kısa süreliğine kullanılamıyor; Retry-After süresinden sonra yeniden deneyin";
    INVALID_REQUEST, Invalid, 50035,
        "the request is not valid; `errors` names each field",
        "istek geçerli değil; `errors` her alanı adlandırır";
    NOT_FOUND, NotFound, 0,
        "no such thing, or you may not see it",
        "böyle bir şey yok ya da görmeye yetkiniz yok";
    UNAUTHENTICATED, Unauthenticated, 0,
        "log in first: the access token is missing, expired or revoked",
        "önce giriş yapın: erişim belirteci yok, süresi dolmuş ya da iptal edilmiş";
    FORBIDDEN, Forbidden, 50013,
        "you lack the permission for this",
        "bunun için yetkiniz yok";
    STEP_UP_REQUIRED, Forbidden, 0,
        "prove again that it is you: send the current password or log in anew",
        "siz olduğunuzu yeniden kanıtlayın: şimdiki parolayı gönderin ya da yeniden giriş yapın";
    RATE_LIMITED, RateLimited, 0,
        "too many requests; wait for the time in Retry-After",
        "çok fazla istek; Retry-After süresi kadar bekleyin";
    IDEMPOTENCY_MISMATCH, Unprocessable, 0,
        "this Idempotency-Key was used with another request; take a new key",
        "bu Idempotency-Key başka bir istekle kullanıldı; yeni bir anahtar alın";
    IDEMPOTENCY_BUSY, Conflict, 0,
        "a request with this Idempotency-Key is still running; try again shortly",
        "bu Idempotency-Key ile bir istek hâlâ sürüyor; birazdan yeniden deneyin";
}

impl From<crate::IdError> for Failure {
    fn from(error: crate::IdError) -> Self {
        UNAVAILABLE
            .fail()
            .retry_after(Duration::from_secs(1))
            .because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_text_has_the_chain_and_public_text_has_not() {
        let cause = std::io::Error::other("socket /run/x gone");
        let failure = UNAVAILABLE.fail().because(cause);
        assert_eq!(failure.to_string(), "UNAVAILABLE: socket /run/x gone");
        assert!(!failure.row.text(Locale::En).contains("socket"));
        assert!(failure.is_transient());
        assert!(!INTERNAL.fail().is_transient());
    }
}
