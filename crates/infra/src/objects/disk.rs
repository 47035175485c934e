use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream;
use tokio::fs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{MAX_LISTED, Object, ObjectError, Objects, check_key, check_size};

/// Read at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Where objects are written before they get their name. No key can name it.
const UNFINISHED: &str = ".unfinished";

/// Objects as files under one directory, which belongs to one process.
///
/// An object is written under another name, brought to the disk, and renamed. The directory is
/// made at the first use.
pub struct DiskObjects {
    root: PathBuf,
    /// Names of unfinished objects of this process.
    count: AtomicU64,
}

impl DiskObjects {
    /// A store under `root`.
    pub fn new(root: impl Into<PathBuf>) -> Arc<Self> {
        Arc::new(DiskObjects {
            root: root.into(),
            count: AtomicU64::new(0),
        })
    }

    fn unfinished(&self) -> PathBuf {
        let number = self.count.fetch_add(1, Relaxed);
        let name = format!("{}-{number}", std::process::id());
        self.root.join(UNFINISHED).join(name)
    }

    /// Writes the bytes to the disk and gives them their name.
    async fn write(&self, draft: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = fs::File::create(draft).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        drop(file);
        fs::rename(draft, path).await?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::File::open(folder).await?.sync_all().await
    }
}

async fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).await
}

#[async_trait]
impl Objects for DiskObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        check_key(key)?;
        check_size(&bytes)?;
        let (draft, path) = (self.unfinished(), self.root.join(key));
        for folder in [draft.parent(), path.parent()].into_iter().flatten() {
            make_folder(folder).await?;
        }
        let written = self.write(&draft, &path, &bytes).await;
        if let Err(error) = written {
            // What is left of it has no name; it goes now, or with the next process.
            let _ = fs::remove_file(&draft).await;
            return Err(match error.kind() {
                io::ErrorKind::StorageFull => ObjectError::Full,
                _ => error.into(),
            });
        }
        Ok(())
    }

    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        let file = match fs::File::open(self.root.join(key)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let about = file.metadata().await?;
        if !about.is_file() {
            return Ok(None);
        }
        let pieces = stream::unfold(Some(file), |file| async {
            let mut file = file?;
            let mut piece = BytesMut::with_capacity(PIECE_BYTES);
            match file.read_buf(&mut piece).await {
                Ok(0) => None,
                Ok(_) => Some((Ok(piece.freeze()), Some(file))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Some(Object {
            size_bytes: about.len(),
            body: pieces.boxed(),
        }))
    }

    async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        match fs::remove_file(self.root.join(key)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn list(&self, folder: &str) -> Result<Vec<String>, ObjectError> {
        check_key(folder)?;
        let mut keys = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let mut entries = match fs::read_dir(self.root.join(&folder)).await {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            while let Some(entry) = entries.next_entry().await? {
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                    continue;
                };
                let key = format!("{folder}/{name}");
                if entry.file_type().await?.is_dir() {
                    folders.push(key);
                } else {
                    keys.push(key);
                }
            }
        }
        keys.sort_unstable();
        keys.truncate(MAX_LISTED);
        Ok(keys)
    }
}
