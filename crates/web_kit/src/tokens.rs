//! Verifying credentials without asking anybody: keys and revocations are fed from outside.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use kernel::{Caller, DeviceId, Failure, PlatformRole, SharedClock, UserId, api_key};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::address::Meta;
use crate::jwt::{AccessClaims, Claims, Expiry, Reader, SERVICE_AUDIENCE, ServiceClaims};
use crate::opaque::{Kind, OpaqueCache, OpaqueTokens};
use crate::revocations::{Cause, Revocations, Revoked, Standing};

/// How long a token that names a key we do not have waits for the next look at the keys.
const LOOK: Duration = Duration::from_secs(2);

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

/// Verifies access tokens by signature and revocation, service tokens by signature, and what is
/// opaque through [`OpaqueTokens`].
pub struct TokenVerifier {
    reader: Reader,
    services: Reader,
    clock: SharedClock,
    on_stale: OnStale,
    /// By their names; replaced at each look at the issuer's.
    keys: watch::Sender<Arc<KeySet>>,
    revocations: Revocations,
    unknown_key: Notify,
    opaque: Option<OpaqueCache>,
}

type KeySet = HashMap<String, DecodingKey>;

impl std::fmt::Debug for TokenVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenVerifier")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

impl TokenVerifier {
    /// Makes a verifier without keys: until it has some, nothing can be judged.
    pub fn new(issuer: &str, audience: &str, clock: SharedClock) -> Self {
        Self {
            reader: Reader::new(Algorithm::EdDSA, issuer, audience),
            services: Reader::new(Algorithm::EdDSA, issuer, SERVICE_AUDIENCE),
            clock,
            on_stale: OnStale::default(),
            keys: watch::Sender::default(),
            revocations: Revocations::default(),
            unknown_key: Notify::new(),
            opaque: None,
        }
    }

    /// Takes tokens that this secret signs, and no others: for a single node whose older services
    /// check tokens by the same secret.
    #[must_use]
    pub fn hs256(mut self, secret: &[u8]) -> Self {
        self.reader = self.reader.by(Algorithm::HS256);
        let key = DecodingKey::from_secret(secret);
        let only = HashMap::from([(HS256_KID.to_owned(), key)]);
        self.keys.send_replace(Arc::new(only));
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
        if self.has_secret() {
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
        self.keys.send_replace(Arc::new(keys));
    }

    fn has_secret(&self) -> bool {
        self.reader.algorithm() == Algorithm::HS256
    }

    /// Waits until a token named a key that is not in the set. Then fetch keys, but not often:
    /// anybody can send a token that names anything. Cancel safe.
    pub async fn unknown_key(&self) {
        self.unknown_key.notified().await;
    }

    /// Refuses the tokens of these devices from now on.
    pub fn revoke(&self, devices: &[DeviceId], now: Timestamp) {
        self.revocations.add(devices, now);
    }

    /// Hears of devices as they are revoked, by whatever way this node was told of them. What was
    /// revoked before is not told: [`Self::is_revoked`] is to be asked after.
    pub fn revocations(&self) -> Revoked {
        self.revocations.subscribe()
    }

    /// Tells whether a device is known to be revoked.
    pub fn is_revoked(&self, device: DeviceId) -> bool {
        self.revocations.judge(device, self.clock.now()) == Standing::Revoked
    }

    /// Waits until a device is revoked. Cancel safe.
    pub async fn revoked(&self, device: DeviceId) {
        self.revocations.of(device, &*self.clock).await;
    }

    /// Notes that all revocations up to `now` are known.
    pub fn set_revocations_fresh(&self, now: Timestamp) {
        self.revocations.set_fresh(now);
        metrics::gauge!("meydan_auth_revocations_read_timestamp_seconds")
            .set(now.as_duration().as_secs_f64());
    }

    /// Forgets what was cached about a bot's tokens or a person's API keys, when one was changed or
    /// taken away.
    pub fn forget_secrets(&self, user: UserId) {
        if let Some(opaque) = &self.opaque {
            opaque.forget(user);
        }
    }

    /// Forgets what was cached about the cookie with this SHA-256: its login has another one.
    pub async fn forget_cookie(&self, sha256: [u8; 32]) {
        if let Some(opaque) = &self.opaque {
            opaque.forget_cookie(sha256).await;
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

    /// Tells which process of this installation shows a service token. There are none under a
    /// shared secret: whoever checks tokens could make them.
    ///
    /// # Errors
    ///
    /// As for [`Self::verify`].
    pub async fn service(&self, token: &str) -> Result<String, VerifyError> {
        if self.has_secret() {
            return Err(VerifyError::Invalid);
        }
        let claims: ServiceClaims = self.read(&self.services, token).await?;
        Ok(claims.sub)
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
        let claims: AccessClaims = self.read(&self.reader, token).await?;
        self.check_device(claims.sid, self.clock.now()).await?;
        Ok(Verified {
            caller: claims.caller(),
            expires_at: Some(claims.exp),
        })
    }

    async fn read<C: Claims>(&self, reader: &Reader, token: &str) -> Result<C, VerifyError> {
        let kid = reader.kid::<C>(token).ok_or(VerifyError::Invalid)?;
        let keys = self.keys_knowing(&kid).await?;
        let key = keys.get(&kid).ok_or(VerifyError::Invalid)?;
        reader
            .read(token, key, self.clock.now(), Expiry::Enforced)
            .ok_or(VerifyError::Invalid)
    }

    /// The keys, looked at anew when none has that name: it may have begun to sign since. Only
    /// then is a token with an unknown key a bad one; while nobody can look, it cannot be judged.
    async fn keys_knowing(&self, kid: &str) -> Result<Arc<KeySet>, VerifyError> {
        let mut looks = self.keys.subscribe();
        let keys = Arc::clone(&looks.borrow_and_update());
        if keys.contains_key(kid) || self.has_secret() {
            return Ok(keys);
        }
        if keys.is_empty() {
            return Err(VerifyError::Unavailable(
                "no signing keys were loaded yet".into(),
            ));
        }
        self.unknown_key.notify_one();
        match timeout(LOOK, looks.changed()).await {
            Ok(Ok(())) => Ok(Arc::clone(&looks.borrow())),
            Ok(Err(_)) | Err(_) => Err(VerifyError::Unavailable(
                "signing keys could not be looked at again".into(),
            )),
        }
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
