//! What `/proc` says about a process and about this computer.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// The kernel shows processor time in hundredths of a second, on every architecture.
const TICK_US: u64 = 10_000;

/// Processor time in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
}

impl Cpu {
    /// Both together.
    pub(crate) fn total_us(self) -> u64 {
        self.user_us.saturating_add(self.system_us)
    }
}

/// One line of `/proc/PID/stat`, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) parent: i32,
    pub(crate) cpu: Cpu,
}

/// Reads `/proc/PID/stat`; the name may hold spaces and brackets.
pub(crate) fn stat(text: &str) -> Option<Stat> {
    let (before, after) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |index: usize| -> Option<u64> {
        let ticks: u64 = fields.get(index)?.parse().ok()?;
        Some(ticks.saturating_mul(TICK_US))
    };
    Some(Stat {
        name: name.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        cpu: Cpu {
            user_us: ticks(11)?,
            system_us: ticks(12)?,
        },
    })
}

/// Reads a line such as `VmRSS:   1234 kB` and gives bytes.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1_024)
}

/// Nanoseconds spent waiting for a core, of `schedstat`.
pub(crate) fn waited_ns(text: &str) -> Option<u64> {
    text.split_whitespace().nth(1)?.parse().ok()
}

/// The first figure of `/proc/loadavg`.
pub(crate) fn load(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The first processor's name of `/proc/cpuinfo`.
pub(crate) fn cpu_name(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Processor time of a process.
pub(crate) fn cpu_of(pid: i32) -> Option<Cpu> {
    Some(stat(&read(format!("/proc/{pid}/stat"))?)?.cpu)
}

/// Resident memory of a process in bytes.
pub(crate) fn rss_of(pid: i32) -> Option<u64> {
    kilobytes(&read(format!("/proc/{pid}/status"))?, "VmRSS")
}

/// Nanoseconds that all threads of a process have waited for a core.
pub(crate) fn waited_of(pid: i32) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let waits = threads
        .flatten()
        .filter_map(|thread| waited_ns(&read(thread.path().join("schedstat"))?));
    Some(waits.sum())
}

/// Processor time of all processes called `name` below `ancestor`.
pub(crate) fn descendants_cpu(ancestor: i32, name: &str) -> Cpu {
    let mut all: Vec<(i32, Stat)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
        // Processes come and go while this is read.
        if let Some(pid) = pid
            && let Some(stat) = read(entry.path().join("stat")).and_then(|text| stat(&text))
        {
            all.push((pid, stat));
        }
    }
    let mut family = vec![ancestor];
    let mut next = 0;
    let mut sum = Cpu::default();
    while let Some(parent) = family.get(next).copied() {
        next += 1;
        for (pid, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            family.push(*pid);
            if stat.name == name {
                sum.user_us = sum.user_us.saturating_add(stat.cpu.user_us);
                sum.system_us = sum.system_us.saturating_add(stat.cpu.system_us);
            }
        }
    }
    sum
}

/// The program file of a process.
pub(crate) fn program_of(pid: i32) -> Option<String> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// The process number in a data directory's `run/node.json`.
pub(crate) fn pid_in(data: &Path) -> anyhow::Result<i32> {
    let path = data.join("run/node.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let node: Value =
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    node.get("pid")
        .and_then(Value::as_i64)
        .and_then(|pid| i32::try_from(pid).ok())
        .with_context(|| format!("{} names no pid", path.display()))
}

/// A file of `/proc`; none when it is not there (any more).
pub(crate) fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_odd_names() {
        let line = "42 (a) (b c) S 7 42 42 0 -1 4194560 1 2 3 4 250 50 9 9 20 0 1 0 1 1 1";
        let stat = stat(line).unwrap();
        assert_eq!(stat.name, "a) (b c");
        assert_eq!(stat.parent, 7);
        assert_eq!(stat.cpu.user_us, 2_500_000);
        assert_eq!(stat.cpu.system_us, 500_000);
        assert_eq!(stat.cpu.total_us(), 3_000_000);
        assert_eq!(super::stat("42 (x) S 1"), None);
        assert_eq!(super::stat(""), None);
    }

    #[test]
    fn kilobytes_are_found_by_whole_name() {
        let text = "VmRSSx:\t9 kB\nVmRSS:\t    1234 kB\nSlab: 5 kB\n";
        assert_eq!(kilobytes(text, "VmRSS"), Some(1_234 * 1_024));
        assert_eq!(kilobytes(text, "Slab"), Some(5 * 1_024));
        assert_eq!(kilobytes(text, "Nothing"), None);
        assert_eq!(kilobytes("VmRSS: 1 MB", "VmRSS"), None);
    }

    #[test]
    fn small_files() {
        assert_eq!(waited_ns("123 456 7\n"), Some(456));
        assert_eq!(waited_ns("123"), None);
        assert_eq!(load("1.25 0.5 0.1 1/2 3"), Some(1.25));
        assert_eq!(
            cpu_name("processor : 0\nmodel name\t: Some CPU @ 2\n").as_deref(),
            Some("Some CPU @ 2")
        );
    }

    #[test]
    fn this_process_is_there() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(cpu_of(own).is_some());
        assert!(rss_of(own).unwrap() > 100_000);
        assert!(waited_of(own).is_some());
        assert!(program_of(own).unwrap().contains("bench"));
    }
}
