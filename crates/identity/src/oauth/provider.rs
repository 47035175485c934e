//! The providers people may log in at, and the texts a login there is made of. Pure.

use infra::outbound::Outbound;
use secrecy::SecretString;

/// Logging in at other providers. Values were checked when the configuration was read.
#[derive(Debug, Clone, Default)]
pub struct Oauth {
    /// The providers that are set up.
    pub providers: Vec<Provider>,
    /// Addresses of apps that may get a one-use code; compared as they are written.
    pub return_to: Vec<String>,
    /// The client to call providers with; without one there is no login at others.
    pub outbound: Option<Outbound>,
}

/// One provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in paths and in the list of identities.
    pub name: String,
    /// Who we are there.
    pub client_id: String,
    /// And what proves it.
    pub client_secret: SecretString,
    /// How it speaks.
    pub kind: ProviderKind,
}

/// How a provider speaks.
#[derive(Debug, Clone)]
pub enum ProviderKind {
    /// OpenID Connect: where everything is, the issuer tells.
    Oidc {
        /// As it stands in ID tokens.
        issuer: String,
    },
    /// OAuth 2 and a page that says who it is.
    Plain(Plain),
}

/// A provider that speaks OAuth 2 alone.
#[derive(Debug, Clone)]
pub struct Plain {
    /// Where people log in.
    pub authorize_url: String,
    /// Where a code becomes a token.
    pub token_url: String,
    /// Where the token becomes a person.
    pub userinfo_url: String,
    /// What is asked for.
    pub scope: &'static str,
    /// JSON pointer of the person's id there.
    pub subject: &'static str,
    /// JSON pointer of the name.
    pub display_name: &'static str,
    /// How our secret is shown.
    pub secret_in: SecretIn,
}

/// How the token endpoint takes the client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretIn {
    /// As basic authentication.
    Header,
    /// Among the fields.
    Form,
}

impl Plain {
    /// Facebook. Its addresses are not proved to us, so they are not looked at.
    pub fn facebook() -> Self {
        Plain {
            authorize_url: "https://www.facebook.com/v23.0/dialog/oauth".to_owned(),
            token_url: "https://graph.facebook.com/v23.0/oauth/access_token".to_owned(),
            userinfo_url: "https://graph.facebook.com/v23.0/me?fields=id,name".to_owned(),
            scope: "public_profile",
            subject: "/id",
            display_name: "/name",
            secret_in: SecretIn::Form,
        }
    }

    /// X.
    pub fn x() -> Self {
        Plain {
            authorize_url: "https://x.com/i/oauth2/authorize".to_owned(),
            token_url: "https://api.x.com/2/oauth2/token".to_owned(),
            userinfo_url: "https://api.x.com/2/users/me".to_owned(),
            scope: "users.read tweet.read",
            subject: "/data/id",
            display_name: "/data/name",
            secret_in: SecretIn::Header,
        }
    }
}

/// Text as it stands in a query or a form: all but unreserved characters encoded (RFC 3986 §2.3).
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// An address with more fields in its query.
pub(crate) fn with_query(url: &str, fields: &[(&str, &str)]) -> String {
    let mut out = url.to_owned();
    let mut mark = if url.contains('?') { '&' } else { '?' };
    for (name, value) in fields {
        out.push(mark);
        out.push_str(&format!("{}={}", encoded(name), encoded(value)));
        mark = '&';
    }
    out
}

/// Longest place of ours to come back to.
const MAX_PATH: usize = 512;

/// Whether this is a page of ours and nothing a browser could read as an address elsewhere.
pub(crate) fn is_own_path(path: &str) -> bool {
    let mut chars = path.chars();
    let begins = chars.next() == Some('/') && chars.next() != Some('/');
    begins
        && path.len() <= MAX_PATH
        && path
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '\\' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_hold_any_text() {
        assert_eq!(encoded("aZ9-._~"), "aZ9-._~");
        assert_eq!(encoded("a b&c=ş+/"), "a%20b%26c%3D%C5%9F%2B%2F");
        assert_eq!(
            with_query("https://a", &[("x", "1"), ("y", "&")]),
            "https://a?x=1&y=%26"
        );
        assert_eq!(
            with_query("https://a?z=0", &[("x", "1")]),
            "https://a?z=0&x=1"
        );
    }

    #[test]
    fn only_pages_of_ours_are_come_back_to() {
        for path in ["/", "/settings", "/a/b?x=1&y=%2F%2Fevil"] {
            assert!(is_own_path(path), "{path}");
        }
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for path in [
            "",
            "settings",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x=1",
            "/\t/evil.example",
            "/ /evil.example",
            "/a#b",
            "/ş",
            &long,
        ] {
            assert!(!is_own_path(path), "{path:?}");
        }
    }
}
