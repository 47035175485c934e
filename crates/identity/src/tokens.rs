//! Signing and reading tokens: JWTs (RFC 7519) under EdDSA (RFC 8037), or HS256
//! for older services. How strictly they are read stands in [`web_kit::jwt`].
//!
//! Signing is deterministic: the same claims under the same key are the same bytes. The repair of
//! a lost refresh answer (`refresh.rs`) stands on that.

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header};
use kernel::{AnyId, DeviceId, UserId};
use serde::{Deserialize, Serialize};
use web_kit::jwt::{self, Claims, Reader, SERVICE_AUDIENCE};
pub(crate) use web_kit::jwt::{AccessClaims, Actor, Expiry, TokenType};

use crate::error::{Error, Result};
use crate::keys::{Key, Keys, Signing};
use crate::secrets::SecretError;
use crate::settings::Settings;

/// Claims of a refresh token. Its times are numbers, as the row of its device keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshClaims {
    #[serde(rename = "type")]
    pub(crate) kind: TokenType,
    #[serde(deserialize_with = "jwt::id")]
    pub(crate) sub: UserId,
    #[serde(deserialize_with = "jwt::id")]
    pub(crate) jti: AnyId,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) iss: String,
    pub(crate) aud: String,
    #[serde(deserialize_with = "jwt::id")]
    pub(crate) sid: DeviceId,
    /// Generation of the device row.
    #[serde(rename = "gen")]
    pub(crate) generation: i32,
}

impl Claims for RefreshClaims {
    const TYPE: TokenType = TokenType::Refresh;
}

/// What is signed into and demanded of every token.
pub(crate) struct Tokens {
    pub(crate) issuer: String,
    pub(crate) access_audience: String,
    pub(crate) refresh_audience: String,
    access: Reader,
    refresh: Reader,
    service: Reader,
}

impl Tokens {
    pub(crate) fn new(settings: &Settings) -> Self {
        let algorithm = match settings.signing {
            Signing::EdDsa => Algorithm::EdDSA,
            Signing::Hs256(_) => Algorithm::HS256,
        };
        let reader = |audience: &str| Reader::new(algorithm, &settings.issuer, audience);
        Tokens {
            issuer: settings.issuer.clone(),
            access_audience: settings.access_audience.clone(),
            refresh_audience: settings.refresh_audience.clone(),
            access: reader(&settings.access_audience),
            refresh: reader(&settings.refresh_audience),
            service: reader(SERVICE_AUDIENCE),
        }
    }

    pub(crate) fn reader(&self, kind: TokenType) -> &Reader {
        match kind {
            TokenType::Access => &self.access,
            TokenType::Refresh => &self.refresh,
            TokenType::Service => &self.service,
        }
    }

    /// Signs `claims` with `key`.
    pub(crate) fn sign<C: Claims + Serialize>(&self, key: &Key, claims: &C) -> Result<String> {
        let mut header = Header::new(self.reader(C::TYPE).algorithm());
        header.typ = Some(C::TYPE.header_type().to_owned());
        header.kid = Some(key.kid.clone());
        jsonwebtoken::encode(&header, claims, &key.signs).or(Err(SecretError::Sign.into()))
    }

    /// Reads a token. `None` for everything that is not a valid token of that kind; an error only
    /// when keys cannot be had.
    pub(crate) async fn read<C: Claims>(
        &self,
        keys: &Keys,
        text: &str,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Option<C>> {
        let reader = self.reader(C::TYPE);
        let Some(kid) = reader.kid::<C>(text) else {
            return Ok(None);
        };
        let set = keys.set_knowing(&kid).await?;
        let key = set.find(&kid);
        Ok(key.and_then(|key| reader.read(text, &key.checks, now, expiry)))
    }
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
