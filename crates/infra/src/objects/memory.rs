use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;

use super::{MAX_LISTED, Object, ObjectError, Objects, check_key, check_size};

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
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        check_key(key)?;
        check_size(&bytes)?;
        let mut objects = self.objects();
        let others = objects.iter().filter(|(other, _)| *other != key);
        let held: usize = others.map(|(_, bytes)| bytes.len()).sum();
        if held.saturating_add(bytes.len()) > self.max_bytes {
            return Err(ObjectError::Full);
        }
        objects.insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        Ok(self.objects().get(key).map(|bytes| Object {
            size_bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            body: stream::iter([Ok(bytes.clone())]).boxed(),
        }))
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
