//! Polls: what is asked, chosen, counted, told and said in the end.

use std::time::Duration;

use infra::fanout::{Topic, Version};
use kernel::perm::Chat;
use kernel::{MessageId, UserId};
use serde_json::{Value, json};
use testkit::privacy;

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, id_of, message, messages};

fn poll(several: impl Into<Value>) -> Value {
    let several: Value = several.into();
    json!({"poll": {
        "question": {"text": "nereye?"},
        "answers": [
            {"poll_media": {"text": "deniz", "emoji": {"name": "🌊"}}},
            {"poll_media": {"text": "dağ"}},
            {"poll_media": {"text": "ev"}},
        ],
        "duration": 2, "allow_multiselect": several, "layout_type": 1
    }})
}

fn path(id: MessageId, rest: &str) -> String {
    format!("/api/v10/channels/{ROOM}/polls/{id}{rest}")
}

async fn ask(w: &World, several: impl Into<Value>) -> MessageId {
    id_of(&w.send(ANA, poll(several)).await.expect(200).unwrap().json)
}

async fn vote(w: &World, who: UserId, id: MessageId, answers: Value) -> (u16, Value) {
    w.clock.advance(Duration::from_secs(2));
    let body = json!({"answer_ids": answers});
    let reply = w.call("PUT", &path(id, "/answers/@me"), who, body).await;
    (reply.status.as_u16(), reply.json["code"].clone())
}

async fn results(w: &World, who: UserId, id: MessageId) -> Value {
    let shown = w.call("GET", &message(id), who, Value::Null).await;
    shown.expect(200).unwrap().json["poll"]["results"].clone()
}

fn count(id: i16, count: i32, me: impl Into<Value>) -> Value {
    let me: Value = me.into();
    json!({"id": id, "count": count, "me_voted": me})
}

