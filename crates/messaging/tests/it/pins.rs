//! Pins, in both forms of the dialect: what is told, listed and refused.

use std::time::Duration;

use infra::fanout::{Topic, Version};
use kernel::perm::Chat;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, id_of, message};

fn newer(id: MessageId) -> String {
    format!("/api/v10/channels/{ROOM}/messages/pins/{id}")
}

fn older(id: MessageId) -> String {
    format!("/api/v10/channels/{ROOM}/pins/{id}")
}

async fn call(w: &World, method: &str, who: UserId, path: &str) -> (u16, Value) {
    w.clock.advance(Duration::from_secs(2));
    let reply = w.call(method, path, who, Value::Null).await;
    (reply.status.as_u16(), reply.json)
}

async fn done(w: &World, method: &str, who: UserId, path: &str) {
    assert_eq!(call(w, method, who, path).await.0, 204, "{method} {path}");
}

async fn world() -> World {
    let w = World::new().await;
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT | Chat::MANAGE_MESSAGES;
    });
    w
}

#[tokio::test]
async fn a_pin_changes_its_message_and_is_told_in_the_channel() {
    let w = world().await;
    let id = w.say(BORA, "önemli").await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    done(&w, "PUT", ANA, &newer(id)).await;
    let shown = w.call("GET", &message(id), BORA, Value::Null).await.json;
    assert_eq!((&shown["pinned"], &shown["ev"]), (&json!(true), &json!(2)));

    let told = ear.hear().unwrap();
    assert_eq!(told.name, "MESSAGE_UPDATE");
    assert_eq!(told.data["pinned"], json!(true));
    assert!(
        told.data.get("member").is_none(),
        "bora wrote it, ana pinned it"
    );
    assert_eq!(told.record.version, Version::Ev(2));
    let told = ear.hear().unwrap();
    let at = "2026-11-20T07:00:03.000000+00:00";
    assert_eq!(
        (told.name.as_str(), told.data),
        (
            "CHANNEL_PINS_UPDATE",
            json!({"channel_id": "800", "guild_id": "700", "last_pin_timestamp": at})
        )
    );
    assert_eq!(told.dispatch.unwrap().intent, Some(0));
    let told = ear.hear().unwrap();
    assert_eq!(told.name, "MESSAGE_CREATE");
    let said = &told.data;
    assert_eq!(
        (
            &said["type"],
            &said["content"],
            &said["author"]["id"],
            &said["seq"]
        ),
        (&json!(6), &json!(""), &json!("1"), &json!(2))
    );
    let about = json!({"message_id": id, "channel_id": "800", "guild_id": "700"});
    assert_eq!(said["message_reference"], about);
    let stored = w
        .call("GET", &message(id_of(said)), BORA, Value::Null)
        .await;
    assert_eq!(stored.json["message_reference"], about);
    assert!(stored.json.get("referenced_message").is_none());

    done(&w, "PUT", ANA, &older(id)).await;
    assert!(ear.hear().is_none(), "once is enough");
    done(&w, "DELETE", ANA, &older(id)).await;
    assert_eq!(ear.hear().unwrap().data["pinned"], json!(false));
    assert_eq!(ear.hear().unwrap().data["last_pin_timestamp"], Value::Null);
    assert!(ear.hear().is_none(), "nothing is said of it");
    done(&w, "DELETE", ANA, &newer(id)).await;
    assert!(ear.hear().is_none());
}

