//! The metrics of this crate.

use runtime::{Metric, MetricKind};

/// What is measured here.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_media_received_bytes_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Bytes of files that were received and stored.",
    },
    Metric {
        name: "meydan_media_finished_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "Files that were received whole, by what was found: their class, or `refused`.",
    },
    Metric {
        name: "meydan_media_processing_seconds",
        kind: MetricKind::Histogram,
        labels: &["kind"],
        help: "How long work at an image took: `attachment`, `picture`, or `failed`.",
    },
    Metric {
        name: "meydan_media_backlog",
        kind: MetricKind::Gauge,
        labels: &["state"],
        help: "Files that wait: `waiting` to be worked at, `removed` for their objects to go.",
    },
];