#[tokio::test]
async fn a_poll_is_asked_and_its_votes_are_counted_for_each_reader() {
    let w = World::new().await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let sent = w.send(ANA, poll(true)).await.expect(200).unwrap().json;
    let id = id_of(&sent);
    assert_eq!(
        sent["poll"],
        json!({
            "question": {"text": "nereye?"},
            "answers": [
                {"answer_id": 1, "poll_media": {"text": "deniz", "emoji": {"id": null, "name": "🌊"}}},
                {"answer_id": 2, "poll_media": {"text": "dağ"}},
                {"answer_id": 3, "poll_media": {"text": "ev"}},
            ],
            "expiry": "2026-11-20T09:00:01.000000+00:00", "allow_multiselect": true,
            "layout_type": 1, "results": {"is_finalized": false, "answer_counts": []}
        })
    );
    let told = ear.hear().unwrap();
    assert_eq!(told.data["poll"], sent["poll"]);
    assert!(told.redacted.unwrap().get("poll").is_none());
    assert_eq!(vote(&w, BORA, id, json!([1, 3, 3])).await.0, 204);
    assert_eq!(vote(&w, ANA, id, json!([1])).await.0, 204);
    assert_eq!(vote(&w, BORA, id, json!([1, 2])).await.0, 204);
    assert_eq!(vote(&w, BORA, id, json!([2, 1])).await.0, 204, "no news");
    assert_eq!(
        results(&w, ANA, id).await["answer_counts"],
        json!([count(1, 2, true), count(2, 1, false)])
    );
    assert_eq!(
        results(&w, BORA, id).await["answer_counts"],
        json!([count(1, 2, true), count(2, 1, true)])
    );
    let mut told = Vec::new();
    while let Some(heard) = ear.hear() {
        let d = heard.data;
        assert_eq!(heard.dispatch.unwrap().intent, Some(24));
        assert_eq!(
            (&d["message_id"], &d["channel_id"], &d["guild_id"]),
            (&json!(id), &json!("800"), &json!("700"))
        );
        let Version::Ev(ev) = heard.record.version else {
            panic!()
        };
        told.push((heard.name, d["user_id"].clone(), d["answer_id"].clone(), ev));
    }
    let add = "MESSAGE_POLL_VOTE_ADD".to_owned();
    let remove = "MESSAGE_POLL_VOTE_REMOVE".to_owned();
    assert_eq!(
        told,
        [
            (add.clone(), json!("2"), json!(1), 2),
            (add.clone(), json!("2"), json!(3), 3),
            (add.clone(), json!("1"), json!(1), 4),
            (remove, json!("2"), json!(3), 5),
            (add, json!("2"), json!(2), 6),
        ]
    );
    assert_eq!(vote(&w, BORA, id, json!([])).await.0, 204);
    assert_eq!(
        results(&w, BORA, id).await["answer_counts"],
        json!([count(1, 1, false)])
    );
    let voters = |answer: i16| {
        let path = path(id, &format!("/answers/{answer}?limit=1"));
        let w = &w;
        async move { w.call("GET", &path, BORA, Value::Null).await }
    };
    assert_eq!(voters(1).await.json["users"][0]["id"], json!("1"));
    assert_eq!(voters(2).await.json, json!({"users": []}));
    assert_eq!(voters(4).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_chosen() {
    let w = World::new().await;
    let id = ask(&w, false).await;
    for answers in [json!([1, 2]), json!([0]), json!([4]), json!([-1])] {
        assert_eq!(
            vote(&w, BORA, id, answers.clone()).await,
            (400, json!(50035)),
            "{answers}"
        );
    }
    let plain = w.say(ANA, "a").await;
    assert_eq!(
        vote(&w, BORA, plain, json!([1])).await,
        (400, json!(520_006))
    );
    assert_eq!(
        vote(&w, BORA, MessageId::new(5), json!([1])).await,
        (404, json!(10008))
    );
    w.allow(BORA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::READ_HISTORY)
    });
    assert_eq!(vote(&w, BORA, id, json!([1])).await, (403, json!(50013)));
    assert_eq!(vote(&w, CEM, id, json!([1])).await, (404, json!(10003)));
    w.clock.advance(Duration::from_secs(10));
    let edited = w
        .call("PATCH", &message(id), ANA, json!({"content": "b"}))
        .await;
    assert_eq!(edited.json["code"], json!(520_003));
    let reference = json!({"type": 1, "channel_id": ROOM, "message_id": id});
    let forwarded = w.send(ANA, json!({"message_reference": reference})).await;
    assert_eq!(forwarded.json["code"], json!(50035));
    let mut broken = poll(false);
    broken["poll"]["duration"] = json!(769);
    assert_eq!(w.send(ANA, broken).await.json["code"], json!(50035));
}

#[tokio::test]
async fn a_poll_ends_by_itself_and_says_its_result_once() {
    let w = World::new().await;
    let id = ask(&w, false).await;
    assert_eq!(vote(&w, BORA, id, json!([1])).await.0, 204);
    w.clock.set("2026-11-20T09:00:00.999Z".parse().unwrap());
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 0");
    w.clock.set("2026-11-20T09:00:01Z".parse().unwrap());
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let late = w
        .call(
            "PUT",
            &path(id, "/answers/@me"),
            ANA,
            json!({"answer_ids": [2]}),
        )
        .await;
    assert_eq!(
        late.json["code"],
        json!(520_001),
        "also before the job comes"
    );
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 1");
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 0");
    let told = ear.hear().unwrap();
    assert_eq!(told.name, "MESSAGE_UPDATE");
    assert_eq!(
        told.data["poll"]["results"],
        json!({"is_finalized": true, "answer_counts": []})
    );
    let told = ear.hear().unwrap().data;
    assert_eq!(
        (
            &told["type"],
            &told["author"]["id"],
            &told["message_reference"]["message_id"]
        ),
        (&json!(46), &json!("1"), &json!(id))
    );
    let field = |name: &str, value: &str| json!({"name": name, "value": value, "inline": false});
    assert_eq!(
        told["embeds"],
        json!([{"type": "poll_result", "fields": [
            field("poll_question_text", "nereye?"), field("victor_answer_votes", "1"),
            field("total_votes", "1"), field("victor_answer_id", "1"),
            field("victor_answer_text", "deniz"), field("victor_answer_emoji_name", "🌊")
        ]}])
    );
    assert!(ear.hear().is_none());
    assert_eq!(
        results(&w, ANA, id).await,
        json!({"is_finalized": true, "answer_counts": [count(1, 1, false)]})
    );
}

