use std::time::Duration;

use bytes::Bytes;
use infra::cache::{Cache, LocalCache};
use jiff::Timestamp;
use kernel::ManualClock;

const TTL: Duration = Duration::from_secs(60);

#[tokio::test]
async fn local_cache_passes_the_suite() -> anyhow::Result<()> {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    testkit::conformance::cache(
        async || Ok(LocalCache::new(clock.clone(), 100)),
        async |time| clock.advance(time),
    )
    .await
}

#[tokio::test]
async fn a_value_is_gone_at_its_last_moment_and_not_before() {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let cache = LocalCache::new(clock.clone(), 100);
    cache.put("a", Bytes::from_static(b"1"), TTL).await.unwrap();
    clock.advance(TTL - Duration::from_micros(1));
    assert!(cache.get("a").await.unwrap().is_some());
    clock.advance(Duration::from_micros(1));
    assert!(cache.get("a").await.unwrap().is_none());
}

#[tokio::test]
async fn the_longest_time_is_no_overflow() {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let cache = LocalCache::new(clock.clone(), 100);
    cache
        .put("a", Bytes::from_static(b"1"), Duration::MAX)
        .await
        .unwrap();
    clock.advance(Duration::from_secs(100 * 365 * 86_400));
    assert!(cache.get("a").await.unwrap().is_some());
}

#[tokio::test]
async fn the_least_recently_used_entry_goes_above_the_bound() {
    let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
    let cache = LocalCache::new(clock, 3);
    for key in ["a", "b", "c"] {
        cache.put(key, Bytes::from_static(b"1"), TTL).await.unwrap();
    }
    assert_eq!(cache.entry_count(), 3);
    assert!(cache.get("a").await.unwrap().is_some());
    assert_eq!(cache.entry_count(), 3);
    assert!(
        cache
            .put_new("d", Bytes::from_static(b"1"), TTL)
            .await
            .unwrap()
    );
    assert_eq!(cache.entry_count(), 3);
    assert!(
        cache.get("b").await.unwrap().is_none(),
        "the wrong one went"
    );
    for key in ["a", "c", "d"] {
        assert!(cache.get(key).await.unwrap().is_some(), "{key} went too");
    }
}
