//! Deleting many messages at once, and what messages said before.

use std::time::Duration;

use db::Sql;
use infra::fanout::{Topic, Version};
use kernel::MessageId;
use kernel::perm::Chat;
use serde_json::{Value, json};

use crate::world::{ANA, BORA, COMMUNITY, World, message};

const MANY: &str = "/api/v10/channels/800/messages/bulk-delete";
const BULK: Sql = Sql::new(
    "test.bulk",
    "SELECT jsonb_agg(jsonb_build_object('actor', actor::text, 'data', data))
     FROM messaging.outbox WHERE type = 'messaging.messages_bulk_deleted.v1'",
);
const DELETED: Sql = Sql::new(
    "test.deleted",
    "SELECT count(*) FROM messaging.outbox WHERE type = 'messaging.message_deleted.v1'",
);

fn manages(w: &World) {
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT | Chat::MANAGE_MESSAGES;
    });
}

async fn delete(w: &World, ids: &[MessageId]) -> (u16, Value) {
    w.clock.advance(Duration::from_secs(2));
    let headers = [("x-audit-log-reason", "g%C3%BCr%C3%BClt%C3%BC")];
    let reply = w.call_with(MANY, ANA, &headers, json!({"messages": ids}));
    let reply = reply.await;
    (reply.status.as_u16(), reply.json)
}

#[tokio::test]
async fn many_messages_go_with_one_event() {
    let w = World::new().await;
    manages(&w);
    let one = w.say(BORA, "bir <@1>").await;
    let two = w.say(ANA, "iki").await;
    let gone = w.say(ANA, "üç").await;
    w.call("DELETE", &message(gone), ANA, Value::Null).await;
    assert_eq!(w.unread(ANA, crate::world::ROOM).await, (0, 0));
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(delete(&w, &[one, two, two, gone]).await.0, 204);
    let told = ear.hear().unwrap();
    assert_eq!(
        (told.name.as_str(), told.data, told.record.version),
        (
            "MESSAGE_DELETE_BULK",
            json!({"ids": [one, two], "channel_id": "800", "guild_id": "700"}),
            Version::Ev(5)
        )
    );
    assert_eq!(told.dispatch.unwrap().intent, Some(9));
    assert!(ear.hear().is_none());
    assert_eq!(
        BULK.scalar::<Value>(&w.admin).await.unwrap(),
        json!([{"actor": "1", "data": {
            "channel_id": "800", "community_id": "700", "ids": [one, two], "reason": "gürültü"
        }}])
    );
    assert_eq!(w.number(DELETED).await, 3, "each has its own event besides");
    assert_eq!(
        delete(&w, &[one, two]).await.0,
        204,
        "they are gone already"
    );
    assert!(ear.hear().is_none());
}

#[tokio::test]
async fn two_to_a_hundred_and_none_older_than_fourteen_days() {
    let w = World::new().await;
    manages(&w);
    let first = w.say(BORA, "a").await;
    let unknown = |count: i64| -> Vec<MessageId> {
        (0..count)
            .map(|n| MessageId::new(first.get() + 1 + n))
            .collect()
    };
    for (ids, status) in [
        (vec![first], 400),
        (vec![first, first], 400),
        (unknown(101), 400),
        (unknown(100), 204),
        (unknown(2), 204),
    ] {
        let (got, body) = delete(&w, &ids).await;
        assert_eq!(got, status, "{}: {body}", ids.len());
        if got == 400 {
            assert_eq!(body["code"], json!(50016));
        }
    }
    let second = w.say(BORA, "b").await;
    let age = Duration::from_secs(14 * 86_400);
    w.clock.set(first.made_at() + age - Duration::from_secs(3));
    let (status, _) = delete(&w, &[MessageId::new(first.get() + 5), second]).await;
    assert_eq!(status, 204);
    w.clock.set(first.made_at() + age);
    let (status, body) = delete(&w, &[first, second]).await;
    assert_eq!((status, &body["code"]), (400, &json!(50034)));
    let reply = w
        .call("POST", MANY, BORA, json!({"messages": [first, second]}))
        .await;
    assert_eq!(reply.json["code"], json!(50013));
}

#[tokio::test]
async fn revisions_are_for_the_author_and_who_manages_messages() {
    let w = World::new().await;
    let id = w.say(BORA, "bir").await;
    for text in ["iki", "üç"] {
        w.clock.advance(Duration::from_secs(5));
        let body = json!({"content": text, "embeds": [{"title": text}]});
        w.call("PATCH", &message(id), BORA, body)
            .await
            .expect(200)
            .unwrap();
    }
    let path = format!("{}/revisions", message(id));
    let revisions = w.call("GET", &path, BORA, Value::Null).await;
    assert_eq!(
        revisions.expect(200).unwrap().json,
        json!([
            {"ev": 2, "content": "iki", "embeds": [{"title": "iki", "type": "rich"}],
                "components": [], "replaced_at": "2026-11-20T07:00:11.000000+00:00"},
            {"ev": 1, "content": "bir", "embeds": [], "components": [],
                "replaced_at": "2026-11-20T07:00:06.000000+00:00"},
        ])
    );
    let refused = w.call("GET", &path, ANA, Value::Null).await;
    assert_eq!(refused.json["code"], json!(50013));
    manages(&w);
    assert_eq!(w.call("GET", &path, ANA, Value::Null).await.status, 200);
    w.call("DELETE", &message(id), BORA, Value::Null).await;
    let gone = w.call("GET", &path, ANA, Value::Null).await;
    assert_eq!(
        (gone.status.as_u16(), &gone.json["code"]),
        (404, &json!(10008))
    );
    const LEFT: Sql = Sql::new("test.left", "SELECT count(*) FROM messaging.revisions");
    assert_eq!(w.number(LEFT).await, 0);
}

#[tokio::test]
async fn a_moderators_deletion_is_told_with_its_reason() {
    const REMOVED: Sql = Sql::new(
        "test.removed",
        "SELECT jsonb_agg(jsonb_build_object('actor', actor::text, 'data', data))
         FROM messaging.outbox WHERE type = 'messaging.message_removed.v1'",
    );
    let w = World::new().await;
    manages(&w);
    let own = w.say(ANA, "benim").await;
    let other = w.say(BORA, "onun").await;
    for id in [own, other] {
        let headers = [("x-audit-log-reason", "spam")];
        let (path, none) = (message(id), Value::Null);
        let reply = testkit::http::call_with(&w.router, "DELETE", &path, ANA, &headers, none);
        assert_eq!(reply.await.unwrap().status, 204);
    }
    let told: Value = REMOVED.scalar(&w.admin).await.unwrap();
    assert_eq!(
        told,
        json!([{"actor": "1", "data": {
            "channel_id": "800", "community_id": "700", "id": other, "author_id": BORA,
            "reason": "spam"
        }}])
    );
}
