//! Every route: allowed, not logged in, unknown channel, channel not seen, right missing.

use std::time::Duration;

use kernel::perm::Chat;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, ROOM, World, message, messages};

/// Method, path, body, and the right it needs beside the view.
fn routes(id: kernel::MessageId) -> Vec<(&'static str, String, Value, Option<Chat>)> {
    let typing = format!("/api/v10/channels/{ROOM}/typing");
    let receipts = format!("/api/v10/channels/{ROOM}/receipts?message_id={id}");
    let notifications = format!("/api/v10/channels/{ROOM}/notifications");
    let reactions = format!("{}/reactions", message(id));
    let reaction = format!("{reactions}/%F0%9F%94%A5");
    let own = format!("{reaction}/@me");
    let (own_again, of_other) = (own.clone(), format!("{reaction}/2"));
    let (pins, old_pins) = (
        format!("{}/pins", messages(ROOM)),
        format!("/api/v10/channels/{ROOM}/pins"),
    );
    let (pin, old_pin) = (format!("{pins}/{id}"), format!("{old_pins}/{id}"));
    let many = format!("{}/bulk-delete", messages(ROOM));
    let young = json!({"messages": [MessageId::new(id.get() + 1), MessageId::new(id.get() + 2)]});
    let manage = Some(Chat::MANAGE_MESSAGES);
    vec![
        (
            "POST",
            messages(ROOM),
            json!({"content": "a"}),
            Some(Chat::SEND_MESSAGES),
        ),
        ("GET", messages(ROOM), Value::Null, Some(Chat::READ_HISTORY)),
        ("GET", message(id), Value::Null, Some(Chat::READ_HISTORY)),
        ("PATCH", message(id), json!({"content": "b"}), None),
        ("POST", typing, Value::Null, Some(Chat::SEND_MESSAGES)),
        ("POST", format!("{}/ack", message(id)), Value::Null, None),
        ("GET", receipts, Value::Null, None),
        ("PUT", notifications, json!({"level": "all"}), None),
        ("PUT", own, Value::Null, Some(Chat::ADD_REACTIONS)),
        ("DELETE", own_again, Value::Null, None),
        ("DELETE", of_other, Value::Null, manage),
        (
            "GET",
            reaction.clone(),
            Value::Null,
            Some(Chat::READ_HISTORY),
        ),
        ("DELETE", reaction, Value::Null, manage),
        ("DELETE", reactions, Value::Null, manage),
        (
            "GET",
            format!("{}/revisions", message(id)),
            Value::Null,
            Some(Chat::READ_HISTORY),
        ),
        ("PUT", pin.clone(), Value::Null, manage),
        ("DELETE", pin, Value::Null, manage),
        ("GET", pins, Value::Null, Some(Chat::READ_HISTORY)),
        ("PUT", old_pin.clone(), Value::Null, manage),
        ("DELETE", old_pin, Value::Null, manage),
        ("GET", old_pins, Value::Null, Some(Chat::READ_HISTORY)),
        ("POST", many, young, manage),
        ("DELETE", message(id), Value::Null, None),
    ]
}

#[tokio::test]
async fn every_channel_route_is_allowed_or_refused() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    // As in a thread, whose members see each other's receipts.
    w.t.script("INSERT INTO messaging.channel_members (channel_id, user_id) VALUES (800, 1)")
        .await
        .unwrap();
    let usual = Chat::DEFAULT | Chat::MANAGE_MESSAGES;
    for (method, path, body, right) in routes(id) {
        let name = format!("{method} {path}");
        let reply = w.call(method, &path, (), body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (401, &json!(0)),
            "{name}"
        );
        let reply = w.call(method, &path, CEM, body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (404, &json!(10003)),
            "{name}"
        );
        w.allow(ANA, |access| {
            access.chat = usual.without(Chat::VIEW_CHANNEL)
        });
        let reply = w.call(method, &path, ANA, body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (404, &json!(50001)),
            "{name}"
        );
        if let Some(right) = right {
            w.allow(ANA, |access| access.chat = usual.without(right));
            let reply = w.call(method, &path, ANA, body.clone()).await;
            let got = (reply.status.as_u16(), &reply.json["code"]);
            assert_eq!(got, (403, &json!(50013)), "{name}");
        }
        w.allow(ANA, |access| access.chat = usual);
        w.clock.advance(Duration::from_secs(10));
        let reply = w.call(method, &path, ANA, body).await;
        assert!(
            reply.status.is_success(),
            "{name}: {} {}",
            reply.status,
            reply.json
        );
    }
}

