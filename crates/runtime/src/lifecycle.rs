//! The life of a process: two tokens, the tasks that watch them, and an orderly end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks may take to leave once the hard token is cancelled.
const LEAVE: Duration = Duration::from_secs(2);

/// Hands the two shutdown tokens to tasks and knows which tasks run.
///
/// Cheap to clone; all clones are the same life.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hard: CancellationToken,
    soft: CancellationToken,
    tasks: TaskTracker,
    // Bounded by the number of names in the program, as names are literals.
    running: Mutex<BTreeMap<&'static str, usize>>,
    threads: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

impl Default for Inner {
    fn default() -> Self {
        let hard = CancellationToken::new();
        Self {
            soft: hard.child_token(),
            hard,
            tasks: TaskTracker::new(),
            running: Mutex::default(),
            threads: Mutex::default(),
        }
    }
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the exit code depends on it"]
pub enum Drain {
    /// Every task finished its work by itself.
    Drained,
    /// The deadline passed or a second signal came, and work was cut off.
    TimedOut,
}

impl Lifecycle {
    /// Begins a life: nothing runs, nothing is cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the token that says: finish what you have, take no more work.
    pub fn soft(&self) -> &CancellationToken {
        &self.inner.soft
    }

    /// Returns the token that says: leave now. Cancelling it cancels the soft one too.
    pub fn hard(&self) -> &CancellationToken {
        &self.inner.hard
    }

    /// Ends the life: soft now, hard when `deadline` has passed.
    ///
    /// Returns when every task and worker thread has ended, or when some ignored the hard token
    /// for two seconds; those are named in the log. Also returns early when somebody else cancels
    /// the hard token (a second signal).
    pub async fn shutdown(&self, deadline: Duration) -> Drain {
        self.inner.soft.cancel();
        self.inner.tasks.close();
        let drained = tokio::select! {
            biased;
            () = self.inner.tasks.wait() => !self.inner.hard.is_cancelled(),
            () = self.inner.hard.cancelled() => false,
            () = tokio::time::sleep(deadline) => false,
        };
        if drained {
            self.join_threads().await;
            return Drain::Drained;
        }
        tracing::warn!(tasks = %self.names(), "cutting off unfinished tasks");
        self.inner.hard.cancel();
        if tokio::time::timeout(LEAVE, self.inner.tasks.wait())
            .await
            .is_ok()
        {
            self.join_threads().await;
        } else {
            tracing::error!(tasks = %self.names(), "tasks ignored the hard shutdown");
        }
        Drain::TimedOut
    }

    /// Lists the running tasks as `name×count`, for logs and diagnosis.
    pub fn names(&self) -> String {
        let running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = running
            .iter()
            .map(|(name, n)| format!("{name}×{n}"))
            .collect();
        names.join(", ")
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }

    pub(crate) fn enter(&self, name: &'static str) -> Running {
        let mut running = self
            .inner
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *running.entry(name).or_default() += 1;
        Running {
            lifecycle: self.clone(),
            name,
        }
    }

    pub(crate) fn keep_thread(&self, name: &'static str, handle: JoinHandle<()>) {
        let mut threads = self
            .inner
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        threads.push((name, handle));
    }

    /// Joins worker threads; their tracker tokens are gone, so each is about to end.
    async fn join_threads(&self) {
        let threads = {
            let mut kept = self
                .inner
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *kept)
        };
        while threads.iter().any(|(_, handle)| !handle.is_finished()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for (name, handle) in threads {
            if handle.join().is_err() {
                tracing::error!(task.name = name, "worker thread ended by a panic");
            }
        }
    }
}

/// Counts one running task under its name until dropped.
#[derive(Debug)]
pub(crate) struct Running {
    lifecycle: Lifecycle,
    name: &'static str,
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = &self.lifecycle.inner.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(self.name) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}
