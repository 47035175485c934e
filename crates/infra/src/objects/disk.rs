use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use tokio::fs;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use super::{
    About, MAX_LISTED, Object, ObjectError, Objects, Pieces, check_key, check_range, check_size,
    next_piece,
};

/// Read at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Where objects are written before they get their name. No key can name it.
const UNFINISHED: &str = ".unfinished";

/// How often a folder is made again that vanishes while an object moves into it.
const NAME_TRIES: u32 = 16;

/// Objects as files under one directory.
///
/// An object is written under another name, brought to the disk, and renamed. The directory is
/// made at the first use. Several processes of one computer may share it.
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

    /// Removes what killed processes left half written: unfinished objects to which nothing was
    /// added since `before`. Returns how many.
    pub async fn clear_unfinished(&self, before: Timestamp) -> io::Result<usize> {
        let mut entries = match fs::read_dir(self.root.join(UNFINISHED)).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut removed = 0;
        while let Some(entry) = entries.next_entry().await? {
            let written = entry.metadata().await?.modified()?;
            if Timestamp::try_from(written).is_ok_and(|written| written < before) {
                fs::remove_file(entry.path()).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn unfinished(&self) -> PathBuf {
        let number = self.count.fetch_add(1, Relaxed);
        let name = format!("{}-{number}", std::process::id());
        self.root.join(UNFINISHED).join(name)
    }

    /// Writes the content to the disk and gives it its name.
    async fn write(&self, key: &str, limit: u64, content: &mut Pieces) -> Result<u64, ObjectError> {
        let (draft, path) = (self.unfinished(), self.root.join(key));
        make_folder(draft.parent().unwrap_or(&self.root)).await?;
        let mut guard = Draft(Some(draft.clone()));
        let taken = write_whole(&draft, limit, content).await?;
        self.give_name(&draft, &path).await?;
        guard.0 = None;
        Ok(taken)
    }

    async fn give_name(&self, draft: &Path, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        let mut tries = NAME_TRIES;
        loop {
            make_folder(folder).await?;
            let named = async {
                fs::rename(draft, path).await?;
                fs::File::open(folder).await?.sync_all().await
            };
            match named.await {
                // Its last other object was removed meanwhile, and the folder with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries > 0 => tries -= 1,
                done => return done,
            }
        }
    }

    /// Removes the folders that a removed object leaves empty. Those that are not stay: the system
    /// refuses.
    async fn remove_empty(&self, path: &Path) {
        let folders = path.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != self.root) {
            if fs::remove_dir(folder).await.is_err() {
                return;
            }
        }
    }
}

/// What is left of a write that failed or was given up; it has no name and goes.
struct Draft(Option<PathBuf>);

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // One unlinked file is no work for a thread of its own. What stays goes at the next
            // start.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn write_whole(draft: &Path, limit: u64, content: &mut Pieces) -> Result<u64, ObjectError> {
    let mut file = fs::File::create(draft).await.map_err(full)?;
    let mut taken = 0;
    while let Some(piece) = next_piece(content, &mut taken, limit).await? {
        file.write_all(&piece).await.map_err(full)?;
    }
    file.sync_all().await.map_err(full)?;
    Ok(taken)
}

fn full(error: io::Error) -> ObjectError {
    match error.kind() {
        io::ErrorKind::StorageFull => ObjectError::Full,
        _ => error.into(),
    }
}

async fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).await
}

/// Opens a file; none when there is no such object.
async fn open_file(path: &Path) -> io::Result<Option<(fs::File, u64)>> {
    let file = match fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata().await?;
    Ok(about.is_file().then_some((file, about.len())))
}

fn pieces(source: impl AsyncRead + Unpin + Send + 'static) -> Pieces {
    let pieces = stream::unfold(Some(source), |source| async {
        let mut source = source?;
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        match source.read_buf(&mut piece).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(piece.freeze()), Some(source))),
            Err(error) => Some((Err(error), None)),
        }
    });
    pieces.boxed()
}

#[async_trait]
impl Objects for DiskObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        check_key(key)?;
        check_size(&bytes)?;
        let mut content = stream::iter([Ok(bytes)]).boxed();
        self.write(key, u64::MAX, &mut content).await?;
        Ok(())
    }

    async fn put_stream(
        &self,
        key: &str,
        about: &About,
        mut content: Pieces,
    ) -> Result<u64, ObjectError> {
        check_key(key)?;
        self.write(key, about.max_bytes, &mut content).await
    }

    async fn open(&self, key: &str) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        let found = open_file(&self.root.join(key)).await?;
        Ok(found.map(|(file, size_bytes)| Object {
            size_bytes,
            body: pieces(file),
        }))
    }

    async fn open_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Option<Object>, ObjectError> {
        check_key(key)?;
        check_range(&range)?;
        let Some((mut file, size)) = open_file(&self.root.join(key)).await? else {
            return Ok(None);
        };
        let size_bytes = range.end.min(size).saturating_sub(range.start);
        if size_bytes == 0 {
            return Err(ObjectError::OutOfRange(range));
        }
        file.seek(io::SeekFrom::Start(range.start)).await?;
        Ok(Some(Object {
            size_bytes,
            body: pieces(file.take(size_bytes)),
        }))
    }

    async fn presign(&self, key: &str, _valid: Duration) -> Result<Option<String>, ObjectError> {
        check_key(key)?;
        Ok(None)
    }

    async fn remove(&self, key: &str) -> Result<(), ObjectError> {
        check_key(key)?;
        let path = self.root.join(key);
        match fs::remove_file(&path).await {
            Ok(()) => {
                self.remove_empty(&path).await;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
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
