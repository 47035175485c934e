//! Moderation judges what people say, takes reports, and tells moderators in a channel.

use kernel::{ChannelId, Event, EventId};
use serde_json::json;

use crate::world::{ANA, BORA, ROOM, World};

fn path(rest: &str) -> String {
    format!("/api/v10/channels/{ROOM}/messages{rest}")
}

#[tokio::test]
async fn what_must_not_be_said_is_neither_sent_nor_edited_in() {
    let w = World::new().await;
    *w.rights.refused.lock().unwrap() = Some("kaba".to_owned());
    let sent = w
        .call("POST", &path(""), ANA, json!({"content": "kaba söz"}))
        .await;
    assert_eq!(sent.status, 403);
    w.clock.advance(std::time::Duration::from_secs(10));
    let hidden = json!({"content": "x", "embeds": [{"title": "t", "fields": [{"name": "n", "value": "kaba"}]}]});
    assert_eq!(w.call("POST", &path(""), ANA, hidden).await.status, 403);
    w.clock.advance(std::time::Duration::from_secs(10));
    let fine = w
        .call("POST", &path(""), ANA, json!({"content": "nazik söz"}))
        .await;
    assert_eq!(fine.status, 200);
    let one = path(&format!("/{}", fine.json["id"].as_str().unwrap()));
    let edit = w
        .call("PATCH", &one, ANA, json!({"content": "kaba oldu"}))
        .await;
    assert_eq!(edit.status, 403);
    let judged = w.rights.judged.lock().unwrap();
    assert_eq!(judged.len(), 4);
    assert_eq!(
        (judged[2].0, judged[2].1, judged[2].2.as_str()),
        (ANA, ROOM, "nazik söz")
    );
}

#[tokio::test]
async fn a_message_is_reported_with_its_author_by_who_sees_it() {
    let w = World::new().await;
    let sent = w
        .call("POST", &path(""), ANA, json!({"content": "x"}))
        .await;
    let id = sent.json["id"].as_str().unwrap();
    let report = path(&format!("/{id}/report"));
    let made = w
        .call("POST", &report, BORA, json!({"reason": "spam"}))
        .await;
    assert_eq!(
        (made.status.as_u16(), &made.json),
        (201, &json!({"id": "77"}))
    );
    let known = w.rights.reported.lock().unwrap()[0].clone();
    assert_eq!(
        (known.reporter, known.author, known.channel),
        (BORA, ANA, ROOM)
    );
    assert_eq!(
        (known.message.to_string().as_str(), known.reason.as_str()),
        (id, "spam")
    );
    let unknown = path("/5/report");
    assert_eq!(
        w.call("POST", &unknown, BORA, json!({"reason": "x"}))
            .await
            .status,
        404
    );
    let stranger = kernel::UserId::new(3);
    assert_eq!(
        w.call("POST", &report, stranger, json!({"reason": "x"}))
            .await
            .status,
        404
    );
    assert_eq!(
        w.call("POST", &report, (), json!({"reason": "x"}))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn an_alert_is_told_once_in_its_channel() {
    let w = World::new().await;
    let community = crate::world::access(ROOM).community;
    let event = Event {
        id: EventId::new(900),
        kind: "communities.automod_alerted.v1".to_owned(),
        at: kernel::Clock::now(&*w.clock),
        actor: None,
        tenant: None,
        key: community.to_string(),
        data: json!({"community_id": community, "alert_channel_id": ROOM, "channel_id": ChannelId::new(5),
            "user_id": BORA, "rule_id": "44", "rule_name": "Kaba", "content": "kaba söz"}),
    };
    let module = messaging::module(w.messaging.clone());
    let consumers = || {
        module
            .consumers
            .iter()
            .filter(|c| c.kinds.contains(&event.kind.as_str()))
    };
    assert_eq!(consumers().count(), 1);
    for _ in 0..2 {
        for consumer in consumers() {
            consumer.handler.handle(&event).await.unwrap();
        }
    }
    let list = w.call("GET", &path(""), ANA, serde_json::Value::Null).await;
    let list = list.json.as_array().unwrap().clone();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["author"]["username"], "AutoMod");
    assert_eq!(list[0]["content"], "Kaba: <@2> in <#5>\n>>> kaba söz");
    assert_eq!(list[0]["mentions"], json!([]));
}