#[tokio::test]
async fn pins_are_listed_in_both_forms() {
    let w = world().await;
    let mut ids = Vec::new();
    for n in 0..3 {
        let id = w.say(BORA, &format!("m{n}")).await;
        done(&w, "PUT", ANA, &newer(id)).await;
        ids.push(id);
    }
    let list = "/api/v10/channels/800/messages/pins";
    let (_, page) = call(&w, "GET", BORA, &format!("{list}?limit=2")).await;
    let items = page["items"].as_array().unwrap();
    let named: Vec<MessageId> = items.iter().map(|pin| id_of(&pin["message"])).collect();
    assert_eq!(
        (named, &page["has_more"]),
        (vec![ids[2], ids[1]], &json!(true))
    );
    let before = items[1]["pinned_at"].as_str().unwrap().replace('+', "%2B");
    let (_, page) = call(&w, "GET", BORA, &format!("{list}?limit=2&before={before}")).await;
    assert_eq!(id_of(&page["items"][0]["message"]), ids[0]);
    assert_eq!(page["has_more"], json!(false));
    let (_, all) = call(&w, "GET", BORA, "/api/v10/channels/800/pins").await;
    let named: Vec<MessageId> = all.as_array().unwrap().iter().map(id_of).collect();
    assert_eq!(named, [ids[2], ids[1], ids[0]]);
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .all(|one| one["pinned"] == json!(true))
    );
    for query in ["?limit=0", "?limit=51", "?before=x"] {
        assert_eq!(
            call(&w, "GET", BORA, &format!("{list}{query}")).await.0,
            400
        );
    }
    done(&w, "DELETE", BORA, &message(ids[2])).await;
    let (_, page) = call(&w, "GET", BORA, list).await;
    assert_eq!(
        page["items"].as_array().unwrap().len(),
        2,
        "a pin goes with its message"
    );
}

#[tokio::test]
async fn a_channel_has_250_pins() {
    let w = world().await;
    let first = w.say(BORA, "a").await;
    let second = w.say(BORA, "b").await;
    w.t.script(
        "INSERT INTO messaging.pins (channel_id, message_id, pinned_by, pinned_at)
         SELECT 800, n, 1, '2026-01-01' FROM generate_series(1, 249) AS n",
    )
    .await
    .unwrap();
    done(&w, "PUT", ANA, &newer(first)).await;
    let (status, body) = call(&w, "PUT", ANA, &newer(second)).await;
    assert_eq!((status, &body["code"]), (400, &json!(30003)));
    done(&w, "PUT", ANA, &newer(first)).await;
}

#[tokio::test]
async fn who_pins_and_what_can_be_pinned() {
    let w = world().await;
    let id = w.say(BORA, "a").await;
    assert_eq!(call(&w, "PUT", BORA, &newer(id)).await.0, 403);
    assert_eq!(call(&w, "DELETE", BORA, &newer(id)).await.0, 403);
    w.allow(BORA, |access| {
        access.chat = Chat::DEFAULT | Chat::from_bits(1 << 51);
    });
    done(&w, "PUT", BORA, &newer(id)).await;
    let newest = call(&w, "GET", ANA, "/api/v10/channels/800/messages?limit=1")
        .await
        .1;
    let notice = id_of(&newest[0]);
    let (status, body) = call(&w, "PUT", ANA, &newer(notice)).await;
    assert_eq!((status, &body["code"]), (400, &json!(50021)));
    w.clock.advance(Duration::from_secs(5));
    let edited = w
        .call("PATCH", &message(notice), BORA, json!({"content": "b"}))
        .await;
    assert_eq!(edited.json["code"], json!(50021));
    assert_eq!(
        call(&w, "PUT", ANA, &newer(MessageId::new(5))).await.1["code"],
        json!(10008)
    );

    let dm = w.dm(ANA, BORA).await;
    let hello = w.say_in(dm, ANA, "selam").await;
    let of = |channel: ChannelId| format!("/api/v10/channels/{channel}/messages/pins/{hello}");
    done(&w, "PUT", BORA, &of(dm)).await;
    assert_eq!(call(&w, "PUT", CEM, &of(dm)).await.0, 404);
    w.relations.block(ANA, BORA);
    assert_eq!(call(&w, "DELETE", BORA, &of(dm)).await.0, 403);
}

#[tokio::test]
async fn an_edit_and_a_pin_at_once_both_happen() {
    let w = std::sync::Arc::new(world().await);
    for round in 0..10 {
        let id = w.say(ANA, "a").await;
        w.clock.advance(Duration::from_secs(10));
        let (pin, path) = (newer(id), message(id));
        let (pinned, edited) = tokio::join!(
            w.call("PUT", &pin, ANA, Value::Null),
            w.call("PATCH", &path, ANA, json!({"content": "b"})),
        );
        assert_eq!((pinned.status.as_u16(), edited.status.as_u16()), (204, 200));
        let shown = w.call("GET", &path, ANA, Value::Null).await.json;
        assert_eq!(
            (&shown["pinned"], &shown["content"]),
            (&json!(true), &json!("b")),
            "{round}"
        );
    }
}
