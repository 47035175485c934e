//! What webhooks say.

use contracts::Messaging as _;
use contracts::messaging::{Message, Voice, WebhookAct, WebhookPlace};
use infra::fanout::Topic;
use kernel::{ChannelId, Failure, MessageId, UserId, WebhookId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, message, messages};

const HOOK: WebhookId = WebhookId::new(9_000);

/// Made by somebody who is no member any more.
const ORPHAN: WebhookPlace = WebhookPlace {
    webhook: HOOK,
    creator: CEM,
    community: COMMUNITY,
    channel: ROOM,
    thread: None,
};
const PLACE: WebhookPlace = WebhookPlace {
    creator: ANA,
    ..ORPHAN
};

fn send(body: Value, key: Option<&str>) -> WebhookAct {
    WebhookAct::Send {
        voice: Voice {
            name: "Haberci".to_owned(),
            avatar: None,
            avatar_url: Some("https://example.com/a.png".to_owned()),
        },
        body,
        key: key.map(str::to_owned),
    }
}

async fn said(w: &World, place: WebhookPlace, text: &str) -> Message {
    let act = send(json!({ "content": text }), None);
    w.messaging.speak(place, act).await.unwrap().unwrap()
}

fn number(refused: Result<Option<Message>, Failure>) -> u32 {
    refused.unwrap_err().row.dialect
}

#[tokio::test]
async fn a_webhook_speaks_under_its_own_name_and_is_no_member() {
    let w = World::new().await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let body = json!({"content": "merhaba", "embeds": [{"title": "Derleme"}]});
    let sent = w.messaging.speak(PLACE, send(body, None)).await;
    let sent = sent.unwrap().unwrap();
    let author = json!({
        "id": "9000", "username": "Haberci", "discriminator": "0000", "global_name": null,
        "avatar": null, "bot": true, "public_flags": 0
    });
    let told = ear.wait().await;
    let read = w.call("GET", &message(sent.id), BORA, Value::Null).await;
    for shown in [
        &serde_json::to_value(&sent).unwrap(),
        &told.data,
        &read.json,
    ] {
        assert_eq!(shown["author"], author);
        assert_eq!(shown["webhook_id"], "9000");
        assert_eq!(shown["avatar_url"], "https://example.com/a.png");
        assert_eq!(shown["content"], "merhaba");
        assert_eq!(
            shown["embeds"],
            json!([{"title": "Derleme", "type": "rich"}])
        );
        assert!(shown.get("member").is_none());
    }
    assert_eq!(
        (told.name.as_str(), told.record.epoch),
        ("MESSAGE_CREATE", 5)
    );
    assert!(told.redacted.is_some(), "bots without the content intent");
    assert_eq!(w.unread(BORA, ROOM).await, (1, 0));
}

