//! Checks of this computer. No network, no database.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::super::network::holder_of;
use super::Finding;
use crate::config::Config;

/// Descriptors that are not sockets: database, files, listeners, logs.
const RESERVED_FILES: u64 = 500;
/// Below this a burst of new clients overflows the kernel's queue.
const BACKLOG: u64 = 4096;

pub(super) fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![open_files(config)];
    findings.extend(disk(config));
    findings.push(port(config.http.listen, config.http.port));
    let others = [config.grpc_address(), config.internal.bind];
    let fixed = others.into_iter().flatten().filter(|it| it.port() > 0);
    findings.extend(fixed.map(|address| port(address.ip(), address.port())));
    findings.push(number_at_least(
        "HO005",
        "/proc/sys/net/core/somaxconn",
        BACKLOG,
    ));
    findings.extend(conntrack(config));
    findings.push(memory(config));
    findings
}

fn open_files(config: &Config) -> Finding {
    // `up` and `serve` raise the soft limit to the hard one themselves.
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return Finding::warning("HO001", "the limit cannot be read");
    };
    let sockets = hard.saturating_sub(RESERVED_FILES);
    let wanted = u64::try_from(config.realtime.max_connections).unwrap_or(u64::MAX);
    let evidence = format!("{hard} open files: at most {sockets} sockets, {wanted} are allowed");
    if sockets >= wanted {
        Finding::good("HO001", evidence)
    } else {
        Finding::warning("HO001", evidence)
    }
}

fn disk(config: &Config) -> Vec<Finding> {
    let path = existing(&config.storage.data_dir);
    let shown = path.display();
    let Ok(facts) = statvfs(path) else {
        return vec![Finding::warning(
            "HO002",
            format!("{shown} cannot be looked at"),
        )];
    };
    let free = facts
        .blocks_available()
        .saturating_mul(facts.fragment_size());
    let least = config.storage.min_free.bytes();
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let evidence = format!(
        "{} MiB free at {shown}, {} MiB needed",
        mib(free),
        mib(least)
    );
    let space = if free >= least {
        Finding::good("HO002", evidence)
    } else {
        Finding::bad("HO002", evidence)
    };
    let (files, left) = (facts.files(), facts.files_available());
    // Some file systems have no fixed number of inodes and report none at all.
    let inodes = if files == 0 {
        Finding::good("HO003", format!("{shown} has no limit"))
    } else {
        let evidence = format!("{left} of {files} left at {shown}");
        if left >= files / 50 {
            Finding::good("HO003", evidence)
        } else {
            Finding::bad("HO003", evidence)
        }
    };
    vec![space, inodes]
}

/// The nearest folder that is there already.
fn existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|folder| folder.exists() && !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn port(listen: IpAddr, port: u16) -> Finding {
    match std::net::TcpListener::bind((listen, port)) {
        Ok(_free) => Finding::good("HO004", format!("{port} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => match holder_of(port) {
            Some(holder) if holder.program == "meydan" => Finding::good(
                "HO004",
                format!("{port} is held by meydan (pid {})", holder.pid),
            ),
            Some(holder) => {
                let by = format!("{} (pid {})", holder.program, holder.pid);
                Finding::bad("HO004", format!("{port} is held by {by}"))
            }
            None => Finding::bad("HO004", format!("{port} is held by another user's program")),
        },
        Err(error) => Finding::bad("HO004", format!("{listen}:{port} - {error}")),
    }
}

/// Whether a number in `/proc` is large enough; hidden is not bad.
fn number_at_least(id: &'static str, path: &str, least: u64) -> Finding {
    let Some(number) = number_in(path) else {
        return Finding::warning(id, format!("{path} is hidden"));
    };
    let evidence = format!("{number} in {path}, {least} wanted");
    if number >= least {
        Finding::good(id, evidence)
    } else {
        Finding::warning(id, evidence)
    }
}

fn number_in(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Only where the kernel tracks connections: it then keeps one entry for each.
fn conntrack(config: &Config) -> Option<Finding> {
    let path = "/proc/sys/net/netfilter/nf_conntrack_max";
    let sockets = u64::try_from(config.realtime.max_connections).unwrap_or(u64::MAX);
    Path::new(path)
        .exists()
        .then(|| number_at_least("HO006", path, sockets.saturating_mul(2)))
}

fn memory(config: &Config) -> Finding {
    let limit = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .find_map(|path| number_in(path))
    // The old interface writes "no limit" as a number near the largest one.
    .filter(|limit| *limit < u64::MAX / 4);
    let Some(limit) = limit else {
        return Finding::good("HO007", "no limit is set");
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = u64::try_from(cores).unwrap_or(1);
    let hashing = config
        .auth
        .password
        .argon2_memory
        .bytes()
        .saturating_mul(cores);
    let mib = |bytes: u64| bytes / (1024 * 1024);
    let evidence = format!(
        "{} MiB, of which {} MiB for password hashing",
        mib(limit),
        mib(hashing)
    );
    if hashing <= limit / 2 {
        Finding::good("HO007", evidence)
    } else {
        Finding::warning("HO007", evidence)
    }
}

/// Programs of a private PostgreSQL; needed only without a database of one's own.
pub(super) fn programs(config: &Config) -> Finding {
    if config.database.url.is_some() {
        return Finding::good("DB001", "not needed, database.url is set");
    }
    match db::private::Programs::find(config.database.pg_bin.as_deref(), None) {
        Ok(found) => Finding::good(
            "DB001",
            format!("{} in {}", found.version, found.bin.display()),
        ),
        Err(error) => Finding::bad("DB001", error.to_string()),
    }
}

/// Whether everybody on this computer may read a file.
pub(super) fn others_may_read(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o004 != 0)
}
