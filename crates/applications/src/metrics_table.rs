//! The metrics of this crate.

use runtime::{Metric, MetricKind};

/// What is measured here.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_webhook_deliveries_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "Attempts to deliver an event to an address: delivered, to be retried, failed for good, \
               or dropped because what it tells of is gone or hidden.",
    },
    Metric {
        name: "meydan_webhook_attempt_seconds",
        kind: MetricKind::Histogram,
        labels: &[],
        help: "How long an address took to answer, or not to.",
    },
];
