//! Access and refresh tokens: JWTs (RFC 7519) under EdDSA (RFC 8037), or HS256 for older services.
//! Pure but for the keys it is given.
//!
//! Signing is deterministic: the same claims under the same key are the same bytes. The repair of
//! a lost refresh answer (`refresh.rs`) stands on that.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation};
use kernel::{AnyId, Caller, DeviceId, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keys::{Key, Keys, Signing};
use crate::secrets::SecretError;
use crate::settings::Settings;

/// Longest token that is looked at; ours have about 500 characters.
pub(crate) const MAX_TOKEN_BYTES: usize = 4096;
/// How far clocks may differ.
pub(crate) const LEEWAY_S: i64 = 30;

/// The two kinds of tokens, as `type` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenType {
    Access,
    Refresh,
}

impl TokenType {
    fn header_type(self) -> &'static str {
        match self {
            TokenType::Access => "at+jwt",
            TokenType::Refresh => "rt+jwt",
        }
    }
}

/// Claims of an access token. The order of the fields is the order in the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccessClaims {
    #[serde(rename = "type")]
    pub(crate) kind: TokenType,
    pub(crate) sub: UserId,
    pub(crate) jti: AnyId,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sid: DeviceId,
    pub(crate) auth_time: i64,
    /// How sure the login is (OpenID Connect Core §2): `aal1` or `aal2`.
    pub(crate) acr: String,
    pub(crate) amr: Vec<String>,
    /// The member of staff who acts as `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) act: Option<Actor>,
}

/// Who acts as somebody else (RFC 8693 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Actor {
    pub(crate) sub: UserId,
}

/// Claims of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshClaims {
    #[serde(rename = "type")]
    pub(crate) kind: TokenType,
    pub(crate) sub: UserId,
    pub(crate) jti: AnyId,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sid: DeviceId,
    /// Generation of the device row.
    #[serde(rename = "gen")]
    pub(crate) generation: i32,
}

/// What both kinds have and a reader must check.
pub(crate) trait Claims: Serialize + DeserializeOwned {
    const TYPE: TokenType;
    fn kind(&self) -> TokenType;
    fn exp(&self) -> i64;
    fn iat(&self) -> i64;
}

impl Claims for AccessClaims {
    const TYPE: TokenType = TokenType::Access;
    fn kind(&self) -> TokenType {
        self.kind
    }
    fn exp(&self) -> i64 {
        self.exp
    }
    fn iat(&self) -> i64 {
        self.iat
    }
}

impl Claims for RefreshClaims {
    const TYPE: TokenType = TokenType::Refresh;
    fn kind(&self) -> TokenType {
        self.kind
    }
    fn exp(&self) -> i64 {
        self.exp
    }
    fn iat(&self) -> i64 {
        self.iat
    }
}

impl AccessClaims {
    /// Who is asking, if the token is valid.
    pub(crate) fn caller(&self) -> Caller {
        let auth_time = Timestamp::from_second(self.auth_time).unwrap_or(Timestamp::UNIX_EPOCH);
        Caller {
            act: self.act.map(|actor| actor.sub),
            ..Caller::user(self.sub, self.sid, self.amr.clone(), auth_time)
        }
    }
}

/// Whether a token past its `exp` is still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// No: for everything but logout.
    Enforced,
    /// Yes: to log out, any token we signed will do.
    Ignored,
}

/// What is signed into and demanded of every token.
pub(crate) struct Tokens {
    pub(crate) issuer: String,
    pub(crate) access_audience: String,
    pub(crate) refresh_audience: String,
    algorithm: Algorithm,
    access: Validation,
    refresh: Validation,
}

impl Tokens {
    pub(crate) fn new(settings: &Settings) -> Self {
        let algorithm = match settings.signing {
            Signing::EdDsa => Algorithm::EdDSA,
            Signing::Hs256(_) => Algorithm::HS256,
        };
        Tokens {
            algorithm,
            issuer: settings.issuer.clone(),
            access_audience: settings.access_audience.clone(),
            refresh_audience: settings.refresh_audience.clone(),
            access: validation(algorithm, &settings.issuer, &settings.access_audience),
            refresh: validation(algorithm, &settings.issuer, &settings.refresh_audience),
        }
    }

    /// Signs `claims` with `key`.
    pub(crate) fn sign<C: Claims>(&self, key: &Key, claims: &C) -> Result<String> {
        let mut header = Header::new(self.algorithm);
        header.typ = Some(C::TYPE.header_type().to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.signs).or(Err(SecretError::Sign.into()))
    }

    /// Reads a token: one algorithm, a key of ours, type, issuer, audience, time. `None` for
    /// everything that is not a valid token of that kind; an error only when keys cannot be had.
    pub(crate) async fn read<C: Claims>(
        &self,
        keys: &Keys,
        text: &str,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Option<C>> {
        let Some(kid) = acceptable_kid(text, self.algorithm, C::TYPE) else {
            return Ok(None);
        };
        let set = keys.set_knowing(&kid).await?;
        let Some(key) = set.find(&kid) else {
            return Ok(None);
        };
        let validation = match C::TYPE {
            TokenType::Access => &self.access,
            TokenType::Refresh => &self.refresh,
        };
        let Ok(token) = jsonwebtoken::decode::<C>(text, &key.checks, validation) else {
            return Ok(None);
        };
        let claims = token.claims;
        let now = now.as_second();
        let in_time = expiry == Expiry::Ignored || now < claims.exp().saturating_add(LEEWAY_S);
        let not_from_the_future = claims.iat() <= now.saturating_add(LEEWAY_S);
        Ok((claims.kind() == C::TYPE && in_time && not_from_the_future).then_some(claims))
    }
}

/// The `kid` of a token whose header we accept. `jku`, `x5u` and `jwk` are ignored, `crit` is
/// refused as RFC 7515 §4.1.11 demands of who knows no extensions.
fn acceptable_kid(text: &str, algorithm: Algorithm, kind: TokenType) -> Option<String> {
    if text.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let header = jsonwebtoken::decode_header(text).ok()?;
    let acceptable = header.alg == algorithm
        && header.typ.as_deref() == Some(kind.header_type())
        && header.crit.is_none();
    header.kid.filter(|_| acceptable)
}

fn validation(algorithm: Algorithm, issuer: &str, audience: &str) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library asks the system's clock; ours is checked in `read`.
    validation.validate_exp = false;
    validation
}

/// A duration in whole seconds, as tokens and cookies count.
pub(crate) fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The bearer token of an `Authorization` header: `Bearer x`, or a bare JWT.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    match header.split_once(' ') {
        Some((scheme, token)) => scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()),
        None => Some(header),
    }
}

impl From<jiff::Error> for Error {
    fn from(_: jiff::Error) -> Self {
        Error::Broken("a moment outside of the calendar")
    }
}
