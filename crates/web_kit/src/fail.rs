//! The error type of handlers, and this crate's error table.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use kernel::Failure;

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

kernel::error_rows! {
    METHOD_NOT_ALLOWED, MethodNotAllowed, 0,
        "this path does not take this method; `Allow` lists those it takes",
        "bu yol bu yöntemi kabul etmiyor; kabul ettikleri `Allow` başlığında";
    MALFORMED_JSON, Invalid, 50109,
        "the request body is not valid JSON",
        "istek gövdesi geçerli bir JSON değil";
    INVALID_HOST, Invalid, 0,
        "send one Host header with a plain host name and an optional port",
        "düz bir ana makine adı ve isteğe bağlı bağlantı noktası içeren tek bir Host başlığı gönderin";
    INVALID_PATH, Invalid, 0,
        "the path has empty segments, dot segments or a NUL character",
        "yolda boş bölümler, nokta bölümleri ya da NUL karakteri var";
    BODY_TIMEOUT, Timeout, 0,
        "the request body did not arrive in time; send it again",
        "istek gövdesi zamanında gelmedi; yeniden gönderin";
    BODY_BROKEN, Invalid, 0,
        "the request body broke off or is framed wrongly",
        "istek gövdesi yarıda kesildi ya da yanlış çerçevelendi";
    BODY_TOO_LARGE, TooLarge, 40005,
        "the request body is larger than this operation takes",
        "istek gövdesi bu işlemin kabul ettiğinden büyük";
    UNSUPPORTED_TYPE, UnsupportedType, 0,
        "send the body as application/json",
        "gövdeyi application/json olarak gönderin";
    CSRF_FAILED, Forbidden, 0,
        "this request does not come from a page of ours: reload the page and try again",
        "bu istek bizim bir sayfamızdan gelmiyor: sayfayı yenileyip yeniden deneyin";
    STORAGE_FULL, StorageFull, 0,
        "the disk of the server is nearly full: reading works, changes do not; try again after the time in Retry-After",
        "sunucunun diski dolmak üzere: okumak mümkün, değişiklik yapmak değil; Retry-After süresinden sonra yeniden deneyin";
}
