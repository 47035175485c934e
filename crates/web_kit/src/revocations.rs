//! Devices whose tokens are void, as far as this node was told.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use kernel::{Clock, DeviceId};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// How long a revocation is remembered: a token's life of 15 minutes and the leeway, rounded up.
const REMEMBER: Duration = Duration::from_secs(16 * 60);
/// How old the last look at revocations may be.
const FRESH: Duration = Duration::from_secs(5);
/// Most revocations in memory (about 16 MB). Above it nothing is known for sure until the oldest
/// expire, because a revoked token must not pass.
const MOST: usize = 500_000;
/// Most news that wait for a listener; one that is further behind is told that it missed some.
const NEWS: usize = 1_024;

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

pub(crate) struct Revocations {
    known: RwLock<Known>,
    /// Devices that were not known to be revoked before.
    news: broadcast::Sender<Arc<[DeviceId]>>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            news: broadcast::Sender::new(NEWS),
        }
    }
}

/// Devices as they are revoked.
#[derive(Debug)]
pub struct Revoked(broadcast::Receiver<Arc<[DeviceId]>>);

/// More devices were revoked at once than a listener could take in: each has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revocations were missed")]
pub struct Missed;

impl Revoked {
    /// Waits for the next devices. Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Missed`] when some came and went before.
    pub async fn next(&mut self) -> Result<Arc<[DeviceId]>, Missed> {
        match self.0.recv().await {
            Ok(devices) => Ok(devices),
            Err(RecvError::Lagged(_)) => Err(Missed),
            // The verifier is gone: nobody revokes anything here any more.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[derive(Default)]
struct Known {
    until: HashMap<DeviceId, Timestamp>,
    fresh_at: Option<Timestamp>,
    overflowed_until: Option<Timestamp>,
}

impl Revocations {
    pub(crate) fn add(&self, devices: &[DeviceId], now: Timestamp) {
        let new = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.add(devices, now)
        };
        if !new.is_empty() {
            // Nobody listening is no failure.
            drop(self.news.send(new.into()));
        }
    }

    /// Hears of every device from now on. What is revoked already is not told: look at it after.
    pub(crate) fn subscribe(&self) -> Revoked {
        Revoked(self.news.subscribe())
    }

    pub(crate) fn set_fresh(&self, now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.fresh_at = Some(now);
        known.until.retain(|_, until| *until > now);
    }

    /// Waits until a device is revoked. Cancel safe.
    pub(crate) async fn of(&self, device: DeviceId, clock: &dyn Clock) {
        // Before the first look, so that nothing between the two is missed.
        let mut news = self.subscribe();
        while self.judge(device, clock.now()) != Standing::Revoked {
            // Whoever it was, and also after some were missed, the set is complete.
            drop(news.next().await);
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

impl Known {
    /// Remembers these devices, as far as they fit, and returns those that are new.
    fn add(&mut self, devices: &[DeviceId], now: Timestamp) -> Vec<DeviceId> {
        if self.until.len().saturating_add(devices.len()) > MOST {
            self.until.retain(|_, until| *until > now);
        }
        let mut new = Vec::new();
        for device in devices {
            if self.until.len() >= MOST && !self.until.contains_key(device) {
                self.overflowed_until = Some(now + REMEMBER);
                tracing::error!("more revocations than fit into memory; refusing all tokens");
                break;
            }
            if self.until.insert(*device, now + REMEMBER).is_none() {
                new.push(*device);
            }
        }
        new
    }
}
