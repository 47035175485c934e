//! Periodic work: each job runs alone, again and again, until the soft token.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kernel::{Clock, Rng};
use tokio::time::Instant;

use crate::lifecycle::Lifecycle;
use crate::module::Job;
use crate::supervisor::{count_panic, spawn};

/// Starts a task per job.
///
/// The first run comes within a tenth of the period, later ones a period after the end of the one
/// before, each give or take a tenth so that nodes do not run in step. A failing or panicking run
/// is logged and counted, and the job goes on. A run in progress finishes when draining; the hard
/// token cuts it.
pub fn run(lifecycle: &Lifecycle, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, jobs: Vec<Job>) {
    for job in jobs {
        let (clock, rng) = (Arc::clone(&clock), Arc::clone(&rng));
        drop(spawn(
            lifecycle,
            job.name,
            repeat(lifecycle.clone(), clock, rng, job),
        ));
    }
}

async fn repeat(lifecycle: Lifecycle, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, job: Job) {
    let tenth = job.every / 10;
    let mut pause = random(&*rng, tenth);
    loop {
        tokio::select! {
            () = lifecycle.soft().cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            () = lifecycle.hard().cancelled() => return,
            () = once(&job, &*clock) => {}
        }
        pause = (job.every - tenth).saturating_add(random(&*rng, tenth * 2));
    }
}

async fn once(job: &Job, clock: &dyn Clock) {
    let begun = Instant::now();
    let result = AssertUnwindSafe(async { (job.run)().await })
        .catch_unwind()
        .await;
    let took = begun.elapsed();
    metrics::histogram!("meydan_job_duration_seconds", "kind" => job.name)
        .record(took.as_secs_f64());
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(Ok(status)) => {
            let now = clock.now().as_duration().as_secs_f64();
            metrics::gauge!("meydan_job_last_success_timestamp_seconds", "kind" => job.name)
                .set(now);
            tracing::debug!(
                job.name,
                job.status = status,
                duration_ms,
                "job done: {}",
                job.name
            );
            return;
        }
        Ok(Err(failure)) => {
            tracing::error!(
                job.name,
                duration_ms,
                error = %failure,
                "job failed: {}",
                job.name
            );
        }
        // The panic hook has logged it.
        Err(_panic) => count_panic(job.name),
    }
    metrics::counter!("meydan_job_failures_total", "kind" => job.name).increment(1);
}

fn random(rng: &dyn Rng, below: Duration) -> Duration {
    let nanos = u64::try_from(below.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(kernel::rng::below(rng, nanos.saturating_add(1)))
}
