//! Rate limits inside one process, behind [`kernel::Limiter`].
//!
//! A bucket of (rule, key) starts full. The state is one number, the time at which the bucket will
//! be full again (the generic cell rate algorithm of ATM's traffic management), counted in
//! nanoseconds times the burst so that a third of a second stays exact.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kernel::limit::{Limiting, Rule, Verdict};
use kernel::{Limiter, SharedClock};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// How many buckets a node keeps unless told otherwise.
pub const DEFAULT_MAX_KEYS: u64 = 100_000;

/// Counts acts per key in this process.
///
/// At most `max_keys` buckets are kept; above it the least recently used are forgotten, that is,
/// full again. What must hold against an attacker with that many keys is counted in PostgreSQL.
pub struct LocalLimiter {
    clock: SharedClock,
    buckets: Cache<BucketKey, Arc<Mutex<Bucket>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct BucketKey {
    // The whole rule, so that a rule whose figures change starts with new buckets.
    name: &'static str,
    burst: u32,
    per: Duration,
    key: Box<str>,
}

impl LocalLimiter {
    /// Makes a limiter whose buckets are all full.
    pub fn new(clock: SharedClock, max_keys: u64) -> Arc<Self> {
        let buckets = Cache::builder()
            .max_capacity(max_keys)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Arc::new(Self { clock, buckets })
    }

    /// How many buckets are held after pending evictions.
    pub fn bucket_count(&self) -> u64 {
        self.buckets.run_pending_tasks();
        self.buckets.entry_count()
    }

