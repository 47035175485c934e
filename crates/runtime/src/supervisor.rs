//! Starting tasks and worker threads: the only place that does.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;
use tokio::task::{JoinHandle, LocalSet};

use crate::lifecycle::Lifecycle;

tokio::task_local! {
    static NAME: &'static str;
}

/// Returns the name of the task that runs on this thread right now.
pub(crate) fn current_name() -> Option<&'static str> {
    NAME.try_with(|name| *name).ok()
}

/// Starts a task on the runtime of the caller.
///
/// The task is named, tracked until it ends, and a panic is counted. It must watch the tokens of
/// `lifecycle` itself. Dropping the handle does not end it.
pub fn spawn<F>(lifecycle: &Lifecycle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let running = lifecycle.enter(name);
    lifecycle.tasks().spawn(supervised(name, running, future))
}

/// Starts a task that stays on this thread; the caller is inside a [`worker`].
pub fn spawn_local<F>(lifecycle: &Lifecycle, name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let running = lifecycle.enter(name);
    lifecycle
        .tasks()
        .spawn_local(supervised(name, running, future))
}

/// Starts an OS thread with its own single-threaded runtime, on which `make`'s future runs.
///
/// `make` is called inside the thread, so what it builds need not be `Send`. The thread ends when
/// that future ends; tasks it started with [`spawn_local`] get until then. It is joined by
/// [`Lifecycle::shutdown`].
///
/// # Errors
///
/// When the operating system gives no thread or no event queue.
pub fn worker<M, F>(lifecycle: &Lifecycle, name: &'static str, make: M) -> std::io::Result<()>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let running = lifecycle.enter(name);
    let token = lifecycle.tasks().token();
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _tracked_until_the_end = token;
            let local = LocalSet::new();
            let work = async move { supervised(name, running, make()).await };
            // The panic was logged and counted; letting it go further would only poison the join.
            let _ended =
                std::panic::catch_unwind(AssertUnwindSafe(|| local.block_on(&runtime, work)));
        })?;
    lifecycle.keep_thread(name, thread);
    Ok(())
}

async fn supervised<F: Future>(
    name: &'static str,
    running: crate::lifecycle::Running,
    future: F,
) -> F::Output {
    let result = NAME
        .scope(name, AssertUnwindSafe(future).catch_unwind())
        .await;
    drop(running);
    match result {
        Ok(output) => output,
        Err(panic) => {
            count_panic(name);
            resume_unwind(panic)
        }
    }
}

/// Counts a panic under the name of its task; the panic hook logs it.
pub(crate) fn count_panic(name: &'static str) {
    metrics::counter!("meydan_tasks_panicked_total", "task" => name).increment(1);
}
