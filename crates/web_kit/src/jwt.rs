//! The tokens that this system signs (JWT, RFC 7519), and the one strict way of reading them.
//!
//! Whoever made a token may have chosen every byte of it. So nothing in it chooses how it is read:
//! there is one algorithm, one type, one issuer, one audience; keys come from us and never from a
//! header; a member that stands twice, and a header field that we do not write, refuse it.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use kernel::{AnyId, Caller, DeviceId, Id, UserId};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

/// Longest token that is looked at, in bytes; ours have about 500.
const LONGEST: usize = 4096;
/// How far clocks of issuer and reader may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// For whom the tokens are that our processes show each other.
pub const SERVICE_AUDIENCE: &str = "meydan-internal";

/// Longest name of a process, in bytes.
const LONGEST_NAME: usize = 32;

/// The kinds of tokens, as `type` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenType {
    /// Shown with every request.
    Access,
    /// Exchanged once for the next pair.
    Refresh,
    /// Shown by one of our processes to another; grants nothing of any user.
    Service,
}

impl TokenType {
    fn word(self) -> &'static str {
        match self {
            TokenType::Access => "access",
            TokenType::Refresh => "refresh",
            TokenType::Service => "service",
        }
    }

    /// What the header's `typ` says (RFC 9068 §2.1 for access tokens).
    pub fn header_type(self) -> &'static str {
        match self {
            TokenType::Access => "at+jwt",
            TokenType::Refresh => "rt+jwt",
            TokenType::Service => "st+jwt",
        }
    }
}

/// What one kind of token says.
pub trait Claims: DeserializeOwned {
    /// The kind.
    const TYPE: TokenType;
}

/// Claims of an access token. The order of the fields is the order in the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Always [`TokenType::Access`].
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// The user.
    #[serde(deserialize_with = "id")]
    pub sub: UserId,
    /// The token's own number.
    #[serde(deserialize_with = "id")]
    pub jti: AnyId,
    /// When it was signed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// When it ends.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub exp: Timestamp,
    /// Who signed it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// The login.
    #[serde(deserialize_with = "id")]
    pub sid: DeviceId,
    /// When the user last proved who they are.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub auth_time: Timestamp,
    /// How sure the login is (OpenID Connect Core §2): `aal1` or `aal2`.
    pub acr: String,
    /// With what it was proved (RFC 8176).
    pub amr: Vec<String>,
    /// The member of staff who acts as `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

/// Who acts as somebody else (RFC 8693 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The member of staff.
    #[serde(deserialize_with = "id")]
    pub sub: UserId,
}

impl Claims for AccessClaims {
    const TYPE: TokenType = TokenType::Access;
}

impl AccessClaims {
    /// Who is asking, if the token is valid.
    pub fn caller(&self) -> Caller {
        Caller {
            act: self.act.map(|actor| actor.sub),
            ..Caller::user(self.sub, self.sid, self.amr.clone(), self.auth_time)
        }
    }
}

/// Claims of a service token. The order of the fields is the order in the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceClaims {
    /// Always [`TokenType::Service`].
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// What the process calls itself.
    #[serde(deserialize_with = "name")]
    pub sub: String,
    /// The token's own number.
    #[serde(deserialize_with = "id")]
    pub jti: AnyId,
    /// When it was signed.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub iat: Timestamp,
    /// When it ends.
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    pub exp: Timestamp,
    /// Who signed it.
    pub iss: String,
    /// Always [`SERVICE_AUDIENCE`].
    pub aud: String,
}

impl Claims for ServiceClaims {
    const TYPE: TokenType = TokenType::Service;
}

/// Reads what a process calls itself: small letters and `_`, as crates are named.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain) {
        Ok(text)
    } else {
        Err(D::Error::custom("no name of a process"))
    }
}

/// Reads an id, which tokens hold as text and never as a number.
///
/// # Errors
///
/// When it is anything else.
pub fn id<'de, D: Deserializer<'de>, K>(deserializer: D) -> Result<Id<K>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Whether a token past its `exp` is still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// No: for everything but logout.
    Enforced,
    /// Yes: to log out, any token we signed will do.
    Ignored,
}

/// Reads one kind of token.
#[derive(Debug, Clone)]
pub struct Reader {
    algorithm: Algorithm,
    issuer: String,
    audience: String,
}

/// The only header fields a token of ours has; anything else (`jku`, `jwk`, `x5u`, `x5c`, `crit`,
/// …) means that somebody else made it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// What all kinds of tokens have. `nbf` is no claim of ours, and heeded where it stands.
#[derive(Deserialize)]
struct Common<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    iat: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    exp: Timestamp,
    #[serde(default, with = "jiff::fmt::serde::timestamp::second::optional")]
    nbf: Option<Timestamp>,
}

impl Reader {
    /// Makes a reader of what `issuer` signs by `algorithm` for `audience`.
    pub fn new(algorithm: Algorithm, issuer: &str, audience: &str) -> Self {
        Self {
            algorithm,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
        }
    }

    /// The same for tokens signed by another algorithm.
    #[must_use]
    pub fn by(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// The algorithm, which is the only one.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the `kid` of a token whose header is as ours are; the key of that name is to be
    /// shown to [`Self::read`].
    pub fn kid<C: Claims>(&self, token: &str) -> Option<String> {
        if token.len() > LONGEST {
            return None;
        }
        let (header, _) = token.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        let ours = header
            .alg
            .parse()
            .is_ok_and(|alg: Algorithm| alg == self.algorithm)
            && header.typ == C::TYPE.header_type();
        ours.then_some(header.kid)
    }

    /// Reads a token whose header [`Self::kid`] accepted. Nothing is returned for everything that
    /// is not a valid token of that kind.
    pub fn read<C: Claims>(
        &self,
        token: &str,
        key: &DecodingKey,
        now: Timestamp,
        expiry: Expiry,
    ) -> Option<C> {
        let (signed, signature) = token.rsplit_once('.')?;
        let verified =
            jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, self.algorithm);
        if !verified.unwrap_or(false) {
            return None;
        }
        let (_, payload) = signed.split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let common: Common<'_> = serde_json::from_slice(&payload).ok()?;
        let ours = common.kind == C::TYPE.word()
            && common.iss == self.issuer
            && common.aud == self.audience
            && common.is_timely(now, expiry);
        if !ours {
            return None;
        }
        serde_json::from_slice(&payload).ok()
    }
}

impl Common<'_> {
    fn is_timely(&self, now: Timestamp, expiry: Expiry) -> bool {
        let late = now.saturating_sub(LEEWAY).unwrap_or(Timestamp::MIN);
        let early = now.saturating_add(LEEWAY).unwrap_or(Timestamp::MAX);
        (expiry == Expiry::Ignored || late < self.exp)
            && self.iat <= early
            && self.nbf.is_none_or(|nbf| nbf <= early)
    }
}
