//! Direct channels.

use contracts::Messaging as _;
use contracts::messaging::InboxParts;
use infra::fanout::{Control, Topic};
use kernel::{Caller, ChannelId, UserId};
use serde_json::{Value, json};
use testkit::http::caller;

use crate::world::{ANA, BORA, CEM, ROOM, World, card, messages};

const PATH: &str = "/api/v10/users/@me/channels";

#[tokio::test]
async fn two_who_open_at_once_get_one_channel() {
    let w = World::new().await;
    for round in 0..20_i64 {
        let (one, other) = (UserId::new(1_000 + round), UserId::new(2_000 + round));
        w.identity.add(one, &format!("one{round}"));
        w.identity.add(other, &format!("other{round}"));
        let (first, second) = tokio::join!(
            w.call("POST", PATH, one, json!({"recipient_id": other})),
            w.call("POST", PATH, other, json!({"recipient_id": one})),
        );
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
        assert_eq!(first.json["id"], second.json["id"], "round {round}");
    }
    const COUNT: db::Sql = db::Sql::new(
        "test.count",
        "SELECT (SELECT count(*) FROM messaging.channels) * 1000000
            + (SELECT count(*) FROM messaging.channel_members) * 1000
            + (SELECT count(*) FROM messaging.dm_pairs)",
    );
    assert_eq!(
        w.number(COUNT).await,
        20_040_020,
        "20 channels, 40 members, 20 pairs"
    );
}

#[tokio::test]
async fn both_are_told_to_follow_and_then_shown_the_channel() {
    let w = World::new().await;
    let mut ana = w.listen(&[Topic::User(ANA)]).await;
    let mut bora = w.listen(&[Topic::User(BORA)]).await;
    let reply = w
        .call("POST", PATH, ANA, json!({"recipient_id": "2"}))
        .await
        .expect(200)
        .unwrap();
    let id: ChannelId = reply.json["id"].as_str().unwrap().parse().unwrap();
    let shown = |recipient: Value| json!({"id": id, "type": 1, "recipients": [recipient], "last_message_id": null, "flags": 0});
    assert_eq!(reply.json, shown(card(2, "bora")));
    for (ear, recipient) in [(&mut ana, card(2, "bora")), (&mut bora, card(1, "ana"))] {
        let follow = ear.hear().unwrap();
        assert_eq!(follow.control, Some(Control::Follow(id)));
        let create = ear.hear().unwrap();
        assert_eq!(
            (create.name.as_str(), create.data),
            ("CHANNEL_CREATE", shown(recipient))
        );
        assert!(ear.hear().is_none());
    }
    let again = w.call("POST", PATH, BORA, json!({"recipient_id": 1})).await;
    assert_eq!(again.json["id"], reply.json["id"]);
    assert!(ana.hear().is_none(), "opening again tells nobody");
}

#[tokio::test]
async fn who_cannot_be_written_to() {
    let w = World::new().await;
    w.rights.part(ANA, CEM);
    for (recipient, status, code) in [
        (json!("1"), 400, 50033),
        (json!("99"), 404, 10013),
        (json!("3"), 403, 50007),
    ] {
        let reply = w
            .call("POST", PATH, ANA, json!({ "recipient_id": recipient }))
            .await;
        let got = (reply.status.as_u16(), &reply.json["code"]);
        assert_eq!(got, (status, &json!(code)), "{recipient}");
    }
    let reply = w.call("POST", PATH, ANA, json!({})).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (400, &json!(50035))
    );
}

#[tokio::test]
async fn an_open_channel_stays_open_after_the_last_community_is_left() {
    let w = World::new().await;
    let opened = w.call("POST", PATH, ANA, json!({"recipient_id": 2})).await;
    w.rights.part(ANA, BORA);
    let again = w
        .call("POST", PATH, ANA, json!({"recipient_id": 2}))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(again.json["id"], opened.json["id"]);
}

