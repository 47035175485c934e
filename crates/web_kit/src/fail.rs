//! The error type of handlers, and this crate's error table.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use kernel::{ErrorKind, ErrorRow, Failure};

use crate::render;

/// What a handler returns.
pub type Result<T> = std::result::Result<T, Fail>;

/// A failure on its way out of a handler.
///
/// `?` turns every context's error into it. It is rendered by the outer layer, which knows the
/// path, the request id and the language.
#[derive(Debug)]
pub struct Fail(pub Failure);

impl<E: Into<Failure>> From<E> for Fail {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// A failure that waits in a response's extensions for the outer layer.
#[derive(Clone)]
pub(crate) struct Pending(pub(crate) Arc<Failure>);

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let mut response = render::status(self.0.row.kind).into_response();
        response.extensions_mut().insert(Pending(Arc::new(self.0)));
        response
    }
}

/// The path exists, the method does not.
pub const METHOD_NOT_ALLOWED: ErrorRow = ErrorRow {
    code: "METHOD_NOT_ALLOWED",
    kind: ErrorKind::MethodNotAllowed,
    dialect: 0,
    en: "this path does not take this method; `Allow` lists those it takes",
    tr: "bu yol bu yöntemi kabul etmiyor; kabul ettikleri `Allow` başlığında",
};
/// The body is no JSON.
pub const MALFORMED_JSON: ErrorRow = ErrorRow {
    code: "MALFORMED_JSON",
    kind: ErrorKind::Invalid,
    dialect: 50109,
    en: "the request body is not valid JSON",
    tr: "istek gövdesi geçerli bir JSON değil",
};
/// The path holds empty or dot segments, or a NUL.
pub const INVALID_PATH: ErrorRow = ErrorRow {
    code: "INVALID_PATH",
    kind: ErrorKind::Invalid,
    dialect: 0,
    en: "the path has empty segments, dot segments or a NUL character",
    tr: "yolda boş bölümler, nokta bölümleri ya da NUL karakteri var",
};
/// The body came too slowly.
pub const BODY_TIMEOUT: ErrorRow = ErrorRow {
    code: "BODY_TIMEOUT",
    kind: ErrorKind::Timeout,
    dialect: 0,
    en: "the request body did not arrive in time; send it again",
    tr: "istek gövdesi zamanında gelmedi; yeniden gönderin",
};
/// The body broke off or was framed wrongly.
pub const BODY_BROKEN: ErrorRow = ErrorRow {
    code: "BODY_BROKEN",
    kind: ErrorKind::Invalid,
    dialect: 0,
    en: "the request body broke off or is framed wrongly",
    tr: "istek gövdesi yarıda kesildi ya da yanlış çerçevelendi",
};
/// The body is larger than the operation takes.
pub const BODY_TOO_LARGE: ErrorRow = ErrorRow {
    code: "BODY_TOO_LARGE",
    kind: ErrorKind::TooLarge,
    dialect: 40005,
    en: "the request body is larger than this operation takes",
    tr: "istek gövdesi bu işlemin kabul ettiğinden büyük",
};
/// The body is no JSON by its own account.
pub const UNSUPPORTED_TYPE: ErrorRow = ErrorRow {
    code: "UNSUPPORTED_TYPE",
    kind: ErrorKind::UnsupportedType,
    dialect: 0,
    en: "send the body as application/json",
    tr: "gövdeyi application/json olarak gönderin",
};
/// The disk is nearly full: nothing is written until there is space.
pub const STORAGE_FULL: ErrorRow = ErrorRow {
    code: "STORAGE_FULL",
    kind: ErrorKind::StorageFull,
    dialect: 0,
    en: "the disk of the server is nearly full: reading works, changes do not; try again after the time in Retry-After",
    tr: "sunucunun diski dolmak üzere: okumak mümkün, değişiklik yapmak değil; Retry-After süresinden sonra yeniden deneyin",
};

/// The rows of this crate.
pub const ERRORS: &[&ErrorRow] = &[
    &METHOD_NOT_ALLOWED,
    &MALFORMED_JSON,
    &INVALID_PATH,
    &BODY_TIMEOUT,
    &BODY_BROKEN,
    &BODY_TOO_LARGE,
    &UNSUPPORTED_TYPE,
    &STORAGE_FULL,
];