#[tokio::test]
async fn its_author_ends_a_poll_before_its_time() {
    let w = World::new().await;
    let id = ask(&w, false).await;
    let end = path(id, "/expire");
    let refused = w.call("POST", &end, BORA, Value::Null).await;
    assert_eq!(refused.json["code"], json!(50005));
    let ended = w.call("POST", &end, ANA, Value::Null).await;
    let ended = ended.expect(200).unwrap().json;
    assert_eq!(
        ended["poll"]["expiry"],
        json!("2026-11-20T07:00:01.000000+00:00")
    );
    assert_eq!(ended["poll"]["results"]["is_finalized"], json!(true));
    assert_eq!(vote(&w, BORA, id, json!([1])).await.1, json!(520_001));
    let again = w.call("POST", &end, ANA, Value::Null).await;
    assert_eq!(again.json["code"], json!(520_001));
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 0");
    let list = w.call("GET", &messages(ROOM), ANA, Value::Null).await.json;
    assert_eq!(
        list[0]["type"],
        json!(46),
        "the result stands in the channel"
    );
    let plain = w.say(ANA, "a").await;
    let none = w
        .call("POST", &path(plain, "/expire"), ANA, Value::Null)
        .await;
    assert_eq!(none.json["code"], json!(520_006));
}

#[tokio::test]
async fn a_closed_poll_whose_result_was_lost_is_told_later() {
    let w = World::new().await;
    let id = ask(&w, false).await;
    w.t.script(
        "UPDATE messaging.polls SET state = 1;
         UPDATE messaging.messages SET body = jsonb_set(body, '{poll,closed}', 'true')",
    )
    .await
    .unwrap();
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 1");
    // As if the note of it had been lost too.
    w.t.script("UPDATE messaging.polls SET state = 1")
        .await
        .unwrap();
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 1");
    let list = w.call("GET", &messages(ROOM), ANA, Value::Null).await.json;
    assert_eq!(list.as_array().unwrap().len(), 2, "said once");
    w.call("DELETE", &message(id), ANA, Value::Null).await;
    let other = ask(&w, false).await;
    w.t.script("UPDATE messaging.messages SET deleted_at = now(), body = NULL")
        .await
        .unwrap();
    w.clock.advance(Duration::from_secs(7_200));
    assert_eq!(w.messaging.end_due_polls().await.unwrap(), "ended 0");
    const OPEN: db::Sql = db::Sql::new(
        "test.open",
        "SELECT count(*) FROM messaging.polls WHERE state < 2",
    );
    assert_eq!(w.number(OPEN).await, 0, "nobody waits for {other}");
}

#[tokio::test]
async fn votes_go_with_their_message_and_with_their_voter() {
    let w = World::new().await;
    let id = ask(&w, false).await;
    assert_eq!(vote(&w, BORA, id, json!([1])).await.0, 204);
    assert_eq!(vote(&w, ANA, id, json!([1])).await.0, 204);
    let module = messaging::module(w.messaging.clone());
    privacy::erase(&module.consumers, BORA).await.unwrap();
    assert_eq!(
        results(&w, ANA, id).await["answer_counts"],
        json!([count(1, 1, true)])
    );
    w.call("DELETE", &message(id), ANA, Value::Null).await;
    const LEFT: db::Sql = db::Sql::new(
        "test.left",
        "SELECT (SELECT count(*) FROM messaging.polls) + (SELECT count(*) FROM messaging.poll_votes)
            + (SELECT count(*) FROM messaging.poll_counts)",
    );
    assert_eq!(w.number(LEFT).await, 0);
}
