//! The metrics of the gateway.

use runtime::{Metric, MetricKind};

/// Presences nobody is told.
pub(crate) const PRESENCE_DROPPED: &str = "meydan_realtime_presence_dropped_total";

/// Name, kind, labels and meaning of each.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_realtime_connections",
        kind: MetricKind::Gauge,
        labels: &["transport"],
        help: "Open sockets.",
    },
    Metric {
        name: "meydan_realtime_events_total",
        kind: MetricKind::Counter,
        labels: &["type", "direction"],
        help: "Events taken from the fanout, by type; counted once per worker, not per socket.",
    },
    Metric {
        name: "meydan_realtime_resumes_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "RESUMEs by result: resumed, invalid (op 9) or refused (closed).",
    },
    Metric {
        name: "meydan_realtime_slow_consumer_disconnects_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Sockets closed because their client read too slowly.",
    },
    Metric {
        name: PRESENCE_DROPPED,
        kind: MetricKind::Counter,
        labels: &[],
        help: "Presences that newer ones replaced, or that were more than the node may send.",
    },
    Metric {
        name: "meydan_realtime_gaps_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Times records of a topic were lost, so that its sessions had to begin anew.",
    },
    Metric {
        name: "meydan_realtime_frames_per_write",
        kind: MetricKind::Histogram,
        labels: &[],
        help: "Frames that left in one write.",
    },
];
