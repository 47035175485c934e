//! What providers are asked: where everything is, their keys, a token for a code, who somebody is.

use std::time::Duration;

use infra::outbound::{Answer, Call, Outbound};
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;

use super::id_token::{self, Bad, Claims, Expected, MAX_SUBJECT, Said};
use super::provider::{Plain, Provider, ProviderKind, SecretIn, encoded};
use crate::error::{Error, Result};

/// How long what a provider publishes is used.
const KEPT: Duration = Duration::from_secs(3600);
/// How soon its keys may be asked for again because of a key nobody knows.
const KEYS_PAUSE: Duration = Duration::from_secs(60);

/// A provider and what it published. One asks at a time; the others wait for the answer, at most
/// for the deadline of one call.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) provider: Provider,
    metadata: Mutex<Option<(Timestamp, Metadata)>>,
    keys: Mutex<Option<(Timestamp, JwkSet)>>,
}

/// Where an OpenID provider has what (OpenID Connect Discovery §3).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Where people are sent, and with what.
pub(super) struct Door {
    pub(super) url: String,
    pub(super) scope: &'static str,
    /// The issuer that the answer must name, where the provider says that it names one.
    pub(super) names_issuer: Option<String>,
}

/// Somebody, as a provider knows them.
#[derive(Debug, Clone, serde::Serialize, Deserialize)]
pub(super) struct Outside {
    pub(super) provider: String,
    pub(super) subject: String,
    /// Only an address that the provider has proved.
    pub(super) email: Option<String>,
    pub(super) display_name: Option<String>,
}

/// A code, and what belongs to the login it came from.
pub(super) struct Redeem<'a> {
    pub(super) code: &'a str,
    pub(super) verifier: &'a str,
    pub(super) nonce: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) now: Timestamp,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    id_token: Option<String>,
}

impl Site {
    pub(super) fn new(provider: Provider) -> Self {
        Site {
            provider,
            metadata: Mutex::default(),
            keys: Mutex::default(),
        }
    }

    /// Where a login begins.
    pub(super) async fn door(&self, outbound: &Outbound, now: Timestamp) -> Result<Door> {
        match &self.provider.kind {
            ProviderKind::Plain(plain) => Ok(Door {
                url: plain.authorize_url.clone(),
                scope: plain.scope,
                names_issuer: None,
            }),
            ProviderKind::Oidc { issuer } => {
                let metadata = self.discovered(outbound, issuer, now).await?;
                Ok(Door {
                    url: metadata.authorization_endpoint,
                    scope: "openid email profile",
                    names_issuer: metadata
                        .authorization_response_iss_parameter_supported
                        .then_some(metadata.issuer),
                })
            }
        }
    }

    /// Who logged in: exchanges the code and believes only what is proved.
    pub(super) async fn redeem(&self, outbound: &Outbound, by: Redeem<'_>) -> Result<Outside> {
        match &self.provider.kind {
            ProviderKind::Plain(plain) => self.redeem_plain(outbound, plain, by).await,
            ProviderKind::Oidc { issuer } => self.redeem_oidc(outbound, issuer, by).await,
        }
    }

    async fn redeem_plain(
        &self,
        outbound: &Outbound,
        plain: &Plain,
        by: Redeem<'_>,
    ) -> Result<Outside> {
        let token = self
            .token(outbound, &plain.token_url, plain.secret_in, &by)
            .await?;
        let call = Call::get(&plain.userinfo_url).bearer(&token.access_token);
        let person: Value = answer(outbound, call).await?;
        let subject = match person.pointer(plain.subject) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        if subject.is_empty() || subject.len() > MAX_SUBJECT {
            return Err(Error::OauthFailed("nobody came back"));
        }
        let name = person.pointer(plain.display_name).and_then(Value::as_str);
        Ok(Outside {
            provider: self.provider.name.clone(),
            subject,
            email: None,
            display_name: name.map(ToOwned::to_owned),
        })
    }

    async fn redeem_oidc(
        &self,
        outbound: &Outbound,
        issuer: &str,
        by: Redeem<'_>,
    ) -> Result<Outside> {
        let metadata = self.discovered(outbound, issuer, by.now).await?;
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let has = |method: &str| methods.iter().any(|one| one == method);
        let secret_in = if has("client_secret_post") && !has("client_secret_basic") {
            SecretIn::Form
        } else {
            SecretIn::Header
        };
        let token = self
            .token(outbound, &metadata.token_endpoint, secret_in, &by)
            .await?;
        let id_token = token.id_token.as_deref();
        let id_token = id_token.ok_or(Error::OauthFailed("no ID token"))?;
        let expected = Expected {
            issuer,
            client_id: &self.provider.client_id,
            nonce: by.nonce,
            now: by.now,
        };
        let mut claims = self
            .checked(outbound, &metadata, id_token, expected)
            .await?;
        if let (None, Some(url)) = (&claims.email, &metadata.userinfo_endpoint) {
            self.complete(outbound, url, &token.access_token, &mut claims)
                .await?;
        }
        let verified = claims.email_verified == Said::Yes;
        Ok(Outside {
            provider: self.provider.name.clone(),
            subject: claims.sub,
            email: claims.email.filter(|_| verified),
            display_name: claims.name,
        })
    }

