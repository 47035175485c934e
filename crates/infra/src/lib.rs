//! The seams between Meydan and what it runs on: each a small trait with adapters behind it.
//!
//! | module | seam | adapters |
//! |---|---|---|
//! | [`fanout`] | ephemeral pub/sub to connected sockets | in process |
//! | [`bus`] | durable events between contexts | in process |
//! | [`cache`] | short-lived values by key | in process |
//! | [`limiter`] | rate limits ([`kernel::Limiter`]) | in process |
//! | [`mail`] | letters | [`mail::smtp`], [`sent`] (kept and shown) |
//! | [`objects`] | files that are kept | a directory, S3 ([`objects::s3`]), memory |
//! | [`sms`] | texts, and codes checked by a company | [`sms::twilio`], [`sent`] (kept and shown) |
//!
//! [`outbound`] is no seam: it is the one client for calls to servers of others.
//!
//! # Invariants
//! 1. Every adapter of a seam passes the same suite of `testkit::conformance`.
//! 2. Everything that is kept or waited for has a bound; what happens at it is said at the bound.
//! 3. No adapter starts a task of its own here, and none knows a context.
//! 4. Time comes from [`kernel::Clock`] where a caller can see it; deadlines are tokio's.
//!
//! Deliberately absent: retries (the relay's and the callers' business) and configuration
//! (`meydan` decides which adapter stands behind a seam).
//!
//! Begin reading with [`fanout`], then [`bus`].

#![warn(missing_docs)]

pub mod bus;
pub mod cache;
pub mod fanout;
pub mod limiter;
pub mod mail;
pub mod objects;
pub mod outbound;
pub mod sent;
pub mod sms;

use kernel::{Metric, MetricKind};

/// The metrics of this crate.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "meydan_realtime_mailbox_full_total",
        kind: MetricKind::Counter,
        labels: &["lost"],
        help: "Records a full mailbox dropped: ephemeral ones, and durable ones that need healing.",
    },
    Metric {
        name: "meydan_bus_handle_seconds",
        kind: MetricKind::Histogram,
        labels: &["consumer"],
        help: "How long a consumer took for one event.",
    },
    Metric {
        name: "meydan_bus_refused_total",
        kind: MetricKind::Counter,
        labels: &["consumer"],
        help: "Events a consumer did not accept; they come again.",
    },
    Metric {
        name: "meydan_mail_letters_total",
        kind: MetricKind::Counter,
        labels: &["result"],
        help: "Letters handed to the mail server: sent, refused for good, or unavailable.",
    },
    Metric {
        name: "meydan_sms_requests_total",
        kind: MetricKind::Counter,
        labels: &["what", "result"],
        help: "Requests to the provider of texts: a text, a code or a check of one; sent, refused \
               for good, or unavailable.",
    },
];
