//! Devices whose tokens are void, as far as this node was told.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use kernel::{Clock, DeviceId};
use tokio::sync::watch;

/// How long a revocation is remembered: a token's life of 15 minutes and the leeway, rounded up.
const REMEMBER: Duration = Duration::from_secs(16 * 60);
/// How old the last look at revocations may be.
const FRESH: Duration = Duration::from_secs(5);
/// Most revocations in memory (about 16 MB). Above it nothing is known for sure until the oldest
/// expire, because a revoked token must not pass.
const MOST: usize = 500_000;

/// What is known of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was not revoked up to a few seconds ago.
    Alive,
    /// It is revoked.
    Revoked,
    /// It may have been revoked without our knowing.
    Unknown(Cause),
}

/// Why nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nobody told us for too long.
    Stale,
    /// There were too many.
    Overflow,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Stale => "revocations were not looked at for 5 s",
            Cause::Overflow => "revocations do not fit into memory",
        })
    }
}

impl std::error::Error for Cause {}

#[derive(Default)]
pub(crate) struct Revocations {
    known: RwLock<Known>,
    /// Changes whenever a device is revoked that was not before.
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Known {
    until: HashMap<DeviceId, Timestamp>,
    fresh_at: Option<Timestamp>,
    overflowed_until: Option<Timestamp>,
}

impl Revocations {
    pub(crate) fn add(&self, devices: &[DeviceId], now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.until.len().saturating_add(devices.len()) > MOST {
            known.until.retain(|_, until| *until > now);
        }
        for device in devices {
            if known.until.len() >= MOST && !known.until.contains_key(device) {
                known.overflowed_until = Some(now + REMEMBER);
                tracing::error!("more revocations than fit into memory; refusing all tokens");
                return;
            }
            if known.until.insert(*device, now + REMEMBER).is_none() {
                self.news.send_replace(());
            }
        }
    }

    pub(crate) fn set_fresh(&self, now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.fresh_at = Some(now);
        known.until.retain(|_, until| *until > now);
    }

    /// Waits until a device is revoked. Cancel safe.
    pub(crate) async fn of(&self, device: DeviceId, clock: &dyn Clock) {
        // Before the first look, so that nothing between the two is missed.
        let mut news = self.news.subscribe();
        while self.judge(device, clock.now()) != Standing::Revoked && news.changed().await.is_ok() {
        }
    }

    pub(crate) fn judge(&self, device: DeviceId, now: Timestamp) -> Standing {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.until.get(&device).is_some_and(|until| *until > now) {
            return Standing::Revoked;
        }
        if known.overflowed_until.is_some_and(|until| until > now) {
            return Standing::Unknown(Cause::Overflow);
        }
        let fresh = known
            .fresh_at
            .is_some_and(|at| now.duration_since(at).unsigned_abs() <= FRESH || at > now);
        if fresh {
            Standing::Alive
        } else {
            Standing::Unknown(Cause::Stale)
        }
    }
}
