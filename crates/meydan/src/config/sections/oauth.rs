//! Settings of logins at other providers.

use crate::config::schema::settings;
use crate::config::types::Secret;

settings! {
    /// Logging in at other providers. Each leads back to `/v1/auth/oauth/NAME/callback` under
    /// `http.public_url`; that address has to be registered there.
    "auth.oauth." struct Oauth {
        /// Addresses of apps that may get a login's one-use code, as the apps write them.
        return_to: Vec<String> = "";
        sections {
            google: Google,
            facebook: Facebook,
            x: X,
            oidc: Oidc,
        }
    }
}

settings! {
    /// Google.
    "auth.oauth.google." struct Google {
        /// Client id.
        client_id: Option<String>, or "no login at Google";
        /// Client secret.
        client_secret: Option<Secret>, or "no login at Google";
        /// Its issuer.
        issuer: String = "https://accounts.google.com";
    }
}

settings! {
    /// Facebook.
    "auth.oauth.facebook." struct Facebook {
        /// App id.
        client_id: Option<String>, or "no login at Facebook";
        /// App secret.
        client_secret: Option<Secret>, or "no login at Facebook";
        /// Where people log in.
        authorize_url: Option<String>, or "Facebook's";
        /// Where codes are exchanged.
        token_url: Option<String>, or "Facebook's";
        /// Where it says who somebody is.
        userinfo_url: Option<String>, or "Facebook's";
    }
}

settings! {
    /// X.
    "auth.oauth.x." struct X {
        /// Client id.
        client_id: Option<String>, or "no login at X";
        /// Client secret.
        client_secret: Option<Secret>, or "no login at X";
        /// Where people log in.
        authorize_url: Option<String>, or "X's";
        /// Where codes are exchanged.
        token_url: Option<String>, or "X's";
        /// Where it says who somebody is.
        userinfo_url: Option<String>, or "X's";
    }
}

settings! {
    /// Any other provider that speaks OpenID Connect.
    "auth.oauth.oidc." struct Oidc {
        /// Its name in addresses: small letters, digits, `-` and `_`.
        name: String = "oidc";
        /// Its issuer, as it stands in its own description.
        issuer: Option<String>, or "no such provider";
        /// Client id.
        client_id: Option<String>, or "no such provider";
        /// Client secret.
        client_secret: Option<Secret>, or "no such provider";
    }
}
