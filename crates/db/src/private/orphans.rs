//! Orphans, when we are process 1 of a container.
//!
//! The kernel gives a process whose parent has died to process 1, and its zombie stays until
//! process 1 asks how it ended. Killed servers leave several, and each keeps a number for ever.
//!
//! Asking in general would take the end of a child away from whoever waits for it. What we start
//! ourselves stays in our session, as only an unsafe hook could move it; a server's processes
//! open sessions of their own. So only zombies of other sessions are asked.

use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::time::sleep;

use super::keeper::Keeper;

/// A zombie harms nobody for this long.
const PAUSE: Duration = Duration::from_secs(5);

/// Reaps for ever, if that is our duty.
pub(super) async fn reap(keeper: &Keeper) -> Infallible {
    if std::process::id() != 1 {
        return std::future::pending().await;
    }
    loop {
        sleep(PAUSE).await;
        // While the thread is busy starting a server, the next turn will do.
        let reaped = keeper.run(|| Ok(reap_once())).await.unwrap_or(0);
        if reaped > 0 {
            tracing::debug!(processes.reaped = reaped, "reaped orphans");
        }
    }
}

fn reap_once() -> usize {
    let Some(us) = stat_of("self") else {
        return 0;
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    let all = entries
        .flatten()
        .filter_map(|entry| stat_of(entry.file_name().to_str()?));
    orphans(us, all)
        .map(|pid| waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)))
        .filter(|ended| !matches!(ended, Ok(WaitStatus::StillAlive) | Err(_)))
        .count()
}

/// What `/proc/<pid>/stat` tells that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    is_zombie: bool,
    parent: i32,
    session: i32,
}

fn stat_of(pid: &str) -> Option<Process> {
    if pid != "self" && !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// `4121 (name) Z 1 4121 4121 …`; the name may hold brackets and spaces.
fn parse(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (pid, _name) = head.split_once('(')?;
    let mut words = tail.split_whitespace();
    let state = words.next()?;
    let parent = words.next()?.parse().ok()?;
    let session = words.nth(1)?.parse().ok()?;
    Some(Process {
        pid: pid.trim().parse().ok()?,
        is_zombie: state == "Z",
        parent,
        session,
    })
}

/// Those that nobody but us can reap and that nobody here waits for.
fn orphans(us: Process, all: impl Iterator<Item = Process>) -> impl Iterator<Item = i32> {
    all.filter(move |one| one.is_zombie && one.parent == us.pid && one.session != us.session)
        .map(|one| one.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(stat: &str) -> Process {
        parse(stat).unwrap()
    }

    #[test]
    fn a_name_may_hold_anything() {
        let expected = Process {
            pid: 41,
            is_zombie: true,
            parent: 1,
            session: 40,
        };
        for name in ["postgres", "a b", ") Z 9 9 9 (", "((", ""] {
            let stat = format!("41 ({name}) Z 1 39 40 0 -1 4228100 0 0\n");
            assert_eq!(parse(&stat), Some(expected), "{name}");
        }
        for bad in [
            "",
            "41",
            "41 (a)",
            "41 (a) Z",
            "41 (a) Z 1 39",
            "x (a) Z 1 2 3",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(
            stat_of("self").unwrap().pid.to_string(),
            std::process::id().to_string()
        );
        assert_eq!(stat_of("sys"), None);
    }

    #[test]
    fn only_zombies_of_ours_from_other_sessions_are_reaped() {
        let us = process("1 (meydan) S 0 1 1 0");
        let all = [
            "1 (meydan) S 0 1 1 0",
            // A child somebody waits for, and a server of ours in a group of its own.
            "20 (initdb) Z 1 1 1 0",
            "21 (postgres) Z 1 21 1 0",
            // Orphans: dead, alive, and dead with a living parent.
            "30 (postgres) Z 1 30 30 0",
            "31 (postgres) S 1 31 31 0",
            "32 (postgres) Z 31 32 32 0",
            "33 (sh) Z 1 30 30 0",
        ];
        let found: Vec<i32> = orphans(us, all.into_iter().map(process)).collect();
        assert_eq!(found, [30, 33]);
    }
}
