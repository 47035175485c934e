//! Feeds the token verifier: keys, revocations, and what only the issuers can judge.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use contracts::identity::From;
use contracts::{Applications, Credentials};
use infra::fanout::{Body, Control, Deliveries, Fanout, Topic};
use jiff::Timestamp;
use kernel::{Caller, DeviceId, Failure, PlatformRole, SharedClock, UserId};
use runtime::Lifecycle;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use web_kit::{Meta, OpaqueTokens, PublicKey, TokenVerifier};

/// How often revocations are asked for, and how far back: the overlap covers transactions that
/// commit late.
const PULL: Duration = Duration::from_secs(2);
const OVERLAP: Duration = Duration::from_secs(10);
/// How far back at the start: longer than an access token lives.
const AT_START: Duration = Duration::from_secs(16 * 60);
/// How often keys are fetched, which is also how long a key that was given up is believed, and the
/// pause between two times that an unknown one makes us fetch: the token that names it waits.
const KEYS: Duration = Duration::from_secs(30);
const KEYS_AT_MOST: Duration = Duration::from_secs(1);
/// Revocations that may wait to be taken in.
const MAILBOX: usize = 4_096;

/// What the verifier asks of the contexts that issue credentials.
pub(crate) struct Issuers {
    pub(crate) applications: Arc<dyn Applications>,
    pub(crate) credentials: Arc<dyn Credentials>,
}

#[async_trait]
impl OpaqueTokens for Issuers {
    async fn resolve_bot(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        Ok(self
            .applications
            .resolve_token(sha256)
            .await?
            .map(|bot| Caller::bot(bot.bot)))
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure> {
        self.credentials.resolve_api_key(sha256).await
    }

    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &Meta,
    ) -> Result<Option<String>, Failure> {
        let from = From {
            ip: from.ip,
            user_agent: from.user_agent.clone(),
        };
        self.credentials.access_for_cookie(sha256, &from).await
    }

    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure> {
        self.credentials.take_ticket(sha256).await
    }

    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure> {
        self.credentials.roles(user).await
    }

    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure> {
        self.credentials.ways_to_step_up(user).await
    }

    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure> {
        self.credentials.device_is_live(device).await
    }
}

/// See the module's text.
#[derive(Clone)]
pub(crate) struct Feed {
    verifier: Arc<TokenVerifier>,
    source: Arc<dyn Credentials>,
    fanout: Arc<dyn Fanout>,
    clock: SharedClock,
}

impl Feed {
    pub(crate) fn new(
        verifier: Arc<TokenVerifier>,
        source: Arc<dyn Credentials>,
        fanout: Arc<dyn Fanout>,
        clock: SharedClock,
    ) -> Self {
        Feed {
            verifier,
            source,
            fanout,
            clock,
        }
    }

    /// Fills the verifier once, so that the first request is judged, and keeps it filled until
    /// `end`. While the source is away nothing can be judged, and it is asked again.
    pub(crate) async fn begin(
        self,
        lifecycle: &Lifecycle,
        end: &CancellationToken,
    ) -> Result<(), Failure> {
        let (follower, deliveries) = self.fanout.open(MAILBOX);
        follower
            .follow(&[Topic::Revoked])
            .await
            .map_err(|error| kernel::failure::UNAVAILABLE.fail().because(error))?;
        let last_good = self.fill().await?;
        let pulling = end
            .clone()
            .run_until_cancelled_owned(self.clone().keep_pulling(last_good));
        runtime::spawn(lifecycle, "credentials.revocations", pulling);
        let fetching = end
            .clone()
            .run_until_cancelled_owned(self.clone().keep_fetching(last_good));
        runtime::spawn(lifecycle, "credentials.keys", fetching);
        let hearing = async move {
            self.hear(deliveries).await;
            drop(follower);
        };
        let hearing = end.clone().run_until_cancelled_owned(hearing);
        runtime::spawn(lifecycle, "credentials.fast_path", hearing);
        Ok(())
    }

    /// Tells when that was, or none while the source is away.
    async fn fill(&self) -> Result<Option<Timestamp>, Failure> {
        let now = self.clock.now();
        let filled = match self.fetch_keys().await {
            Ok(()) => self.pull(AT_START).await,
            Err(failure) => Err(failure),
        };
        match filled {
            Ok(()) => Ok(Some(now)),
            Err(failure) if failure.is_transient() => {
                tracing::warn!(error = %failure, "no credential can be judged yet");
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn fetch_keys(&self) -> Result<(), Failure> {
        let keys = self.source.keys().await?;
        let keys = keys.into_iter().map(|key| PublicKey {
            kid: key.kid,
            ed25519: key.public,
        });
        self.verifier.set_keys(keys.collect());
        Ok(())
    }

    async fn pull(&self, back: Duration) -> Result<(), Failure> {
        let now = self.clock.now();
        let revoked = self.source.revoked_since(now - back).await?;
        self.verifier.revoke(&revoked, now);
        self.verifier.set_revocations_fresh(now);
        Ok(())
    }

    /// The truth: what the fast path missed is here within two seconds.
    async fn keep_pulling(self, mut last_good: Option<Timestamp>) {
        let mut ticks = interval(PULL);
        loop {
            ticks.tick().await;
            let now = self.clock.now();
            // After an outage the window has to reach back to the last good pull.
            let missed = |last| Duration::try_from(now.duration_since(last)).unwrap_or_default();
            let back = last_good.map_or(AT_START, |last| (missed(last) + OVERLAP).min(AT_START));
            match self.pull(back).await {
                Ok(()) => last_good = Some(now),
                Err(error) => tracing::warn!(%error, "revocations could not be read"),
            }
        }
    }

    async fn keep_fetching(self, last_good: Option<Timestamp>) {
        let mut has_keys = last_good.is_some();
        loop {
            if has_keys {
                tokio::select! {
                    () = sleep(KEYS) => {}
                    () = self.verifier.unknown_key() => {}
                }
            }
            match self.fetch_keys().await {
                Ok(()) => has_keys = true,
                Err(error) => tracing::warn!(%error, "signing keys could not be read"),
            }
            sleep(if has_keys { KEYS_AT_MOST } else { PULL }).await;
        }
    }

    /// The fast path: what this process, or another through the fanout, revokes.
    async fn hear(self, mut deliveries: Deliveries) {
        while let Some(delivery) = deliveries.next().await {
            match &delivery.record.body {
                Body::Control(Control::DevicesRevoked(devices)) => {
                    self.verifier.revoke(devices, self.clock.now());
                }
                Body::Control(Control::BotTokenRevoked(user) | Control::ApiKeyRevoked(user)) => {
                    self.verifier.forget_secrets(*user);
                }
                Body::Control(Control::CookieReplaced(sha256)) => {
                    self.verifier.forget_cookie(*sha256).await;
                }
                Body::Control(_) | Body::Dispatch(_) | Body::Presence(_) => {}
            }
        }
    }
}
