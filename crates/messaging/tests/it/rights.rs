//! Every route: allowed, not logged in, unknown channel, channel not seen, right missing.

use std::time::Duration;

use kernel::perm::Chat;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, ROOM, World, id_of, message, messages};

/// Method, path, body, and the right it needs beside the view.
type Row = (&'static str, String, Value, Option<Chat>);

const READ: Option<Chat> = Some(Chat::READ_HISTORY);
const MANAGE: Option<Chat> = Some(Chat::MANAGE_MESSAGES);

fn routes(id: MessageId, poll: MessageId) -> Vec<Row> {
    let channel = format!("/api/v10/channels/{ROOM}");
    let of = |rest: &str| format!("{channel}/{rest}");
    let receipts = of(&format!("receipts?message_id={id}"));
    let send = Some(Chat::SEND_MESSAGES);
    let mut rows = vec![
        ("POST", messages(ROOM), json!({"content": "a"}), send),
        ("GET", messages(ROOM), Value::Null, READ),
        ("GET", message(id), Value::Null, READ),
        ("PATCH", message(id), json!({"content": "b"}), None),
        ("POST", of("typing"), Value::Null, send),
        ("POST", format!("{}/ack", message(id)), Value::Null, None),
        (
            "POST",
            format!("{}/report", message(id)),
            json!({"reason": "spam"}),
            READ,
        ),
        ("GET", receipts, Value::Null, None),
        ("PUT", of("notifications"), json!({"level": "all"}), None),
    ];
    rows.extend(reaction_routes(id));
    rows.extend(pin_routes(id));
    rows.extend(poll_routes(poll));
    let later = json!({"send_at": "2026-11-21T07:00:00Z", "message": {"content": "a"}});
    rows.extend([
        ("PUT", of("draft"), json!({"content": "a"}), None),
        ("GET", of("message-ttl"), Value::Null, None),
        (
            "PUT",
            of("message-ttl"),
            json!({"message_ttl": 0}),
            Some(Chat::MANAGE_CHANNELS),
        ),
        ("POST", of("scheduled-messages"), later, send),
        ("GET", of("scheduled-messages"), Value::Null, None),
        ("PATCH", of("scheduled-messages/77"), json!({}), None),
        ("DELETE", of("scheduled-messages/77"), Value::Null, None),
    ]);
    rows.push(("DELETE", message(id), Value::Null, None));
    rows
}

fn reaction_routes(id: MessageId) -> Vec<Row> {
    let all = format!("{}/reactions", message(id));
    let one = format!("{all}/%F0%9F%94%A5");
    let own = format!("{one}/@me");
    let of_other = format!("{one}/2");
    let add = Some(Chat::ADD_REACTIONS);
    vec![
        ("PUT", own.clone(), Value::Null, add),
        ("DELETE", own, Value::Null, None),
        ("DELETE", of_other, Value::Null, MANAGE),
        ("GET", one.clone(), Value::Null, READ),
        ("DELETE", one, Value::Null, MANAGE),
        ("DELETE", all, Value::Null, MANAGE),
    ]
}

fn pin_routes(id: MessageId) -> Vec<Row> {
    let newer = format!("{}/pins", messages(ROOM));
    let older = format!("/api/v10/channels/{ROOM}/pins");
    let many = format!("{}/bulk-delete", messages(ROOM));
    let unknown = [1, 2].map(|n| MessageId::new(id.get() + n));
    let revisions = format!("{}/revisions", message(id));
    vec![
        ("GET", revisions, Value::Null, READ),
        ("PUT", format!("{newer}/{id}"), Value::Null, MANAGE),
        ("DELETE", format!("{newer}/{id}"), Value::Null, MANAGE),
        ("GET", newer, Value::Null, READ),
        ("PUT", format!("{older}/{id}"), Value::Null, MANAGE),
        ("DELETE", format!("{older}/{id}"), Value::Null, MANAGE),
        ("GET", older, Value::Null, READ),
        ("POST", many, json!({"messages": unknown}), MANAGE),
    ]
}

fn poll_routes(id: MessageId) -> Vec<Row> {
    let poll = format!("/api/v10/channels/{ROOM}/polls/{id}");
    let own = format!("{poll}/answers/@me");
    vec![
        ("PUT", own, json!({"answer_ids": [1]}), READ),
        ("GET", format!("{poll}/answers/1"), Value::Null, READ),
        ("POST", format!("{poll}/expire"), Value::Null, None),
    ]
}

#[tokio::test]
async fn every_channel_route_is_allowed_or_refused() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    let asked = json!({"question": {"text": "?"}, "answers": [{"poll_media": {"text": "a"}}]});
    let poll = w.send(ANA, json!({"poll": asked})).await.expect(200);
    let poll = id_of(&poll.unwrap().json);
    w.t.script(
        "INSERT INTO messaging.scheduled_messages (id, channel_id, author_id, send_at, body)
         VALUES (77, 800, 1, '2026-11-21', '{}')",
    )
    .await
    .unwrap();
    // As in a thread, whose members see each other's receipts.
    w.t.script("INSERT INTO messaging.channel_members (channel_id, user_id) VALUES (800, 1)")
        .await
        .unwrap();
    let usual = Chat::DEFAULT | Chat::MANAGE_MESSAGES | Chat::MANAGE_CHANNELS;
    for (method, path, body, right) in routes(id, poll) {
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
        // One's own, also in a channel that one sees no more.
        .filter(|operation| !(operation.starts_with("DELETE") && operation.ends_with("/draft")))
        .collect();
    let mut tested: Vec<String> = routes(MessageId::new(5), MessageId::new(6))
        .iter()
        .map(|(method, path, ..)| {
            let path = path.split_once('?').map_or(path.as_str(), |(path, _)| path);
            let path = path
                .replace("/800", "/{channel_id}")
                .replace("messages/5", "messages/{message_id}")
                .replace("pins/5", "pins/{message_id}")
                .replace("messages/77", "messages/{scheduled_id}")
                .replace("polls/6", "polls/{message_id}")
                .replace("answers/1", "answers/{answer_id}")
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
