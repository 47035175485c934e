//! Readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kernel::ManualClock;
use runtime::health::{Registry, Status};
use runtime::{Check, Lifecycle};

fn clock() -> Arc<ManualClock> {
    ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap())
}

fn switch(up: &Arc<AtomicBool>) -> impl Fn() -> futures::future::Ready<Result<(), String>> + use<> {
    let up = Arc::clone(up);
    move || {
        let up = up.load(Ordering::SeqCst);
        futures::future::ready(if up {
            Ok(())
        } else {
            Err("refused".to_owned())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn required_check_decides_and_degraded_one_only_shows() {
    let (database, search) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(false)),
    );
    let checks = vec![
        Check::required("database", switch(&database)),
        Check::degrades("search", switch(&search)),
    ];
    let registry = Registry::new(&Lifecycle::new(), clock(), checks);
    let report = registry.ready().await;
    assert!(report.ready);
    let states: Vec<_> = report.checks.iter().map(|s| (s.check, s.status)).collect();
    assert_eq!(
        states,
        [("database", Status::Ok), ("search", Status::Degraded)]
    );
    database.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let report = registry.ready().await;
    assert!(!report.ready);
    assert_eq!(report.checks[0].status, Status::Failing);
    assert_eq!(report.checks[0].reason.as_deref(), Some("refused"));
}

#[tokio::test(start_paused = true)]
async fn since_moves_only_when_the_status_does() {
    let up = Arc::new(AtomicBool::new(true));
    let clock = clock();
    let checks = vec![Check::required("database", switch(&up))];
    let registry = Registry::new(&Lifecycle::new(), clock.clone(), checks);
    let first = registry.ready().await.checks[0].since;
    clock.advance(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(registry.ready().await.checks[0].since, first);
    up.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let fell = registry.ready().await.checks[0].since;
    assert_eq!(fell.duration_since(first).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn stuck_and_panicking_probes_are_failures() {
    let stuck = Check::required("stuck", std::future::pending);
    let panics = Check::required("panics", || async { panic!("on purpose") });
    let registry = Registry::new(&Lifecycle::new(), clock(), vec![stuck, panics]);
    let report = registry.ready().await;
    assert!(!report.ready);
    assert_eq!(report.checks[0].ms, 2_000);
    assert!(
        report
            .checks
            .iter()
            .all(|state| state.status == Status::Failing)
    );
}

#[tokio::test(start_paused = true)]
async fn answers_are_remembered_for_a_second() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let check = Check::required("database", move || {
        count.fetch_add(1, Ordering::SeqCst);
        futures::future::ready(Ok(()))
    });
    let registry = Registry::new(&Lifecycle::new(), clock(), vec![check]);
    let all = (0..20).map(|_| registry.ready());
    futures::future::join_all(all).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    registry.ready().await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn draining_is_not_ready_from_the_first_moment() {
    let lifecycle = Lifecycle::new();
    let registry = Registry::new(&lifecycle, clock(), Vec::new());
    assert!(registry.ready().await.ready);
    lifecycle.soft().cancel();
    let report = registry.ready().await;
    assert!(registry.draining() && report.draining && !report.ready);
}
