//! Free space of a disk: when it runs low, writes stop before PostgreSQL does.
//!
//! PostgreSQL panics when it cannot write its log, and everybody's reads go with it. So the
//! process looks at the disk itself, refuses to write a little earlier, and goes on reading.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

use crate::module::Check;

/// The disk is looked at no more often than this, however many ask.
const PAUSE_MS: u64 = 1_000;
const MIB: u64 = 1024 * 1024;

/// Tells how many bytes are free.
pub type Reader = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// Watches the space of one disk against a lower bound.
pub struct Space {
    read: Reader,
    min_free: u64,
    begun: Instant,
    /// When the next look is due, in milliseconds since `begun`.
    due_ms: AtomicU64,
    free: AtomicU64,
    low: AtomicBool,
    unreadable: AtomicBool,
}

impl Space {
    /// Watches the disk that `folder` lies on; below `min_free` bytes it counts as full.
    ///
    /// # Errors
    ///
    /// When the space cannot be read now: the folder is absent or may not be looked at.
    pub fn of(folder: impl Into<PathBuf>, min_free: u64) -> io::Result<Arc<Self>> {
        let folder = folder.into();
        Self::by(Box::new(move || free_bytes(&folder)), min_free)
    }

    /// The same over another way to tell what is free.
    ///
    /// # Errors
    ///
    /// When the first reading fails.
    pub fn by(read: Reader, min_free: u64) -> io::Result<Arc<Self>> {
        let free = read()?;
        let space = Space {
            read,
            min_free,
            begun: Instant::now(),
            due_ms: AtomicU64::new(PAUSE_MS),
            free: AtomicU64::new(free),
            low: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
        };
        space.note(free);
        Ok(Arc::new(space))
    }

    /// Whether less than the bound is free. Looks at the disk at most once a second.
    ///
    /// While the disk cannot be read the last answer stays: unknown is not full.
    pub fn is_low(&self) -> bool {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due_ms = self.due_ms.load(SeqCst);
        let next_ms = now_ms.saturating_add(PAUSE_MS);
        // One of many callers looks; the others do not wait for it.
        let is_ours = || {
            self.due_ms
                .compare_exchange(due_ms, next_ms, SeqCst, SeqCst)
                .is_ok()
        };
        if now_ms >= due_ms && is_ours() {
            self.look();
        }
        self.low.load(SeqCst)
    }

    /// What [`Space::is_low`] says, for whoever refuses writes.
    pub fn guard(self: &Arc<Self>) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let space = Arc::clone(self);
        Arc::new(move || space.is_low())
    }

    /// The health check `storage`; reads go on, so it only degrades.
    pub fn check(self: &Arc<Self>) -> Check {
        let space = Arc::clone(self);
        Check::degrades("storage", move || std::future::ready(space.verdict()))
    }

    fn verdict(&self) -> Result<(), String> {
        let is_low = self.is_low();
        if self.unreadable.load(SeqCst) {
            return Err("the free space of the disk cannot be read".to_owned());
        }
        if is_low {
            let (free, least) = (self.free.load(SeqCst) / MIB, self.min_free / MIB);
            return Err(format!(
                "{free} MiB free, writes are refused below {least} MiB"
            ));
        }
        Ok(())
    }

    fn look(&self) {
        match (self.read)() {
            Ok(free) => {
                self.unreadable.store(false, SeqCst);
                self.note(free);
            }
            Err(error) => {
                if !self.unreadable.swap(true, SeqCst) {
                    tracing::warn!(error = %error, "the free space of the disk cannot be read");
                }
            }
        }
    }

    fn note(&self, free: u64) {
        self.free.store(free, SeqCst);
        let whole_mib = u32::try_from(free / MIB).unwrap_or(u32::MAX);
        metrics::gauge!("meydan_storage_free_bytes").set(f64::from(whole_mib) * 1_048_576.0);
        let is_low = free < self.min_free;
        if self.low.swap(is_low, SeqCst) == is_low {
            return;
        }
        if is_low {
            tracing::error!(
                storage.free_bytes = free,
                storage.min_free_bytes = self.min_free,
                "the disk is nearly full; writes are refused until there is space"
            );
        } else {
            tracing::info!(
                storage.free_bytes = free,
                "the disk has space again; writes are taken"
            );
        }
    }
}

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space")
            .field("min_free", &self.min_free)
            .field("free", &self.free)
            .finish_non_exhaustive()
    }
}

/// What an ordinary user may still write on the disk of `folder`.
///
/// The call does not wait on a local disk, so it runs on the worker that asks.
fn free_bytes(folder: &Path) -> io::Result<u64> {
    let space = statvfs(folder)?;
    Ok(space
        .blocks_available()
        .saturating_mul(space.fragment_size()))
}
