//! What the settings of other providers mean together.

use super::{Checker, Code};
use crate::config::types::Secret;

/// Names that the built-in providers have.
const TAKEN: [&str; 3] = ["google", "facebook", "x"];

impl Checker<'_> {
    pub(super) fn oauth(&mut self) {
        let oauth = &self.config.auth.oauth;
        let (google, facebook, x) = (&oauth.google, &oauth.facebook, &oauth.x);
        let oidc = &oauth.oidc;
        self.pair(
            "auth.oauth.google.client_id",
            &google.client_id,
            &google.client_secret,
        );
        self.pair(
            "auth.oauth.facebook.client_id",
            &facebook.client_id,
            &facebook.client_secret,
        );
        self.pair("auth.oauth.x.client_id", &x.client_id, &x.client_secret);
        self.pair(
            "auth.oauth.oidc.client_id",
            &oidc.client_id,
            &oidc.client_secret,
        );
        if oidc.client_id.is_some() != oidc.issuer.is_some() {
            let message = "needs auth.oauth.oidc.client_id too, and the reverse";
            self.refuse("auth.oauth.oidc.issuer", Code::Combination, message);
        }
        if !is_name(&oidc.name) {
            let message = "must be 1 to 32 small letters, digits, - or _, and no name of another";
            self.refuse("auth.oauth.oidc.name", Code::BadValue, message);
        }
        self.address("auth.oauth.google.issuer", Some(&google.issuer));
        self.address("auth.oauth.oidc.issuer", oidc.issuer.as_ref());
        self.address(
            "auth.oauth.facebook.authorize_url",
            facebook.authorize_url.as_ref(),
        );
        self.address("auth.oauth.facebook.token_url", facebook.token_url.as_ref());
        self.address(
            "auth.oauth.facebook.userinfo_url",
            facebook.userinfo_url.as_ref(),
        );
        self.address("auth.oauth.x.authorize_url", x.authorize_url.as_ref());
        self.address("auth.oauth.x.token_url", x.token_url.as_ref());
        self.address("auth.oauth.x.userinfo_url", x.userinfo_url.as_ref());
        if !oauth.return_to.iter().all(|address| is_app(address)) {
            let message = "must be addresses of apps such as com.example.app:/login, without #";
            self.refuse("auth.oauth.return_to", Code::BadValue, message);
        }
    }

    fn pair(&mut self, key: &'static str, id: &Option<String>, secret: &Option<Secret>) {
        if id.is_some() != secret.is_some() {
            self.refuse(
                key,
                Code::Combination,
                "needs client_secret too, and the reverse",
            );
        }
    }

    /// People type passwords there, and we our secret.
    fn address(&mut self, key: &'static str, address: Option<&String>) {
        if address.is_some_and(|address| !is_protected(address)) {
            let message = "must begin with https:// (http:// is for this computer only)";
            self.refuse(key, Code::BadValue, message);
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=32).contains(&name.len()) && name.bytes().all(fits) && !TAKEN.contains(&name)
}

fn is_protected(address: &str) -> bool {
    let here = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
    let known = address.starts_with("https://") || here.iter().any(|one| address.starts_with(one));
    known && address.chars().all(|c| c.is_ascii_graphic())
}

/// An address of an app: a scheme of its own, or https.
fn is_app(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once(':') else {
        return false;
    };
    let scheme_fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !rest.is_empty()
        && scheme.bytes().all(scheme_fits)
        && !["http", "javascript", "data", "file", "blob"].contains(&scheme)
        && address.chars().all(|c| c.is_ascii_graphic() && c != '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_apps_are_told_from_scripts() {
        for good in ["com.example.app:/login", "https://app.example/login?x=1"] {
            assert!(is_app(good), "{good}");
        }
        for bad in [
            "",
            "app",
            "app:",
            "javascript:x",
            "data:x",
            "http://a/",
            "a:/x#y",
            "a:/x y",
        ] {
            assert!(!is_app(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_paths_and_nobody_elses() {
        assert!(is_name("keycloak-2"));
        for bad in ["", "Google", "google", "a/b", "a b", &"a".repeat(33)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_this_computer() {
        assert!(is_protected("https://idp.example/realm"));
        assert!(is_protected("http://127.0.0.1:9000"));
        for bad in [
            "http://idp.example",
            "http://127.0.0.1.evil.example",
            "idp",
            "https://a b",
        ] {
            assert!(!is_protected(bad), "{bad}");
        }
    }
}
