//! The line that a window prints, and what all windows of a run add up to.

use std::io::Write;

use serde::Serialize;

use crate::args::{Judging, Options, Output};
use crate::histogram::Histogram;
use crate::num::{count, float, ratio, round3};
use crate::probe::{Between, Probe};
use crate::proc;

/// Something was lost or doubled.
const EXIT_WRONG: i32 = 6;
/// The host could not give a judgement.
const EXIT_NOT_JUDGED: i32 = 4;

/// What a scenario counted in one window.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sockets, or connections.
    pub(crate) n: usize,
    pub(crate) rooms: usize,
    /// Messages in flight; none for a rate.
    pub(crate) in_flight: Option<usize>,
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) delivered_bytes: u64,
    pub(crate) frames: u64,
    pub(crate) reads: u64,
    /// Nanoseconds.
    pub(crate) latency: Histogram,
    pub(crate) lost: u64,
    pub(crate) dup: u64,
    /// Calls that were told to come back later.
    pub(crate) throttled: u64,
    /// Nobody was left who might send.
    pub(crate) starved: bool,
    /// Calls that were refused for another reason.
    pub(crate) refused: u64,
    /// Sockets whose memory is in `rss_after` and not in `rss_before`.
    pub(crate) new_sockets: Option<usize>,
}

/// One line. Absent figures are null: they were not measured, which is not zero.
#[derive(Debug, Serialize)]
pub(crate) struct Window {
    label: String,
    commit: String,
    scenario: &'static str,
    round: u32,
    n: usize,
    rooms: usize,
    frame_bytes: Option<f64>,
    window: Option<usize>,
    secs: f64,
    msgs_s: Option<f64>,
    deliv_s: Option<f64>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    p999_us: Option<f64>,
    max_us: Option<f64>,
    srv_cpu_us_per_deliv: Option<f64>,
    srv_user_us_per_deliv: Option<f64>,
    srv_system_us_per_deliv: Option<f64>,
    srv_cpu_us_per_socket: Option<f64>,
    pg_cpu_us_per_msg: Option<f64>,
    frames_per_read: Option<f64>,
    rss_before: Option<u64>,
    rss_after: Option<u64>,
    rss_per_conn_b: Option<f64>,
    slab_delta: Option<i64>,
    slab_per_conn_b: Option<f64>,
    messages: u64,
    deliveries: u64,
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

/// Puts a window together.
pub(crate) fn window(
    scenario: &'static str,
    round: u32,
    options: &Options,
    probe: &Probe,
    counts: &Counts,
    between: &Between,
) -> Window {
    let mut doubts = probe.doubts(between);
    if counts.throttled > 0 {
        doubts.push(format!(
            "{} calls met a rate limit: the limit was measured",
            counts.throttled
        ));
    }
    if counts.starved {
        doubts.push("every sender met its rate limit (--senders, --users, --channels)".to_owned());
    }
    if counts.refused > 0 {
        doubts.push(format!("{} calls were refused", counts.refused));
    }
    let per = |part: Option<u64>, whole: u64| Some(round3(ratio(float(part?), float(whole))?));
    let sockets = counts.new_sockets.map(count);
    let server = between.server_us;
    let grown = between.rss_before.zip(between.rss_after);
    let grown = grown.map(|(before, after)| after.saturating_sub(before));
    let slab = between
        .slab_delta
        .and_then(|delta| u64::try_from(delta).ok());
    let micros = |value: Option<u64>| Some(round3(float(value?) / 1_000.0));
    let a_second = |what: u64| ratio(float(what), between.seconds).map(round3);
    Window {
        label: options.label.clone(),
        commit: options.commit.clone(),
        scenario,
        round,
        n: counts.n,
        rooms: counts.rooms,
        frame_bytes: per(Some(counts.delivered_bytes), counts.deliveries),
        window: counts.in_flight,
        secs: round3(between.seconds),
        msgs_s: a_second(counts.messages),
        deliv_s: a_second(counts.deliveries),
        p50_us: micros(counts.latency.quantile(500)),
        p99_us: micros(counts.latency.quantile(990)),
        p999_us: micros(counts.latency.quantile(999)),
        max_us: micros(counts.latency.max()),
        srv_cpu_us_per_deliv: per(server.map(|cpu| cpu.total_us()), counts.deliveries),
        srv_user_us_per_deliv: per(server.map(|cpu| cpu.user_us), counts.deliveries),
        srv_system_us_per_deliv: per(server.map(|cpu| cpu.system_us), counts.deliveries),
        srv_cpu_us_per_socket: sockets.and_then(|n| per(server.map(|cpu| cpu.total_us()), n)),
        pg_cpu_us_per_msg: per(between.postgres_us, counts.messages),
        frames_per_read: per(Some(counts.frames), counts.reads),
        rss_before: between.rss_before,
        rss_after: between.rss_after,
        rss_per_conn_b: sockets.and_then(|n| per(grown, n)),
        slab_delta: between.slab_delta,
        slab_per_conn_b: sockets.and_then(|n| per(slab, n)),
        messages: counts.messages,
        deliveries: counts.deliveries,
        lost: counts.lost,
        dup: counts.dup,
        throttled: counts.throttled,
        refused: counts.refused,
        load_avg: probe.load_at_start(),
        run_delay: between.run_delay.map(round3),
        lg_cpu_util: between.generator_util.map(round3),
        kernel: proc::read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        cpu: proc::read("/proc/cpuinfo").and_then(|text| proc::cpu_name(&text)),
        judged: doubts.is_empty(),
        reason: (!doubts.is_empty()).then(|| doubts.join("; ")),
    }
}

/// What the exit code of a run depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) lost: u64,
    pub(crate) dup: u64,
    pub(crate) judged: bool,
}

impl Window {
    /// What the exit code depends on.
    pub(crate) fn outcome(&self) -> Outcome {
        Outcome {
            lost: self.lost,
            dup: self.dup,
            judged: self.judged,
        }
    }
}

/// Prints one window.
pub(crate) fn print(
    window: &impl Serialize,
    output: Output,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(window)?)?,
        Output::Table => {
            let line = serde_json::to_value(window)?;
            let fields = line.as_object().into_iter().flatten();
            for (name, value) in fields.filter(|(_, value)| !value.is_null()) {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                writeln!(out, "{name:<24} {value}")?;
            }
            writeln!(out)?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The exit code of a run.
pub(crate) fn exit_code(outcomes: &[Outcome], judging: Judging) -> i32 {
    if outcomes
        .iter()
        .any(|outcome| outcome.lost > 0 || outcome.dup > 0)
    {
        return EXIT_WRONG;
    }
    if judging == Judging::Strict && outcomes.iter().any(|outcome| !outcome.judged) {
        return EXIT_NOT_JUDGED;
    }
    0
}
