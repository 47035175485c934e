//! Tokens, supervised tasks, workers and the end.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime::{Drain, Lifecycle, spawn, spawn_local, worker};
use tokio::sync::oneshot;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn hard_implies_soft_and_soft_does_not_imply_hard() {
    let lifecycle = Lifecycle::new();
    lifecycle.soft().cancel();
    assert!(!lifecycle.hard().is_cancelled());
    let lifecycle = Lifecycle::new();
    lifecycle.hard().cancel();
    assert!(lifecycle.soft().is_cancelled());
}

#[tokio::test]
async fn drain_waits_for_work_in_progress() {
    let lifecycle = Lifecycle::new();
    let soft = lifecycle.soft().clone();
    let finished = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&finished);
    let task = async move {
        soft.cancelled().await;
        tokio::task::yield_now().await;
        count.fetch_add(1, Ordering::SeqCst);
    };
    drop(spawn(&lifecycle, "worker", task));
    assert_eq!(lifecycle.names(), "worker×1");
    assert_eq!(lifecycle.shutdown(LONG).await, Drain::Drained);
    assert_eq!(finished.load(Ordering::SeqCst), 1);
    assert_eq!(lifecycle.names(), "");
}

#[tokio::test(start_paused = true)]
async fn deadline_cancels_hard_and_says_so() {
    let lifecycle = Lifecycle::new();
    let hard = lifecycle.hard().clone();
    drop(spawn(
        &lifecycle,
        "slow",
        async move { hard.cancelled().await },
    ));
    assert_eq!(
        lifecycle.shutdown(Duration::from_secs(5)).await,
        Drain::TimedOut
    );
    assert_eq!(lifecycle.names(), "");
}

#[tokio::test(start_paused = true)]
async fn task_that_ignores_both_tokens_cannot_hold_the_process() {
    let lifecycle = Lifecycle::new();
    drop(spawn(&lifecycle, "deaf", pending::<()>()));
    assert_eq!(
        lifecycle.shutdown(Duration::from_secs(5)).await,
        Drain::TimedOut
    );
    assert_eq!(lifecycle.names(), "deaf×1");
}

#[tokio::test]
async fn hard_from_elsewhere_ends_the_wait() {
    let lifecycle = Lifecycle::new();
    let hard = lifecycle.hard().clone();
    drop(spawn(
        &lifecycle,
        "slow",
        async move { hard.cancelled().await },
    ));
    let other = lifecycle.clone();
    drop(spawn(&lifecycle, "second signal", async move {
        other.hard().cancel()
    }));
    assert_eq!(lifecycle.shutdown(LONG).await, Drain::TimedOut);
}

#[tokio::test]
async fn panic_is_counted_and_reaches_the_handle() {
    let metrics = runtime::telemetry::metrics();
    let lifecycle = Lifecycle::new();
    let handle = spawn(&lifecycle, "panics-here", async { panic!("on purpose") });
    assert!(handle.await.unwrap_err().is_panic());
    let text = metrics.render();
    assert!(
        text.contains(r#"meydan_tasks_panicked_total{task="panics-here"} 1"#),
        "{text}"
    );
    assert!(
        text.contains("# HELP meydan_tasks_panicked_total"),
        "{text}"
    );
    assert_eq!(lifecycle.shutdown(LONG).await, Drain::Drained);
}

#[tokio::test]
async fn worker_runs_local_tasks_and_is_joined() {
    let lifecycle = Lifecycle::new();
    let inside = lifecycle.clone();
    let (send, receive) = oneshot::channel();
    worker(&lifecycle, "realtime-0", move || async move {
        let name = std::thread::current().name().map(ToOwned::to_owned);
        // `Rc` shows that nothing here has to be `Send`.
        let shared = Rc::new(7);
        let local = Rc::clone(&shared);
        let seven = spawn_local(&inside, "socket", async move { *local })
            .await
            .unwrap();
        send.send((name, seven)).unwrap();
        inside.soft().cancelled().await;
    })
    .unwrap();
    assert_eq!(receive.await.unwrap(), (Some("realtime-0".to_owned()), 7));
    assert_eq!(lifecycle.names(), "realtime-0×1");
    assert_eq!(lifecycle.shutdown(LONG).await, Drain::Drained);
    assert_eq!(lifecycle.names(), "");
}

#[tokio::test]
async fn panicking_worker_does_not_hold_the_process() {
    let lifecycle = Lifecycle::new();
    worker(&lifecycle, "broken", || async { panic!("on purpose") }).unwrap();
    assert_eq!(lifecycle.shutdown(LONG).await, Drain::Drained);
}
