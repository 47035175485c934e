//! Typing: told, limited, never stored.

use std::time::Duration;

use infra::fanout::{Topic, Version};
use kernel::UserId;
use serde_json::{Value, json};

use crate::world::{ANA, COMMUNITY, ROOM, World, card, start};

fn path() -> String {
    format!("/api/v10/channels/{ROOM}/typing")
}

#[tokio::test]
async fn typing_is_told_to_the_community_with_the_member() {
    let w = World::new().await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(w.call("POST", &path(), ANA, Value::Null).await.status, 204);
    let heard = ear.hear().unwrap();
    assert_eq!(heard.name, "TYPING_START");
    assert_eq!(heard.dispatch.unwrap().intent, Some(11));
    assert!(heard.record.ephemeral);
    assert_eq!(heard.record.version, Version::None);
    assert_eq!(heard.record.channel, Some(ROOM));
    let member = json!({
        "user": card(1, "ana"), "nick": null, "roles": [],
        "joined_at": "2026-01-01T00:00:00.000000+00:00", "communication_disabled_until": null,
        "flags": 0, "mute": false, "deaf": false
    });
    assert_eq!(
        heard.data,
        json!({
            "channel_id": "800", "guild_id": "700", "user_id": "1",
            "timestamp": start().as_second(), "member": member
        })
    );
}

#[tokio::test]
async fn one_sign_in_eight_seconds_and_five_of_a_channel() {
    let w = World::new().await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    for (after_ms, told) in [(0, true), (7_999, false), (1, true)] {
        w.clock.advance(Duration::from_millis(after_ms));
        assert_eq!(w.call("POST", &path(), ANA, Value::Null).await.status, 204);
        assert_eq!(ear.hear().is_some(), told, "after {after_ms} ms");
    }
    w.clock.advance(Duration::from_secs(60));
    let told = {
        for id in 10..17 {
            let user = w.identity.add(UserId::new(id), &format!("user{id}"));
            w.seat(user.id, ROOM);
            assert_eq!(
                w.call("POST", &path(), user.id, Value::Null).await.status,
                204
            );
        }
        std::iter::from_fn(|| ear.hear()).count()
    };
    assert_eq!(told, 5, "seven type, five are told");
}

#[tokio::test]
async fn in_direct_messages_another_intent_is_asked_for() {
    let w = World::new().await;
    let dm = w
        .call(
            "POST",
            "/api/v10/users/@me/channels",
            ANA,
            json!({"recipient_id": 2}),
        )
        .await;
    let id: kernel::ChannelId = dm.json["id"].as_str().unwrap().parse().unwrap();
    let mut ear = w.listen(&[Topic::Channel(id)]).await;
    let path = format!("/api/v10/channels/{id}/typing");
    assert_eq!(w.call("POST", &path, ANA, Value::Null).await.status, 204);
    let heard = ear.hear().unwrap();
    assert_eq!(heard.dispatch.unwrap().intent, Some(14));
    assert_eq!(
        heard.data,
        json!({"channel_id": id, "user_id": "1", "timestamp": start().as_second()})
    );
}
