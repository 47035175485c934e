//! Native features: read states and relationships in READY, receipts, SYNC and RECEIPT.

use anyhow::Result;
use contracts::messaging::{Cursor, Missed, NotificationLevel, ReadState, Synced};
use infra::fanout::{Body, Dispatch, Record, Topic};
use kernel::{ChannelId, MessageId};
use realtime::Settings;
use serde_json::json;
use std::time::Duration;
use testkit::gateway::Gateway;

use crate::harness::{AYSE, BOT, CHANNEL, MEHMET, World, plain};

fn standing() -> ReadState {
    ReadState {
        channel_id: CHANNEL,
        guild_id: None,
        last_seq: 7,
        last_ev: 9,
        last_message_id: Some(MessageId::new(70)),
        read_seq: 5,
        unread_count: 2,
        mention_count: 1,
        mention_seqs: vec![6],
        level: NotificationLevel::Default,
        muted_until: None,
        version: 3,
    }
}

fn with_intent(name: &'static str, intent: u8) -> Record {
    let record = plain(name, json!({"n": intent}));
    let Body::Dispatch(dispatch) = record.body else {
        return record;
    };
    Record {
        body: Body::Dispatch(Dispatch {
            intent: Some(intent),
            ..dispatch
        }),
        ..record
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_shows_natives_how_they_stand_and_whom_they_know() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    world.messaging.stand(AYSE, standing());
    world.relations.befriend(AYSE, MEHMET);
    let token = testkit::http::token(AYSE)?;
    let d = json!({"token": token, "intents": 0, "cap": 16});
    let (_native, ready) = Gateway::identify(node.address, d).await?;
    assert_eq!(ready["read_states"], json!([standing()]));
    assert_eq!(
        (
            &ready["relationships"][0]["id"],
            &ready["relationships"][0]["type"]
        ),
        (&json!(MEHMET), &json!(1))
    );
    // The bits below it bring nothing of this.
    let d = json!({"token": token, "intents": 0, "cap": 15});
    let (_stock, ready) = Gateway::identify(node.address, d).await?;
    assert_eq!(ready.get("read_states"), None);
    assert_eq!(ready["relationships"], json!([]));
    world.relations.leave();
    let mut gateway = Gateway::connect(node.address).await?;
    gateway
        .send(2, json!({"token": token, "intents": 0, "cap": 16}))
        .await?;
    assert_eq!(gateway.closed().await?, 4000, "never a READY without them");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_states_come_by_their_bits() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let token = testkit::http::token(AYSE)?;
    for (asked, expected) in [
        (json!({"intents": 0}), vec![]),
        (json!({"intents": 0, "cap": 3}), vec![]),
        (json!({"intents": 0, "cap": 4}), vec!["RECEIPT_UPDATE"]),
        (json!({"intents": 0, "cap": 16}), vec!["MESSAGE_ACK"]),
        (json!({"intents": 1_u64 << 40}), vec!["RECEIPT_UPDATE"]),
        (json!({"cap": 0}), vec!["RECEIPT_UPDATE", "MESSAGE_ACK"]),
    ] {
        let mut d = asked.clone();
        d["token"] = json!(token);
        let (mut gateway, _) = Gateway::identify(node.address, d).await?;
        gateway.expect("GUILD_CREATE").await?;
        for (name, intent) in [("RECEIPT_UPDATE", 40), ("MESSAGE_ACK", 47), ("END", 0)] {
            let mut record = with_intent(name, intent);
            if let (Body::Dispatch(dispatch), 0) = (&mut record.body, intent) {
                dispatch.intent = None;
            }
            world.publish(Topic::User(AYSE), record).await?;
        }
        let mut seen = Vec::new();
        loop {
            let frame = gateway.json().await?;
            match frame["t"].as_str() {
                Some("END") => break,
                Some(name) => seen.push(name.to_owned()),
                None => {}
            }
        }
        assert_eq!(seen, expected, "{asked}");
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_is_answered_whole_in_frames_of_a_size() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut gateway, _) = node.person(AYSE).await?;
    let mut asked = serde_json::Map::new();
    for id in 1..=20 {
        let synced = Synced::Events {
            ev: 7,
            events: vec![Missed {
                t: "MESSAGE_CREATE".to_owned(),
                ev: 7,
                d: json!({"content": "x".repeat(100 << 10)}),
            }],
        };
        world.messaging.miss(ChannelId::new(id), synced);
        asked.insert(id.to_string(), json!({"ev": 6, "last": "5"}));
    }
    asked.insert("999".to_owned(), json!({"ev": 6}));
    gateway.send(61, json!({"channels": asked})).await?;
    let mut seen = std::collections::BTreeMap::new();
    let mut frames = 0;
    loop {
        let frame = gateway.json().await?;
        assert_eq!(frame["op"], json!(62));
        frames += 1;
        let channels = frame["d"]["channels"].as_object().cloned();
        for (channel, synced) in channels.unwrap_or_default() {
            assert!(seen.insert(channel, synced).is_none(), "once");
        }
        if frame["d"]["more"] == json!(false) {
            break;
        }
    }
    assert_eq!(
        (frames, seen.len()),
        (10, 21),
        "two of a hundred KiB in a frame, and what is small beside them"
    );
    assert_eq!(seen["999"], json!({"gone": true}));
    gateway.send(61, json!({"channels": {}})).await?;
    let frame = gateway.json().await?;
    assert_eq!(frame["d"], json!({"more": false, "channels": {}}));
    gateway.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_reach_messaging_and_bots_have_none() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut gateway, _) = node.person(AYSE).await?;
    let d = json!({"token": testkit::http::bot_token(BOT), "intents": 0});
    let (mut bot, _) = Gateway::identify(node.address, d).await?;
    bot.expect("GUILD_CREATE").await?;
    let cursors = json!({CHANNEL.to_string(): {"delivered": "9", "read": "8"}});
    bot.send(65, cursors.clone()).await?;
    bot.expect_nothing().await?;
    gateway.send(65, cursors).await?;
    let expected = Cursor {
        channel_id: CHANNEL,
        delivered: Some(MessageId::new(9)),
        read: Some(MessageId::new(8)),
    };
    testkit::servers::eventually("the cursor came", Duration::from_secs(10), || async {
        !world.messaging.advanced().is_empty()
    })
    .await?;
    assert_eq!(world.messaging.advanced(), [(AYSE, expected)]);
    // Messaging is away: the socket lives on, and says it again later.
    world.messaging.leave();
    gateway
        .send(65, json!({CHANNEL.to_string(): {"read": "9"}}))
        .await?;
    gateway.send(61, json!({"channels": {}})).await?;
    gateway.expect_nothing().await?;
    world.messaging.come_back();
    gateway.send(61, json!({"channels": {}})).await?;
    assert_eq!(gateway.json().await?["op"], json!(62));
    node.stop().await
}
