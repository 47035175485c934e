//! SIGTERM, SIGINT and SIGHUP: the first asks, the second insists.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::lifecycle::{Drain, Lifecycle};

/// Waits for the end of the process and carries it out.
///
/// The first SIGTERM or SIGINT cancels the soft token; a second one, or `deadline`, the hard one.
/// SIGHUP, which a closed terminal sends, is one more of them, unless the process was started with
/// it ignored, as by `nohup`. Also returns when somebody cancels the soft token by other means. The
/// service manager is told that the process is stopping.
///
/// # Errors
///
/// When the signal handlers cannot be installed.
pub async fn signals(lifecycle: &Lifecycle, deadline: Duration) -> std::io::Result<Drain> {
    let mut asked = Asked::listen()?;
    tokio::select! {
        () = asked.next() => tracing::info!("stopping: draining work in progress"),
        () = lifecycle.soft().cancelled() => tracing::info!("stopping: asked from inside"),
    }
    crate::telemetry::notify_stopping();
    let drain = lifecycle.shutdown(deadline);
    tokio::pin!(drain);
    tokio::select! {
        result = &mut drain => return Ok(result),
        () = asked.next() => tracing::warn!("second signal: leaving now"),
    }
    lifecycle.hard().cancel();
    Ok(drain.await)
}

/// The signals that ask a process to end.
struct Asked {
    term: Signal,
    int: Signal,
    hup: Option<Signal>,
}

impl Asked {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: if hangup_is_ignored() {
                None
            } else {
                Some(signal(SignalKind::hangup())?)
            },
        })
    }

    /// Cancel safe.
    async fn next(&mut self) {
        let hup = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = hup => {}
        }
    }
}

/// Whether whoever started the process had it ignore SIGHUP; a handler would undo that.
///
/// Linux tells in a mask whose lowest bit is signal 1. Where nobody tells, nothing was ignored.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
