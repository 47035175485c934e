//! Receipts: who sees how far whom, and how many are named.

use infra::fanout::Topic;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, ROOM, World};

fn path(channel: ChannelId, message: MessageId) -> String {
    format!("/api/v10/channels/{channel}/receipts?message_id={message}")
}

/// A group of the three.
async fn group(w: &World) -> ChannelId {
    let dm = w.dm(ANA, BORA).await;
    w.t.script(&format!(
        "INSERT INTO messaging.channel_members (channel_id, user_id) VALUES ({dm}, 3)"
    ))
    .await
    .unwrap();
    dm
}

async fn deliver(w: &World, who: UserId, channel: ChannelId, delivered: MessageId) {
    let body = json!({"cursors": [{"channel_id": channel, "delivered": delivered}]});
    w.call("POST", "/api/v10/users/@me/cursors", who, body)
        .await
        .expect(200)
        .unwrap();
}

async fn receipts(w: &World, who: UserId, channel: ChannelId, message: MessageId) -> Value {
    let reply = w
        .call("GET", &path(channel, message), who, Value::Null)
        .await;
    reply.expect(200).unwrap().json
}

#[tokio::test]
async fn arriving_and_reading_are_told_and_never_taken_back() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    let first = w.say_in(dm, ANA, "a").await;
    let second = w.say_in(dm, ANA, "b").await;
    let mut ear = w.listen(&[Topic::Channel(dm), Topic::User(ANA)]).await;
    deliver(&w, BORA, dm, second).await;
    let heard = ear.hear().unwrap();
    assert_eq!(heard.name, "RECEIPT_UPDATE");
    assert_eq!(
        heard.data,
        json!({"channel_id": dm, "user_id": "2", "delivered_seq": 2, "read_seq": 0})
    );
    let dispatch = heard.dispatch.unwrap();
    assert_eq!((dispatch.intent, dispatch.except), (Some(40), Some(BORA)));
    w.ack(BORA, dm, first, Value::Null)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(ear.hear().unwrap().data["read_seq"], json!(1));
    w.ack(BORA, dm, second, Value::Null)
        .await
        .expect(200)
        .unwrap();
    assert_eq!(ear.hear().unwrap().data["read_seq"], json!(2));
    let unread = w.ack(BORA, dm, first, json!({"manual": true})).await;
    assert_eq!(unread.json["unread_count"], json!(1));
    deliver(&w, BORA, dm, first).await;
    assert!(ear.hear().is_none(), "the receipt stays where it was");
    assert_eq!(
        receipts(&w, ANA, dm, second).await,
        json!({
            "message_id": second, "seq": 2, "member_count": 1, "delivered_count": 1,
            "read_count": 1,
            "receipts": [{"user_id": "2", "delivered_seq": 2, "read_seq": 2}],
        })
    );
}

#[tokio::test]
async fn a_message_is_its_authors_receipt() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    let asked = w.say_in(dm, ANA, "a").await;
    let mut ear = w.listen(&[Topic::Channel(dm)]).await;
    w.say_in(dm, BORA, "b").await;
    assert_eq!(ear.hear().unwrap().name, "MESSAGE_CREATE");
    assert!(ear.hear().is_none(), "nothing is told apart");
    let seen = receipts(&w, ANA, dm, asked).await;
    assert_eq!(
        (&seen["read_count"], &seen["receipts"][0]["read_seq"]),
        (&json!(1), &json!(2))
    );
}

