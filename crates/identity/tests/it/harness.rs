//! A house to test in: the context, its router and everything it stands on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use contracts::Credentials;
use identity::{
    EmailVerification, Identity, Limits, NewAdmin, RootKeys, Scheme, Senders, Settings,
};
use infra::cache::LocalCache;
use infra::fanout::{Body, Control, Deliveries, Fanout, LocalFanout, Topic};
use infra::limiter::LocalLimiter;
use kernel::{
    Caller, Clock, DeviceId, Failure, Ids, ManualClock, PlatformRole, SeededRng, SharedClock,
    SystemClock, UserId, WorkerSlot,
};
use runtime::Lifecycle;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::fakes::FakeMedia;
use testkit::http::Reply;
use web_kit::{Meta, OnStale, OpaqueTokens, Pages, Peer, PublicKey, StackOptions, TokenVerifier};

pub(crate) const PASSWORD: &str = "kırmızı bisiklet yokuşu";
pub(crate) const ROOT: &str = "a root secret of at least 32 bytes";

/// The seed of every random byte the context takes.
pub(crate) const SEED: u64 = 1;

/// Hashing that costs microseconds: what is tested here is not its cost.
pub(crate) const CHEAP: Scheme = Scheme::Argon2id {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

/// Cheap hashing, open registration, and limits nobody meets by accident.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new(RootKeys::derive(&secret(ROOT)).unwrap());
    settings.password_scheme = CHEAP;
    settings.email_verification = EmailVerification::Off;
    // The grace runs on the database's clock; a busy machine must not turn a race into theft.
    settings.reuse_grace = Duration::from_secs(60);
    settings.limits = Limits {
        login_address_per_minute: 100_000,
        login_account_per_hour: 100_000,
        second_factor_account_per_hour: 100_000,
        login_wave_per_10_minutes: 100_000,
        registration_address_per_hour: 100_000,
        refresh_device_per_minute: 100_000,
        validate_address_per_minute: 100_000,
    };
    settings.otp.address_per_hour = 100_000;
    settings.services = vec!["identity", "messaging"];
    settings
}

/// What the verifier asks of the context, as on a node.
struct Issuers(Arc<Identity>);

#[async_trait::async_trait]
impl OpaqueTokens for Issuers {
    async fn resolve_bot(&self, _: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }
    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        self.0.resolve_api_key(sha256).await
    }
    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &Meta,
    ) -> Result<Option<String>, Failure> {
        let from = contracts::identity::From {
            ip: from.ip,
            user_agent: from.user_agent.clone(),
        };
        self.0.access_for_cookie(sha256, &from).await
    }
    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        self.0.take_ticket(sha256).await
    }
    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        self.0.roles(user).await
    }
    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        Credentials::ways_to_step_up(&*self.0, user).await
    }
    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure> {
        self.0.device_is_live(device).await
    }
}