#[tokio::test]
async fn the_table_above_names_every_operation() {
    let w = World::new().await;
    let table = messaging::tables(w.messaging.clone());
    let mut listed: Vec<String> = table
        .operations()
        .iter()
        .filter(|operation| operation.path.contains("{channel_id}"))
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let mut tested: Vec<String> = routes(kernel::MessageId::new(5))
        .iter()
        .map(|(method, path, ..)| {
            let path = path.split_once('?').map_or(path.as_str(), |(path, _)| path);
            let path = path
                .replace("/800", "/{channel_id}")
                .replace("messages/5", "messages/{message_id}")
                .replace("pins/5", "pins/{message_id}")
                .replace("%F0%9F%94%A5", "{emoji}")
                .replace("{emoji}/2", "{emoji}/{user_id}");
            format!("{method} {path}")
        })
        .collect();
    listed.sort();
    tested.sort();
    assert_eq!(listed, tested);
}

#[tokio::test]
async fn private_channel_routes_ask_for_a_login() {
    let w = World::new().await;
    let path = "/api/v10/users/@me/channels";
    for (method, body) in [("POST", json!({"recipient_id": "2"})), ("GET", Value::Null)] {
        assert_eq!(w.call(method, path, (), body.clone()).await.status, 401);
        assert_eq!(w.call(method, path, ANA, body).await.status, 200);
    }
}

#[tokio::test]
async fn a_category_holds_no_messages() {
    let w = World::new().await;
    w.allow(ANA, |access| access.kind = 4);
    let reply = w.send(ANA, json!({"content": "a"})).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (400, &json!(50024))
    );
}

#[tokio::test]
async fn only_the_author_edits_and_moderators_delete() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    let reply = w
        .call("PATCH", &message(id), BORA, json!({"content": "b"}))
        .await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (403, &json!(50005))
    );
    let reply = w.call("DELETE", &message(id), BORA, Value::Null).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (403, &json!(50013))
    );
    w.allow(BORA, |access| {
        access.chat = Chat::DEFAULT | Chat::MANAGE_MESSAGES
    });
    let reply = w
        .call("PATCH", &message(id), BORA, json!({"content": "b"}))
        .await;
    assert_eq!(reply.json["code"], json!(50005));
    let reply = w.call("DELETE", &message(id), BORA, Value::Null).await;
    assert_eq!(reply.status, 204);
    assert!(reply.header("content-type").is_none());
    let reply = w.call("DELETE", &message(id), BORA, Value::Null).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (404, &json!(10008))
    );
}

#[tokio::test]
async fn a_channel_of_others_is_unknown_even_by_a_known_message() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    let other = ChannelId::new(801);
    w.seat(ANA, other);
    let path = format!("/api/v10/channels/{other}/messages/{id}");
    for (method, body) in [
        ("GET", Value::Null),
        ("PATCH", json!({"content": "b"})),
        ("DELETE", Value::Null),
    ] {
        let reply = w.call(method, &path, ANA, body).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (404, &json!(10008)),
            "{method}"
        );
    }
    let nobody = UserId::new(99);
    assert_eq!(
        w.call("GET", &path, nobody, Value::Null).await.json["code"],
        json!(10003)
    );
}
