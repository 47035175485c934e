//! What a run before us left behind: servers that still live, and files that say they do.
//!
//! PostgreSQL asks `kill(pid, 0)` whether the owner of its lock files lives. That also finds a
//! zombie nobody has reaped, and a stranger that got the number since. So we look ourselves:
//! every process of a cluster works in its data folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::PrivateError;

/// How long a survivor may take to stop by itself before it is told to stop at once.
const SOFT: Duration = Duration::from_secs(20);
/// How long until we give up.
const HARD: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(10);

/// Live, non-zombie server processes whose working directory is `pg`.
pub(super) fn workers(pg: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| works_in(*pid, pg))
        .collect()
}

/// Whether `pid` is a PostgreSQL process of this cluster. A zombie has no working directory any
/// more; a shell that somebody opened there is no server.
pub(super) fn works_in(pid: i32, pg: &Path) -> bool {
    let here = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == pg);
    here && fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| name.trim() == "postgres")
}

/// Stops survivors and removes stale lock files. Only the holder of `run/lock` may call it, and
/// from a thread that may block.
pub(super) fn clear(pg: &Path, socket_dir: &Path) -> Result<(), PrivateError> {
    if !Path::new("/proc/self/cwd").exists() {
        // Without /proc PostgreSQL's own check rules.
        return Ok(());
    }
    let pidfile = pg.join("postmaster.pid");
    let mut waited = Duration::ZERO;
    let mut asked = false;
    loop {
        let living = workers(pg);
        if living.is_empty() {
            break;
        }
        let postmaster = postmaster_of(&pidfile).filter(|pid| living.contains(pid));
        if let Some(pid) = postmaster {
            if !asked {
                tracing::warn!(
                    postgres.pid = pid,
                    "stopping a PostgreSQL left over from another run"
                );
                // It may end between our look and this signal.
                let _gone = kill(Pid::from_raw(pid), Signal::SIGINT);
                asked = true;
            } else if waited >= SOFT {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGQUIT);
            }
        }
        // Without a postmaster its backends notice by themselves and end.
        if waited >= HARD {
            return Err(PrivateError::Survivors { pids: living });
        }
        pause();
        waited = waited.saturating_add(STEP);
    }
    for stale in [
        pidfile,
        socket_dir.join(".s.PGSQL.5432"),
        socket_dir.join(".s.PGSQL.5432.lock"),
    ] {
        match fs::remove_file(&stale) {
            Ok(()) => tracing::info!(file = %stale.display(), "removed a stale file"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(PrivateError::io("remove", &stale, source)),
        }
    }
    Ok(())
}

fn postmaster_of(pidfile: &Path) -> Option<i32> {
    fs::read_to_string(pidfile)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "runs on the keeper's own thread, never on a worker"
)]
fn pause() {
    std::thread::sleep(STEP);
}
