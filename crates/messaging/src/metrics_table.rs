//! The metrics of this crate.

use runtime::{Metric, MetricKind};

/// What is measured here.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_writer_batch_size",
        kind: MetricKind::Histogram,
        labels: &[],
        help: "Messages or changes that a writer committed together.",
    },
    Metric {
        name: "meydan_writer_commit_seconds",
        kind: MetricKind::Histogram,
        labels: &[],
        help: "How long a writer's batch took, with retries.",
    },
    Metric {
        name: "meydan_writer_queue_depth",
        kind: MetricKind::Gauge,
        labels: &["writer"],
        help: "Items left in a writer's queue after it took a batch.",
    },
    Metric {
        name: "meydan_writer_refused_total",
        kind: MetricKind::Counter,
        labels: &["reason"],
        help: "Messages and changes answered with 503, by reason.",
    },
    Metric {
        name: "meydan_messaging_fanout_failures_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Records the fanout did not take.",
    },
    Metric {
        name: "meydan_messaging_cursors_batch_size",
        kind: MetricKind::Histogram,
        labels: &[],
        help: "Cursors of sockets that were written together.",
    },
    Metric {
        name: "meydan_messaging_cursors_dropped_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Cursors of sockets that found the queue full.",
    },
    Metric {
        name: "meydan_messaging_synced_channels_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "Channels that clients caught up with: told (events or nothing new), reset, gone.",
    },
    Metric {
        name: "meydan_messaging_previews_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "Links that were looked at: shown, nothing (no page), refused (no public address), failed.",
    },
    Metric {
        name: "meydan_messaging_default_rows",
        kind: MetricKind::Gauge,
        labels: &["table"],
        help: "Rows no partition was made for, counted up to 1,000; anything but 0 is an alarm.",
    },
];
