//! The metrics of this crate.

use runtime::{Metric, MetricKind};

use crate::error::Error;

/// What is measured here.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_auth_logins_total",
        kind: MetricKind::Counter,
        labels: &["method", "result"],
        help: "Logins by how they were proved first: ok, waiting for a second factor, refused, or failed for another reason.",
    },
    Metric {
        name: "meydan_auth_passwords_total",
        kind: MetricKind::Counter,
        labels: &["work"],
        help: "Passwords worked on, which is what costs memory and time: compared with a hash, of an account or of nobody, or judged and made into a new one.",
    },
    Metric {
        name: "meydan_auth_refresh_reuse_total",
        kind: MetricKind::Counter,
        labels: &[],
        help: "Spent refresh tokens that came back; each ended a login.",
    },
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
    Metric {
        name: "meydan_auth_service_tokens_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "Tokens that other processes of the installation asked for: issued, refused because the proof was not good, or failed.",
    },
    Metric {
        name: "meydan_identity_erasures_late",
        kind: MetricKind::Gauge,
        labels: &[],
        help: "Erasures for which a context did not answer within a day. Alert on it.",
    },
];

/// Counts a login by what became of it.
pub(crate) fn count_login<T>(method: &'static str, login: &Result<T, Error>) {
    let result = match login {
        Ok(_) => "ok",
        Err(Error::SecondFactorRequired { .. } | Error::RegistrationLocked { .. }) => "waiting",
        Err(
            Error::InvalidCredentials
            | Error::OtpInvalid
            | Error::TokenInvalid
            | Error::SecondFactorInvalid
            | Error::MfaTokenInvalid
            | Error::PasskeyInvalid
            | Error::OauthFailed(_)
            | Error::RateLimited { .. },
        ) => "refused",
        Err(_) => "failed",
    };
    metrics::counter!("meydan_auth_logins_total", "method" => method, "result" => result)
        .increment(1);
}
