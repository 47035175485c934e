//! Two looks at the server, at this process and at the computer, and what lies between them.

use std::time::Duration;

use anyhow::Context;

use crate::args::Options;
use crate::clock::now_ns;
use crate::num::{float, ratio};
use crate::proc::{self, Cpu};

/// A load above this is somebody else's work.
const LOAD_MAX: f64 = 0.5;
/// Above this share of a core the generator is what was measured.
const GENERATOR_MAX: f64 = 0.9;
/// Above this share of the window the server waited for a core.
const WAIT_MAX: f64 = 0.05;

/// One look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    at_ns: u64,
    server: Option<ServerSample>,
    own: Cpu,
    pub(crate) slab: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct ServerSample {
    cpu: Cpu,
    postgres: Cpu,
    waited_ns: u64,
    rss: u64,
}

/// What lies between two looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between {
    pub(crate) seconds: f64,
    pub(crate) server_us: Option<Cpu>,
    pub(crate) postgres_us: Option<u64>,
    pub(crate) rss_before: Option<u64>,
    pub(crate) rss_after: Option<u64>,
    pub(crate) slab_delta: Option<i64>,
    /// Share of the time in which the server's threads waited for a core.
    pub(crate) run_delay: Option<f64>,
    pub(crate) generator_util: Option<f64>,
}

/// Looks at one server.
#[derive(Debug)]
pub(crate) struct Probe {
    pid: Option<i32>,
    own: i32,
    load_at_start: Option<f64>,
}

impl Probe {
    /// Finds the server's process: given, or named in its data directory.
    pub(crate) fn new(options: &Options, started: Option<i32>) -> anyhow::Result<Probe> {
        let pid = match (started.or(options.pid), &options.data) {
            (Some(pid), _) => Some(pid),
            (None, Some(data)) => Some(proc::pid_in(data)?),
            (None, None) => None,
        };
        if let Some(pid) = pid {
            proc::cpu_of(pid).with_context(|| format!("there is no process {pid}"))?;
        }
        Ok(Probe {
            pid,
            own: i32::try_from(std::process::id()).context("own process number")?,
            load_at_start: load(),
        })
    }

    /// Looks now.
    pub(crate) fn sample(&self) -> Sample {
        Sample {
            server: self.pid.and_then(server),
            own: proc::cpu_of(self.own).unwrap_or_default(),
            slab: proc::read("/proc/meminfo").and_then(|text| proc::kilobytes(&text, "Slab")),
            at_ns: now_ns(),
        }
    }

    /// Why a window cannot be judged; empty when it can.
    pub(crate) fn doubts(&self, between: &Between) -> Vec<String> {
        let mut doubts = Vec::new();
        if cfg!(debug_assertions) {
            doubts.push("the generator is a debug build".to_owned());
        }
        match self.pid {
            None => doubts.push("the server's process is not known (--pid, --data)".to_owned()),
            Some(pid) => {
                let program = proc::program_of(pid).unwrap_or_default();
                if program.contains("/debug/") {
                    doubts.push("the server is a debug build".to_owned());
                }
                if between.server_us.is_none() {
                    doubts.push("the server's process went away".to_owned());
                }
            }
        }
        if let Some(load) = self.load_at_start.filter(|load| *load > LOAD_MAX) {
            doubts.push(format!("load average {load:.2} at the start"));
        }
        if let Some(util) = between.generator_util.filter(|util| *util > GENERATOR_MAX) {
            doubts.push(format!(
                "the generator used {:.0} % of a core",
                util * 100.0
            ));
        }
        if let Some(wait) = between.run_delay.filter(|wait| *wait > WAIT_MAX) {
            doubts.push(format!(
                "the server waited for a core {:.0} % of the window",
                wait * 100.0
            ));
        }
        doubts
    }

    /// The load average when the run began.
    pub(crate) fn load_at_start(&self) -> Option<f64> {
        self.load_at_start
    }
}

