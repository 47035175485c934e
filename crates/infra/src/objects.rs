//! Files that the program keeps: exports now, media later.
//!
//! What every adapter promises:
//! 1. An object is there whole or not at all, also after a crash in the middle of writing it.
//! 2. Writing a key again replaces its object; who reads the old one meanwhile reads it to its end.
//! 3. Removing what is not there is no error.
//! 4. Keys and sizes are bounded, the same for all.

mod disk;
mod memory;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;

pub use disk::DiskObjects;
pub use memory::MemoryObjects;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// The largest object.
pub const MAX_OBJECT_BYTES: usize = 256 * 1024 * 1024;
/// Most keys of one list.
pub const MAX_LISTED: usize = 10_000;

/// Keeps objects by key. Keys are like paths: parts of `a-z`, `0-9`, `_`, `-` and inner dots,
/// separated by slashes.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// Stores an object, replacing what was there.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// The object, to be read piece by piece.
    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError>;

    /// Removes the object if there is one.
    async fn remove(&self, key: &str) -> Result<(), ObjectError>;

    /// The keys that begin with `folder` and a slash, in order; at most [`MAX_LISTED`].
    async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError>;
}

/// An object that is being read.
pub struct Object {
    /// Its size.
    pub size_bytes: u64,
    /// Its content.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object")
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// The key breaks the rules of keys.
    #[error("use the object key {0:?}")]
    BadKey(String),
    /// The object is larger than [`MAX_OBJECT_BYTES`].
    #[error("store an object of {bytes} bytes, above {MAX_OBJECT_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The store is full.
    #[error("store an object where there is no room")]
    Full,
    /// The disk or the server behind it failed.
    #[error("reach the object store")]
    Io(#[from] std::io::Error),
}

/// Checks a key, or a folder, at the border of every adapter.
pub fn check_key(key: &str) -> Result<(), ObjectError> {
    let part_ok = |part: &str| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part.bytes().all(plain)
    };
    if key.len() <= MAX_KEY_BYTES && key.split('/').all(part_ok) {
        Ok(())
    } else {
        Err(ObjectError::BadKey(key.chars().take(64).collect()))
    }
}

/// Checks an object at the border of every adapter.
pub fn check_size(bytes: &Bytes) -> Result<(), ObjectError> {
    if bytes.len() > MAX_OBJECT_BYTES {
        return Err(ObjectError::TooLarge { bytes: bytes.len() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_their_folder() {
        let long = "a".repeat(MAX_KEY_BYTES);
        for good in ["a", "exports/12.zip", "a/b-c/d_e.f", &long] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        let longer = "a".repeat(MAX_KEY_BYTES + 1);
        for bad in [
            "", "/", "/a", "a/", "a//b", "..", "a/../b", ".tmp/x", "a/.", "A", "a b", "a\\b",
            "a\0", "ş", &longer,
        ] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }
}
