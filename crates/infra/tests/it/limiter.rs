use std::time::Duration;

use infra::limiter::{DEFAULT_MAX_KEYS, LocalLimiter};
use jiff::Timestamp;
use kernel::{Limiter, ManualClock, Rule};

const RULE: Rule = Rule::new("test", 1, Duration::from_secs(60));

#[tokio::test]
async fn local_limiter_passes_the_suite() -> anyhow::Result<()> {
    let clock = ManualClock::new("2026-11-20T07:00:00Z".parse()?);
    testkit::conformance::limiter(
        async || Ok(LocalLimiter::new(clock.clone(), DEFAULT_MAX_KEYS)),
        // The manual clock counts microseconds; a wait in nanoseconds is rounded up.
        async |time| clock.advance(time + Duration::from_micros(1)),
    )
    .await
}

#[tokio::test]
async fn the_least_recently_used_bucket_goes_above_the_bound() {
    let limiter = LocalLimiter::new(ManualClock::new(Timestamp::UNIX_EPOCH), 3);
    for key in ["a", "b", "c"] {
        assert!(limiter.take(RULE, key, 1).await.allowed);
    }
    assert_eq!(limiter.bucket_count(), 3);
    assert!(!limiter.take(RULE, "a", 1).await.allowed);
    assert_eq!(limiter.bucket_count(), 3);
    assert!(limiter.take(RULE, "d", 1).await.allowed);
    assert_eq!(limiter.bucket_count(), 3);
    assert!(
        !limiter.take(RULE, "a", 1).await.allowed,
        "a used bucket was forgotten"
    );
    assert!(
        !limiter.take(RULE, "c", 1).await.allowed,
        "a used bucket was forgotten"
    );
    assert!(
        limiter.take(RULE, "b", 1).await.allowed,
        "the oldest was kept above the bound"
    );
}

#[tokio::test]
async fn a_rule_with_other_figures_starts_anew() {
    let limiter = LocalLimiter::new(ManualClock::new(Timestamp::UNIX_EPOCH), 10);
    assert!(limiter.take(RULE, "a", 1).await.allowed);
    let wider = Rule::new(RULE.name, 2, RULE.per);
    assert_eq!(limiter.take(wider, "a", 1).await.remaining, 1);
    let slower = Rule::new(RULE.name, 1, Duration::from_secs(61));
    assert!(limiter.take(slower, "a", 1).await.allowed);
    assert!(!limiter.take(RULE, "a", 1).await.allowed);
}
