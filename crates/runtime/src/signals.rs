//! SIGTERM and SIGINT: the first asks, the second insists.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::lifecycle::{Drain, Lifecycle};

/// Waits for the end of the process and carries it out.
///
/// The first SIGTERM or SIGINT cancels the soft token; a second one, or `deadline`, the hard one.
/// Also returns when somebody cancels the soft token by other means. The service manager is told
/// that the process is stopping.
///
/// # Errors
///
/// When the signal handlers cannot be installed.
pub async fn signals(lifecycle: &Lifecycle, deadline: Duration) -> std::io::Result<Drain> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    tokio::select! {
        () = either(&mut term, &mut int) => tracing::info!("stopping: draining work in progress"),
        () = lifecycle.soft().cancelled() => tracing::info!("stopping: asked from inside"),
    }
    crate::telemetry::notify_stopping();
    let drain = lifecycle.shutdown(deadline);
    tokio::pin!(drain);
    tokio::select! {
        result = &mut drain => return Ok(result),
        () = either(&mut term, &mut int) => tracing::warn!("second signal: leaving now"),
    }
    lifecycle.hard().cancel();
    Ok(drain.await)
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
