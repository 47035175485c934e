//! Acknowledging: forward only, back by hand, many at once, and what sockets leave to be merged.

use std::time::Duration;

use contracts::Messaging as _;
use contracts::messaging::Cursor;
use db::Sql;
use infra::fanout::{Body, Topic};
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, ROOM, World};

const CURSORS: &str = "/api/v10/users/@me/cursors";

async fn three(w: &World) -> [MessageId; 3] {
    [
        w.say(ANA, "a").await,
        w.say(ANA, "<@2>").await,
        w.say(ANA, "c").await,
    ]
}

#[tokio::test]
async fn markers_only_move_forward_but_by_hand() {
    let w = World::new().await;
    let [first, second, third] = three(&w).await;
    let mut ear = w.listen(&[Topic::User(BORA)]).await;
    let read = |state: &Value| (state["read_seq"].clone(), state["version"].clone());
    let state = w
        .ack(BORA, ROOM, second, Value::Null)
        .await
        .expect(200)
        .unwrap()
        .json;
    assert_eq!(read(&state), (json!(2), json!(2)));
    let heard = ear.hear().unwrap();
    assert_eq!((heard.name.as_str(), &heard.data), ("MESSAGE_ACK", &state));
    assert_eq!(heard.dispatch.unwrap().intent, Some(47));
    // Back, and where it is: nothing happens.
    for id in [first, second] {
        let state = w.ack(BORA, ROOM, id, json!({"manual": false})).await.json;
        assert_eq!(read(&state), (json!(2), json!(2)));
    }
    assert!(ear.hear().is_none());
    // By hand: back, and the mention that was read is unread again.
    let state = w.ack(BORA, ROOM, first, json!({"manual": true})).await.json;
    assert_eq!(read(&state), (json!(1), json!(3)));
    assert_eq!(
        (&state["unread_count"], &state["mention_seqs"]),
        (&json!(2), &json!([2]))
    );
    assert_eq!(ear.hear().unwrap().data, state);
    w.ack(BORA, ROOM, first, json!({"manual": true})).await;
    assert!(ear.hear().is_none(), "it stands there");
    let state = w
        .ack(BORA, ROOM, MessageId::new(0), json!({"manual": true}))
        .await
        .json;
    assert_eq!(
        (read(&state).0, &state["unread_count"]),
        (json!(0), &json!(3))
    );
    let state = w.ack(BORA, ROOM, third, Value::Null).await.json;
    assert_eq!(read(&state), (json!(3), json!(5)));
}

#[tokio::test]
async fn unknown_messages_are_told() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    let elsewhere = w.say_in(dm, ANA, "a").await;
    let gone = w.say(ANA, "b").await;
    w.call("DELETE", &crate::world::message(gone), ANA, Value::Null)
        .await;
    for (id, manual) in [
        (elsewhere, false),
        (elsewhere, true),
        (MessageId::new(0), false),
    ] {
        let reply = w.ack(BORA, ROOM, id, json!({"manual": manual})).await;
        let got = (reply.status.as_u16(), &reply.json["code"]);
        assert_eq!(got, (404, &json!(10008)), "{id} {manual}");
    }
    let state = w
        .ack(BORA, ROOM, gone, Value::Null)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(
        state.json["unread_count"],
        json!(0),
        "a deleted one has its number"
    );
}

#[tokio::test]
async fn the_begin_of_a_channel_without_messages_can_be_marked() {
    let w = World::new().await;
    let begin = MessageId::new(0);
    let state = w.ack(BORA, ROOM, begin, json!({"manual": true})).await;
    let state = state.expect(200).unwrap().json;
    assert_eq!(
        (&state["unread_count"], &state["read_seq"]),
        (&json!(0), &json!(0))
    );
}

#[tokio::test]
async fn a_hundred_cursors_at_once() {
    let w = World::new().await;
    let [first, second, third] = three(&w).await;
    let dm = w.dm(ANA, BORA).await;
    let hello = w.say_in(dm, ANA, "a").await;
    let hidden = ChannelId::new(900);
    w.seat(ANA, hidden);
    let secret = w.say_in(hidden, ANA, "a").await;
    let body = json!({"cursors": [
        {"channel_id": ROOM, "read": first},
        {"channel_id": ROOM, "read": second, "delivered": third},
        {"channel_id": dm, "delivered": hello},
        {"channel_id": hidden, "read": secret},
        {"channel_id": "1", "read": secret},
        {"channel_id": dm, "read": first},
    ]});
    let reply = w
        .call("POST", CURSORS, BORA, body)
        .await
        .expect(200)
        .unwrap()
        .json;
    let states = reply["read_states"].as_array().unwrap();
    let told: Vec<_> = states
        .iter()
        .map(|state| (state["channel_id"].clone(), state["read_seq"].clone()))
        .collect();
    assert_eq!(told, [(json!(ROOM), json!(2)), (json!(dm), json!(0))]);
    assert_eq!(w.unread(BORA, dm).await, (1, 0), "delivered is not read");
    let one = json!({"channel_id": ROOM, "read": third});
    for (count, status) in [(0, 200), (100, 200), (101, 400)] {
        let body = json!({"cursors": vec![one.clone(); count]});
        let reply = w.call("POST", CURSORS, BORA, body).await;
        assert_eq!(reply.status, status, "{count}");
    }
    assert_eq!(w.unread(BORA, ROOM).await, (0, 0));
}

