//! What an ID token must be before a word of it is believed (OpenID Connect Core §3.1.3.7). Pure.

use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;

/// What tokens may be signed with: nothing without a signature, nothing with a shared secret.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
/// By how much clocks may differ, in seconds.
const LEEWAY_S: i64 = 30;
/// How long ago a token may have been made, in seconds: it was asked for a moment ago.
const MAX_AGE_S: i64 = 600;
/// Longest subject (OpenID Connect Core §2).
pub(crate) const MAX_SUBJECT: usize = 255;

/// What the token must say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) now: Timestamp,
}

/// What a good token says.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    pub(crate) sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    pub(crate) email: Option<String>,
    #[serde(default)]
    pub(crate) email_verified: Said,
    pub(crate) name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn is_for(&self, client: &str) -> bool {
        match self {
            Audience::One(one) => one == client,
            Audience::Many(many) => many.iter().any(|one| one == client),
        }
    }

    fn is_shared(&self) -> bool {
        matches!(self, Audience::Many(many) if many.len() > 1)
    }
}

/// Yes or no; some providers write it as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "serde_json::Value")]
pub(crate) enum Said {
    Yes,
    #[default]
    No,
}

impl From<serde_json::Value> for Said {
    fn from(value: serde_json::Value) -> Self {
        if value == true || value == "true" {
            Said::Yes
        } else {
            Said::No
        }
    }
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// No key of the set has its name; a newer set may.
    UnknownKey,
    /// It is wrong, whatever the keys.
    Because(&'static str),
}

/// Checks a token against the issuer's keys.
pub(crate) fn check(token: &str, keys: &JwkSet, expected: Expected<'_>) -> Result<Claims, Bad> {
    let header = jsonwebtoken::decode_header(token).or(Err(Bad::Because("no token")))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(Bad::Because("another algorithm"));
    }
    let key = key_of(&header, keys)?;
    let key = DecodingKey::from_jwk(key).or(Err(Bad::Because("an unusable key")))?;
    let mut validation = Validation::new(header.alg);
    // Times are judged below, by our own clock; the rest by words that say what was wrong.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    let claims = decoded
        .or(Err(Bad::Because("a wrong signature or form")))?
        .claims;
    judge(&claims, expected).map_err(Bad::Because)?;
    Ok(claims)
}

/// The key the header names, or the only one that fits where it names none.
fn key_of<'a>(header: &Header, keys: &'a JwkSet) -> Result<&'a Jwk, Bad> {
    let fits = |key: &&Jwk| {
        let signs = key.common.public_key_use.as_ref();
        let kind = key
            .common
            .key_algorithm
            .map(|algorithm| algorithm.to_string());
        signs.is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && kind.is_none_or(|kind| kind == format!("{:?}", header.alg))
    };
    let mut fitting = keys.keys.iter().filter(fits);
    match &header.kid {
        Some(kid) => fitting
            .find(|key| key.common.key_id.as_ref() == Some(kid))
            .ok_or(Bad::UnknownKey),
        None => match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (None, _) | (Some(_), Some(_)) => Err(Bad::UnknownKey),
        },
    }
}

fn judge(claims: &Claims, expected: Expected<'_>) -> Result<(), &'static str> {
    let now = expected.now.as_second();
    let azp = claims.azp.as_deref();
    if claims.iss != expected.issuer {
        return Err("another issuer");
    }
    if !claims.aud.is_for(expected.client_id) {
        return Err("another audience");
    }
    if azp.is_some_and(|azp| azp != expected.client_id) || (azp.is_none() && claims.aud.is_shared())
    {
        return Err("another client");
    }
    if claims.exp <= now.saturating_sub(LEEWAY_S) {
        return Err("an expired token");
    }
    if claims.iat > now.saturating_add(LEEWAY_S) || claims.iat < now.saturating_sub(MAX_AGE_S) {
        return Err("a token of another time");
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err("another nonce");
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT {
        return Err("no subject");
    }
    Ok(())
}