    /// Address and name, where the ID token leaves them to another page.
    async fn complete(
        &self,
        outbound: &Outbound,
        url: &str,
        token: &SecretString,
        claims: &mut Claims,
    ) -> Result<()> {
        #[derive(Deserialize)]
        struct Person {
            sub: String,
            email: Option<String>,
            #[serde(default)]
            email_verified: Said,
            name: Option<String>,
        }
        let person: Person = answer(outbound, Call::get(url).bearer(token)).await?;
        if person.sub != claims.sub {
            return Err(Error::OauthFailed("somebody else came back"));
        }
        claims.email = person.email;
        claims.email_verified = person.email_verified;
        claims.name = claims.name.take().or(person.name);
        Ok(())
    }

    async fn token(
        &self,
        outbound: &Outbound,
        url: &str,
        secret_in: SecretIn,
        by: &Redeem<'_>,
    ) -> Result<TokenAnswer> {
        let provider = &self.provider;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", by.code),
            ("redirect_uri", by.redirect_uri),
            ("code_verifier", by.verifier),
        ];
        let call = match secret_in {
            SecretIn::Form => {
                fields.push(("client_id", &provider.client_id));
                fields.push(("client_secret", provider.client_secret.expose_secret()));
                Call::form(url, &fields)
            }
            SecretIn::Header => {
                // Both are encoded before they are joined (RFC 6749 §2.3.1).
                let secret = encoded(provider.client_secret.expose_secret());
                let secret = SecretString::from(secret);
                Call::form(url, &fields).basic(&encoded(&provider.client_id), &secret)
            }
        };
        answer(outbound, call).await
    }

    async fn discovered(
        &self,
        outbound: &Outbound,
        issuer: &str,
        now: Timestamp,
    ) -> Result<Metadata> {
        let mut kept = self.metadata.lock().await;
        if let Some((at, metadata)) = &*kept
            && is_fresh(*at, now, KEPT)
        {
            return Ok(metadata.clone());
        }
        let base = issuer.trim_end_matches('/');
        let call = Call::get(&format!("{base}/.well-known/openid-configuration"));
        let metadata: Metadata = answer(outbound, call).await?;
        if metadata.issuer != issuer {
            return Err(Error::OauthFailed("a page of another issuer"));
        }
        // People type their passwords there: no step down from the issuer's own protection.
        let own = issuer
            .split_once("://")
            .map_or("https", |(scheme, _)| scheme);
        let protected = |url: &str| {
            url.starts_with("https://") || (own == "http" && url.starts_with("http://"))
        };
        if !protected(&metadata.authorization_endpoint) {
            return Err(Error::OauthFailed("a page without TLS"));
        }
        *kept = Some((now, metadata.clone()));
        Ok(metadata)
    }

    /// The claims of an ID token. Keys are asked for anew when they are old, or when the token
    /// names one that nobody knows; the latter at most once a minute.
    async fn checked(
        &self,
        outbound: &Outbound,
        metadata: &Metadata,
        token: &str,
        expected: Expected<'_>,
    ) -> Result<Claims> {
        let mut kept = self.keys.lock().await;
        let now = expected.now;
        if let Some((at, keys)) = &*kept
            && is_fresh(*at, now, KEPT)
        {
            match id_token::check(token, keys, expected) {
                Ok(claims) => return Ok(claims),
                Err(Bad::UnknownKey) if !is_fresh(*at, now, KEYS_PAUSE) => {}
                Err(Bad::UnknownKey) => return Err(Error::OauthFailed("an unknown key")),
                Err(Bad::Because(reason)) => return Err(Error::OauthFailed(reason)),
            }
        }
        let keys: JwkSet = answer(outbound, Call::get(&metadata.jwks_uri)).await?;
        let checked = id_token::check(token, &keys, expected);
        *kept = Some((now, keys));
        checked.map_err(|bad| match bad {
            Bad::UnknownKey => Error::OauthFailed("an unknown key"),
            Bad::Because(reason) => Error::OauthFailed(reason),
        })
    }
}

fn is_fresh(at: Timestamp, now: Timestamp, kept: Duration) -> bool {
    now.duration_since(at).unsigned_abs() < kept
}

/// Calls a provider and reads its JSON.
async fn answer<T: DeserializeOwned>(outbound: &Outbound, call: Call) -> Result<T> {
    let sent: Answer = outbound.send(call).await.map_err(|error| {
        tracing::warn!(error = %error, "a provider of logins does not answer");
        Error::OauthFailed("no answer")
    })?;
    if sent.status != 200 {
        return Err(Error::OauthFailed("another answer than asked for"));
    }
    serde_json::from_slice(&sent.body).or(Err(Error::OauthFailed("an answer nobody can read")))
}