#[tokio::test]
async fn what_sockets_acknowledge_is_merged_and_written_once() {
    let w = World::new().await;
    let [first, second, third] = three(&w).await;
    let mut ear = w.listen(&[Topic::User(BORA)]).await;
    let cursor = |read: MessageId| Cursor {
        channel_id: ROOM,
        delivered: None,
        read: Some(read),
    };
    for id in [first, third, second] {
        w.messaging.advance(BORA, &[cursor(id)]).await.unwrap();
    }
    let heard = ear.wait().await;
    assert_eq!(
        (&heard.data["read_seq"], &heard.data["version"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(w.unread(BORA, ROOM).await, (0, 0));
    let many = vec![cursor(first); 101];
    assert!(w.messaging.advance(BORA, &many).await.is_err());
    w.messaging.advance(BORA, &many[..100]).await.unwrap();
    w.messaging.advance(CEM, &many[..1]).await.unwrap();
}

#[tokio::test]
async fn what_waits_is_written_when_the_process_ends() {
    let w = World::new().await;
    let [first, ..] = three(&w).await;
    let cursor = Cursor {
        channel_id: ROOM,
        delivered: None,
        read: Some(first),
    };
    w.messaging.advance(BORA, &[cursor]).await.unwrap();
    let drained = w.lifecycle.shutdown(Duration::from_secs(10)).await;
    assert_eq!(drained, runtime::Drain::Drained);
    const READ: Sql = Sql::new(
        "test.read",
        "SELECT read_seq FROM messaging.read_states WHERE user_id = 2",
    );
    assert_eq!(w.number(READ).await, 1);
}

#[tokio::test]
async fn what_cannot_be_written_waits_for_the_database() {
    let w = World::new().await;
    let [first, ..] = three(&w).await;
    let mut ear = w.listen(&[Topic::User(BORA)]).await;
    let cursor = Cursor {
        channel_id: ROOM,
        delivered: None,
        read: Some(first),
    };
    w.t.script("ALTER TABLE messaging.read_states RENAME TO elsewhere")
        .await
        .unwrap();
    // The numbers are found before; the writing fails.
    w.t.script(
        "CREATE VIEW messaging.read_states AS SELECT * FROM messaging.elsewhere;
         GRANT SELECT ON messaging.read_states TO messaging_app",
    )
    .await
    .unwrap();
    w.messaging.advance(BORA, &[cursor]).await.unwrap();
    tokio::time::timeout(Duration::from_millis(600), ear.wait())
        .await
        .expect_err("it is not written");
    w.t.script(
        "DROP VIEW messaging.read_states; ALTER TABLE messaging.elsewhere RENAME TO read_states",
    )
    .await
    .unwrap();
    assert_eq!(ear.wait().await.data["read_seq"], json!(1));
}

#[tokio::test]
async fn the_badge_is_told_once_after_many_acknowledgements() {
    let w = World::new().await;
    let ids = three(&w).await;
    let mut ear = w.listen(&[Topic::User(BORA)]).await;
    for id in ids.into_iter().take(2) {
        w.ack(BORA, ROOM, id, Value::Null)
            .await
            .expect(200)
            .unwrap();
    }
    let mut heard = ear.wait().await;
    while heard.name == "MESSAGE_ACK" {
        heard = ear.wait().await;
    }
    assert_eq!(
        (heard.name.as_str(), &heard.data),
        ("BADGE_UPDATE", &json!({"count": 1}))
    );
    let Body::Dispatch(dispatch) = &heard.record.body else {
        panic!("an event")
    };
    assert_eq!(dispatch.intent, Some(47));
}

#[tokio::test]
async fn a_stranger_acknowledges_nothing() {
    let w = World::new().await;
    let [first, ..] = three(&w).await;
    let body = json!({"cursors": [{"channel_id": ROOM, "read": first}]});
    let reply = w
        .call("POST", CURSORS, CEM, body)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(reply.json["read_states"], json!([]));
    const OF_CEM: Sql = Sql::new(
        "test.of_cem",
        "SELECT count(*) FROM messaging.read_states WHERE user_id = 3",
    );
    assert_eq!(w.number(OF_CEM).await, 0);
    let nobody: UserId = UserId::new(77);
    let reply = w.call("POST", CURSORS, nobody, json!({})).await;
    assert_eq!(reply.status, 400, "no list");
}
