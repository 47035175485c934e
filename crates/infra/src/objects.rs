//! Files that the program keeps: exports, media.
//!
//! What every adapter promises:
//! 1. An object is there whole or not at all, also after a crash in the middle of writing it.
//! 2. Writing a key again replaces its object; who reads the old one meanwhile reads it to its end.
//! 3. Removing what is not there is no error.
//! 4. Keys and sizes are bounded, the same for all.
//! 5. Of what is streamed in or out a few pieces are in memory, never the whole (memory itself
//!    excepted).

mod disk;
mod memory;
pub mod s3;

use std::io;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use thiserror::Error;

pub use disk::DiskObjects;
pub use memory::MemoryObjects;
pub use s3::S3Objects;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// The largest object that is handed over in one piece.
pub const MAX_OBJECT_BYTES: usize = 256 * 1024 * 1024;
/// Most keys of one list.
pub const MAX_LISTED: usize = 10_000;

/// Keeps objects by key. Keys are like paths: parts of `a-z`, `0-9`, `_`, `-` and inner dots,
/// separated by slashes.
#[async_trait]
pub trait Objects: Send + Sync + 'static {
    /// Stores an object, replacing what was there.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;

    /// Stores an object whose content comes piece by piece, replacing what was there; returns its
    /// size. Nothing is stored when `content` fails or is longer than [`About::max_bytes`].
    async fn put_stream(
        &self,
        key: &str,
        about: &About,
        content: Pieces,
    ) -> Result<u64, ObjectError>;

    /// The object, to be read piece by piece.
    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError>;

    /// A part of the object, cut at its end. Whoever asks knows the size: a range that is empty or
    /// begins at the end or beyond it is an error.
    async fn open_range(&self, key: &str, range: Range<u64>)
    -> Result<Option<Object>, ObjectError>;

    /// An address at which anybody can read the object for a while; none where the store serves
    /// nobody but us. Whether there is such an object is not looked at.
    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError>;

    /// Removes the object if there is one.
    async fn remove(&self, key: &str) -> Result<(), ObjectError>;

    /// The keys that begin with `folder` and a slash, in order; at most [`MAX_LISTED`].
    async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError>;
}

/// Content that comes piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// What is said of an object whose content comes piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// More is refused.
    pub max_bytes: u64,
    /// `Content-Type` for readers of a presigned address.
    pub content_type: String,
    /// `Content-Disposition` for them.
    pub disposition: String,
}

/// An object, or a part of one, that is being read.
pub struct Object {
    /// The size of what is read.
    pub size_bytes: u64,
    /// Its content.
    pub body: Pieces,
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
    /// The object is larger than it may be.
    #[error("store an object of more than {limit} bytes")]
    TooLarge {
        /// How large it may be.
        limit: u64,
    },
    /// There is nothing in this range.
    #[error("read bytes {0:?} of an object")]
    OutOfRange(Range<u64>),
    /// The content that was to be stored broke off.
    #[error("read what is to be stored")]
    Content(#[source] io::Error),
    /// The store is full.
    #[error("store an object where there is no room")]
    Full,
    /// The disk or the server behind it failed.
    #[error("reach the object store")]
    Io(#[from] io::Error),
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
        let limit = MAX_OBJECT_BYTES.try_into().unwrap_or(u64::MAX);
        return Err(ObjectError::TooLarge { limit });
    }
    Ok(())
}

/// Checks a range at the border of every adapter.
pub fn check_range(range: &Range<u64>) -> Result<(), ObjectError> {
    if range.is_empty() {
        return Err(ObjectError::OutOfRange(range.clone()));
    }
    Ok(())
}

/// Takes the next piece of what is to be stored and counts it into `taken`.
async fn next_piece(
    content: &mut Pieces,
    taken: &mut u64,
    limit: u64,
) -> Result<Option<Bytes>, ObjectError> {
    let Some(piece) = content.next().await else {
        return Ok(None);
    };
    let piece = piece.map_err(ObjectError::Content)?;
    *taken = taken.saturating_add(piece.len().try_into().unwrap_or(u64::MAX));
    if *taken > limit {
        return Err(ObjectError::TooLarge { limit });
    }
    Ok(Some(piece))
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
