//! What only the issuer can judge, with a short memory in front: bots' tokens, API keys, cookies.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::digest::sha256;
use kernel::{Caller, DeviceId, Failure, PlatformRole, SharedClock, UserId};
use moka::future::Cache;
use tokio::sync::Semaphore;

use crate::address::Meta;
use crate::tokens::VerifyError;

/// How long a good answer is believed.
const HIT: Duration = Duration::from_secs(30);
/// How long a bad answer is believed; short, so that a new token works soon.
const MISS: Duration = Duration::from_secs(5);
/// How long the token behind a cookie is used. Each time it is fetched the session is prolonged,
/// so this is also how exactly idle time is known; it is less than any access token lives.
const COOKIE: Duration = Duration::from_secs(60);
/// Most answers in memory, of each kind; the least used go first.
const MOST: u64 = 100_000;
/// How long somebody may take to say whether a device is alive.
const DEADLINE: Duration = Duration::from_secs(1);
/// Most such questions at a time; the others wait for their turn, within the same deadline.
const MOST_QUESTIONS: usize = 64;
/// Longest token that is looked at.
const LONGEST: usize = 256;

/// What the verifier cannot know by itself and asks of others.
#[async_trait]
pub trait OpaqueTokens: Send + Sync + 'static {
    /// Finds the bot whose token has this SHA-256.
    async fn resolve_bot(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure>;

    /// Finds whose program shows the API key with this SHA-256.
    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure>;

    /// Finds an access token for the browser session whose cookie has this SHA-256, and prolongs
    /// the session.
    async fn access_for_cookie(
        &self,
        sha256: [u8; 32],
        from: &Meta,
    ) -> Result<Option<String>, Failure>;

    /// Uses the WebSocket ticket with this SHA-256 up, for the access token it stands for.
    async fn take_ticket(&self, sha256: [u8; 32]) -> Result<Option<String>, Failure>;

    /// Tells the platform roles of a user, as they are now.
    async fn roles(&self, user: UserId) -> Result<Vec<PlatformRole>, Failure>;

    /// Tells with what a user can prove again that it is them.
    async fn ways_to_step_up(&self, user: UserId) -> Result<Vec<&'static str>, Failure>;

    /// Tells whether a device may still act; asked while revocations are stale.
    async fn device_is_live(&self, device: DeviceId) -> Result<bool, Failure>;
}

/// Asks once for what many want to know, and remembers the answer for a while.
pub(crate) struct OpaqueCache {
    tokens: Arc<dyn OpaqueTokens>,
    clock: SharedClock,
    callers: Cache<(Kind, [u8; 32]), Known<Caller>>,
    cookies: Cache<[u8; 32], Known<Arc<str>>>,
    questions: Semaphore,
}

/// A key is never taken for a bot's token, nor the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Bot,
    ApiKey,
}

#[derive(Clone)]
struct Known<T> {
    answer: Option<T>,
    until: Timestamp,
}

impl<T> Known<T> {
    fn new(answer: Option<T>, now: Timestamp, hit: Duration) -> Self {
        let memory = if answer.is_some() { hit } else { MISS };
        Known {
            answer,
            until: now + memory,
        }
    }
}

impl OpaqueCache {
    pub(crate) fn new(tokens: Arc<dyn OpaqueTokens>, clock: SharedClock) -> Self {
        // The entries' own times decide; those of the caches only clear what nobody asks for again.
        let callers = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(HIT)
            .support_invalidation_closures()
            .build();
        let cookies = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(COOKIE)
            .build();
        Self {
            tokens,
            clock,
            callers,
            cookies,
            questions: Semaphore::new(MOST_QUESTIONS),
        }
    }

    /// Whom a bot's token or an API key stands for.
    pub(crate) async fn resolve(&self, kind: Kind, token: &str) -> Result<Caller, VerifyError> {
        let key = (kind, digest(token)?);
        let now = self.clock.now();
        let known = self.callers.get(&key).await;
        if known.is_some_and(|known| known.until <= now) {
            self.callers.invalidate(&key).await;
        }
        let ask = async {
            let caller = match kind {
                Kind::Bot => self.tokens.resolve_bot(key.1).await?,
                Kind::ApiKey => self.tokens.resolve_api_key(key.1).await?,
            };
            Ok(Known::new(caller, now, HIT))
        };
        let known = self.callers.try_get_with(key, ask).await.map_err(shared)?;
        known.answer.ok_or(VerifyError::Invalid)
    }

    /// The access token behind a cookie; it is still to be verified, each time.
    pub(crate) async fn behind(&self, cookie: &str, from: &Meta) -> Result<Arc<str>, VerifyError> {
        let key = digest(cookie)?;
        let now = self.clock.now();
        let known = self.cookies.get(&key).await;
        if known.is_some_and(|known| known.until <= now) {
            self.cookies.invalidate(&key).await;
        }
        let ask = async {
            let token = self.tokens.access_for_cookie(key, from).await?;
            Ok(Known::new(token.map(Arc::from), now, COOKIE))
        };
        let known = self.cookies.try_get_with(key, ask).await.map_err(shared)?;
        known.answer.ok_or(VerifyError::Invalid)
    }

    /// Forgets the token behind the cookie with this SHA-256. A question about it that is on its way
    /// is not called back; its answer is forgotten after [`COOKIE`].
    pub(crate) async fn forget_cookie(&self, sha256: [u8; 32]) {
        self.cookies.invalidate(&sha256).await;
    }

    /// The access token a ticket stands for. Not remembered: a ticket works once.
    pub(crate) async fn take_ticket(&self, ticket: &str) -> Result<String, VerifyError> {
        let taken = self.tokens.take_ticket(digest(ticket)?).await;
        taken.map_err(unavailable)?.ok_or(VerifyError::Invalid)
    }

    /// Whether a device may still act. Not remembered: it is asked while nobody tells us of changes.
    pub(crate) async fn device_is_live(&self, device: DeviceId) -> Result<bool, VerifyError> {
        let ask = async {
            let _turn = self.questions.acquire().await;
            self.tokens.device_is_live(device).await
        };
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(answer) => answer.map_err(unavailable),
            Err(elapsed) => Err(VerifyError::Unavailable(elapsed.into())),
        }
    }

    pub(crate) fn issuer(&self) -> &dyn OpaqueTokens {
        &*self.tokens
    }

    /// Forgets what is remembered of a bot's tokens or of a person's keys.
    pub(crate) fn forget(&self, user: UserId) {
        let of_user = move |_: &(Kind, [u8; 32]), known: &Known<Caller>| {
            known
                .answer
                .as_ref()
                .is_some_and(|caller| caller.user == user)
        };
        // It fails only without `support_invalidation_closures`; then all has to go.
        if self.callers.invalidate_entries_if(of_user).is_err() {
            self.callers.invalidate_all();
        }
    }
}

fn digest(token: &str) -> Result<[u8; 32], VerifyError> {
    if token.is_empty() || token.len() > LONGEST {
        Err(VerifyError::Invalid)
    } else {
        Ok(sha256(token.as_bytes()))
    }
}

fn shared(failure: Arc<Failure>) -> VerifyError {
    VerifyError::Unavailable(failure.to_string().into())
}

pub(crate) fn unavailable(failure: Failure) -> VerifyError {
    VerifyError::Unavailable(failure.into())
}
