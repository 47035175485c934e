use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use kernel::SharedClock;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync;

use super::{Cache, CacheError, check_key, check_value};

/// The cache inside one process.
///
/// At most `max_entries` are kept; above it the least recently used go first, expired or not.
pub struct LocalCache {
    clock: SharedClock,
    entries: sync::Cache<Box<str>, Entry>,
}

#[derive(Clone)]
struct Entry {
    value: Bytes,
    /// The first moment at which it is gone. Kept here and not in moka, whose clock is the system's.
    gone_at: Timestamp,
}

impl LocalCache {
    /// Makes an empty cache. A bound of zero keeps nothing.
    pub fn new(clock: SharedClock, max_entries: u64) -> Arc<Self> {
        let entries = sync::Cache::builder()
            .max_capacity(max_entries)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Arc::new(Self { clock, entries })
    }

    /// How many entries are held, expired ones included, after pending evictions.
    pub fn entry_count(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }

    fn entry(&self, value: Bytes, ttl: Duration) -> Entry {
        let gone_at = self.clock.now().checked_add(ttl).unwrap_or(Timestamp::MAX);
        Entry { value, gone_at }
    }

    fn is_live(&self, entry: &Entry) -> bool {
        self.clock.now() < entry.gone_at
    }
}

#[async_trait]
impl Cache for LocalCache {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        check_key(key)?;
        Ok(self
            .entries
            .get(key)
            .filter(|entry| self.is_live(entry))
            .map(|entry| entry.value))
    }

    async fn put(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError> {
        check_key(key)?;
        check_value(&value)?;
        if ttl.is_zero() {
            self.entries.invalidate(key);
        } else {
            self.entries.insert(key.into(), self.entry(value, ttl));
        }
        Ok(())
    }

    async fn put_new(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, CacheError> {
        check_key(key)?;
        check_value(&value)?;
        let outcome = self
            .entries
            .entry(key.into())
            .and_compute_with(|present| match present {
                Some(present) if self.is_live(present.value()) => Op::Nop,
                _ => Op::Put(self.entry(value, ttl)),
            });
        Ok(matches!(
            outcome,
            CompResult::Inserted(_) | CompResult::ReplacedWith(_)
        ))
    }

    async fn take(&self, key: &str) -> Result<Option<Bytes>, CacheError> {
        check_key(key)?;
        Ok(self
            .entries
            .remove(key)
            .filter(|entry| self.is_live(entry))
            .map(|entry| entry.value))
    }

    async fn remove(&self, key: &str) -> Result<(), CacheError> {
        check_key(key)?;
        self.entries.invalidate(key);
        Ok(())
    }
}
