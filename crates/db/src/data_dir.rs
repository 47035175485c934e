//! The data directory of a node: its folders and its one owner.
//!
//! `pg/` cluster · `objects/` · `search/` · `secrets/` · `run/` lock, node.json, socket ·
//! `backups/` · `wal/`. Everything is private to the owner (0700).

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FOLDERS: [&str; 6] = ["objects", "search", "secrets", "run", "backups", "wal"];

/// A data directory that is ours for as long as this value lives.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    // Released by the kernel with the file, also when we are killed.
    _lock: File,
}

/// What other processes on this machine may know about the owner: `run/node.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The owner.
    pub pid: u32,
    /// The folder of the private PostgreSQL's socket, if it runs one.
    pub socket: Option<PathBuf>,
    /// Its version.
    pub version: String,
}

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process owns it. Exit code 5.
    #[error("data directory {} is in use by {holder}", root.display())]
    Locked {
        /// The directory.
        root: PathBuf,
        /// `process 4121 (meydan)`.
        holder: String,
    },
    /// It holds something, and nothing of ours. Exit code 4.
    #[error("{} holds files that are not Meydan's; name an empty or absent directory", root.display())]
    Foreign {
        /// The directory.
        root: PathBuf,
    },
    /// A file operation failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::Io {
        doing,
        path,
        source,
    }
}

impl DataDir {
    /// Takes the directory, making it if need be.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        // Before anything is touched: making somebody's directory private would lock others out.
        refuse_foreign(path)?;
        make_private(path)?;
        let root = path.canonicalize().map_err(io("resolve", path))?;
        for folder in FOLDERS {
            make_private(&root.join(folder))?;
        }
        let path = root.join("run/lock");
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::Locked {
                    holder: holder_of(&mut lock),
                    root,
                });
            }
            Err(TryLockError::Error(error)) => return Err(io("lock", &path)(error)),
        }
        lock.set_len(0).map_err(io("write", &path))?;
        lock.write_all(std::process::id().to_string().as_bytes())
            .map_err(io("write", &path))?;
        Ok(DataDir { root, _lock: lock })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Writes `run/node.json`, at once or not at all.
    pub fn write_node(&self, node: &Node) -> Result<(), DataDirError> {
        let path = self.root.join("run/node.json");
        let text = serde_json::to_vec_pretty(node)
            .map_err(|error| io("write", &path)(std::io::Error::other(error)))?;
        write_private(&path, &text)
    }

    /// What the owner of a directory says about itself; none when nobody ever owned it.
    pub fn read_node(path: &Path) -> Result<Option<Node>, DataDirError> {
        let path = path.join("run/node.json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| io("read", &path)(std::io::Error::other(error))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io("read", &path)(error)),
        }
    }
}

/// Writes a file that only we may read, by way of a second one.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), DataDirError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    // Left by a run that was killed here; `create_new` must not fail on it.
    let _stale = fs::remove_file(&draft);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(io("create", &draft))?;
    file.write_all(content).map_err(io("write", &draft))?;
    file.sync_all().map_err(io("sync", &draft))?;
    fs::rename(&draft, path).map_err(io("rename to", path))
}

/// A directory with content is ours when one of our folders is in it.
fn refuse_foreign(path: &Path) -> Result<(), DataDirError> {
    let mut entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look into", path)(error)),
    };
    let is_empty = entries.next().is_none();
    let is_ours = FOLDERS.iter().any(|folder| path.join(folder).is_dir());
    if is_empty || is_ours {
        return Ok(());
    }
    Err(DataDirError::Foreign {
        root: path.to_owned(),
    })
}

fn make_private(path: &Path) -> Result<(), DataDirError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(io("make", path))?;
    let mode = fs::metadata(path)
        .map_err(io("look at", path))?
        .permissions()
        .mode();
    if mode & 0o066 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(io("make private", path))?;
    }
    Ok(())
}

fn holder_of(lock: &mut File) -> String {
    let mut pid = String::new();
    let read = lock
        .rewind()
        .and_then(|()| lock.take(20).read_to_string(&mut pid));
    if read.is_err() || pid.is_empty() {
        return "another process".to_owned();
    }
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim()),
        Err(_unknown) => format!("process {pid}"),
    }
}
