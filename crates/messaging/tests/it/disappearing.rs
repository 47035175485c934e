//! Messages that disappear: by themselves, or by what their channel says.

use std::time::Duration;

use contracts::messaging::SyncFrom;
use db::Sql;
use infra::fanout::{Topic, Version};
use kernel::perm::Chat;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, id_of, message, messages};

fn path(channel: ChannelId) -> String {
    format!("/api/v10/channels/{channel}/message-ttl")
}

async fn set(w: &World, who: UserId, channel: ChannelId, seconds: i32) -> (u16, Value) {
    w.clock.advance(Duration::from_secs(2));
    let body = json!({"message_ttl": seconds});
    let reply = w.call("PUT", &path(channel), who, body).await;
    (reply.status.as_u16(), reply.json["code"].clone())
}

async fn send(w: &World, body: Value) -> Value {
    w.send(ANA, body).await.expect(200).unwrap().json
}

fn manages(w: &World) {
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT | Chat::MANAGE_CHANNELS
    });
}

#[tokio::test]
async fn a_message_is_gone_when_its_time_is_over() {
    let w = World::new().await;
    let kept = w.say(ANA, "kalır").await;
    let sent = send(&w, json!({"content": "gider <@2>", "expires_in": 60})).await;
    assert_eq!(
        sent["expires_at"],
        json!("2026-11-20T07:01:02.000000+00:00")
    );
    let id = id_of(&sent);
    w.clock.set("2026-11-20T07:01:01.999Z".parse().unwrap());
    let shown = w.call("GET", &message(id), BORA, Value::Null).await;
    assert_eq!(shown.json["expires_at"], sent["expires_at"]);
    assert_eq!(w.messaging.expire_messages().await.unwrap(), "emptied 0");
    w.clock.set("2026-11-20T07:01:02Z".parse().unwrap());
    let shown = w.call("GET", &message(id), BORA, Value::Null).await;
    assert_eq!(shown.status, 404, "before the job comes");
    let list = w.call("GET", &messages(ROOM), BORA, Value::Null).await.json;
    assert_eq!(list.as_array().unwrap().len(), 1);
    for (method, rest) in [
        ("PUT", "/reactions/%F0%9F%94%A5/@me"),
        ("GET", "/revisions"),
    ] {
        let reply = w
            .call(method, &format!("{}{rest}", message(id)), ANA, Value::Null)
            .await;
        assert_eq!(reply.status, 404, "{method} {rest}");
    }
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(w.messaging.expire_messages().await.unwrap(), "emptied 1");
    assert_eq!(w.messaging.expire_messages().await.unwrap(), "emptied 0");
    let told = ear.hear().unwrap();
    assert_eq!(
        (told.name.as_str(), told.data, told.record.version),
        (
            "MESSAGE_DELETE_BULK",
            json!({"ids": [id], "channel_id": "800", "guild_id": "700"}),
            Version::Ev(3)
        )
    );
    const LEFT: Sql = Sql::new(
        "test.left",
        "SELECT count(*) FROM messaging.messages WHERE content LIKE 'gider%'",
    );
    assert_eq!(w.number(LEFT).await, 0);
    assert_eq!(w.unread(BORA, ROOM).await.1, 0, "its mention went too");
    let from = SyncFrom {
        channel: ROOM,
        ev: 2,
        last: Some(kept),
    };
    let told = w.messaging.catch_up_in(BORA, &[from]).await.unwrap();
    let told = serde_json::to_value(&told[0].1).unwrap();
    assert_eq!(told["events"][0]["t"], json!("MESSAGE_DELETE"));
}

