//! A bounded pool for CPU work above about a millisecond: password hashes, images, large JSON.

use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// The queue of a [`Blocking`] pool is full: shed the request (503 with `Retry-After`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much blocking work is waiting")]
pub struct Busy;

/// Runs blocking closures on at most `permits` threads with at most `queue` waiting.
#[derive(Clone, Debug)]
pub struct Blocking {
    // Running and waiting together; full means `Busy`.
    places: Arc<Semaphore>,
    // Running only.
    permits: Arc<Semaphore>,
}

impl Blocking {
    /// Makes a pool; at least one closure may run at a time.
    pub fn new(permits: usize, queue: usize) -> Self {
        let permits = permits.max(1);
        Self {
            places: Arc::new(Semaphore::new(permits.saturating_add(queue))),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Runs `work` and returns its result; a panic in it continues in the caller.
    ///
    /// A caller that gives up while waiting frees its place. Work that began runs to its end and
    /// keeps its place until then, as a thread cannot be taken back.
    ///
    /// # Errors
    ///
    /// [`Busy`], at once, when all places are taken.
    pub async fn run<T, W>(&self, work: W) -> Result<T, Busy>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            metrics::counter!("meydan_blocking_rejected_total").increment(1);
            return Err(Busy);
        };
        // The semaphore is never closed, so waiting cannot fail.
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let job = move || {
            let _held_while_running = (place, permit);
            work()
        };
        #[expect(clippy::disallowed_methods, reason = "this is the bounded pool")]
        let done = tokio::task::spawn_blocking(job).await;
        match done {
            Ok(value) => Ok(value),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // Only a runtime that shuts down cancels a job that did not begin.
            Err(_) => Err(Busy),
        }
    }
}
