//! The metrics of this crate, for the documentation.

use runtime::{Metric, MetricKind};

/// What this crate counts.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_http_requests_total",
        kind: MetricKind::Counter,
        labels: &["route", "method", "status"],
        help: "Requests answered, by template; `unmatched` is any path that no route has.",
    },
    Metric {
        name: "meydan_http_request_duration_seconds",
        kind: MetricKind::Histogram,
        labels: &["route", "method"],
        help: "From the request's head to the response's head.",
    },
    Metric {
        name: "meydan_http_in_flight",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "Requests whose response has not begun.",
    },
    Metric {
        name: "meydan_http_connections",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "Open connections of the server, upgraded ones as long as they keep their slot.",
    },
    Metric {
        name: "meydan_http_connections_refused_total",
        kind: MetricKind::Counter,
        labels: &["reason"],
        help: "Connections refused or cut: full, first_byte, head, write, idle.",
    },
    Metric {
        name: "meydan_ratelimit_rejected_total",
        kind: MetricKind::Counter,
        labels: &["rule"],
        help: "Requests refused by a rate limit.",
    },
    Metric {
        name: "meydan_http_panics_total",
        kind: MetricKind::Counter,
        labels: &["route"],
        help: "Requests that ended by a panic.",
    },
    Metric {
        name: "meydan_auth_revocations_read_timestamp_seconds",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "When this process last read which devices were logged out, as seconds since 1970.",
    },
];
