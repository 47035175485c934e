//! One suite per seam: every adapter passes the same one.
//!
//! A suite takes a function that makes a fresh adapter and fails with the first promise that is
//! broken. Suites wait for conditions with a deadline, so they hold for adapters behind a network.

mod bus;
mod cache;
mod fanout;
mod limiter;
mod objects;
mod senders;

use std::time::Duration;

use anyhow::Context as _;

pub use bus::bus;
pub use cache::cache;
pub use fanout::fanout;
pub use limiter::limiter;
pub use objects::objects;
pub use senders::{mail, sms};

/// How long a suite waits for anything before it calls it lost.
const DEADLINE: Duration = Duration::from_secs(10);

/// Waits for the future, at most for the deadline.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(DEADLINE, future)
        .await
        .with_context(|| format!("no {what} in time"))
}