#[tokio::test]
async fn reading_is_hidden_both_ways_and_arriving_is_not() {
    let w = World::new().await;
    let group = group(&w).await;
    let message = w.say_in(group, ANA, "a").await;
    w.relations.hide_receipts(CEM);
    let topics = [Topic::Channel(group), Topic::User(ANA), Topic::User(CEM)];
    let mut ear = w.listen(&topics).await;
    w.ack(BORA, group, message, Value::Null)
        .await
        .expect(200)
        .unwrap();
    // One by one, because not everybody may see all of it.
    for (user, read) in [(ANA, json!(1)), (CEM, Value::Null)] {
        let heard = ear.hear().unwrap();
        assert_eq!(heard.topic, Topic::User(user));
        assert_eq!(
            (&heard.data["delivered_seq"], &heard.data["read_seq"]),
            (&json!(1), &read),
            "{user}"
        );
    }
    w.ack(CEM, group, message, Value::Null)
        .await
        .expect(200)
        .unwrap();
    let mut of_cem: Vec<_> = std::iter::from_fn(|| ear.hear()).collect();
    of_cem.retain(|heard| heard.name == "RECEIPT_UPDATE");
    assert_eq!((of_cem.len(), of_cem[0].topic), (1, Topic::User(ANA)));
    assert_eq!(of_cem[0].data["read_seq"], Value::Null);
    let seen = receipts(&w, ANA, group, message).await;
    assert_eq!(
        (&seen["delivered_count"], &seen["read_count"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        seen["receipts"],
        json!([
            {"user_id": "2", "delivered_seq": 1, "read_seq": 1},
            {"user_id": "3", "delivered_seq": 1, "read_seq": null},
        ])
    );
    let seen = receipts(&w, CEM, group, message).await;
    assert_eq!(
        seen["read_count"],
        json!(1),
        "only that he has read it himself"
    );
    assert_eq!(seen["receipts"][1]["read_seq"], Value::Null);
}

#[tokio::test]
async fn deal_rooms_show_receipts_always() {
    let w = World::new().await;
    for (what, script) in [
        ("by kind", "kind = 100, receipts = 0"),
        ("by setting", "kind = 3, receipts = 1"),
    ] {
        let dm = w.dm(ANA, BORA).await;
        w.t.script(&format!(
            "UPDATE messaging.channels SET {script} WHERE id = {dm}"
        ))
        .await
        .unwrap();
        let message = w.say_in(dm, ANA, "a").await;
        w.relations.hide_receipts(BORA);
        let mut ear = w.listen(&[Topic::Channel(dm)]).await;
        w.ack(BORA, dm, message, Value::Null)
            .await
            .expect(200)
            .unwrap();
        let heard = ear.hear().unwrap();
        assert!(heard.data["read_seq"].is_number(), "{what}");
        assert_eq!(
            receipts(&w, ANA, dm, message).await["read_count"],
            json!(1),
            "{what}"
        );
    }
}

#[tokio::test]
async fn up_to_256_members_are_named_and_more_are_counted() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    let fill = |from: i64, to: i64| {
        format!(
            "INSERT INTO messaging.channel_members (channel_id, user_id, read_seq, delivered_seq)
             SELECT {dm}, n, n % 2, 1 FROM generate_series({from}, {to}) n"
        )
    };
    w.t.script(&fill(1_001, 1_254)).await.unwrap();
    let message = w.say_in(dm, ANA, "a").await;
    let seen = receipts(&w, BORA, dm, message).await;
    assert_eq!(seen["receipts"].as_array().unwrap().len(), 255);
    assert_eq!(
        (
            &seen["member_count"],
            &seen["delivered_count"],
            &seen["read_count"]
        ),
        (&json!(255), &json!(254), &json!(127))
    );
    w.t.script(&fill(1_255, 1_255)).await.unwrap();
    let refused = w.call("GET", &path(dm, message), BORA, Value::Null).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["code"]),
        (403, &json!(50013))
    );
    let seen = receipts(&w, ANA, dm, message).await;
    assert_eq!(seen["receipts"], json!([]));
    assert_eq!(
        (
            &seen["member_count"],
            &seen["delivered_count"],
            &seen["read_count"]
        ),
        (&json!(256), &json!(255), &json!(128))
    );
}

#[tokio::test]
async fn refusals() {
    let w = World::new().await;
    let said = w.say(ANA, "a").await;
    let dm = w.dm(ANA, BORA).await;
    let message = w.say_in(dm, ANA, "a").await;
    for (channel, message, who, status, code) in [
        (ROOM, said, ANA, 400, 50024),
        (dm, said, ANA, 404, 10008),
        (dm, message, CEM, 404, 10003),
    ] {
        let reply = w
            .call("GET", &path(channel, message), who, Value::Null)
            .await;
        let got = (reply.status.as_u16(), &reply.json["code"]);
        assert_eq!(got, (status, &json!(code)), "{channel} {message} {who}");
    }
    let whole = format!("/api/v10/channels/{dm}/receipts");
    assert_eq!(w.call("GET", &whole, ANA, Value::Null).await.status, 400);
    assert_eq!(
        w.call("GET", &path(dm, message), (), Value::Null)
            .await
            .status,
        401
    );
}
