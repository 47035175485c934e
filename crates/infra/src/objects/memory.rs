use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream;

use super::{
    About, MAX_LISTED, Object, ObjectError, Objects, Pieces, check_key, check_range, check_size,
    next_piece,
};

/// Objects in the memory of one process, for commands that serve nobody and for tests.
pub struct MemoryObjects {
    max_bytes: usize,
    objects: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryObjects {
    /// An empty store of `max_bytes` in all; beyond it refuses.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(MemoryObjects {
            max_bytes,
            objects: Mutex::default(),
        })
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let mut objects = self.objects();
        let others = objects.iter().filter(|(other, _)| *other != key);
        let held: usize = others.map(|(_, bytes)| bytes.len()).sum();
        if held.saturating_add(bytes.len()) > self.max_bytes {
            return Err(ObjectError::Full);
        }
        objects.insert(key.to_owned(), bytes);
        Ok(())
    }
}

fn reading(bytes: Bytes) -> Object {
    Object {
        size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        body: stream::iter([Ok(bytes)]).boxed(),
    }
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        check_key(key)?;
        check_size(&bytes)?;
        self.keep(key, bytes)
    }

    async fn put_stream(
        &self,
        key: &str,
        about: &About,
        mut content: Pieces,
    ) -> Result<u64, ObjectError> {
        check_key(key)?;
        let (mut whole, mut taken) = (BytesMut::new(), 0);
        while let Some(piece) = next_piece(&mut content, &mut taken, about.max_bytes).await? {
            if whole.len().saturating_add(piece.len()) > self.max_bytes {
                return Err(ObjectError::Full);
            }
            whole.extend_from_slice(&piece);
        }
        self.keep(key, whole.freeze())?;
        Ok(taken)
    }

    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        Ok(self.objects().get(key).cloned().map(reading))
    }

    async fn open_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        check_range(&range)?;
        let Some(whole) = self.objects().get(key).cloned() else {
            return Ok(None);
        };
        let cut = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
        let (start, end) = (cut(range.start), cut(range.end));
        if start == end {
            return Err(ObjectError::OutOfRange(range));
        }
        Ok(Some(reading(whole.slice(start..end))))
    }

    async fn presign(&self, key: &str, _valid: Duration) -> Result<Option<String>, ObjectError> {
        check_key(key)?;
        Ok(None)
    }

    async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        self.objects().remove(key);
        Ok(())
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError> {
        check_key(folder)?;
        let prefix = format!("{folder}/");
        let objects = self.objects();
        let inside = objects.keys().filter(|key| key.starts_with(&prefix));
        Ok(inside.take(MAX_LISTED).cloned().collect())
    }
}
