//! The metrics of this crate, for the documentation.

use runtime::{Metric, MetricKind};

/// What this crate counts.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_grpc_requests_total",
        kind: MetricKind::Counter,
        labels: &["method", "code"],
        help: "Calls that ended, by full method; `undeclared` is any method there is not.",
    },
    Metric {
        name: "meydan_grpc_request_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["method"],
        help: "From the call's head to the head of its answer.",
    },
    Metric {
        name: "meydan_grpc_in_flight",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "Calls that have not ended, open streams included.",
    },
    Metric {
        name: "meydan_grpc_panics_total",
        kind: MetricKind::Counter,
        labels: &["method"],
        help: "Calls that ended by a panic.",
    },
    Metric {
        name: "meydan_grpc_client_calls_total",
        kind: MetricKind::Counter,
        labels: &["method", "code"],
        help: "Questions to the process that runs identity, by how they ended after all attempts.",
    },
    Metric {
        name: "meydan_grpc_client_call_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["method"],
        help: "How long those questions took, attempts and pauses included.",
    },
];
