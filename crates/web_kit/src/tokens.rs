//! Verifying credentials without asking anybody: keys and revocations are fed from outside.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kernel::{Caller, DeviceId, Failure, PlatformRole, SharedClock, UserId, api_key};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::address::Meta;
use crate::opaque::{Kind, OpaqueCache, OpaqueTokens};
use crate::revocations::{Cause, Revocations, Standing};

/// How far clocks of issuer and verifier may differ.
const LEEWAY: Duration = Duration::from_secs(30);
/// Longest token that is looked at; ours have about 450 bytes.
const LONGEST: usize = 4 * 1024;

/// The name of the key in headers of tokens that a shared secret signs.
pub const HS256_KID: &str = "hs256";

/// A public signing key of the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name in token headers.
    pub kid: String,
    /// The raw Ed25519 key.
    pub ed25519: [u8; 32],
}

/// Who calls, and until when that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Who calls.
    pub caller: Caller,
    /// When the token ends; bots' tokens do not.
    pub expires_at: Option<Timestamp>,
}

/// Why a credential was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The credential is bad: 401.
    #[error("the credential is not valid")]
    Invalid,
    /// It cannot be judged now: 503.
    #[error("the credential cannot be judged")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What to do with tokens while the last look at revocations is older than five seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnStale {
    /// Ask about the device, for each request; when nobody answers, "unavailable".
    #[default]
    Lookup,
    /// Answer "unavailable": nothing revoked can pass.
    Deny,
    /// Go on without: whoever runs it prefers reachability.
    Allow,
}

/// Verifies access tokens by signature and revocation, and bot tokens through [`OpaqueTokens`].
pub struct TokenVerifier {
    audience: String,
    /// The only algorithm, as headers write it.
    algorithm: &'static str,
    validation: Validation,
    clock: SharedClock,
    on_stale: OnStale,
    keys: RwLock<Arc<HashMap<String, DecodingKey>>>,
    revocations: Revocations,
    unknown_key: Notify,
    opaque: Option<OpaqueCache>,
}

/// Claims of an access token; serde refuses a claim that stands twice.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    aud: String,
    #[serde(rename = "type")]
    kind: String,
    sid: String,
    auth_time: i64,
    #[serde(default)]
    amr: Vec<String>,
    act: Option<Act>,
}

/// Who acts in the user's name (RFC 8693 §4.1).
#[derive(Deserialize)]
struct Act {
    sub: String,
}

