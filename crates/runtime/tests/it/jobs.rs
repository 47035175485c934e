//! Periodic jobs, on paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kernel::failure::UNAVAILABLE;
use kernel::{SeededRng, SystemClock};
use runtime::{Drain, Job, Lifecycle, jobs};

const MINUTE: Duration = Duration::from_secs(60);

fn start(lifecycle: &Lifecycle, jobs: Vec<Job>) {
    jobs::run(lifecycle, Arc::new(SystemClock), SeededRng::new(1), jobs);
}

#[tokio::test(start_paused = true)]
async fn runs_soon_and_then_once_a_period() {
    let lifecycle = Lifecycle::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let job = Job::new("test.sweep", MINUTE, move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok("removed 0".to_owned()) }
    });
    start(&lifecycle, vec![job]);
    tokio::time::sleep(MINUTE / 10 + Duration::from_millis(10)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    // Nine periods later there were eight to ten more runs, as each is off by up to a tenth.
    tokio::time::sleep(9 * MINUTE).await;
    let more = runs.load(Ordering::SeqCst) - 1;
    assert!((8..=10).contains(&more), "{more}");
    assert_eq!(lifecycle.shutdown(MINUTE).await, Drain::Drained);
}

#[tokio::test(start_paused = true)]
async fn failing_and_panicking_jobs_go_on_and_are_counted() {
    let metrics = runtime::telemetry::metrics();
    let lifecycle = Lifecycle::new();
    let fails = Job::new("test.fails", MINUTE, || async { Err(UNAVAILABLE.fail()) });
    let panics = Job::new("test.panics", MINUTE, || async { panic!("on purpose") });
    // A closure may also panic before it gives a future.
    let early = Job::new("test.early", MINUTE, || -> std::future::Ready<_> {
        panic!("early")
    });
    start(&lifecycle, vec![fails, panics, early]);
    tokio::time::sleep(4 * MINUTE).await;
    let text = metrics.render();
    for name in ["test.fails", "test.panics", "test.early"] {
        let line = format!(r#"meydan_job_failures_total{{kind="{name}"}} "#);
        let count = text
            .lines()
            .find_map(|l| l.strip_prefix(&line))
            .unwrap_or("0");
        assert!(count.parse::<u32>().unwrap() >= 3, "{name}: {count}");
    }
    assert_eq!(lifecycle.shutdown(MINUTE).await, Drain::Drained);
}

#[tokio::test(start_paused = true)]
async fn run_in_progress_finishes_while_draining() {
    let lifecycle = Lifecycle::new();
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let job = Job::new("test.long", MINUTE, move || {
        let count = Arc::clone(&count);
        async move {
            tokio::time::sleep(MINUTE).await;
            count.fetch_add(1, Ordering::SeqCst);
            Ok(String::new())
        }
    });
    start(&lifecycle, vec![job]);
    tokio::time::sleep(MINUTE / 5).await;
    assert_eq!(lifecycle.shutdown(2 * MINUTE).await, Drain::Drained);
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn hard_token_cuts_a_run() {
    let lifecycle = Lifecycle::new();
    let job = Job::new("test.endless", MINUTE, || async {
        std::future::pending::<()>().await;
        Ok(String::new())
    });
    start(&lifecycle, vec![job]);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(lifecycle.shutdown(MINUTE).await, Drain::TimedOut);
    assert_eq!(lifecycle.names(), "");
}
