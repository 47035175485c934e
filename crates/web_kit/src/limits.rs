//! Rate limits of operations: who is counted, under which bucket, and what the client is told.

use std::time::Duration;

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, Method};
use kernel::{Rule, Verdict};

use crate::address::Meta;
use crate::tokens::Verified;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const RESET_AFTER: HeaderName = HeaderName::from_static("x-ratelimit-reset-after");
const BUCKET: HeaderName = HeaderName::from_static("x-ratelimit-bucket");
const SCOPE: HeaderName = HeaderName::from_static("x-ratelimit-scope");
const GLOBAL: HeaderName = HeaderName::from_static("x-ratelimit-global");

/// What a bot may do in all on the chat surface.
pub(crate) const BOT_IN_ALL: Rule = Rule::new("bot_in_all", 50, Duration::from_secs(1));

/// The part of a path by which the dialect counts separately.
const MAJOR: [&str; 3] = ["channels", "guilds", "webhooks"];

/// Returns a stable name for (method, template): the same on every node and in every release.
pub(crate) fn bucket(method: &Method, template: &str) -> String {
    let text = format!("{method} {template}");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    hash.as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Finds the segment of a template that holds the major parameter, such as `{channel_id}`.
pub(crate) fn major_segment(template: &str) -> Option<usize> {
    let segments: Vec<&str> = template.split('/').collect();
    segments.windows(2).position(|pair| {
        matches!(pair, [literal, value] if MAJOR.contains(literal) && value.starts_with('{'))
    })
    .map(|at| at + 1)
}

/// Builds the limiter's key: bucket, who, major parameter.
pub(crate) fn key(
    bucket: &str,
    caller: Option<&Verified>,
    meta: &Meta,
    major: Option<&str>,
) -> String {
    let who = match caller {
        Some(verified) => format!("u{}", verified.caller.user),
        None => format!("a{}", network_of(meta.ip)),
    };
    format!("{bucket}:{who}:{}", major.unwrap_or_default())
}

/// A stranger is counted by /24 or /64, which is what one of them can move about in.
fn network_of(ip: std::net::IpAddr) -> String {
    match ip {
        std::net::IpAddr::V4(ip) => format!("{:x}", ip.to_bits() >> 8),
        std::net::IpAddr::V6(ip) => format!("{:x}", ip.to_bits() >> 64),
    }
}

/// Tells the client of the dialect where it stands; decimal seconds, as its libraries parse them.
pub(crate) fn tell(
    headers: &mut HeaderMap,
    rule: Rule,
    bucket: &str,
    verdict: Verdict,
    now: jiff::Timestamp,
) {
    let reset_after = if verdict.allowed {
        verdict.reset_after
    } else {
        verdict.retry_after
    };
    let reset = now.as_duration().as_secs_f64() + reset_after.as_secs_f64();
    put(headers, LIMIT, &rule.burst.to_string());
    put(headers, REMAINING, &verdict.remaining.to_string());
    put(headers, RESET, &format!("{reset:.3}"));
    put(
        headers,
        RESET_AFTER,
        &format!("{:.3}", reset_after.as_secs_f64()),
    );
    put(headers, BUCKET, bucket);
    if !verdict.allowed {
        put(headers, SCOPE, "user");
    }
}

/// Tells a bot that it is over what it may do in all.
pub(crate) fn tell_global(headers: &mut HeaderMap) {
    put(headers, GLOBAL, "true");
    put(headers, SCOPE, "global");
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_is_stable_and_differs_by_method_and_template() {
        let bucket = |method, template| bucket(&method, template);
        let first = bucket(Method::POST, "/api/v10/channels/{channel_id}/messages");
        // Clients keep buckets over reconnects and releases: this value never changes.
        assert_eq!(first, "c2406413eeb811f6");
        assert_ne!(
            first,
            bucket(Method::GET, "/api/v10/channels/{channel_id}/messages")
        );
        assert_ne!(
            first,
            bucket(Method::POST, "/api/v10/channels/{channel_id}/typing")
        );
    }

    #[test]
    fn major_parameters_are_found_by_place() {
        for (template, expected) in [
            (
                "/api/v10/channels/{channel_id}/messages/{message_id}",
                Some(4),
            ),
            ("/api/v10/guilds/{id}/members/{user}", Some(4)),
            ("/api/v10/webhooks/{id}/{token}", Some(4)),
            ("/api/v10/users/@me/channels", None),
            ("/v1/auth/login", None),
        ] {
            assert_eq!(major_segment(template), expected, "{template}");
        }
    }

    #[test]
    fn strangers_are_counted_by_their_network() {
        let of = |ip: &str| network_of(ip.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
