//! Sending: the whole body in the answer and in the event, mentions, replies, nonces, limits.

use std::time::Duration;

use infra::fanout::{Topic, Version};
use kernel::perm::Chat;
use kernel::{Caller, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, COMMUNITY, ROOM, World, card, id_of, message, messages};

/// A message of ana's as the dialect shows it; the rest is laid over it.
fn shown(id: &Value, over: Value) -> Value {
    let mut message = json!({
        "id": id, "channel_id": "800", "author": card(1, "ana"), "content": "",
        "timestamp": "2026-11-20T07:00:01.000000+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [],
        "embeds": [], "components": [], "reactions": [], "pinned": false, "type": 0, "flags": 0,
        "seq": 1, "ev": 1
    });
    for (key, value) in over.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn member() -> Value {
    json!({
        "nick": null, "roles": [], "joined_at": "2026-01-01T00:00:00.000000+00:00",
        "communication_disabled_until": null, "flags": 0, "mute": false, "deaf": false
    })
}

#[tokio::test]
async fn answer_and_event_are_the_whole_message() {
    let w = World::new().await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let body = json!({
        "content": "selam <@2>", "nonce": 123_456_789_012_345_678_i64, "flags": 4,
        "embeds": [{"title": "başlık"}], "components": [{"type": 1, "components": []}],
        "tts": true, "sticker_ids": [], "unknown": 1
    });
    let reply = w.send(ANA, body).await.expect(200).unwrap();
    assert!(reply.header("idempotent-replayed").is_none());
    let full = json!({
        "content": "selam <@2>", "nonce": 123_456_789_012_345_678_i64, "flags": 4,
        "embeds": [{"title": "başlık", "type": "rich"}],
        "components": [{"type": 1, "components": []}], "mentions": [card(2, "bora")]
    });
    let expected = shown(&reply.json["id"], full);
    assert_eq!(reply.json, expected);

    let heard = ear.hear().unwrap();
    let mut live = expected.clone();
    live["guild_id"] = json!("700");
    live["member"] = member();
    assert_eq!(
        (heard.name.as_str(), &heard.data),
        ("MESSAGE_CREATE", &live)
    );
    let mut redacted = live;
    redacted["content"] = json!("");
    redacted["embeds"] = json!([]);
    redacted["components"] = json!([]);
    assert_eq!(heard.redacted, Some(redacted));
    let dispatch = heard.dispatch.unwrap();
    assert_eq!((dispatch.intent, dispatch.author), (Some(9), Some(ANA)));
    assert_eq!(dispatch.full_for, [BORA]);
    assert_eq!(heard.topic, Topic::Community(COMMUNITY));
    let record = heard.record;
    assert_eq!(
        (record.community, record.channel),
        (Some(COMMUNITY), Some(ROOM))
    );
    assert_eq!(
        (record.version, record.epoch, record.ephemeral),
        (Version::Ev(1), 5, false)
    );

    // Read again: the same, without what only the sender called it.
    let again = w
        .call("GET", &message(id_of(&expected)), BORA, Value::Null)
        .await
        .json;
    let mut stored = expected;
    stored.as_object_mut().unwrap().remove("nonce");
    assert_eq!(again, stored);
}

#[tokio::test]
async fn a_message_leaves_one_event_in_the_outbox() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    const EVENTS: db::Sql = db::Sql::new(
        "test.events",
        "SELECT jsonb_agg(jsonb_build_object('event_id', event_id::text, 'type', type, 'key', key,
            'actor', actor::text, 'data', data) ORDER BY id)
         FROM messaging.outbox",
    );
    let events: Value = EVENTS.scalar(&w.admin).await.unwrap();
    assert_eq!(
        events,
        json!([{
            "event_id": id, "type": "messaging.message_created.v1", "key": "800", "actor": "1",
            "data": {"channel_id": "800", "community_id": "700", "id": id, "author_id": "1",
                "seq": 1, "ev": 1}
        }])
    );
}

