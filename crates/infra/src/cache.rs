//! Short-lived values by key, shared by the nodes of a deployment.
//!
//! A cache may forget anything at any time; what must not be lost belongs in PostgreSQL. While it
//! remembers, `put_new` and `take` are atomic: of many callers exactly one gets `true`, exactly one
//! gets the value.

mod local;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

pub use local::LocalCache;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;
/// The largest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// Keeps values for a while.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The value, while it is there and its time has not run out.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, CacheError>;

    /// Stores the value for `ttl`, replacing what was there; a `ttl` of zero only removes.
    async fn put(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), CacheError>;

    /// Stores the value unless there is one, and says whether it did.
    async fn put_new(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, CacheError>;

    /// Removes the value and gives it to exactly one caller.
    async fn take(&self, key: &str) -> Result<Option<Bytes>, CacheError>;

    /// Removes the value if there is one.
    async fn remove(&self, key: &str) -> Result<(), CacheError>;
}

/// Why the cache could not do what was asked.
#[derive(Debug, Error)]
pub enum CacheError {
    /// The key is longer than [`MAX_KEY_BYTES`].
    #[error("use a cache key of {bytes} bytes, above {MAX_KEY_BYTES}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The value is larger than [`MAX_VALUE_BYTES`].
    #[error("cache a value of {bytes} bytes, above {MAX_VALUE_BYTES}")]
    ValueTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The server behind a networked adapter did not answer.
    #[error("reach the cache server")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Checks a key at the border of every adapter.
pub fn check_key(key: &str) -> Result<(), CacheError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(CacheError::KeyTooLong { bytes: key.len() });
    }
    Ok(())
}

/// Checks a value at the border of every adapter.
pub fn check_value(value: &Bytes) -> Result<(), CacheError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(CacheError::ValueTooLarge { bytes: value.len() });
    }
    Ok(())
}
