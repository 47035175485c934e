//! The cookie of browser sessions: its names, and how it is read.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

/// Its name where TLS is demanded; the prefix binds it to one host (RFC 6265bis §4.1.3).
pub const HOST_COOKIE: &str = "__Host-meydan_sid";
/// Its name on plain-http loopback, and only there.
pub const LOOPBACK_COOKIE: &str = "meydan_sid";

/// The session cookie `name` of a request. One that stands twice is none: somebody planted the
/// second.
pub(crate) fn session_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        for pair in header.to_str().ok()?.split(';') {
            let Some((found_name, value)) = pair.trim().split_once('=') else {
                continue;
            };
            if found_name == name {
                if found.is_some() {
                    return None;
                }
                found = Some(value);
            }
        }
    }
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(COOKIE, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_found_among_others_and_never_twice() {
        for (values, found) in [
            (&["a=1; meydan_sid=x; b=2"][..], Some("x")),
            (&["a=1", "meydan_sid=y"], Some("y")),
            (&["meydan_sid=y; meydan_sid=z"], None),
            (&["meydan_sid=y", "meydan_sid=y"], None),
            (&["__Host-meydan_sid=x", "meydan_sid=y"], Some("y")),
            (&["meydan_sid="], None),
            (&["xmeydan_sid=1; meydan_sidx=2"], None),
            (&[], None),
        ] {
            let headers = headers(values);
            assert_eq!(
                session_cookie(&headers, LOOPBACK_COOKIE),
                found,
                "{values:?}"
            );
        }
    }
}
