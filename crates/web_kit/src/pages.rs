//! Sessions of this server's own pages: which cookie counts, and whether a request that shows it
//! was made by such a page and not by a foreign one in the same browser (CSRF).
//!
//! A request with the cookie has to pass three gates; the fourth is the cookie's own `SameSite`.
//! Reading is open to whoever has the cookie: a foreign page cannot see the answer, because no
//! foreign origin may send credentials.

use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, ORIGIN, TRANSFER_ENCODING,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use kernel::Failure;
use kernel::failure::{INTERNAL, UNAUTHENTICATED};

use crate::address::Meta;
use crate::cookie::{HOST_COOKIE, LOOPBACK_COOKIE, session_cookie};
use crate::extract::is_json;
use crate::fail::{CSRF_FAILED, Fail};
use crate::guard;
use crate::stack::Shared;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// Makes the token that belongs to a cookie.
type CsrfToken = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Sessions of this server's own pages; without it cookies mean nothing.
#[derive(Clone)]
pub struct Pages {
    origin: String,
    cookie: &'static str,
    csrf_token: CsrfToken,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Pages {
    /// Takes where the pages are, such as `https://example.com`, and what makes the token that
    /// belongs to a cookie. Over https only the cookie that is bound to this host counts, on a
    /// plain address only the other.
    pub fn new(origin: &str, csrf_token: CsrfToken) -> Self {
        let (cookie, default_port) = if origin.starts_with("https://") {
            (HOST_COOKIE, ":443")
        } else {
            (LOOPBACK_COOKIE, ":80")
        };
        // Browsers leave the default port out.
        let origin = origin.strip_suffix(default_port).unwrap_or(origin);
        Self {
            origin: origin.to_owned(),
            cookie,
            csrf_token,
        }
    }

    /// The session cookie of a request; none beside an `Authorization` header, which goes first.
    pub(crate) fn cookie_of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        if headers.contains_key(AUTHORIZATION) {
            return None;
        }
        session_cookie(headers, self.cookie)
    }

    /// Whether the browser says that a page of ours made the request. Programs say nothing, and
    /// then it is not one.
    pub(crate) fn is_own(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(FETCH_SITE) {
            return only(headers, &FETCH_SITE) == Some("same-origin");
        }
        only(headers, &ORIGIN) == Some(self.origin.as_str())
    }

    /// Refuses a request with this cookie that a foreign page may have made.
    pub(crate) fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        cookie: &str,
    ) -> Result<(), Failure> {
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        let passes = self.is_own(headers)
            && is_scripted(headers)
            && only(headers, &CSRF_TOKEN).is_some_and(|token| self.fits(cookie, token));
        if passes {
            Ok(())
        } else {
            Err(CSRF_FAILED.fail())
        }
    }

    fn fits(&self, cookie: &str, token: &str) -> bool {
        let right = (self.csrf_token)(cookie);
        aws_lc_rs::constant_time::verify_slices_are_equal(right.as_bytes(), token.as_bytes())
            .is_ok()
    }
}

/// A part of an upload. No form can send it.
const UPLOAD_PART: &str = "application/offset+octet-stream";

/// Whether the body is of a kind that a plain form cannot send, or there is none. (A form can send
/// multipart; the token in a header, which it cannot send, is asked for with every body.)
fn is_scripted(headers: &HeaderMap) -> bool {
    if headers.contains_key(CONTENT_TYPE) {
        let Some(kind) = only(headers, &CONTENT_TYPE) else {
            return false;
        };
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let of_pages = ["multipart/form-data", UPLOAD_PART];
        return is_json(headers)
            || of_pages
                .iter()
                .any(|kind| essence.eq_ignore_ascii_case(kind));
    }
    let empty = only(headers, &CONTENT_LENGTH).is_none_or(|length| length == "0");
    empty && !headers.contains_key(TRANSFER_ENCODING)
}

/// The value of a header that stands once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The session of a page, for operations that do not need one or that are about its cookie.
/// Nothing is judged until it is asked for.
#[derive(Clone)]
pub struct PageSession {
    shared: Arc<Shared>,
    meta: Meta,
    method: Method,
    headers: HeaderMap,
}

impl fmt::Debug for PageSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSession").finish_non_exhaustive()
    }
}

impl PageSession {
    /// The cookie, which may be of a session that ended; none beside an `Authorization` header.
    pub fn cookie(&self) -> Option<&str> {
        self.shared.pages.as_ref()?.cookie_of(&self.headers)
    }

    /// Whose session it is; none without a cookie and when the session ended.
    ///
    /// # Errors
    ///
    /// When the request may have been made by a foreign page, or the cookie cannot be judged.
    pub async fn caller(&self) -> Result<Option<kernel::Caller>, Failure> {
        let verdict = guard::by_cookie(&self.shared, &self.meta, &self.method, &self.headers).await;
        match verdict {
            Some(Ok(verified)) => Ok(Some(verified.caller)),
            Some(Err(failure)) if failure.row.code == UNAUTHENTICATED.code => Ok(None),
            Some(Err(failure)) => Err(failure),
            None => Ok(None),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageSession {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fail> {
        let (Some(shared), Some(meta)) = (
            parts.extensions.get::<Arc<Shared>>().cloned(),
            parts.extensions.get::<Meta>().cloned(),
        ) else {
            let cause = "a table's router must be served through `stack`";
            return Err(Fail(INTERNAL.fail().because(cause)));
        };
        Ok(Self {
            shared,
            meta,
            method: parts.method.clone(),
            headers: parts.headers.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(origin: &str) -> Pages {
        Pages::new(origin, Arc::new(|cookie| format!("token-of-{cookie}")))
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn https_takes_the_bound_cookie_and_plain_http_the_other() {
        for (origin, cookie, found) in [
            ("https://a.example", "__Host-meydan_sid=x", Some("x")),
            ("https://a.example", "meydan_sid=x", None),
            ("http://127.0.0.1:8080", "meydan_sid=x", Some("x")),
            ("http://127.0.0.1:8080", "__Host-meydan_sid=x", None),
        ] {
            let headers = headers(&[("cookie", cookie)]);
            assert_eq!(
                pages(origin).cookie_of(&headers),
                found,
                "{origin} {cookie}"
            );
        }
        let both = headers(&[("cookie", "meydan_sid=x"), ("authorization", "Bearer y")]);
        assert_eq!(pages("http://127.0.0.1:8080").cookie_of(&both), None);
    }

    #[test]
    fn default_ports_are_left_out_as_browsers_do() {
        for (origin, sent, own) in [
            ("https://a.example:443", "https://a.example", true),
            ("https://a.example:8443", "https://a.example:8443", true),
            ("https://a.example", "https://a.example.evil.test", false),
            ("https://a.example", "http://a.example", false),
            ("http://localhost:80", "http://localhost", true),
            ("https://a.example", "null", false),
        ] {
            let headers = headers(&[("origin", sent)]);
            assert_eq!(pages(origin).is_own(&headers), own, "{origin} {sent}");
        }
        assert!(!pages("https://a.example").is_own(&HeaderMap::new()));
    }
}