#[tokio::test]
async fn a_webhook_changes_its_own_messages_and_no_others() {
    let w = World::new().await;
    let own = said(&w, PLACE, "bir").await;
    let edit = WebhookAct::Edit(own.id, json!({"content": "iki"}));
    let edited = w.messaging.speak(PLACE, edit).await.unwrap().unwrap();
    assert_eq!(
        (edited.content.as_str(), &edited.author),
        ("iki", &own.author)
    );
    assert!(edited.edited_timestamp.is_some() && edited.webhook_id == Some(HOOK));
    let foreign = w.say(ANA, "benim").await;
    let other = WebhookPlace {
        webhook: WebhookId::new(9_001),
        ..PLACE
    };
    for (place, id) in [
        (PLACE, foreign),
        (other, own.id),
        (PLACE, MessageId::new(5)),
    ] {
        let edit = WebhookAct::Edit(id, json!({"content": "x"}));
        assert_eq!(number(w.messaging.speak(place, edit).await), 10008);
        let delete = w.messaging.speak(place, WebhookAct::Delete(id)).await;
        assert_eq!(number(delete), 10008);
    }
    assert_eq!(
        w.messaging
            .speak(PLACE, WebhookAct::Delete(own.id))
            .await
            .unwrap(),
        None
    );
    let read = w.call("GET", &message(own.id), ANA, Value::Null).await;
    assert_eq!(read.status, 404);
    // Moderators may delete what it said, as everybody's.
    let again = said(&w, PLACE, "üç").await;
    let refused = w
        .call("DELETE", &message(again.id), BORA, Value::Null)
        .await;
    assert_eq!(refused.status, 403);
    w.allow(BORA, |access| access.chat = kernel::perm::Chat::ALL);
    let gone = w
        .call("DELETE", &message(again.id), BORA, Value::Null)
        .await;
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn one_key_is_one_message() {
    let w = World::new().await;
    let first = w
        .messaging
        .speak(PLACE, send(json!({"content": "bir"}), Some("k")));
    let first = first.await.unwrap().unwrap();
    let again = w
        .messaging
        .speak(PLACE, send(json!({"content": "bir"}), Some("k")));
    assert_eq!(again.await.unwrap().unwrap().id, first.id);
    let mut other = PLACE;
    other.webhook = WebhookId::new(9_001);
    let theirs = w
        .messaging
        .speak(other, send(json!({"content": "bir"}), Some("k")));
    assert_ne!(theirs.await.unwrap().unwrap().id, first.id);
}

#[tokio::test]
async fn it_calls_whom_it_names_unless_it_is_told_not_to() {
    let w = World::new().await;
    w.rights.add_role(77);
    let text = "<@2> <@&77> <@&78> @everyone";
    let loud = said(&w, ORPHAN, text).await;
    assert!(loud.mention_everyone);
    assert_eq!(loud.mention_roles, [kernel::RoleId::new(77)]);
    assert_eq!(loud.mentions[0].id, BORA);
    assert_eq!(w.unread(BORA, ROOM).await, (1, 1));
    let body = json!({"content": text, "allowed_mentions": {"parse": []}});
    let quiet = w.messaging.speak(PLACE, send(body, None)).await;
    let quiet = quiet.unwrap().unwrap();
    assert!(!quiet.mention_everyone && quiet.mentions.is_empty() && quiet.mention_roles.is_empty());
    assert_eq!(w.unread(BORA, ROOM).await, (2, 1));
}

#[tokio::test]
async fn it_speaks_in_its_channel_and_its_threads_while_they_are_there() {
    let w = World::new().await;
    said(&w, ORPHAN, "who made it has left").await;
    w.t.script(
        "INSERT INTO messaging.channels (id, community_id, parent_id, kind) VALUES
         (850, 700, 800, 11), (851, 700, 799, 11), (852, 700, 800, 0)",
    )
    .await
    .unwrap();
    let at = |thread: i64| WebhookPlace {
        thread: Some(ChannelId::new(thread)),
        ..PLACE
    };
    assert_eq!(said(&w, at(850), "x").await.channel_id, ChannelId::new(850));
    let elsewhere = WebhookPlace {
        channel: ChannelId::new(4_321),
        ..ORPHAN
    };
    let other_community = WebhookPlace {
        community: kernel::CommunityId::new(701),
        ..PLACE
    };
    for place in [at(851), at(852), at(853), elsewhere, other_community] {
        let refused = w
            .messaging
            .speak(place, send(json!({"content": "x"}), None));
        assert_eq!(number(refused.await), 10003, "{place:?}");
    }
}

#[tokio::test]
async fn what_no_message_may_be_is_told_by_field() {
    let w = World::new().await;
    for (body, code) in [
        (json!({}), 50006),
        (json!({"content": "x".repeat(4_001)}), 50035),
        (json!({"content": 5}), 50035),
        (json!({"embeds": vec![json!({"title": "t"}); 11]}), 50035),
    ] {
        let refused = w.messaging.speak(PLACE, send(body.clone(), None)).await;
        assert_eq!(number(refused), code, "{body}");
    }
}

#[tokio::test]
async fn messages_are_found_by_name_a_hundred_at_most() {
    let w = World::new().await;
    let own = said(&w, PLACE, "bir").await.id;
    let other = w.say(ANA, "iki").await;
    let gone = w.say(ANA, "üç").await;
    w.call("DELETE", &message(gone), ANA, Value::Null).await;
    let mut wanted = vec![
        (ROOM, own),
        (ROOM, other),
        (ROOM, gone),
        (ChannelId::new(801), other),
    ];
    let found = w.messaging.messages(&wanted).await.unwrap();
    let ids: Vec<MessageId> = found.iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.contains(&own) && ids.contains(&other));
    wanted.resize(100, (ROOM, own));
    assert!(w.messaging.messages(&wanted).await.is_ok());
    wanted.push((ROOM, own));
    assert!(w.messaging.messages(&wanted).await.is_err());
}

#[tokio::test]
async fn people_cannot_take_the_voice_of_a_webhook() {
    let w = World::new().await;
    let body = json!({"content": "x", "voice": {"name": "Haberci"}, "username": "Haberci"});
    let sent = w.call("POST", &messages(ROOM), ANA, body).await;
    assert_eq!(sent.json["author"]["username"], "ana");
    assert!(sent.json.get("webhook_id").is_none());
    assert_eq!(UserId::new(1).to_string(), sent.json["author"]["id"]);
}
