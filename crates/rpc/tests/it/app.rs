//! A server with fakes behind it, and clients of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use contracts::identity::{From, OtpSent, SendOtp, SigningKey, TokenPair, VerifyOtp};
use contracts::{Auth, Credentials};
use jiff::Timestamp;
use kernel::failure::UNAVAILABLE;
use kernel::{Caller, DeviceId, ErrorRow, Failure, PlatformRole, SystemClock, SystemRng, UserId};
use rpc::auth_client::AuthServiceClient;
use rpc::{Options, Reflection, Services};
use runtime::health::Registry;
use runtime::{Check, Effect, Lifecycle};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::{ErrorDetails, StatusExt as _};

/// Nothing here may hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How a call of identity fails.
pub(crate) type Failing = fn() -> Failure;

/// What the fake of identity does next.
#[derive(Clone, Copy, Default)]
pub(crate) enum Next {
    #[default]
    Answer,
    Fail(Failing),
    /// Answers when told to.
    Wait,
    Panic,
}

/// Identity, as far as logging in goes. Writes down what it is asked.
#[derive(Default)]
pub(crate) struct FakeAuth {
    pub(crate) next: Mutex<Next>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) reached: Notify,
    pub(crate) release: Notify,
}

impl FakeAuth {
    pub(crate) fn will(&self, next: Next) {
        *self.next.lock().unwrap() = next;
    }

    /// The last thing that was asked.
    pub(crate) fn last(&self) -> String {
        self.asked
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }

    async fn note(&self, asked: String) -> Result<(), Failure> {
        self.asked.lock().unwrap().push(asked);
        let next = *self.next.lock().unwrap();
        match next {
            Next::Answer => Ok(()),
            Next::Fail(failure) => Err(failure()),
            Next::Wait => {
                self.reached.notify_one();
                self.release.notified().await;
                Ok(())
            }
            Next::Panic => panic!("as the test wants it"),
        }
    }
}

fn pair() -> TokenPair {
    TokenPair {
        access_token: "access".to_owned(),
        refresh_token: "refresh".to_owned(),
        user: UserId::new(42),
        is_new_user: true,
    }
}

#[async_trait]
impl Auth for FakeAuth {
    async fn send_otp(&self, wish: SendOtp) -> Result<OtpSent, Failure> {
        self.note(format!("{wish:?}")).await?;
        Ok(OtpSent {
            handle: "handle".to_owned(),
            resend_after_seconds: 60,
        })
    }

    async fn verify_otp(&self, proof: VerifyOtp) -> Result<TokenPair, Failure> {
        self.note(format!("{proof:?}")).await?;
        Ok(pair())
    }

    async fn validate(&self, token: &str, ip: IpAddr) -> Result<Option<UserId>, Failure> {
        self.note(format!("{token} {ip}")).await?;
        Ok((token == "access").then_some(UserId::new(42)))
    }

    async fn refresh(&self, token: &str, attempt: Option<&str>) -> Result<TokenPair, Failure> {
        self.note(format!("{token} {attempt:?}")).await?;
        Ok(pair())
    }

    async fn revoke_current_device(&self, token: &str) -> Result<(), Failure> {
        self.note(token.to_owned()).await
    }

    async fn log_out_everywhere(&self, token: &str) -> Result<(), Failure> {
        self.note(token.to_owned()).await
    }
}

/// What is known about devices: one answer for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Device {
    #[default]
    Live,
    Dead,
    /// Nobody can tell.
    Away,
}

#[derive(Default)]
pub(crate) struct FakeCredentials {
    pub(crate) device: Mutex<Device>,
    pub(crate) asked: Notify,
}

#[async_trait]
impl Credentials for FakeCredentials {
    async fn keys(&self) -> Result<Vec<SigningKey>, Failure> {
        Ok(Vec::new())
    }

    async fn revoked_since(&self, _since: Timestamp) -> Result<Vec<DeviceId>, Failure> {
        Ok(Vec::new())
    }

