//! Drafts: one's own, the same on every device.

use std::time::Duration;

use contracts::Messaging as _;
use contracts::messaging::InboxParts;
use infra::fanout::Topic;
use kernel::{ChannelId, UserId};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::world::{ANA, BORA, CEM, ROOM, World};

fn path(channel: ChannelId) -> String {
    format!("/api/v10/channels/{channel}/draft")
}

async fn put(w: &World, who: UserId, channel: ChannelId, content: &str) -> Reply {
    w.clock.advance(Duration::from_secs(1));
    let body = json!({"content": content});
    w.call("PUT", &path(channel), who, body).await
}

async fn drafts(w: &World, who: UserId) -> Vec<(String, String)> {
    let inbox = w
        .messaging
        .inbox(who, InboxParts::WithReadStates)
        .await
        .unwrap();
    let of =
        |draft: contracts::messaging::Draft| (draft.channel_id.to_string(), draft.content.unwrap());
    inbox.drafts.into_iter().map(of).collect()
}

#[tokio::test]
async fn a_draft_is_kept_told_to_ones_own_and_thrown_away() {
    let w = World::new().await;
    let mut own = w.listen(&[Topic::User(ANA)]).await;
    let mut other = w.listen(&[Topic::User(BORA)]).await;
    let stored = put(&w, ANA, ROOM, "merh").await.expect(200).unwrap().json;
    let at = "2026-11-20T07:00:01.000000+00:00";
    let draft = json!({"channel_id": "800", "content": "merh", "updated_at": at});
    assert_eq!(stored, draft);
    let told = own.hear().unwrap();
    assert_eq!((told.name.as_str(), told.data), ("DRAFT_UPDATE", draft));
    assert_eq!(told.dispatch.unwrap().intent, Some(47));
    put(&w, ANA, ROOM, "merhaba").await.expect(200).unwrap();
    assert_eq!(
        drafts(&w, ANA).await,
        [("800".to_owned(), "merhaba".to_owned())]
    );
    assert!(drafts(&w, BORA).await.is_empty());
    let plain = w.messaging.inbox(ANA, InboxParts::Channels).await.unwrap();
    assert!(plain.drafts.is_empty(), "not asked for");

    own.hear().unwrap();
    // The clock of another node is behind.
    w.clock.set("2026-11-20T07:00:00Z".parse().unwrap());
    let gone = w.call("DELETE", &path(ROOM), ANA, Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        own.hear().unwrap().data,
        json!({"channel_id": "800", "content": null,
            "updated_at": "2026-11-20T07:00:02.000001+00:00"}),
        "newer all the same"
    );
    let gone = w.call("DELETE", &path(ROOM), ANA, Value::Null).await;
    assert_eq!(gone.status, 204);
    assert!(own.hear().is_none() && other.hear().is_none());
    assert!(drafts(&w, ANA).await.is_empty());
}

#[tokio::test]
async fn bounds_and_rights_of_drafts() {
    let w = World::new().await;
    for (content, status) in [
        ("", 400),
        ("  ", 400),
        ("a\0b", 400),
        ("ü".repeat(4_000).as_str(), 200),
        ("ü".repeat(4_001).as_str(), 400),
    ] {
        assert_eq!(put(&w, ANA, ROOM, content).await.status, status);
    }
    assert_eq!(put(&w, CEM, ROOM, "a").await.status, 404);
    let stranger = w.call("DELETE", &path(ROOM), CEM, Value::Null).await;
    assert_eq!(stranger.status, 204, "there is nothing to tell");
    assert_eq!(
        w.call("DELETE", &path(ROOM), (), Value::Null).await.status,
        401
    );
    w.call("DELETE", &path(ROOM), ANA, Value::Null).await;
    for n in 0..101 {
        let channel = ChannelId::new(1_000 + n);
        w.seat(ANA, channel);
        put(&w, ANA, channel, "a").await.expect(200).unwrap();
    }
    let kept = drafts(&w, ANA).await;
    assert_eq!(
        (kept.len(), kept[0].0.as_str(), kept[99].0.as_str()),
        (100, "1100", "1001")
    );
}