#[tokio::test]
async fn a_channel_says_how_long_later_messages_stay() {
    let w = World::new().await;
    manages(&w);
    let before = w.say(ANA, "önce").await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(set(&w, ANA, ROOM, 3_600).await.0, 200);
    let told = ear.hear().unwrap();
    assert_eq!(
        (told.name.as_str(), told.data),
        (
            "MESSAGE_TTL_UPDATE",
            json!({"channel_id": "800", "guild_id": "700", "message_ttl": 3_600})
        )
    );
    let told = ear.hear().unwrap().data;
    let field = json!({"name": "message_ttl", "value": "3600", "inline": false});
    assert_eq!(
        (&told["type"], &told["embeds"]),
        (
            &json!(102),
            &json!([{"type": "message_ttl", "fields": [field]}])
        )
    );
    assert_eq!(set(&w, ANA, ROOM, 3_600).await.0, 200);
    assert!(ear.hear().is_none(), "nothing changed");
    let got = w.call("GET", &path(ROOM), BORA, Value::Null).await.json;
    assert_eq!(got, json!({"message_ttl": 3_600}));

    w.clock.set("2026-11-20T07:09:59Z".parse().unwrap());
    let usual = send(&w, json!({"content": "a"})).await;
    assert_eq!(
        usual["expires_at"],
        json!("2026-11-20T08:10:00.000000+00:00")
    );
    let told = ear.hear().unwrap().data;
    assert_eq!(told["expires_at"], usual["expires_at"], "clients know when");
    let sooner = send(&w, json!({"content": "b", "expires_in": 60})).await;
    assert_eq!(
        sooner["expires_at"],
        json!("2026-11-20T07:11:01.000000+00:00")
    );
    let later = send(&w, json!({"content": "c", "expires_in": 7_200})).await;
    assert_eq!(
        later["expires_at"],
        json!("2026-11-20T08:10:02.000000+00:00")
    );
    let old = w.call("GET", &message(before), ANA, Value::Null).await.json;
    assert!(old.get("expires_at").is_none(), "what was there stays");
    assert_eq!(set(&w, ANA, ROOM, 0).await.0, 200);
    assert!(
        send(&w, json!({"content": "d"}))
            .await
            .get("expires_at")
            .is_none()
    );
    w.clock.set("2026-11-20T09:00:00Z".parse().unwrap());
    assert_eq!(w.messaging.expire_messages().await.unwrap(), "emptied 3");
}

#[tokio::test]
async fn bounds_and_who_sets_it() {
    let w = World::new().await;
    manages(&w);
    for (seconds, status) in [
        (59, 400),
        (60, 200),
        (7_776_000, 200),
        (7_776_001, 400),
        (-1, 400),
        (0, 200),
    ] {
        assert_eq!(set(&w, ANA, ROOM, seconds).await.0, status, "{seconds}");
        w.clock.advance(Duration::from_secs(5));
        if seconds != 0 {
            let body = json!({"content": "a", "expires_in": seconds});
            assert_eq!(w.send(ANA, body).await.status, status, "{seconds}");
        }
    }
    assert_eq!(set(&w, BORA, ROOM, 60).await, (403, json!(50013)));
    let dm = w.dm(ANA, BORA).await;
    assert_eq!(
        set(&w, BORA, dm, 60).await.0,
        200,
        "everybody in private channels"
    );
    assert_eq!(set(&w, CEM, dm, 60).await.0, 404);
    w.relations.block(ANA, BORA);
    assert_eq!(set(&w, BORA, dm, 0).await, (403, json!(50007)));
}

#[tokio::test]
async fn many_go_in_steps() {
    let w = World::new().await;
    let first = w.say(ANA, "a").await;
    w.t.script(
        "INSERT INTO messaging.messages (channel_id, id, seq, ev, author_id, content, expires_at)
         SELECT 800, (SELECT max(id) FROM messaging.messages) + n, 1 + n, 1 + n, 1, 'x', '2026-11-20T07:00:00Z'
         FROM generate_series(1, 1050) AS n;
         UPDATE messaging.channels SET last_seq = 1051, last_ev = 1051 WHERE id = 800",
    )
    .await
    .unwrap();
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(w.messaging.expire_messages().await.unwrap(), "emptied 1050");
    let mut sizes = Vec::new();
    while let Some(heard) = ear.hear() {
        sizes.push(heard.data["ids"].as_array().unwrap().len());
    }
    assert_eq!((sizes.len(), sizes.iter().sum::<usize>()), (11, 1_050));
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    let left = w.call("GET", &messages(ROOM), ANA, Value::Null).await.json;
    let left: Vec<MessageId> = left.as_array().unwrap().iter().map(id_of).collect();
    assert_eq!(left, [first]);
}
