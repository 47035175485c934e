//! What other contexts ask of us, and what we hear from them.

use contracts::Messaging as _;
use db::Sql;
use kernel::{ChannelId, Event};
use serde_json::{Value, json};

use crate::world::{ANA, ROOM, World, message, messages, start};

async fn tell(w: &World, kind: &str, data: Value) {
    let module = messaging::module(w.messaging.clone());
    let consumer = module
        .consumers
        .iter()
        .find(|one| one.kinds.contains(&kind))
        .unwrap();
    let event = Event {
        id: w.ids.next().unwrap(),
        kind: kind.to_owned(),
        at: start(),
        actor: Some(ANA),
        tenant: None,
        key: "700".to_owned(),
        data,
    };
    // Brought twice: the second time changes nothing.
    consumer.handler.handle(&event).await.unwrap();
    consumer.handler.handle(&event).await.unwrap();
}

#[tokio::test]
async fn positions_follow_messages_and_changes() {
    let w = World::new().await;
    let other = ChannelId::new(801);
    assert!(
        w.messaging
            .positions(&[ROOM, other])
            .await
            .unwrap()
            .is_empty()
    );
    let first = w.say(ANA, "a").await;
    let last = w.say(ANA, "b").await;
    w.call("DELETE", &message(first), ANA, Value::Null).await;
    let positions = w.messaging.positions(&[ROOM, other]).await.unwrap();
    assert_eq!(positions.len(), 1);
    let position = positions[0];
    assert_eq!(
        (position.channel, position.last_seq, position.last_ev),
        (ROOM, 2, 3)
    );
    assert_eq!(position.last_message_id, Some(last));
    let full: Vec<ChannelId> = (1..=500).map(ChannelId::new).collect();
    assert!(w.messaging.positions(&full).await.is_ok());
    let over: Vec<ChannelId> = (1..=501).map(ChannelId::new).collect();
    assert_eq!(
        w.messaging.positions(&over).await.unwrap_err().row.code,
        "INVALID_REQUEST"
    );
}

#[tokio::test]
async fn channels_are_made_and_ended_by_events_in_any_order() {
    let w = World::new().await;
    const STATE: Sql = Sql::new(
        "test.state",
        "SELECT coalesce(jsonb_object_agg(id, deleted_at IS NOT NULL), '{}')
         FROM messaging.channels",
    );
    let state = || async { STATE.scalar::<Value>(&w.admin).await.unwrap() };
    let data = |id: &str| json!({"channel_id": id, "community_id": "700", "kind": 0});
    tell(&w, "communities.channel_created.v1", data("800")).await;
    assert_eq!(state().await, json!({"800": false}));
    let id = w.say(ANA, "a").await;
    tell(&w, "communities.channel_deleted.v1", data("800")).await;
    assert_eq!(state().await, json!({"800": true}));
    // Communities may still answer from before: our row decides.
    for (method, path, body) in [
        ("POST", messages(ROOM), json!({"content": "b"})),
        ("DELETE", message(id), Value::Null),
        ("GET", messages(ROOM), Value::Null),
    ] {
        let reply = w.call(method, &path, ANA, body).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (404, &json!(10003)),
            "{method}"
        );
    }
    assert!(w.messaging.positions(&[ROOM]).await.unwrap().is_empty());
    // Deleted before it was heard of.
    tell(&w, "communities.channel_deleted.v1", data("801")).await;
    tell(&w, "communities.channel_created.v1", data("801")).await;
    assert_eq!(state().await, json!({"800": true, "801": true}));
}

#[tokio::test]
async fn the_module_is_whole() {
    let w = World::new().await;
    let module = messaging::module(w.messaging.clone());
    assert_eq!(module.name, "messaging");
    for check in &module.health {
        (check.probe)().await.unwrap();
    }
    let names: Vec<&str> = module
        .consumers
        .iter()
        .map(|consumer| consumer.name)
        .collect();
    assert_eq!(names.len(), 4, "{names:?}");
}