pub(crate) struct House {
    pub(crate) database: TestDb,
    pub(crate) admin: db::Db,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) fanout: Arc<LocalFanout>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) media: Arc<FakeMedia>,
    pub(crate) router: Router,
    pub(crate) verifier: Arc<TokenVerifier>,
    /// The worker number of the next sibling.
    siblings: AtomicU16,
    revoked: tokio::sync::Mutex<Deliveries>,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::sending(settings, Senders::default()).await
    }

    /// With somebody who carries messages.
    pub(crate) async fn sending(settings: Settings, senders: Senders) -> Self {
        Box::pin(Self::built(settings, senders)).await
    }

    async fn built(settings: Settings, senders: Senders) -> Self {
        let database = TestDb::new(&[identity::MIGRATIONS]).await.unwrap();
        // Devices are judged by the database's clock, so ours begins beside it.
        let clock = ManualClock::new(SystemClock.now());
        let fanout = LocalFanout::new();
        let (follower, revoked) = fanout.open(256);
        follower.follow(&[Topic::Revoked]).await.unwrap();
        let shared: SharedClock = clock.clone();
        let media = FakeMedia::new();
        let csrf = settings.keys.clone();
        let signing = settings.signing.clone();
        let identity = identity::build(identity::Deps {
            db: database.app(identity::SCHEMA).unwrap(),
            ids: Ids::new(Arc::clone(&shared), WorkerSlot::permanent(1)),
            clock: Arc::clone(&shared),
            rng: SeededRng::new(SEED),
            fanout: fanout.clone(),
            limiter: LocalLimiter::new(Arc::clone(&shared), 100_000),
            cache: LocalCache::new(Arc::clone(&shared), 1_000),
            senders,
            objects: infra::objects::MemoryObjects::new(1024 * 1024),
            media: media.clone(),
            settings,
        });
        identity.prepare().await.unwrap();
        let issuers = Arc::new(Issuers(Arc::clone(&identity)));
        let lifecycle = Lifecycle::new();
        identity.begin_sending(&lifecycle, lifecycle.hard());
        let verifier = TokenVerifier::new("my-auth-service", "my-app-client", Arc::clone(&shared))
            .with_opaque(issuers)
            .on_stale(OnStale::Allow);
        let verifier = match &signing {
            identity::Signing::EdDsa => verifier,
            identity::Signing::Hs256(secret) => verifier.hs256(secret.expose_secret().as_bytes()),
        };
        let verifier = Arc::new(verifier);
        let limiter = LocalLimiter::new(Arc::clone(&shared), 100_000);
        let rng = SeededRng::new(SEED);
        let csrf_token = Arc::new(move |cookie: &str| csrf.csrf_token(cookie));
        let options = StackOptions {
            pages: Some(Pages::new("https://meydan.test", csrf_token)),
            ..StackOptions::new(Arc::clone(&verifier), limiter, shared, rng)
        };
        let router = web_kit::stack(identity::tables(Arc::clone(&identity)).router(), options);
        let admin = database.admin().unwrap();
        let revoked = tokio::sync::Mutex::new(revoked);
        let house = House {
            database,
            admin,
            clock,
            fanout,
            identity,
            media,
            router,
            verifier,
            siblings: AtomicU16::new(100),
            revoked,
        };
        house.feed_keys().await;
        house
    }

    /// The context once more, over the same database and clock: another node, other settings.
    pub(crate) fn sibling(&self, settings: Settings) -> Arc<Identity> {
        self.sibling_sending(settings, Senders::default())
    }

    /// The same with somebody who carries messages, who is not at work yet.
    pub(crate) fn sibling_sending(&self, settings: Settings, senders: Senders) -> Arc<Identity> {
        let clock: SharedClock = self.clock.clone();
        let worker = self.siblings.fetch_add(1, Relaxed);
        identity::build(identity::Deps {
            db: self.database.app(identity::SCHEMA).unwrap(),
            ids: Ids::new(Arc::clone(&clock), WorkerSlot::permanent(worker)),
            clock: Arc::clone(&clock),
            rng: SeededRng::new(worker.into()),
            fanout: LocalFanout::new(),
            limiter: LocalLimiter::new(Arc::clone(&clock), 1_000),
            cache: LocalCache::new(clock, 1_000),
            senders,
            objects: infra::objects::MemoryObjects::new(1024 * 1024),
            media: self.media.clone(),
            settings,
        })
    }

    /// Gives the verifier the keys, as every node does.
    pub(crate) async fn feed_keys(&self) {
        let keys = self.identity.keys().await.unwrap();
        let keys = keys.into_iter().map(|key| PublicKey {
            kid: key.kid,
            ed25519: key.public,
        });
        self.verifier.set_keys(keys.collect());
    }

    /// Does something while the verifier's keys are looked at again whenever a token names an
    /// unknown one, as on every node.
    pub(crate) async fn feeding<T>(&self, work: impl Future<Output = T>) -> T {
        let feed = async {
            loop {
                self.verifier.unknown_key().await;
                self.feed_keys().await;
            }
        };
        tokio::select! {
            done = work => done,
            () = feed => unreachable!("it goes on for ever"),
        }
    }

    /// Devices announced as revoked since the last look; the verifier learns of them, and of keys and
    /// cookies that are void.
    pub(crate) async fn announced(&self) -> Vec<DeviceId> {
        let mut all = Vec::new();
        let mut deliveries = self.revoked.lock().await;
        while let Some(delivery) = deliveries.try_next() {
            match &delivery.record.body {
                Body::Control(Control::DevicesRevoked(devices)) => all.extend_from_slice(devices),
                Body::Control(Control::ApiKeyRevoked(owner)) => {
                    self.verifier.forget_secrets(*owner)
                }
                Body::Control(Control::CookieReplaced(sha256)) => {
                    self.verifier.forget_cookie(*sha256).await;
                }
                Body::Control(_) | Body::Dispatch(_) | Body::Presence(_) => {}
            }
        }
        self.verifier.revoke(&all, self.clock.now());
        all
    }

    pub(crate) async fn call(&self, method: &str, path: &str, token: &str, body: Value) -> Reply {
        self.call_with(method, path, token, &[], body).await
    }

    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let credential = if token.is_empty() {
            String::new()
        } else {
            format!("Bearer {token}")
        };
        testkit::http::call_with(&self.router, method, path, credential, headers, body)
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, "", body).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.call("GET", path, token, Value::Null).await
    }

    /// A POST from another address.
    pub(crate) async fn post_from(&self, ip: &str, path: &str, body: Value) -> Reply {
        let nobody = testkit::http::Credential::Nobody;
        let mut request = testkit::http::request("POST", path, &nobody, &[], Some(body)).unwrap();
        let peer = SocketAddr::new(ip.parse().unwrap(), 4_000);
        request.extensions_mut().insert(Peer(peer));
        testkit::http::send(&self.router, request).await.unwrap()
    }

    /// Signs up somebody whose address is `name@example.com`.
    pub(crate) async fn register(&self, name: &str) -> Session {
        let reply = self
            .post("/v1/auth/registrations", registration(name))
            .await;
        Session::of(&reply.expect(201).unwrap())
    }

    pub(crate) async fn log_in(&self, name: &str) -> Session {
        let body = json!({"identifier": name, "password": PASSWORD});
        Session::of(&self.post("/v1/auth/login", body).await.expect(200).unwrap())
    }

    pub(crate) async fn refresh(&self, token: &str, attempt: Option<&str>) -> Reply {
        let body = json!({"refresh_token": token, "attempt_id": attempt});
        self.post("/v1/auth/refresh", body).await
    }

    pub(crate) async fn make_admin(&self, email: &str) -> identity::AdminOutcome {
        let new = NewAdmin {
            email: email.to_owned(),
            username: None,
            display_name: None,
            password: Some(secret(PASSWORD)),
        };
        self.identity.create_admin(new).await.unwrap()
    }

    /// Signs somebody up who has a platform role.
    pub(crate) async fn staff(&self, name: &str, role: PlatformRole) -> Session {
        let session = self.register(name).await;
        let user = session.user.parse().unwrap();
        self.identity.grant(user, role).await.unwrap();
        session
    }

    /// The types of all events so far, in order.
    pub(crate) async fn event_kinds(&self) -> Vec<String> {
        const KINDS: db::Sql = db::Sql::new(
            "identity.test_event_kinds",
            "SELECT type FROM identity.outbox ORDER BY event_id",
        );
        KINDS.scalars(&self.admin).await.unwrap()
    }

    /// The payloads of the events of a type, in order.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        const DATA: db::Sql = db::Sql::new(
            "identity.test_events",
            "SELECT data FROM identity.outbox WHERE type = $1 ORDER BY event_id",
        );
        DATA.bind(&kind).scalars(&self.admin).await.unwrap()
    }

    /// Runs SQL as the owner of everything.
    pub(crate) async fn script(&self, text: &str) {
        self.database.script(text).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        db::Sql::new("identity.test_count", sql)
            .scalar(&self.admin)
            .await
            .unwrap()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn registration(name: &str) -> Value {
    json!({
        "email": format!("{name}@example.com"), "password": PASSWORD, "username": name,
        "display_name": name.to_uppercase(),
    })
}

/// A pair of tokens.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) user: String,
    pub(crate) device: String,
}

