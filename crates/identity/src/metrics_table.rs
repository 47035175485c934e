//! The metrics of this crate.

use runtime::{Metric, MetricKind};

/// What is measured here.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_auth_otp_sent_total",
        kind: MetricKind::Counter,
        labels: &["provider", "result"],
        help: "Codes, links and letters handed to a provider, by what became of them.",
    },
    Metric {
        name: "meydan_auth_otp_checked_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "One-time passwords that came back: right, wrong, or refused unseen.",
    },
    Metric {
        name: "meydan_auth_otp_refused_total",
        kind: MetricKind::Counter,
        labels: &["limit"],
        help: "One-time passwords not sent, by the limit that was reached.",
    },
    Metric {
        name: "meydan_auth_otp_country_closed",
        kind: MetricKind::Gauge,
        labels: &["country"],
        help: "1 while the daily budget of texts to a country is used up.",
    },
];