#[tokio::test]
async fn members_write_read_and_delete_their_own_and_nobody_else_sees_it() {
    let w = World::new().await;
    let dm = w.call("POST", PATH, ANA, json!({"recipient_id": 2})).await;
    let id: ChannelId = dm.json["id"].as_str().unwrap().parse().unwrap();
    let mut ear = w.listen(&[Topic::Channel(id)]).await;
    let sent = w
        .call(
            "POST",
            &messages(id),
            ANA,
            json!({"content": "selam <@3> @everyone"}),
        )
        .await;
    let sent = sent.expect(200).unwrap();
    assert_eq!(sent.json["mention_everyone"], json!(false));
    let heard = ear.hear().unwrap();
    let dispatch = heard.dispatch.unwrap();
    assert_eq!((dispatch.intent, heard.redacted), (Some(12), None));
    assert_eq!(dispatch.full_for, [ANA, BORA, CEM]);
    assert_eq!(
        (heard.record.community, heard.record.channel),
        (None, Some(id))
    );
    assert!(heard.data.get("guild_id").is_none() && heard.data.get("member").is_none());
    assert_eq!(
        w.call("GET", &messages(id), CEM, Value::Null).await.json["code"],
        json!(10003)
    );
    let path = format!("{}/{}", messages(id), sent.json["id"].as_str().unwrap());
    assert_eq!(w.call("DELETE", &path, BORA, Value::Null).await.status, 403);
    assert_eq!(w.call("DELETE", &path, ANA, Value::Null).await.status, 204);
    let gone = ear.hear().unwrap();
    assert_eq!(gone.data, json!({"id": sent.json["id"], "channel_id": id}));
}

#[tokio::test]
async fn the_inbox_is_sorted_by_the_newest_message() {
    let w = World::new().await;
    let mut ids = Vec::new();
    for other in [2, 3] {
        let dm = w
            .call("POST", PATH, ANA, json!({"recipient_id": other}))
            .await;
        ids.push(
            dm.json["id"]
                .as_str()
                .unwrap()
                .parse::<ChannelId>()
                .unwrap(),
        );
    }
    let list = w.call("GET", PATH, ANA, Value::Null).await.json;
    assert_eq!(
        (&list[0]["id"], &list[1]["id"]),
        (&json!(ids[1]), &json!(ids[0]))
    );
    let sent = w
        .call("POST", &messages(ids[0]), BORA, json!({"content": "a"}))
        .await;
    let list = w.call("GET", PATH, ANA, Value::Null).await.json;
    assert_eq!(list[0]["last_message_id"], sent.json["id"]);
    assert_eq!(list[0]["recipients"], json!([card(2, "bora")]));
    let inbox = w.messaging.inbox(ANA, InboxParts::Channels).await.unwrap();
    assert_eq!(serde_json::to_value(inbox.channels).unwrap(), list);
    assert!(
        w.messaging
            .inbox(UserId::new(50), InboxParts::Channels)
            .await
            .unwrap()
            .channels
            .is_empty()
    );
}

#[tokio::test]
async fn staff_who_act_as_somebody_find_no_private_channel() {
    let w = World::new().await;
    let dm = w.call("POST", PATH, ANA, json!({"recipient_id": 2})).await;
    let id: ChannelId = dm.json["id"].as_str().unwrap().parse().unwrap();
    let said = json!({"content": "between us"});
    let sent = w.call("POST", &messages(id), ANA, said).await;
    let message = sent.expect(200).unwrap().json["id"].clone();
    let message = format!("{}/{}", messages(id), message.as_str().unwrap());
    let mut ear = w.listen(&[Topic::Channel(id), Topic::User(ANA)]).await;
    let as_ana = Caller {
        act: Some(CEM),
        ..caller(ANA)
    };
    let typing = format!("/api/v10/channels/{id}/typing");
    let body = json!({"content": "in her name"});
    for (method, path, body) in [
        ("GET", &messages(id), Value::Null),
        ("GET", &message, Value::Null),
        ("POST", &messages(id), body.clone()),
        ("PATCH", &message, body),
        ("DELETE", &message, Value::Null),
        ("POST", &typing, Value::Null),
    ] {
        let reply = w.call(method, path, &as_ana, body).await;
        let got = (reply.status.as_u16(), &reply.json["code"]);
        assert_eq!(got, (404, &json!(10003)), "{method} {path}");
    }
    for (method, body) in [("GET", Value::Null), ("POST", json!({"recipient_id": 3}))] {
        let reply = w.call(method, PATH, &as_ana, body).await;
        assert_eq!(reply.status, 403, "{method} {PATH}");
    }
    assert!(ear.hear().is_none(), "nobody is told of what was refused");
    let list = w.call("GET", &messages(id), BORA, Value::Null).await.json;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["content"], json!("between us"));
    // What all of a community may see is no secret of hers.
    let room = w.call("GET", &messages(ROOM), &as_ana, Value::Null).await;
    room.expect(200).unwrap();
}

