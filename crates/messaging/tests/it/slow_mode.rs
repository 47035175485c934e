//! The slow mode of a channel.

use std::time::Duration;

use kernel::Caller;
use kernel::perm::Chat;
use serde_json::{Value, json};

use crate::world::{ANA, BORA, ROOM, World, message, messages};

async fn slow() -> World {
    let w = World::new().await;
    w.allow(ANA, |access| access.slowmode_s = 30);
    w
}

#[tokio::test]
async fn one_message_in_the_time_of_the_mode() {
    let w = slow().await;
    w.say(ANA, "a").await;
    w.clock.advance(Duration::from_millis(29_999));
    let refused = w
        .call("POST", &messages(ROOM), ANA, json!({"content": "b"}))
        .await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["code"]),
        (429, &json!(20016))
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!((refused.json["retry_after"].as_f64().unwrap() - 0.001).abs() < 0.001);
    assert_eq!(
        w.call("POST", &messages(ROOM), BORA, json!({"content": "b"}))
            .await
            .status,
        200
    );
    w.clock.advance(Duration::from_millis(1));
    assert_eq!(
        w.call("POST", &messages(ROOM), ANA, json!({"content": "b"}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn two_at_once_are_one() {
    let w = slow().await;
    let send = || {
        w.call(
            "POST",
            "/api/v10/channels/800/messages",
            ANA,
            json!({"content": "a"}),
        )
    };
    let (one, other) = tokio::join!(send(), send());
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
}

#[tokio::test]
async fn deleting_buys_no_other_turn() {
    let w = slow().await;
    let id = w.say(ANA, "a").await;
    w.call("DELETE", &message(id), ANA, Value::Null).await;
    w.clock.advance(Duration::from_secs(10));
    assert_eq!(
        w.send(ANA, json!({"content": "b"})).await.json["code"],
        json!(20016)
    );
}

#[tokio::test]
async fn a_replay_is_answered_in_the_slow_mode_too() {
    let w = slow().await;
    let body = json!({"content": "a", "nonce": "n", "enforce_nonce": true});
    let first = w.send(ANA, body.clone()).await.expect(200).unwrap();
    let again = w.send(ANA, body).await.expect(200).unwrap();
    assert_eq!(again.json["id"], first.json["id"]);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn moderators_and_bots_do_not_wait() {
    let w = slow().await;
    for right in [
        Chat::MANAGE_MESSAGES,
        Chat::MANAGE_CHANNELS,
        Chat::from_bits(1 << 52),
    ] {
        w.allow(ANA, |access| access.chat = Chat::DEFAULT | right);
        for _ in 0..2 {
            assert_eq!(
                w.send(ANA, json!({"content": "a"})).await.status,
                200,
                "{right:?}"
            );
        }
    }
    w.allow(ANA, |access| access.chat = Chat::DEFAULT);
    let bot = Caller::bot(ANA);
    for _ in 0..2 {
        let reply = w
            .call("POST", &messages(ROOM), &bot, json!({"content": "a"}))
            .await;
        assert_eq!(reply.status, 200);
    }
}
