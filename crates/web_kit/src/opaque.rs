//! Tokens that only their issuer can judge, with a short memory in front.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::{Caller, Failure, SharedClock, UserId};
use moka::future::Cache;

use crate::tokens::VerifyError;

/// How long a good answer is believed.
const HIT: Duration = Duration::from_secs(30);
/// How long a bad answer is believed; short, so that a new token works soon.
const MISS: Duration = Duration::from_secs(5);
/// Most answers in memory; the least used go first.
const MOST: u64 = 100_000;
/// Longest token that is looked at.
const LONGEST: usize = 256;

/// Judges tokens that hold no readable claims.
#[async_trait]
pub trait OpaqueTokens: Send + Sync + 'static {
    /// Finds the bot whose token has this SHA-256.
    async fn resolve_bot(&self, sha256: [u8; 32]) -> Result<Option<Caller>, Failure>;
}

/// Asks once for what many want to know, and remembers the answer for a while.
pub(crate) struct OpaqueCache {
    tokens: Arc<dyn OpaqueTokens>,
    clock: SharedClock,
    known: Cache<[u8; 32], Known>,
}

#[derive(Clone)]
struct Known {
    caller: Option<Caller>,
    until: Timestamp,
}

impl OpaqueCache {
    pub(crate) fn new(tokens: Arc<dyn OpaqueTokens>, clock: SharedClock) -> Self {
        let known = Cache::builder()
            .max_capacity(MOST)
            // The entry's own time decides; this only clears what nobody asks for again.
            .time_to_live(HIT)
            .support_invalidation_closures()
            .build();
        Self {
            tokens,
            clock,
            known,
        }
    }

    pub(crate) async fn resolve(&self, token: &str) -> Result<Caller, VerifyError> {
        if token.is_empty() || token.len() > LONGEST {
            return Err(VerifyError::Invalid);
        }
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(digest.as_ref());
        let now = self.clock.now();
        if self
            .known
            .get(&key)
            .await
            .is_some_and(|known| known.until <= now)
        {
            self.known.invalidate(&key).await;
        }
        let known = self
            .known
            .try_get_with(key, self.ask(key, now))
            .await
            .map_err(unavailable)?;
        known.caller.ok_or(VerifyError::Invalid)
    }

    async fn ask(&self, key: [u8; 32], now: Timestamp) -> Result<Known, Failure> {
        let caller = self.tokens.resolve_bot(key).await?;
        let memory = if caller.is_some() { HIT } else { MISS };
        Ok(Known {
            caller,
            until: now + memory,
        })
    }

    pub(crate) fn forget(&self, bot: UserId) {
        let of_bot = move |_: &[u8; 32], known: &Known| {
            known
                .caller
                .as_ref()
                .is_some_and(|caller| caller.user == bot)
        };
        // It fails only without `support_invalidation_closures`; then all has to go.
        if self.known.invalidate_entries_if(of_bot).is_err() {
            self.known.invalidate_all();
        }
    }
}

fn unavailable(failure: Arc<Failure>) -> VerifyError {
    VerifyError::Unavailable(failure.to_string().into())
}
