//! The metrics of this crate, for the documentation.

use kernel::{Metric, MetricKind};

/// The metrics of this crate.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_db_pool_connections",
        kind: MetricKind::Gauge,
        labels: &["state"],
        help: "Connections of the pool that are open and free, and callers waiting for one.",
    },
    Metric {
        name: "meydan_db_pool_wait_seconds",
        kind: MetricKind::Histogram,
        labels: &[],
        help: "How long a caller waited for a connection of the pool.",
    },
    Metric {
        name: "meydan_db_statement_seconds",
        kind: MetricKind::Histogram,
        labels: &["statement", "result"],
        help: "How long a statement took, by its name; the result is ok or error.",
    },
    Metric {
        name: "meydan_db_abandoned_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Connections given up in the middle of work, by a timeout or a cancelled request.",
    },
    Metric {
        name: "meydan_outbox_pending",
        kind: MetricKind::Gauge,
        labels: &["context"],
        help: "Events that wait to be published; counted up to 10,000.",
    },
    Metric {
        name: "meydan_outbox_lag_seconds",
        kind: MetricKind::Gauge,
        labels: &["context"],
        help: "Age of the oldest event that waits to be published.",
    },
    Metric {
        name: "meydan_dead_letters_total",
        kind: MetricKind::Counter,
        labels: &["consumer"],
        help: "Events given up after all tries; they can be looked at and replayed.",
    },
    Metric {
        name: "meydan_private_postgres_restarts_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Times the private PostgreSQL ended by itself and was started again.",
    },
];