#[tokio::test]
async fn a_reply_shows_and_mentions_what_it_answers() {
    let w = World::new().await;
    let first = w.say(BORA, "soru").await;
    let reference = json!({"message_id": first.get(), "guild_id": "700"});
    let reply = w
        .send(
            ANA,
            json!({"content": "cevap", "message_reference": reference}),
        )
        .await;
    let reply = reply.expect(200).unwrap().json;
    assert_eq!(reply["type"], json!(19));
    let expected = json!({"message_id": first, "channel_id": "800", "guild_id": "700"});
    assert_eq!(reply["message_reference"], expected);
    assert_eq!(reply["referenced_message"]["content"], json!("soru"));
    assert_eq!(reply["mentions"], json!([card(2, "bora")]));
    // Without the mention, by the sender's wish.
    let quiet = json!({
        "content": "a", "message_reference": {"message_id": first},
        "allowed_mentions": {"parse": [], "replied_user": false}
    });
    assert_eq!(w.send(ANA, quiet).await.json["mentions"], json!([]));
    // The live event without content hides the answered message too.
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    w.send(
        ANA,
        json!({"content": "b", "message_reference": {"message_id": first}}),
    )
    .await;
    let redacted = ear.hear().unwrap().redacted.unwrap();
    assert_eq!(redacted["referenced_message"]["content"], json!(""));
    // The answered message goes: the reply stays and shows null.
    w.call("DELETE", &message(first), BORA, Value::Null).await;
    let seen = w
        .call("GET", &message(id_of(&reply)), ANA, Value::Null)
        .await
        .json;
    assert_eq!(seen.get("referenced_message"), Some(&Value::Null));
    // Answering it now fails, or makes a plain message.
    let missing = |fail: bool| {
        let reference = json!({"message_id": first, "fail_if_not_exists": fail});
        json!({"content": "c", "message_reference": reference})
    };
    w.clock.advance(Duration::from_secs(10));
    let refused = w.send(ANA, missing(true)).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["code"]),
        (400, &json!(50035))
    );
    assert!(
        refused.json["errors"]["message_reference"]["_errors"].is_array(),
        "{}",
        refused.json
    );
    assert_eq!(w.send(ANA, missing(false)).await.json["type"], json!(0));
    // A reply needs the right to read what it answers.
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::READ_HISTORY)
    });
    assert_eq!(w.send(ANA, missing(false)).await.json["code"], json!(50013));
}