/// The only header fields an access token of ours has; anything else (`jku`, `jwk`, `x5u`,
/// `crit`, …) means that somebody else made it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// Makes a verifier without keys: until it has some, nothing can be judged.
    pub fn new(issuer: &str, audience: &str, clock: SharedClock) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are judged below, by the clock that was passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            audience: audience.to_owned(),
            algorithm: "EdDSA",
            validation,
            clock,
            on_stale: OnStale::default(),
            keys: RwLock::default(),
            revocations: Revocations::default(),
            unknown_key: Notify::new(),
            opaque: None,
        }
    }

    /// Takes tokens that this secret signs, and no others: for a single node whose older services
    /// check tokens by the same secret.
    #[must_use]
    pub fn hs256(mut self, secret: &[u8]) -> Self {
        self.algorithm = "HS256";
        self.validation.algorithms = vec![Algorithm::HS256];
        let key = DecodingKey::from_secret(secret);
        self.keys = RwLock::new(Arc::new(HashMap::from([(HS256_KID.to_owned(), key)])));
        self
    }

    /// Chooses what stale revocations mean.
    #[must_use]
    pub fn on_stale(mut self, on_stale: OnStale) -> Self {
        self.on_stale = on_stale;
        self
    }

    /// Adds the judge of what is no access token; without one all of that is bad.
    #[must_use]
    pub fn with_opaque(mut self, tokens: Arc<dyn OpaqueTokens>) -> Self {
        self.opaque = Some(OpaqueCache::new(tokens, Arc::clone(&self.clock)));
        self
    }

    /// Replaces the key set; a shared secret stays as it is.
    pub fn set_keys(&self, keys: Vec<PublicKey>) {
        if self.algorithm == "HS256" {
            return;
        }
        let keys = keys
            .into_iter()
            .filter_map(|key| {
                let x = URL_SAFE_NO_PAD.encode(key.ed25519);
                DecodingKey::from_ed_components(&x)
                    .ok()
                    .map(|decoding| (key.kid, decoding))
            })
            .collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Waits until a token named a key that is not in the set; fetch keys then, but not often.
    pub async fn unknown_key(&self) {
        self.unknown_key.notified().await;
    }

    /// Refuses the tokens of these devices from now on.
    pub fn revoke(&self, devices: &[DeviceId], now: Timestamp) {
        self.revocations.add(devices, now);
    }

    /// Waits until a device is revoked. Cancel safe.
    pub async fn revoked(&self, device: DeviceId) {
        self.revocations.of(device, &*self.clock).await;
    }

    /// Notes that all revocations up to `now` are known.
    pub fn set_revocations_fresh(&self, now: Timestamp) {
        self.revocations.set_fresh(now);
    }

    /// Forgets what was cached about a bot's tokens or a person's API keys, when one was changed or
    /// taken away.
    pub fn forget_secrets(&self, user: UserId) {
        if let Some(opaque) = &self.opaque {
            opaque.forget(user);
        }
    }

    /// Tells who calls: `Bearer x` with an access token or an API key, `Bot x`, or a bare access
    /// token.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Invalid`] for a bad credential, [`VerifyError::Unavailable`] when it cannot
    /// be judged.
    pub async fn verify(&self, credential: &str) -> Result<Caller, VerifyError> {
        self.verified(credential)
            .await
            .map(|verified| verified.caller)
    }

    /// Like [`Self::verify`], with the time when the token ends.
    ///
    /// # Errors
    ///
    /// As for [`Self::verify`].
    pub async fn verified(&self, credential: &str) -> Result<Verified, VerifyError> {
        match credential.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                if !api_key::is_one(token) {
                    return self.access_token(token).await;
                }
                // The checksum spares us questions about mistyped and invented keys.
                api_key::prefix(token).ok_or(VerifyError::Invalid)?;
                self.opaque_token(Kind::ApiKey, token).await
            }
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bot") => {
                self.opaque_token(Kind::Bot, token).await
            }
            Some(_) => Err(VerifyError::Invalid),
            None => self.access_token(credential).await,
        }
    }

    /// Tells who calls by the cookie of a browser session. Whether the request comes from a page
    /// of ours is not looked at here.
    ///
    /// # Errors
    ///
    /// As for [`Self::verify`].
    pub async fn cookie(&self, cookie: &str, from: &Meta) -> Result<Verified, VerifyError> {
        let token = self.opaque()?.behind(cookie, from).await?;
        self.access_token(&token).await
    }

    /// Tells whom a WebSocket ticket stands for, and uses it up.
    ///
    /// # Errors
    ///
    /// As for [`Self::verify`].
    pub async fn ticket(&self, ticket: &str) -> Result<Verified, VerifyError> {
        let token = self.opaque()?.take_ticket(ticket).await?;
        self.access_token(&token).await
    }

    /// Asks for the platform roles of a user; nothing is remembered.
    pub(crate) async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        match &self.opaque {
            Some(opaque) => opaque.issuer().roles(user).await,
            None => Ok(Vec::new()),
        }
    }

    /// Asks with what a user can prove again that it is them.
    pub(crate) async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        match &self.opaque {
            Some(opaque) => opaque.issuer().ways_to_step_up(user).await,
            None => Ok(Vec::new()),
        }
    }

    fn opaque(&self) -> Result<&OpaqueCache, VerifyError> {
        self.opaque.as_ref().ok_or(VerifyError::Invalid)
    }

    async fn opaque_token(&self, kind: Kind, token: &str) -> Result<Verified, VerifyError> {
        let caller = self.opaque()?.resolve(kind, token).await?;
        Ok(Verified {
            caller,
            expires_at: None,
        })
    }

    async fn access_token(&self, token: &str) -> Result<Verified, VerifyError> {
        if token.len() > LONGEST {
            return Err(VerifyError::Invalid);
        }
        let head = token.split('.').next().unwrap_or_default();
        let head = URL_SAFE_NO_PAD.decode(head).or(Err(VerifyError::Invalid))?;
        let head: Header = serde_json::from_slice(&head).or(Err(VerifyError::Invalid))?;
        if head.alg != self.algorithm || head.typ != "at+jwt" {
            return Err(VerifyError::Invalid);
        }
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        if keys.is_empty() {
            return Err(VerifyError::Unavailable(
                "no signing keys were loaded yet".into(),
            ));
        }
        let Some(key) = keys.get(&head.kid) else {
            self.unknown_key.notify_one();
            return Err(VerifyError::Invalid);
        };
        let claims: Claims = jsonwebtoken::decode(token, key, &self.validation)
            .map(|data| data.claims)
            .or(Err(VerifyError::Invalid))?;
        self.judge(claims).await
    }

    async fn judge(&self, claims: Claims) -> Result<Verified, VerifyError> {
        let now = self.clock.now();
        let time = |seconds| Timestamp::from_second(seconds).or(Err(VerifyError::Invalid));
        let expires_at = time(claims.exp)?;
        let begins = claims.nbf.map(time).transpose()?;
        if now >= expires_at.saturating_add(LEEWAY).unwrap_or(Timestamp::MAX)
            || begins.is_some_and(|nbf| now.saturating_add(LEEWAY).is_ok_and(|now| now < nbf))
            || claims.kind != "access"
            || claims.aud != self.audience
        {
            return Err(VerifyError::Invalid);
        }
        let user: UserId = claims.sub.parse().or(Err(VerifyError::Invalid))?;
        let device: DeviceId = claims.sid.parse().or(Err(VerifyError::Invalid))?;
        let auth_time = time(claims.auth_time)?;
        self.check_device(device, now).await?;
        let act = claims.act.map(|act| act.sub.parse());
        let caller = Caller {
            act: act.transpose().or(Err(VerifyError::Invalid))?,
            ..Caller::user(user, device, claims.amr, auth_time)
        };
        Ok(Verified {
            caller,
            expires_at: Some(expires_at),
        })
    }

    /// Whether the device is known to be alive; while that is not known, `on_stale` says what to do.
    async fn check_device(&self, device: DeviceId, now: Timestamp) -> Result<(), VerifyError> {
        let cause = match self.revocations.judge(device, now) {
            Standing::Alive => return Ok(()),
            Standing::Revoked => return Err(VerifyError::Invalid),
            Standing::Unknown(cause) => cause,
        };
        match (self.on_stale, &self.opaque) {
            (OnStale::Allow, _) if cause == Cause::Stale => Ok(()),
            (OnStale::Lookup, Some(opaque)) => {
                if opaque.device_is_live(device).await? {
                    Ok(())
                } else {
                    Err(VerifyError::Invalid)
                }
            }
            (OnStale::Allow | OnStale::Deny | OnStale::Lookup, _) => {
                Err(VerifyError::Unavailable(cause.into()))
            }
        }
    }
}
