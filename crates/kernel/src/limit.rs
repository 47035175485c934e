//! Rate limits as a seam: rules here, adapters in `infra`.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// How much of something a key may do: `burst` at once, refilled evenly over `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Stable name; labels metrics and keys.
    pub name: &'static str,
    /// How many in a row.
    pub burst: u32,
    /// The time in which an empty bucket is full again.
    pub per: Duration,
}

impl Rule {
    /// `burst` in `per`.
    pub const fn new(name: &'static str, burst: u32, per: Duration) -> Self {
        Rule { name, burst, per }
    }
}

/// The answer of a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the act may go on.
    pub allowed: bool,
    /// How many more may follow at once.
    pub remaining: u32,
    /// Until the bucket is full again.
    pub reset_after: Duration,
    /// Until the next one is allowed; zero when `allowed`.
    pub retry_after: Duration,
}

/// The future a [`Limiter`] gives back.
pub type Limiting<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// Counts acts per key. Never fails: an adapter whose store is away counts in process.
pub trait Limiter: Send + Sync + 'static {
    /// Takes `cost` (0 = only look) from the bucket of (`rule`, `key`).
    fn take<'a>(&'a self, rule: Rule, key: &'a str, cost: u32) -> Limiting<'a>;
}
