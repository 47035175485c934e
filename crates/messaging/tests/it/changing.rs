//! Edits and deletions: events, revisions, what stays.

use std::time::Duration;

use db::Sql;
use infra::fanout::{Topic, Version};
use kernel::Caller;
use serde_json::{Value, json};

use crate::world::{ANA, BORA, COMMUNITY, ROOM, World, card, id_of, message};

const ROW: Sql = Sql::new(
    "test.row",
    "SELECT to_jsonb(m) - 'channel_id' - 'id' - 'author_id'
     FROM messaging.messages m ORDER BY id LIMIT 1",
);
const REVISIONS: Sql = Sql::new(
    "test.revisions",
    "SELECT coalesce(jsonb_agg(jsonb_build_object('ev', ev, 'content', content, 'body', body)
        ORDER BY ev), '[]')
     FROM messaging.revisions",
);
const HAPPENED: Sql = Sql::new(
    "test.happened",
    "SELECT jsonb_agg(jsonb_build_object('ev', ev, 'kind', kind, 'payload', payload) ORDER BY ev)
     FROM messaging.channel_events",
);
const OUTBOX: Sql = Sql::new(
    "test.outbox",
    "SELECT jsonb_agg(jsonb_build_object('type', type, 'actor', actor::text, 'data', data)
        ORDER BY id)
     FROM messaging.outbox",
);

async fn json_of(w: &World, sql: Sql) -> Value {
    sql.scalar(&w.admin).await.unwrap()
}

#[tokio::test]
async fn an_edit_carries_the_whole_message_and_keeps_the_old_one() {
    let w = World::new().await;
    let sent = w
        .send(
            ANA,
            json!({"content": "bir <@2>", "embeds": [{"title": "a"}]}),
        )
        .await
        .json;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    w.clock.advance(Duration::from_secs(60));
    let path = message(id_of(&sent));
    let edited = w
        .call("PATCH", &path, ANA, json!({"content": "iki", "flags": 4}))
        .await;
    let edited = edited.expect(200).unwrap().json;
    let mut expected = sent.clone();
    expected["content"] = json!("iki");
    expected["mentions"] = json!([]);
    expected["flags"] = json!(4);
    expected["edited_timestamp"] = json!("2026-11-20T07:01:01.000000+00:00");
    expected["ev"] = json!(2);
    assert_eq!(edited, expected);
    let heard = ear.hear().unwrap();
    let mut live = expected.clone();
    live.as_object_mut().unwrap().remove("reactions");
    live["guild_id"] = json!("700");
    live["member"] = json!({
        "nick": null, "roles": [], "joined_at": "2026-01-01T00:00:00.000000+00:00",
        "communication_disabled_until": null, "flags": 0, "mute": false, "deaf": false
    });
    assert_eq!(
        (heard.name.as_str(), &heard.data),
        ("MESSAGE_UPDATE", &live)
    );
    assert_eq!(heard.record.version, Version::Ev(2));
    assert_eq!(heard.redacted.unwrap()["content"], json!(""));
    assert_eq!(w.call("GET", &path, BORA, Value::Null).await.json, expected);
    assert_eq!(
        json_of(&w, REVISIONS).await,
        json!([{"ev": 1, "content": "bir <@2>",
            "body": {"embeds": [{"title": "a", "type": "rich"}], "mentions": ["2"]}}])
    );
    assert_eq!(
        json_of(&w, HAPPENED).await,
        json!([{"ev": 2, "kind": 1, "payload": {"message_id": sent["id"]}}])
    );
    let events = json_of(&w, OUTBOX).await;
    assert_eq!(
        events[1],
        json!({"type": "messaging.message_updated.v1", "actor": "1", "data": {
            "channel_id": "800", "community_id": "700", "id": sent["id"], "author_id": "1", "ev": 2
        }})
    );
}

#[tokio::test]
async fn null_empties_and_absent_stays() {
    let w = World::new().await;
    let sent = w
        .send(ANA, json!({"content": "bir", "embeds": [{"title": "a"}]}))
        .await
        .json;
    let path = message(id_of(&sent));
    let edited = w
        .call("PATCH", &path, ANA, json!({"content": null}))
        .await
        .json;
    assert_eq!(
        (&edited["content"], &edited["embeds"]),
        (&json!(""), &sent["embeds"])
    );
    let refused = w.call("PATCH", &path, ANA, json!({"embeds": []})).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["code"]),
        (400, &json!(50006))
    );
    let edited = w
        .call(
            "PATCH",
            &path,
            ANA,
            json!({"content": "iki", "embeds": null}),
        )
        .await
        .json;
    assert_eq!(
        (&edited["content"], &edited["embeds"]),
        (&json!("iki"), &json!([]))
    );
}