#[tokio::test]
async fn mentions_need_rights_and_existence() {
    let w = World::new().await;
    w.rights.add_open_role(30);
    w.rights.add_role(31);
    let text = "<@2> <@99> <@&30> <@&31> <@&32> @everyone";
    let sent = w
        .send(ANA, json!({ "content": text }))
        .await
        .expect(200)
        .unwrap()
        .json;
    assert_eq!(sent["mentions"], json!([card(2, "bora")]));
    assert_eq!(sent["mention_roles"], json!(["30"]));
    assert_eq!(sent["mention_everyone"], json!(false));
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT | Chat::MENTION_EVERYONE
    });
    let sent = w.send(ANA, json!({ "content": text })).await.json;
    assert_eq!(sent["mention_roles"], json!(["30", "31"]));
    assert_eq!(sent["mention_everyone"], json!(true));
    let quiet = json!({"content": text, "allowed_mentions": {"parse": ["everyone"]}});
    let sent = w.send(ANA, quiet).await.json;
    assert_eq!(
        (&sent["mentions"], &sent["mention_roles"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(sent["mention_everyone"], json!(true));
}

#[tokio::test]
async fn an_enforced_nonce_has_an_effect_once() {
    let w = World::new().await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let body = json!({"content": "bir", "nonce": "n1", "enforce_nonce": true});
    let first = w.send(ANA, body.clone()).await.expect(200).unwrap();
    let second = w.send(ANA, body.clone()).await.expect(200).unwrap();
    assert_eq!(second.json, first.json);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert!(ear.hear().is_some() && ear.hear().is_none(), "told once");
    // Another author, or no enforcement: another message.
    let other = w.send(BORA, body).await.expect(200).unwrap();
    assert_ne!(other.json["id"], first.json["id"]);
    let loose = json!({"content": "bir", "nonce": "n1"});
    assert_ne!(w.send(ANA, loose).await.json["id"], first.json["id"]);
    // A key is an enforced nonce.
    let headers = [("idempotency-key", "n1")];
    let keyed = w
        .call_with(&messages(ROOM), ANA, &headers, json!({"content": "bir"}))
        .await;
    assert_eq!(keyed.json["id"], first.json["id"]);
    assert_eq!(keyed.header("idempotent-replayed"), Some("true"));
    // It promises the same request, which a nonce does not.
    let other = w
        .call_with(&messages(ROOM), ANA, &headers, json!({"content": "x"}))
        .await;
    assert_eq!(other.status, 422);
    // The original was deleted: it does not come back.
    w.call("DELETE", &message(id_of(&first.json)), ANA, Value::Null)
        .await;
    w.clock.advance(Duration::from_secs(10));
    let gone = w
        .call_with(&messages(ROOM), ANA, &headers, json!({"content": "x"}))
        .await;
    assert_eq!(
        (gone.status.as_u16(), &gone.json["code"]),
        (404, &json!(10008))
    );
}

#[tokio::test]
async fn d3_one_key_a_hundred_times_at_once_is_one_message() {
    let w = World::new().await;
    let caller = Caller::bot(ANA);
    let sends = (0..100).map(|_| {
        let body = json!({"content": "a", "nonce": "k", "enforce_nonce": true});
        let new = serde_json::from_value::<messaging::SendMessage>(body).unwrap();
        let new = new.check(None).unwrap();
        let (messaging, caller) = (w.messaging.clone(), caller.clone());
        async move { messaging.send_message(&caller, ROOM, new).await.unwrap() }
    });
    let sent = futures::future::join_all(sends).await;
    assert!(
        sent.iter()
            .all(|delivery| delivery.message.id == sent[0].message.id)
    );
    assert_eq!(sent.iter().filter(|delivery| !delivery.replayed).count(), 1);
    const COUNT: db::Sql = db::Sql::new("test.count", "SELECT count(*) FROM messaging.messages");
    assert_eq!(w.number(COUNT).await, 1);
}

#[tokio::test]
async fn what_cannot_be_sent() {
    let w = World::new().await;
    for (body, status, code) in [
        (json!({}), 400, 50006),
        (json!({"content": "  "}), 400, 50006),
        (json!({"content": "x".repeat(4_001)}), 400, 50035),
        (json!({"content": "x", "nonce": "n".repeat(65)}), 400, 50035),
        (
            json!({"content": "x", "attachments": [{"id": 0, "filename": "a.png"}]}),
            400,
            50035,
        ),
        (
            json!({"embeds": vec![json!({"title": "a"}); 11]}),
            400,
            50035,
        ),
        (json!({"content": 5}), 400, 50035),
    ] {
        let reply = w.send(ANA, body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (status, &json!(code)),
            "{body}"
        );
    }
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::EMBED_LINKS)
    });
    let reply = w.send(ANA, json!({"embeds": [{"title": "a"}]})).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (403, &json!(50013))
    );
}

#[tokio::test]
async fn five_messages_in_five_seconds_of_a_person() {
    let w = World::new().await;
    let body = || json!({"content": "a"});
    for _ in 0..5 {
        assert_eq!(
            w.call("POST", &messages(ROOM), ANA, body()).await.status,
            200
        );
    }
    let refused = w.call("POST", &messages(ROOM), ANA, body()).await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(
        w.call("POST", &messages(ROOM), BORA, body()).await.status,
        200
    );
    w.clock.advance(Duration::from_secs(1));
    assert_eq!(
        w.call("POST", &messages(ROOM), ANA, body()).await.status,
        200
    );
}

#[tokio::test]
async fn an_erased_author_is_shown_as_unknown() {
    let w = World::new().await;
    let guest = w.identity.add(UserId::new(40), "misafir");
    w.seat(guest.id, ROOM);
    let id = w.say(guest.id, "selam").await;
    w.identity.remove(guest.id);
    // The card is dropped when identity tells of the change.
    let module = messaging::module(w.messaging.clone());
    let consumer = module
        .consumers
        .iter()
        .find(|one| one.name == "messaging.card_cache")
        .unwrap();
    let event = kernel::Event {
        id: w.ids.next().unwrap(),
        kind: "identity.user_updated.v1".to_owned(),
        at: crate::world::start(),
        actor: None,
        tenant: None,
        key: "40".to_owned(),
        data: json!({"user_id": "40"}),
    };
    consumer.handler.handle(&event).await.unwrap();
    let seen = w.call("GET", &message(id), ANA, Value::Null).await.json;
    assert_eq!(seen["author"]["username"], json!("unknown"));
}
