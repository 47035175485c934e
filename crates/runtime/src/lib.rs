//! What keeps a Meydan process running: supervised tasks, shutdown, bounded blocking work, retries,
//! periodic jobs, health, logs and metrics.
//!
//! Invariants:
//! 1. Every task and worker thread starts here, has a name, is tracked until it ends, and its panic
//!    is counted in `meydan_tasks_panicked_total` and logged once, by the hook of [`telemetry`].
//! 2. There are two tokens. *Soft* means: finish and take no more work. *Hard* means: leave now.
//!    Hard implies soft. They are passed in a [`Lifecycle`], never global.
//! 3. Shutdown ends: after the deadline the hard token is cancelled, and a task that ignores even
//!    that is named in the log and left behind.
//! 4. Blocking work has a fixed number of threads and a bounded queue; above it the answer is
//!    [`Busy`] at once, never a longer wait.
//! 5. `/readyz` says "draining" from the moment the soft token is cancelled.
//! 6. Secrets, tokens, bodies, phone numbers and addresses are no log fields; metric labels are
//!    bounded sets, never ids.
//!
//! No HTTP and no SQL here. Events in and out: none.
//!
//! Begin with [`Lifecycle`], then [`Module`], which is what a context hands to the composition.

#![warn(missing_docs)]

mod blocking;
pub mod disk;
pub mod health;
pub mod jobs;
mod lifecycle;
mod logs;
mod metrics;
mod module;
mod retry;
mod signals;
mod supervisor;
pub mod telemetry;

pub use blocking::{Blocking, Busy};
pub use lifecycle::{Drain, Lifecycle};
pub use metrics::{METRICS, Metric, MetricKind};
pub use module::{Check, Consumer, Effect, Job, JobFn, Module, ProbeFn};
pub use retry::{Backoff, retry};
pub use signals::signals;
pub use supervisor::{spawn, spawn_local, worker};