impl Session {
    pub(crate) fn of(reply: &Reply) -> Self {
        let text = |name: &str| reply.json[name].as_str().unwrap().to_owned();
        Session {
            access: text("access_token"),
            refresh: text("refresh_token"),
            user: text("user_id"),
            device: text("device_id"),
        }
    }
}

/// `name=value` of a cookie that was set.
pub(crate) fn cookie(reply: &Reply, name: &str) -> Option<String> {
    let set = reply.header("set-cookie")?;
    let pair = set.split(';').next()?;
    pair.starts_with(&format!("{name}="))
        .then(|| pair.to_owned())
}

/// What an error answer says: status and code.
pub(crate) fn refusal(reply: &Reply) -> (u16, &str) {
    (
        reply.status.as_u16(),
        reply.json["code"].as_str().unwrap_or("no code"),
    )
}

/// Whether an error answer names this field.
pub(crate) fn names_field(reply: &Reply, pointer: &str) -> bool {
    let errors = reply.json["errors"].as_array();
    errors.is_some_and(|errors| errors.iter().any(|error| error["pointer"] == pointer))
}

/// Hides what differs from run to run: ids, tokens, moments, request ids.
pub(crate) fn masked(mut value: Value) -> Value {
    mask(&mut value, "");
    value
}

fn mask(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            // Whether a map keeps the order of its names depends on who else uses serde_json.
            map.sort_keys();
            for (name, value) in map {
                mask(value, name);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| mask(value, name)),
        Value::String(text) => {
            let shown = if name == "instance" || name == "request_id" {
                "[request]"
            } else if text.starts_with("eyJ") {
                "[token]"
            } else if text.len() >= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
                "[id]"
            } else if text.parse::<jiff::Timestamp>().is_ok() {
                "[time]"
            } else {
                return;
            };
            *value = Value::String(shown.to_owned());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
