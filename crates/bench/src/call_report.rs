//! The line of a window of calls.

use serde::Serialize;

use crate::args::Options;
use crate::calls::Tally;
use crate::num::{count, float, ratio, round3};
use crate::probe::{Between, Probe};
use crate::proc;
use crate::report::Outcome;

/// What was called in one window, and what a look at the effects found.
#[derive(Debug, Default)]
pub(crate) struct Called {
    pub(crate) what: &'static str,
    /// Calls under way at once.
    pub(crate) lanes: usize,
    pub(crate) tally: Tally,
    /// Effects that were acknowledged and are not there.
    pub(crate) lost: u64,
    /// Effects that are there more than once.
    pub(crate) dup: u64,
    /// Whether a refusal is what the window is about.
    pub(crate) overload: Overload,
}

/// Whether refused calls make a window doubtful.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Overload {
    /// Yes: less was measured than was asked for.
    #[default]
    Unwanted,
    /// No: more is asked for than the server can do.
    Wanted,
}

/// One line. Absent figures are null: they were not measured, which is not zero.
#[derive(Debug, Serialize)]
pub(crate) struct CallWindow {
    label: String,
    commit: String,
    scenario: &'static str,
    what: &'static str,
    round: u32,
    n: usize,
    secs: f64,
    calls: u64,
    calls_s: Option<f64>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    max_us: Option<f64>,
    /// Processor time of the server and of its PostgreSQL.
    srv_cpu_us_per_call: Option<f64>,
    pg_cpu_us_per_call: Option<f64>,
    /// How many cores both used.
    cores: Option<f64>,
    /// The same processor time per call, against the first window of the round.
    cpu_ratio: Option<f64>,
    lost: u64,
    dup: u64,
    throttled: u64,
    refused: u64,
    load_avg: Option<f64>,
    run_delay: Option<f64>,
    lg_cpu_util: Option<f64>,
    kernel: Option<String>,
    cpu: Option<String>,
    judged: bool,
    reason: Option<String>,
}

impl CallWindow {
    /// Puts the line of a window together; `base_us` is the processor time per call of the round's
    /// first window.
    pub(crate) fn new(
        (scenario, round): (&'static str, u32),
        options: &Options,
        probe: &Probe,
        called: &Called,
        between: &Between,
        base_us: Option<f64>,
    ) -> CallWindow {
        let doubts = doubts(probe, called, between);
        let tally = &called.tally;
        let per_call =
            |micros: Option<u64>| Some(round3(ratio(float(micros?), float(tally.done))?));
        let micros = |value: Option<u64>| Some(round3(float(value?) / 1_000.0));
        let all_us = cpu_us(between);
        CallWindow {
            label: options.label.clone(),
            commit: options.commit.clone(),
            scenario,
            what: called.what,
            round,
            n: called.lanes,
            secs: round3(between.seconds),
            calls: tally.done,
            calls_s: ratio(float(tally.done), between.seconds).map(round3),
            p50_us: micros(tally.latency.quantile(500)),
            p99_us: micros(tally.latency.quantile(990)),
            max_us: micros(tally.latency.max()),
            srv_cpu_us_per_call: per_call(between.server_us.map(|cpu| cpu.total_us())),
            pg_cpu_us_per_call: per_call(between.postgres_us),
            cores: all_us.and_then(|us| Some(round3(ratio(us / 1e6, between.seconds)?))),
            cpu_ratio: us_per_call(called, between)
                .zip(base_us)
                .and_then(|(own, base)| Some(round3(ratio(own, base)?))),
            lost: called.lost,
            dup: called.dup,
            throttled: tally.throttled,
            refused: tally.refused,
            load_avg: probe.load_at_start(),
            run_delay: between.run_delay.map(round3),
            lg_cpu_util: between.generator_util.map(round3),
            kernel: proc::read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
            cpu: proc::read("/proc/cpuinfo").and_then(|text| proc::cpu_name(&text)),
            judged: doubts.is_empty(),
            reason: (!doubts.is_empty()).then(|| doubts.join("; ")),
        }
    }

    /// What the exit code depends on.
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome {
            lost: self.lost,
            dup: self.dup,
            judged: self.judged,
        }
    }
}

/// Processor time of the server and of its PostgreSQL per call.
pub(crate) fn us_per_call(called: &Called, between: &Between) -> Option<f64> {
    ratio(cpu_us(between)?, float(called.tally.done))
}

fn cpu_us(between: &Between) -> Option<f64> {
    let server_us = between.server_us?.total_us();
    Some(float(server_us.saturating_add(between.postgres_us?)))
}

fn doubts(probe: &Probe, called: &Called, between: &Between) -> Vec<String> {
    let mut doubts = probe.doubts(between);
    let Tally {
        done,
        refused,
        throttled,
        ..
    } = called.tally;
    if throttled > 0 {
        doubts.push(format!(
            "{throttled} calls met a rate limit: the limit was measured"
        ));
    }
    if refused > 0 && called.overload == Overload::Unwanted {
        doubts.push(format!("{refused} calls were refused"));
    }
    if done < count(called.lanes) {
        doubts.push(format!("only {done} calls were answered"));
    }
    doubts
}
