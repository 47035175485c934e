//! What the workers of one process share.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use kernel::{SharedClock, SharedRng, UserId};
use runtime::Lifecycle;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::backend::Backend;
use crate::close::Close;
use crate::command::Resume;
use crate::presence::announce::Presences;
use crate::settings::Settings;
use crate::spill::Spilled;

/// Hex digits of the node's number at the front of a session id, then those of the worker's.
const NODE_DIGITS: usize = 4;
const WORKER_DIGITS: usize = 2;

/// A socket that was just upgraded.
pub(crate) struct Fresh {
    pub(crate) stream: std::net::TcpStream,
    /// What the client sent right behind its request.
    pub(crate) first_bytes: Bytes,
    pub(crate) host: String,
    pub(crate) peer: IpAddr,
    /// Whether it asked for the version we speak.
    pub(crate) version_ok: bool,
}

/// A socket whose RESUME names a session of another worker.
pub(crate) struct Handed {
    pub(crate) stream: std::net::TcpStream,
    pub(crate) carry: Vec<u8>,
    pub(crate) resume: Resume,
    pub(crate) host: String,
    pub(crate) peer: IpAddr,
}

/// What arrives in a worker's mailbox.
pub(crate) enum Intake {
    Fresh(Fresh),
    Handed(Box<Handed>),
    /// A session that an earlier process left behind.
    Restored(Box<Spilled>),
    /// Answered when everything before it was taken in.
    Fence(oneshot::Sender<()>),
}

/// One worker as others see it.
pub(crate) struct WorkerHandle {
    pub(crate) mailbox: mpsc::Sender<Intake>,
    pub(crate) sockets: AtomicUsize,
}

/// See the module's text.
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) backend: Backend,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) main: Handle,
    pub(crate) db: db::Db,
    pub(crate) workers: Vec<WorkerHandle>,
    /// Who is here.
    pub(crate) presence: Presences,
    /// Nothing is published any more: sessions may be left to the next process.
    pub(crate) finish: CancellationToken,
    /// A permit per worker that has done so.
    pub(crate) spilled: Semaphore,
    /// Sockets per user, for the limit.
    sockets: Mutex<HashMap<UserId, usize>>,
}

impl Node {
    #[expect(
        clippy::too_many_arguments,
        reason = "a plain constructor called once, by build"
    )]
    pub(crate) fn new(
        settings: Settings,
        backend: Backend,
        clock: SharedClock,
        rng: SharedRng,
        lifecycle: Lifecycle,
        main: Handle,
        db: db::Db,
        workers: Vec<WorkerHandle>,
        presence: Presences,
    ) -> Self {
        Node {
            settings,
            backend,
            clock,
            rng,
            lifecycle,
            main,
            db,
            workers,
            presence,
            finish: CancellationToken::new(),
            spilled: Semaphore::new(0),
            sockets: Mutex::default(),
        }
    }

    /// Runs a call to the contexts on the main runtime.
    pub(crate) fn on_main<F, T>(
        &self,
        future: F,
    ) -> impl Future<Output = Result<T, Close>> + use<F, T>
    where
        F: Future<Output = Result<T, Close>> + Send + 'static,
        T: Send + 'static,
    {
        let guard = self.main.enter();
        let task = runtime::spawn(&self.lifecycle, "realtime-call", future);
        drop(guard);
        async move { task.await.unwrap_or(Err(Close::TryAgain)) }
    }

    /// Puts something into a worker's mailbox; false when it is full or gone.
    pub(crate) fn send(&self, worker: usize, intake: Intake) -> bool {
        self.workers
            .get(worker)
            .is_some_and(|w| w.mailbox.try_send(intake).is_ok())
    }

    /// The worker with the fewest sockets.
    pub(crate) fn least_busy(&self) -> usize {
        let sockets = self
            .workers
            .iter()
            .map(|w| w.sockets.load(Relaxed))
            .enumerate();
        sockets
            .min_by_key(|(_, sockets)| *sockets)
            .map_or(0, |(index, _)| index)
    }

    /// Sockets of the whole node.
    pub(crate) fn socket_count(&self) -> usize {
        self.workers.iter().map(|w| w.sockets.load(Relaxed)).sum()
    }

    /// A new session id: node, worker and 112 random bits, in hex.
    pub(crate) fn new_session_id(&self, worker: usize) -> String {
        let random: [u8; 14] = kernel::rng::bytes(&*self.rng);
        let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let node = self.settings.node;
        format!("{node:0NODE_DIGITS$x}{worker:0WORKER_DIGITS$x}{random}")
    }

    /// The worker that owns a session, or would; none for a text that is no id of ours.
    pub(crate) fn worker_of(&self, session_id: &str) -> Option<usize> {
        let digits = session_id.get(NODE_DIGITS..NODE_DIGITS + WORKER_DIGITS)?;
        let worker = usize::from_str_radix(digits, 16).ok()?;
        // After a restart there may be fewer workers than when the id was made.
        worker.checked_rem(self.workers.len())
    }

    /// Counts one more socket of a user; false when the limit is reached.
    pub(crate) fn take_socket(&self, user: UserId) -> bool {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sockets.entry(user).or_default();
        if *count >= self.settings.sockets_per_user {
            return false;
        }
        *count += 1;
        true
    }

    pub(crate) fn release_socket(&self, user: UserId) {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sockets.get_mut(&user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sockets.remove(&user);
            }
        }
    }

    pub(crate) fn limits(&self) -> ws::Limits {
        ws::Limits {
            frame_bytes: self.settings.max_frame,
            message_bytes: self.settings.max_frame,
            fragments: 32,
        }
    }
}