    async fn device_is_live(&self, _device: DeviceId) -> Result<bool, Failure> {
        self.asked.notify_one();
        let device = *self.device.lock().unwrap();
        match device {
            Device::Live => Ok(true),
            Device::Dead => Ok(false),
            Device::Away => Err(UNAVAILABLE.fail()),
        }
    }

    async fn resolve_api_key(&self, _sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(None)
    }

    async fn access_for_cookie(
        &self,
        _sha256: [u8; 32],
        _from: &From,
    ) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn take_ticket(&self, _sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        Ok(None)
    }

    async fn ways_to_step_up(&self, _user: UserId) -> Result<Vec<&'static str>, Failure> {
        Ok(Vec::new())
    }

    async fn roles(&self, _user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        Ok(Vec::new())
    }
}

/// A server on a free port; it ends with this value.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) auth: Arc<FakeAuth>,
    pub(crate) credentials: Arc<FakeCredentials>,
    pub(crate) verifier: Arc<web_kit::TokenVerifier>,
    pub(crate) healthy: Arc<AtomicBool>,
    pub(crate) lifecycle: Lifecycle,
}

impl Drop for App {
    fn drop(&mut self) {
        self.lifecycle.hard().cancel();
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(Reflection::Off, |_| {}).await
    }

    pub(crate) async fn with(reflection: Reflection, change: impl FnOnce(&mut Options)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let auth = Arc::<FakeAuth>::default();
        let credentials = Arc::<FakeCredentials>::default();
        let verifier = testkit::verifier().unwrap();
        let healthy = Arc::new(AtomicBool::new(true));
        let lifecycle = Lifecycle::new();
        let mut options = Options::new(
            Arc::clone(&verifier),
            credentials.clone(),
            Arc::new(SystemClock),
            Arc::new(SystemRng),
        );
        options.bounds.drain_grace = Duration::ZERO;
        change(&mut options);
        let services = Services {
            auth: auth.clone(),
            health: registry(&lifecycle, &healthy),
            reflection,
        };
        let serving = rpc::serve(listener, services, options, lifecycle.clone());
        drop(runtime::spawn(&lifecycle, "test.serve", serving));
        App {
            address,
            auth,
            credentials,
            verifier,
            healthy,
            lifecycle,
        }
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint
            .user_agent("test-client/1")
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn client(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.channel().await)
    }

    pub(crate) async fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel().await)
    }

    pub(crate) fn fall_ill(&self) {
        self.healthy.store(false, Ordering::Relaxed);
    }

    pub(crate) fn recover(&self) {
        self.healthy.store(true, Ordering::Relaxed);
    }
}

fn registry(lifecycle: &Lifecycle, healthy: &Arc<AtomicBool>) -> Registry {
    let healthy = Arc::clone(healthy);
    let probe: runtime::ProbeFn = Arc::new(move || {
        let healthy = healthy.load(Ordering::Relaxed);
        Box::pin(async move { healthy.then_some(()).ok_or_else(|| "ill".to_owned()) })
    });
    let check = Check {
        name: "test",
        effect: Effect::Required,
        probe,
    };
    Registry::new(lifecycle, Arc::new(SystemClock), vec![check])
}

/// A message with metadata.
pub(crate) fn with<T>(message: T, metadata: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    let map: &mut MetadataMap = request.metadata_mut();
    for (name, value) in metadata {
        map.append(*name, value.parse().unwrap());
    }
    request
}

/// The message of somebody with a token.
pub(crate) fn as_user<T>(message: T, token: &str) -> Request<T> {
    with(message, &[("authorization", &format!("Bearer {token}"))])
}

pub(crate) fn details(status: &Status) -> ErrorDetails {
    status.check_error_details().unwrap()
}

/// The stable code of an error.
pub(crate) fn reason(status: &Status) -> String {
    let details = details(status);
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "meydan");
    info.reason.clone()
}

/// A row as identity has it.
pub(crate) const fn row(code: &'static str, kind: kernel::ErrorKind) -> ErrorRow {
    ErrorRow {
        code,
        kind,
        dialect: 0,
        en: "in English",
        tr: "Türkçe",
    }
}
