//! Readiness: named checks, asked together, answered from a short memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use kernel::Clock;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Lifecycle;
use crate::module::{Check, Effect};

/// How long one probe may take.
const PROBE: Duration = Duration::from_secs(2);

/// How long an answer is reused, so that whoever asks often costs the dependencies nothing.
const MEMORY: Duration = Duration::from_secs(1);

/// The state of one check, as `/readyz` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    /// The name of the check.
    pub check: &'static str,
    /// `ok`, `degraded` or `failing`.
    pub status: Status,
    /// How long the probe took.
    pub ms: u64,
    /// Since when the status is what it is.
    pub since: Timestamp,
    /// What is wrong; absent while all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It works.
    Ok,
    /// It does not work, and there is a fall-back.
    Degraded,
    /// It does not work, and the process cannot do without it.
    Failing,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether new requests may be sent here.
    pub ready: bool,
    /// Whether the process is finishing its work and will end.
    pub draining: bool,
    /// Each check.
    pub checks: Vec<State>,
}

/// Knows all checks of the process.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    draining: CancellationToken,
    checks: Vec<Check>,
    since: Mutex<HashMap<&'static str, (Status, Timestamp)>>,
    // Also makes concurrent callers wait for one round of probes instead of starting their own.
    last: tokio::sync::Mutex<Option<(Instant, Vec<State>)>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("checks", &self.inner.checks)
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Makes a registry of all checks; it is draining from the moment `lifecycle` is.
    pub fn new(lifecycle: &Lifecycle, clock: Arc<dyn Clock>, checks: Vec<Check>) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                draining: lifecycle.soft().clone(),
                checks,
                since: Mutex::default(),
                last: tokio::sync::Mutex::default(),
            }),
        }
    }

    /// Tells whether the process is finishing its work.
    pub fn draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// Asks every check, or repeats what was found within the last second.
    pub async fn ready(&self) -> Report {
        let mut last = self.inner.last.lock().await;
        let checks = match &*last {
            Some((at, states)) if at.elapsed() < MEMORY => states.clone(),
            _ => {
                let states =
                    futures::future::join_all(self.inner.checks.iter().map(|c| self.ask(c))).await;
                *last = Some((Instant::now(), states.clone()));
                states
            }
        };
        drop(last);
        let draining = self.draining();
        let failing = checks.iter().any(|state| state.status == Status::Failing);
        Report {
            ready: !draining && !failing,
            draining,
            checks,
        }
    }

    async fn ask(&self, check: &Check) -> State {
        let begun = Instant::now();
        let probe = std::panic::AssertUnwindSafe((check.probe)()).catch_unwind();
        let reason = match tokio::time::timeout(PROBE, probe).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(reason))) => Some(reason),
            Ok(Err(_panic)) => Some("the probe panicked".to_owned()),
            Err(_elapsed) => Some(format!("no answer within {} s", PROBE.as_secs())),
        };
        let status = match (&reason, check.effect) {
            (None, _) => Status::Ok,
            (Some(_), Effect::Degrades) => Status::Degraded,
            (Some(_), Effect::Required) => Status::Failing,
        };
        let up = if status == Status::Ok { 1.0 } else { 0.0 };
        metrics::gauge!("meydan_health_check", "check" => check.name).set(up);
        State {
            check: check.name,
            status,
            ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            since: self.since(check.name, status, reason.as_deref()),
            reason,
        }
    }

    fn since(&self, name: &'static str, status: Status, reason: Option<&str>) -> Timestamp {
        let mut since = self
            .inner
            .since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match since.get(name) {
            Some((before, at)) if *before == status => return *at,
            Some(_) if status == Status::Ok => {
                tracing::info!(check = name, "dependency works again");
            }
            Some(_) | None => {}
        }
        if let Some(reason) = reason {
            tracing::warn!(check = name, reason, "dependency does not work");
        }
        let now = self.inner.clock.now();
        since.insert(name, (status, now));
        now
    }
}
