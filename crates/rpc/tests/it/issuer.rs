//! Identity as other processes ask it, with a clock that stands still, and a server of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::identity::{From, ServiceProof, ServiceToken, SigningKey};
use contracts::{Credentials, ServiceTokens};
use jiff::Timestamp;
use kernel::failure::{UNAUTHENTICATED, UNAVAILABLE};
use kernel::{
    Caller, Clock as _, DeviceId, Failure, ManualClock, PlatformRole, SharedClock, SystemRng,
    UserId,
};
use rpc::credentials_client::CredentialsClient;
use rpc::{InternalServices, Options, Prove, Remote};
use runtime::Lifecycle;
use serde_json::json;
use testkit::http::{AUDIENCE, ISSUER, KID};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::transport::{Channel, Endpoint};
use web_kit::{OnStale, TokenVerifier};

/// What there is: everything else is unknown.
pub(crate) const KNOWN: [u8; 32] = [7; 32];
pub(crate) const USER: UserId = UserId::new(42);
pub(crate) const DEVICE: DeviceId = DeviceId::new(-7);

/// Writes down what it is asked.
pub(crate) struct Issuer {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// So many questions end as if the database were away.
    pub(crate) failing: AtomicUsize,
    /// Questions are not answered until `release`.
    pub(crate) waiting: AtomicBool,
    pub(crate) release: Notify,
    /// Proofs are refused.
    pub(crate) refusing: AtomicBool,
    /// How many tokens were given.
    pub(crate) given: AtomicUsize,
    /// When the next tokens end, in seconds; then 300.
    pub(crate) lives: Mutex<VecDeque<i64>>,
}

impl Issuer {
    pub(crate) fn new() -> Arc<Self> {
        let now = "2026-11-20T07:00:00Z".parse().unwrap();
        Arc::new(Issuer {
            clock: ManualClock::new(now),
            asked: Mutex::default(),
            failing: AtomicUsize::new(0),
            waiting: AtomicBool::new(false),
            release: Notify::new(),
            refusing: AtomicBool::new(false),
            given: AtomicUsize::new(0),
            lives: Mutex::default(),
        })
    }

    async fn note(&self, question: String) -> Result<(), Failure> {
        self.asked.lock().unwrap().push(question);
        if self.waiting.load(SeqCst) {
            self.release.notified().await;
        }
        let one_less = |left: usize| left.checked_sub(1);
        match self.failing.fetch_update(SeqCst, SeqCst, one_less) {
            Ok(_) => Err(UNAVAILABLE.fail()),
            Err(_) => Ok(()),
        }
    }

    /// How many questions came, tokens not counted.
    pub(crate) fn questions(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The token of a process, with some claims or header fields that others chose.
    pub(crate) fn token(&self, header: &str, kind: &str, audience: &str, ends_in: i64) -> String {
        let now = self.clock.now().as_second();
        let head = json!({ "alg": "EdDSA", "typ": header, "kid": KID });
        let claims = json!({
            "type": kind, "sub": "messaging", "jti": "1", "iat": now, "exp": now + ends_in,
            "iss": ISSUER, "aud": audience,
        });
        testkit::http::sign(&head, &claims).unwrap()
    }

    pub(crate) fn good_token(&self) -> String {
        self.token("st+jwt", "service", "meydan-internal", 300)
    }

    /// The access token of a user and device.
    pub(crate) fn access_token(&self) -> String {
        let now = self.clock.now().as_second();
        let head = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KID });
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "type": "access", "sub": "42", "sid": "7", "jti": "1",
            "iat": now, "exp": now + 900, "auth_time": now, "acr": "aal1", "amr": ["otp"],
        });
        testkit::http::sign(&head, &claims).unwrap()
    }
}

