//! The chain itself: what is hashed, and what an entry shows. Pure.

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use kernel::{Event, EventId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The chain of everything that belongs to no gallery.
pub const PLATFORM: i64 = 0;

/// `sha256(prev ‖ chain ‖ seq ‖ body)`, numbers as eight bytes, the highest first.
pub(crate) fn link(prev: &[u8], chain: i64, seq: i64, body: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [prev, &chain.to_be_bytes(), &seq.to_be_bytes(), body] {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

/// Signs the end of a chain, so that only who has the key can move it.
pub(crate) fn head_mac(key: &hmac::Key, chain: i64, seq: i64, hash: &[u8]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in [&chain.to_be_bytes()[..], &seq.to_be_bytes(), hash] {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

/// The user an event is about: the one it names, or the one it is ordered by.
pub(crate) fn subject(event: &Event) -> Option<UserId> {
    let named = event.data.get("user_id").and_then(Value::as_str);
    named.unwrap_or(&event.key).parse().ok()
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Entry {
    /// Its number in the chain.
    #[serde(default)]
    pub seq: i64,
    /// The event.
    pub id: EventId,
    /// What happened, such as `identity.device_created.v1`.
    #[serde(rename(deserialize = "type"))]
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// Who did it; nobody for the program itself and the operator.
    pub actor: Option<UserId>,
    /// Ids and names of what changed; never values.
    pub data: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_depends_on_each_of_its_parts() {
        let base = link(b"prev", 0, 1, b"body");
        assert_eq!(base.len(), 32);
        assert_eq!(base, link(b"prev", 0, 1, b"body"));
        for other in [
            link(b"prew", 0, 1, b"body"),
            link(b"prev", 1, 1, b"body"),
            link(b"prev", 0, 2, b"body"),
            link(b"prev", 0, 1, b"bodz"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn the_subject_is_named_or_the_key() {
        let event = |key: &str, data| Event {
            id: EventId::new(1),
            kind: "x".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            actor: None,
            tenant: None,
            key: key.to_owned(),
            data,
        };
        let json = serde_json::json!({"user_id": "7"});
        assert_eq!(subject(&event("9", json)), Some(UserId::new(7)));
        assert_eq!(subject(&event("9", Value::Null)), Some(UserId::new(9)));
        assert_eq!(subject(&event("x", Value::Null)), None);
    }
}