#[tokio::test]
async fn a_block_ends_writing_both_ways_at_once() {
    let w = World::new().await;
    let dm = w.call("POST", PATH, ANA, json!({"recipient_id": 2})).await;
    let id: ChannelId = dm.json["id"].as_str().unwrap().parse().unwrap();
    let sent = w
        .call("POST", &messages(id), ANA, json!({"content": "selam"}))
        .await
        .expect(200)
        .unwrap();
    w.relations.block(BORA, ANA);
    let message = format!("{}/{}", messages(id), sent.json["id"].as_str().unwrap());
    let typing = format!("/api/v10/channels/{id}/typing");
    for (method, path, who) in [
        ("POST", messages(id), ANA),
        ("POST", messages(id), BORA),
        ("PATCH", message.clone(), ANA),
        ("POST", typing, ANA),
    ] {
        let reply = w.call(method, &path, who, json!({"content": "x"})).await;
        let got = (reply.status.as_u16(), &reply.json["code"]);
        assert_eq!(got, (403, &json!(50007)), "{method} {path}");
    }
    for (method, path) in [("GET", messages(id)), ("GET", PATH.to_owned())] {
        let read = w.call(method, &path, ANA, Value::Null).await;
        read.expect(200).unwrap();
    }
    w.call("DELETE", &message, ANA, Value::Null)
        .await
        .expect(204)
        .unwrap();
    w.relations.part(BORA, ANA);
    w.call("POST", &messages(id), ANA, json!({"content": "selam"}))
        .await
        .expect(200)
        .unwrap();
}

#[tokio::test]
async fn friends_need_no_community_and_closed_doors_stay_closed() {
    let w = World::new().await;
    w.rights.part(ANA, CEM);
    let open = async |who: UserId, to: UserId| {
        let reply = w.call("POST", PATH, who, json!({"recipient_id": to})).await;
        reply.status.as_u16()
    };
    assert_eq!(open(ANA, CEM).await, 403, "strangers of no community");
    w.relations.befriend(ANA, CEM);
    w.relations.close(CEM);
    assert_eq!(open(ANA, CEM).await, 200, "friends");
    w.relations.close(BORA);
    assert_eq!(
        open(ANA, BORA).await,
        403,
        "a shared community is not enough"
    );
    w.relations.block(BORA, UserId::new(4));
    w.identity.add(UserId::new(4), "dora");
    assert_eq!(open(BORA, UserId::new(4)).await, 403, "one's own block too");
}

#[tokio::test]
async fn nobody_writes_while_relations_are_unknown() {
    let w = World::new().await;
    let dm = w.call("POST", PATH, ANA, json!({"recipient_id": 2})).await;
    let id: ChannelId = dm.json["id"].as_str().unwrap().parse().unwrap();
    w.relations.leave();
    let reply = w
        .call("POST", &messages(id), ANA, json!({"content": "selam"}))
        .await;
    assert_eq!(reply.status, 503);
    w.relations.come_back();
    w.call("POST", &messages(id), ANA, json!({"content": "selam"}))
        .await
        .expect(200)
        .unwrap();
}