#[tokio::test]
async fn editing_a_reply_keeps_its_mention_and_what_it_answers() {
    let w = World::new().await;
    let first = w.say(BORA, "soru").await;
    let reply = json!({"content": "a", "message_reference": {"message_id": first}});
    let id = id_of(&w.send(ANA, reply).await.json);
    let edited = w
        .call("PATCH", &message(id), ANA, json!({"content": "b"}))
        .await
        .json;
    assert_eq!(edited["mentions"], json!([card(2, "bora")]));
    assert_eq!(edited["referenced_message"]["content"], json!("soru"));
}

#[tokio::test]
async fn deleting_empties_the_row_and_keeps_its_number() {
    let w = World::new().await;
    let sent = w
        .send(ANA, json!({"content": "sır", "embeds": [{"title": "a"}]}))
        .await
        .json;
    let id = id_of(&sent);
    w.call("PATCH", &message(id), ANA, json!({"content": "sır 2"}))
        .await
        .expect(200)
        .unwrap();
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(
        w.call("DELETE", &message(id), ANA, Value::Null)
            .await
            .status,
        204
    );
    let heard = ear.hear().unwrap();
    assert_eq!(heard.name, "MESSAGE_DELETE");
    assert_eq!(
        heard.data,
        json!({"id": id, "channel_id": "800", "guild_id": "700"})
    );
    assert_eq!(
        (heard.record.version, heard.dispatch.unwrap().intent),
        (Version::Ev(3), Some(9))
    );
    let row = json_of(&w, ROW).await;
    assert_eq!((&row["seq"], &row["ev"]), (&json!(1), &json!(3)));
    assert_eq!(
        (&row["content"], &row["body"]),
        (&Value::Null, &Value::Null)
    );
    assert!(!row["deleted_at"].is_null());
    assert_eq!(
        json_of(&w, REVISIONS).await,
        json!([]),
        "nothing of it is left"
    );
    assert_eq!(
        json_of(&w, HAPPENED).await[1],
        json!({"ev": 3, "kind": 2, "payload": {"message_id": id}})
    );
    assert_eq!(
        json_of(&w, OUTBOX).await[2]["type"],
        json!("messaging.message_deleted.v1")
    );
    let next = w.send(ANA, json!({"content": "b"})).await.json;
    assert_eq!((&next["seq"], &next["ev"]), (&json!(2), &json!(4)));
}

#[tokio::test]
async fn edits_at_once_each_win_in_turn_and_lose_nothing() {
    let w = World::new().await;
    let sent = w
        .send(ANA, json!({"content": "bir", "embeds": [{"title": "a"}]}))
        .await
        .json;
    let id = id_of(&sent);
    let caller = Caller::bot(ANA);
    let edit = |body: Value| {
        let edit = serde_json::from_value::<messaging::EditMessage>(body)
            .unwrap()
            .check()
            .unwrap();
        w.messaging.edit_message(&caller, ROOM, id, edit)
    };
    let (one, other, third) = tokio::join!(
        edit(json!({"content": "iki"})),
        edit(json!({"embeds": [{"title": "b"}]})),
        edit(json!({"flags": 4})),
    );
    let mut evs = [one.unwrap().ev, other.unwrap().ev, third.unwrap().ev];
    evs.sort_unstable();
    assert_eq!(evs, [2, 3, 4]);
    let seen = w.call("GET", &message(id), ANA, Value::Null).await.json;
    assert_eq!(
        (&seen["content"], &seen["flags"]),
        (&json!("iki"), &json!(4))
    );
    assert_eq!(seen["embeds"][0]["title"], json!("b"));
}

#[tokio::test]
async fn fifty_revisions_are_kept() {
    let w = World::new().await;
    let id = w.say(ANA, "0").await;
    let caller = Caller::bot(ANA);
    for number in 1..=55 {
        let body = json!({"content": number.to_string()});
        let edit = serde_json::from_value::<messaging::EditMessage>(body)
            .unwrap()
            .check()
            .unwrap();
        w.messaging
            .edit_message(&caller, ROOM, id, edit)
            .await
            .unwrap();
    }
    let kept = json_of(&w, REVISIONS).await;
    let kept = kept.as_array().unwrap();
    assert_eq!(kept.len(), 50);
    assert_eq!(
        (&kept[0]["content"], &kept[49]["content"]),
        (&json!("5"), &json!("54"))
    );
}

#[tokio::test]
async fn edits_are_limited_too() {
    let w = World::new().await;
    let id = w.say(ANA, "a").await;
    for _ in 0..5 {
        assert_eq!(
            w.call("PATCH", &message(id), ANA, json!({"content": "b"}))
                .await
                .status,
            200
        );
    }
    assert_eq!(
        w.call("PATCH", &message(id), ANA, json!({"content": "b"}))
            .await
            .status,
        429
    );
}