#[async_trait]
impl Credentials for Issuer {
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        self.note("keys".to_owned()).await?;
        Ok(vec![SigningKey {
            kid: "one".to_owned(),
            public: [9; 32],
        }])
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<DeviceId>, Failure> {
        self.note(format!("revoked since {since}")).await?;
        Ok(vec![DEVICE, DeviceId::new(i64::MAX)])
    }

    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure> {
        self.note(format!("device {device}")).await?;
        Ok(device == DEVICE)
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        self.note(format!("key {}", sha256[31])).await?;
        let scopes = vec!["profile:read".to_owned(), "users:read".to_owned()];
        Ok((sha256 == KNOWN).then(|| Caller::api_key(USER, scopes)))
    }

    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &From,
    ) -> Result<Option<String>, Failure> {
        self.note(format!("cookie {} {from:?}", sha256[31])).await?;
        Ok((sha256 == KNOWN).then(|| "access".to_owned()))
    }

    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        self.note(format!("ways of {user}")).await?;
        Ok(contracts::identity::WAYS_TO_STEP_UP.to_vec())
    }

    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        self.note(format!("ticket {}", sha256[31])).await?;
        Ok((sha256 == KNOWN).then(|| "behind the ticket".to_owned()))
    }

    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        self.note(format!("roles of {user}")).await?;
        Ok(vec![PlatformRole::Support, PlatformRole::Finance])
    }
}

#[async_trait]
impl ServiceTokens for Issuer {
    async fn service_token(&self, proof: &ServiceProof) -> Result<ServiceToken, Failure> {
        if self.refusing.load(SeqCst) || *proof != prove() {
            return Err(UNAUTHENTICATED.fail());
        }
        self.given.fetch_add(1, SeqCst);
        let life = self.lives.lock().unwrap().pop_front().unwrap_or(300);
        Ok(ServiceToken {
            token: self.token("st+jwt", "service", "meydan-internal", life),
            expires_in: Duration::from_secs(300),
        })
    }
}

/// The one proof that is good here.
fn prove() -> ServiceProof {
    ServiceProof {
        service: "messaging".to_owned(),
        at: -1,
        nonce: [3; 16],
        mac: [4; 32],
    }
}

/// A server of an issuer; it ends with this value.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) verifier: Arc<TokenVerifier>,
    lifecycle: Lifecycle,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.lifecycle.hard().cancel();
    }
}

impl Served {
    pub(crate) async fn start(issuer: &Arc<Issuer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, issuer, |verifier| verifier)
    }

    pub(crate) fn on(
        listener: TcpListener,
        issuer: &Arc<Issuer>,
        change: impl FnOnce(TokenVerifier) -> TokenVerifier,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let clock: SharedClock = issuer.clock.clone();
        let verifier = TokenVerifier::new(ISSUER, AUDIENCE, Arc::clone(&clock));
        verifier.set_keys(vec![testkit::http::public_key().unwrap()]);
        let verifier = Arc::new(change(verifier.on_stale(OnStale::Allow)));
        let rng = Arc::new(SystemRng);
        let mut options = Options::new(Arc::clone(&verifier), issuer.clone(), clock, rng);
        options.bounds.drain_grace = Duration::ZERO;
        let services = InternalServices {
            credentials: issuer.clone(),
            tokens: issuer.clone(),
        };
        let lifecycle = Lifecycle::new();
        let serving = rpc::serve_internal(listener, services, options, lifecycle.clone());
        drop(runtime::spawn(&lifecycle, "test.serve", serving));
        Served {
            address,
            verifier,
            lifecycle,
        }
    }

    /// Ends the server and waits until its port is free.
    pub(crate) async fn stop(self) {
        let drain = self.lifecycle.shutdown(Duration::from_secs(5)).await;
        assert_eq!(drain, runtime::Drain::Drained);
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> CredentialsClient<Channel> {
        CredentialsClient::new(self.channel().await)
    }
}

/// A client of whoever serves there.
pub(crate) fn remote(address: SocketAddr, clock: &Arc<ManualClock>) -> Arc<Remote> {
    let prove: Prove = Arc::new(prove);
    let address = format!("http://{address}").parse().unwrap();
    Remote::new(address, prove, clock.clone(), Arc::new(SystemRng))
}
