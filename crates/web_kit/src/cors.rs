//! Which pages of other origins may call.

use std::time::Duration;

use axum::http::header::{
    ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, LINK, LOCATION,
    ORIGIN, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::address::REQUEST_ID;

/// The allow-list of origins: exact matches, never `*`. They call with tokens; cookies are for our
/// own pages, so no foreign origin may send credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `https://app.example.com`.
    pub origins: Vec<String>,
    /// For development: any port of this machine as well.
    pub any_loopback: bool,
}

impl Cors {
    pub(crate) fn layer(self) -> CorsLayer {
        let origin = AllowOrigin::predicate(move |origin: &HeaderValue, _| self.allows(origin));
        CorsLayer::new()
            .allow_origin(origin)
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            .allow_headers([
                ACCEPT_LANGUAGE,
                AUTHORIZATION,
                CONTENT_TYPE,
                IF_MATCH,
                REQUEST_ID,
                HeaderName::from_static("idempotency-key"),
                HeaderName::from_static("x-audit-log-reason"),
                // Resumable uploads.
                HeaderName::from_static("tus-resumable"),
                HeaderName::from_static("upload-length"),
                HeaderName::from_static("upload-metadata"),
                HeaderName::from_static("upload-offset"),
            ])
            .expose_headers([
                ETAG,
                LINK,
                RETRY_AFTER,
                REQUEST_ID,
                HeaderName::from_static("idempotent-replayed"),
                HeaderName::from_static("x-ratelimit-bucket"),
                HeaderName::from_static("x-ratelimit-limit"),
                HeaderName::from_static("x-ratelimit-remaining"),
                HeaderName::from_static("x-ratelimit-reset"),
                HeaderName::from_static("x-ratelimit-reset-after"),
                HeaderName::from_static("x-ratelimit-scope"),
                HeaderName::from_static("x-ratelimit-global"),
                LOCATION,
                HeaderName::from_static("tus-resumable"),
                HeaderName::from_static("upload-expires"),
                HeaderName::from_static("upload-length"),
                HeaderName::from_static("upload-offset"),
            ])
            .max_age(Duration::from_secs(600))
    }

    /// Whether the page that asks is one of them. Programs send no `Origin`, and pass: they have no
    /// visitor whose browser they could misuse.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => true,
            (Some(origin), None) => self.allows(origin),
            (Some(_), Some(_)) => false,
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        self.origins.iter().any(|allowed| allowed == origin)
            || (self.any_loopback && is_loopback(origin))
    }
}

/// Takes `http://localhost:5173`, `http://127.0.0.1`, `http://[::1]:8080` and nothing that only
/// looks like them.
fn is_loopback(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let bare = uri.path_and_query().is_none_or(|path| path == "/") && !origin.ends_with('/');
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let plain = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    bare && known && plain && matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_exactly() {
        let cors = Cors {
            origins: vec!["https://app.example.com".to_owned()],
            any_loopback: false,
        };
        for (origin, allowed) in [
            ("https://app.example.com", true),
            ("https://app.example.com.evil.test", false),
            ("http://app.example.com", false),
            ("https://app.example.com:8443", false),
            ("http://localhost:5173", false),
            ("null", false),
            ("*", false),
        ] {
            assert_eq!(
                cors.allows(&HeaderValue::from_static(origin)),
                allowed,
                "{origin}"
            );
        }
    }

    #[test]
    fn loopback_is_not_fooled() {
        for (origin, loopback) in [
            ("http://localhost:5173", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:8080", true),
            ("http://localhost.evil.test", false),
            ("http://127.0.0.1.evil.test", false),
            ("http://evil.test@localhost", false),
            ("http://localhost/path", false),
            ("file://localhost", false),
            ("null", false),
        ] {
            assert_eq!(is_loopback(origin), loopback, "{origin}");
        }
    }
}