/// What lies between two looks.
pub(crate) fn between(before: &Sample, after: &Sample) -> Between {
    let nanos = after.at_ns.saturating_sub(before.at_ns);
    let seconds = Duration::from_nanos(nanos).as_secs_f64();
    let micros = float(nanos) / 1_000.0;
    let servers = before.server.zip(after.server);
    let own = less(after.own, before.own).total_us();
    Between {
        seconds,
        server_us: servers.map(|(before, after)| less(after.cpu, before.cpu)),
        postgres_us: servers
            .map(|(before, after)| less(after.postgres, before.postgres).total_us()),
        rss_before: before.server.map(|server| server.rss),
        rss_after: after.server.map(|server| server.rss),
        slab_delta: before.slab.zip(after.slab).map(|(before, after)| {
            let wide = |value| i64::try_from(value).unwrap_or(i64::MAX);
            wide(after).saturating_sub(wide(before))
        }),
        run_delay: servers.and_then(|(before, after)| {
            let waited = after.waited_ns.saturating_sub(before.waited_ns);
            ratio(float(waited), float(nanos))
        }),
        generator_util: ratio(float(own), micros),
    }
}

fn server(pid: i32) -> Option<ServerSample> {
    Some(ServerSample {
        cpu: proc::cpu_of(pid)?,
        postgres: proc::descendants_cpu(pid, "postgres"),
        waited_ns: proc::waited_of(pid)?,
        rss: proc::rss_of(pid)?,
    })
}

fn less(after: Cpu, before: Cpu) -> Cpu {
    Cpu {
        user_us: after.user_us.saturating_sub(before.user_us),
        system_us: after.system_us.saturating_sub(before.system_us),
    }
}

fn load() -> Option<f64> {
    proc::load(&proc::read("/proc/loadavg")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, server_us: u64, own_us: u64, waited_ns: u64) -> Sample {
        Sample {
            at_ns: seconds * 1_000_000_000,
            server: Some(ServerSample {
                cpu: Cpu {
                    user_us: server_us,
                    system_us: 0,
                },
                postgres: Cpu::default(),
                waited_ns,
                rss: 1_000 + server_us,
            }),
            own: Cpu {
                user_us: 0,
                system_us: own_us,
            },
            slab: Some(10_000 - seconds),
        }
    }

    fn probe(load: f64) -> Probe {
        Probe {
            pid: Some(i32::try_from(std::process::id()).unwrap()),
            own: 1,
            load_at_start: Some(load),
        }
    }

    #[test]
    fn differences_are_per_window() {
        let between = between(&at(1, 5, 100, 0), &at(3, 25, 1_000_100, 500_000_000));
        assert_eq!(between.seconds, 2.0);
        assert_eq!(between.server_us.unwrap().total_us(), 20);
        assert_eq!(between.generator_util, Some(0.5));
        assert_eq!(between.run_delay, Some(0.25));
        assert_eq!(between.slab_delta, Some(-2));
        assert_eq!(between.rss_after, Some(1_025));
    }

    #[test]
    fn doubts_name_every_reason() {
        let busy = between(&at(0, 0, 0, 0), &at(1, 0, 950_000, 60_000_000));
        let doubts = probe(2.0).doubts(&busy).join("; ");
        for part in [
            "load average 2.00",
            "95 % of a core",
            "waited for a core 6 %",
        ] {
            assert!(doubts.contains(part), "{doubts}");
        }
        let calm = between(&at(0, 0, 0, 0), &at(1, 0, 890_000, 40_000_000));
        let doubts = probe(0.5).doubts(&calm).join("; ");
        for part in ["load", "of a core", "waited"] {
            assert!(!doubts.contains(part), "{doubts}");
        }
    }

    #[test]
    fn an_unknown_server_is_a_doubt() {
        let unknown = Probe {
            pid: None,
            own: 1,
            load_at_start: None,
        };
        let calm = between(&at(0, 0, 0, 0), &at(1, 0, 0, 0));
        assert!(unknown.doubts(&calm).join(";").contains("--pid"));
    }
}
