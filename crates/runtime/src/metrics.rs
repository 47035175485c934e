//! The description of metrics: one table per crate, from which the documentation is made.

pub use kernel::metric::{Metric, MetricKind};

/// The metrics of this crate.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_build_info",
        kind: MetricKind::Gauge,
        labels: &["version"],
        help: "Always 1; the label tells which build runs.",
    },
    Metric {
        name: "meydan_tasks_panicked_total",
        kind: MetricKind::Counter,
        labels: &["task"],
        help: "Tasks that ended by a panic.",
    },
    Metric {
        name: "meydan_blocking_rejected_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Blocking work refused because the queue was full.",
    },
    Metric {
        name: "meydan_job_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["kind"],
        help: "How long a run of a periodic job took.",
    },
    Metric {
        name: "meydan_job_failures_total",
        kind: MetricKind::Counter,
        labels: &["kind"],
        help: "Runs of a periodic job that failed or panicked.",
    },
    Metric {
        name: "meydan_job_last_success_timestamp_seconds",
        kind: MetricKind::Gauge,
        labels: &["kind"],
        help: "When a periodic job last succeeded, as seconds since 1970.",
    },
    Metric {
        name: "meydan_health_check",
        kind: MetricKind::Gauge,
        labels: &["check"],
        help: "1 while the check succeeds, 0 while it fails.",
    },
    Metric {
        name: "meydan_storage_free_bytes",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "Free space of the data directory's disk, in whole MiB.",
    },
];