    fn decide(&self, rule: Rule, key: &str, cost: u32) -> Verdict {
        let key = BucketKey {
            name: rule.name,
            burst: rule.burst,
            per: rule.per,
            key: key.into(),
        };
        let bucket = self.buckets.get_with(key, Arc::default);
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(rule, cost, self.clock.now().as_nanosecond())
    }
}

impl Limiter for LocalLimiter {
    fn take<'a>(&'a self, rule: Rule, key: &'a str, cost: u32) -> Limiting<'a> {
        Box::pin(async move { self.decide(rule, key, cost) })
    }
}

#[derive(Debug, Default)]
struct Bucket {
    /// When it is full again, in nanoseconds since the Unix epoch times the rule's burst.
    full_at: Option<i128>,
}

impl Bucket {
    /// Takes `cost`, or nothing when it is not there. A cost of 0 asks whether 1 could be taken.
    fn take(&mut self, rule: Rule, cost: u32, now_ns: i128) -> Verdict {
        let burst = i128::from(rule.burst);
        // One act, in the bucket's unit. Rules longer than 584 years end there.
        let act = i128::from(u64::try_from(rule.per.as_nanos()).unwrap_or(u64::MAX));
        if burst == 0 || act == 0 {
            return without_bucket(rule);
        }
        let size = burst * act;
        let now = now_ns * burst;
        // A clock that stepped back must not leave more than an empty bucket.
        let used = self
            .full_at
            .map_or(0, |full_at| (full_at - now).clamp(0, size));
        let wanted = used + i128::from(cost.max(1)) * act;
        let allowed = wanted <= size;
        let used = if allowed && cost > 0 { wanted } else { used };
        self.full_at = Some(now + used);
        let missing = if allowed { 0 } else { wanted - size };
        Verdict {
            allowed,
            remaining: u32::try_from((size - used) / act).unwrap_or(u32::MAX),
            reset_after: duration(used, burst),
            retry_after: duration(missing, burst),
        }
    }
}

/// A rule of nothing never allows; one that refills in no time always does.
fn without_bucket(rule: Rule) -> Verdict {
    let allowed = rule.burst > 0;
    let wait = if allowed { Duration::ZERO } else { rule.per };
    Verdict {
        allowed,
        remaining: rule.burst,
        reset_after: wait,
        retry_after: wait,
    }
}

/// Rounds up: a caller that comes back after it must be let in.
fn duration(units: i128, burst: i128) -> Duration {
    let ns = (units + burst - 1) / burst;
    Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_NS: i128 = 1_000_000_000;
    const THREE_A_SECOND: Rule = Rule::new("test", 3, Duration::from_secs(1));

    #[test]
    fn burst_passes_and_the_next_waits_for_one_third() {
        let mut bucket = Bucket::default();
        for remaining in [2, 1, 0] {
            let verdict = bucket.take(THREE_A_SECOND, 1, 0);
            assert_eq!((verdict.allowed, verdict.remaining), (true, remaining));
            assert_eq!(verdict.retry_after, Duration::ZERO);
        }
        let refused = bucket.take(THREE_A_SECOND, 1, 0);
        assert!(!refused.allowed);
        assert_eq!(refused.reset_after, Duration::from_secs(1));
        assert_eq!(refused.retry_after, Duration::from_nanos(333_333_334));
        assert!(!bucket.take(THREE_A_SECOND, 1, 333_333_333).allowed);
        assert!(bucket.take(THREE_A_SECOND, 1, 333_333_334).allowed);
    }

    #[test]
    fn a_look_takes_nothing_and_tells_whether_one_would_pass() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(THREE_A_SECOND, 0, 0).remaining, 3);
        bucket.take(THREE_A_SECOND, 3, 0);
        let look = bucket.take(THREE_A_SECOND, 0, 0);
        assert_eq!((look.allowed, look.remaining), (false, 0));
        assert_eq!(bucket.take(THREE_A_SECOND, 0, SECOND_NS / 2).remaining, 1);
    }

    #[test]
    fn a_refused_cost_takes_nothing() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(THREE_A_SECOND, 2, 0).allowed);
        let refused = bucket.take(THREE_A_SECOND, 2, 0);
        assert_eq!((refused.allowed, refused.remaining), (false, 1));
        assert!(bucket.take(THREE_A_SECOND, 1, 0).allowed);
    }

    #[test]
    fn a_cost_above_the_burst_never_passes() {
        let mut bucket = Bucket::default();
        assert!(!bucket.take(THREE_A_SECOND, 4, 0).allowed);
        assert!(!bucket.take(THREE_A_SECOND, 4, 1_000 * SECOND_NS).allowed);
        assert!(!bucket.take(THREE_A_SECOND, u32::MAX, 0).allowed);
    }

    #[test]
    fn a_clock_that_steps_back_empties_at_most_once() {
        let mut bucket = Bucket::default();
        bucket.take(THREE_A_SECOND, 1, 1_000 * SECOND_NS);
        let verdict = bucket.take(THREE_A_SECOND, 1, 0);
        assert!(!verdict.allowed);
        assert_eq!(verdict.reset_after, Duration::from_secs(1));
        assert_eq!(bucket.take(THREE_A_SECOND, 0, SECOND_NS).remaining, 3);
    }

    #[test]
    fn degenerate_rules_have_an_answer() {
        let nothing = Rule::new("nothing", 0, Duration::from_secs(5));
        let verdict = Bucket::default().take(nothing, 1, 0);
        assert_eq!(
            (verdict.allowed, verdict.retry_after),
            (false, Duration::from_secs(5))
        );
        let always = Rule::new("always", 2, Duration::ZERO);
        let verdict = Bucket::default().take(always, 9, 0);
        assert_eq!((verdict.allowed, verdict.remaining), (true, 2));
        let eternal = Rule::new("eternal", u32::MAX, Duration::MAX);
        assert!(
            Bucket::default()
                .take(eternal, u32::MAX, i128::from(i64::MAX))
                .allowed
        );
    }

    proptest! {
        /// Over any span the bucket lets through at most the burst plus what flowed in.
        #[test]
        fn never_more_than_burst_plus_refill(
            burst in 1u32..20,
            per_ms in 1u64..5_000,
            steps in prop::collection::vec((0u32..400, 1u32..4), 1..200),
        ) {
            let rule = Rule::new("test", burst, Duration::from_millis(per_ms));
            let mut bucket = Bucket::default();
            let (mut now_ms, mut passed) = (0u64, 0u64);
            for (wait_ms, cost) in steps {
                now_ms += u64::from(wait_ms);
                let now_ns = i128::from(now_ms) * 1_000_000;
                let verdict = bucket.take(rule, cost, now_ns);
                if verdict.allowed {
                    passed += u64::from(cost);
                } else if cost <= burst {
                    let later = now_ns + i128::try_from(verdict.retry_after.as_nanos()).unwrap();
                    let mut copy = Bucket { full_at: bucket.full_at };
                    prop_assert!(!copy.take(rule, cost, later - 1).allowed);
                    prop_assert!(copy.take(rule, cost, later).allowed);
                }
                prop_assert!(passed <= u64::from(burst) + now_ms * u64::from(burst) / per_ms);
            }
        }
    }
}
