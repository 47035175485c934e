//! The bounded pool at its edges.

use std::sync::mpsc;

use runtime::{Blocking, Busy, Lifecycle, spawn};

/// Work that stays on its thread until `release` is dropped, and says when it has begun.
fn held() -> (
    impl FnOnce() + Send + 'static,
    mpsc::Sender<()>,
    tokio::sync::oneshot::Receiver<()>,
) {
    let (release, released) = mpsc::channel::<()>();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let work = move || {
        let _ = begin.send(());
        let _ = released.recv();
    };
    (work, release, begun)
}

#[tokio::test]
async fn one_runs_one_waits_the_third_is_busy() {
    let lifecycle = Lifecycle::new();
    let pool = Blocking::new(1, 1);
    let (work, release, begun) = held();
    let first = spawn(&lifecycle, "first", {
        let pool = pool.clone();
        async move { pool.run(work).await }
    });
    begun.await.unwrap();
    let mut second = Box::pin(pool.run(|| 2));
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(pool.run(|| 3).await, Err(Busy));
    drop(release);
    assert_eq!(first.await.unwrap(), Ok(()));
    assert_eq!(second.await, Ok(2));
    assert_eq!(pool.run(|| 4).await, Ok(4));
}

#[tokio::test]
async fn waiter_that_gives_up_frees_its_place_and_running_work_keeps_it() {
    let pool = Blocking::new(1, 1);
    let (work, release, begun) = held();
    let mut running = Box::pin(pool.run(work));
    assert!(futures::poll!(&mut running).is_pending());
    begun.await.unwrap();
    let mut waiting = Box::pin(pool.run(|| 2));
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(waiting);
    let mut waiting = Box::pin(pool.run(|| 3));
    assert!(
        futures::poll!(&mut waiting).is_pending(),
        "the place was not freed"
    );
    // The caller of the running work leaves; its thread is still taken.
    drop(running);
    assert_eq!(pool.run(|| 4).await, Err(Busy));
    drop(release);
    assert_eq!(waiting.await, Ok(3));
}

#[tokio::test]
async fn panic_continues_in_the_caller_and_the_pool_lives() {
    let lifecycle = Lifecycle::new();
    let pool = Blocking::new(1, 0);
    let caller = pool.clone();
    let task = spawn(&lifecycle, "caller", async move {
        caller.run(|| -> () { panic!("on purpose") }).await
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(pool.run(|| 1).await, Ok(1));
}

#[tokio::test]
async fn pool_without_permits_still_runs_one() {
    assert_eq!(Blocking::new(0, 0).run(|| 1).await, Ok(1));
}
