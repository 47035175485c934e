//! The metrics of this crate.

use runtime::{Metric, MetricKind};

/// What is measured here.
pub const METRICS: &[Metric] = &[Metric {
    name: "meydan_audit_findings",
    kind: MetricKind::Gauge,
    labels: &[],
    help: "Places where the chain did not hold when it was last looked at, once a day. Alert on it.",
}];
