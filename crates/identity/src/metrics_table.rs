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
    Metric {
        name: "meydan_auth_login_failures_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Passwords that did not fit, or names without an account.",
    },
    Metric {
        name: "meydan_auth_stuffing_networks_total",
        kind: MetricKind::Counter,
        labels: &["sign"],
        help: "Networks refused for an hour because of credential stuffing: by their own pairs, or in a wave.",
    },
    Metric {
        name: "meydan_auth_stuffing_refused_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Logins refused because their network tries lists of passwords.",
    },
    Metric {
        name: "meydan_auth_stuffing_wave",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "1 while more different logins fail on this process than its threshold. Alert on it.",
    },
];
