//! Forwards: what they show, and that the right to read the source is asked.

use infra::fanout::Topic;
use kernel::perm::Chat;
use kernel::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, id_of, message, messages};

const OTHER: ChannelId = ChannelId::new(801);

fn reference(channel: ChannelId, id: MessageId) -> Value {
    json!({"type": 1, "channel_id": channel, "message_id": id})
}

async fn forward(w: &World, who: UserId, to: ChannelId, reference: Value) -> Reply {
    w.clock.advance(std::time::Duration::from_secs(2));
    let body = json!({"message_reference": reference});
    w.call("POST", &messages(to), who, body).await
}

#[tokio::test]
async fn a_forward_shows_the_message_as_it_was() {
    let w = World::new().await;
    w.seat(ANA, OTHER);
    let body = json!({"content": "bir <@2>", "embeds": [{"title": "a"}], "flags": 4});
    let source = id_of(&w.send(BORA, body).await.expect(200).unwrap().json);
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let sent = forward(&w, ANA, OTHER, reference(ROOM, source)).await;
    let sent = sent.expect(200).unwrap().json;
    let snapshot = json!([{"message": {
        "content": "bir <@2>", "embeds": [{"title": "a", "type": "rich"}], "components": [],
        "attachments": [], "timestamp": "2026-11-20T07:00:01.000000+00:00",
        "edited_timestamp": null, "flags": 4, "type": 0, "mentions": [], "mention_roles": []
    }}]);
    assert_eq!(sent["message_snapshots"], snapshot);
    assert_eq!(
        sent["message_reference"],
        json!({"type": 1, "message_id": source, "channel_id": "800", "guild_id": "700"})
    );
    assert_eq!(
        (
            &sent["type"],
            &sent["content"],
            &sent["flags"],
            &sent["mentions"]
        ),
        (&json!(0), &json!(""), &json!(1 << 14), &json!([]))
    );
    let told = ear.hear().unwrap();
    assert_eq!(told.data["message_snapshots"], snapshot);
    assert_eq!(told.redacted.unwrap()["message_snapshots"], json!([]));

    w.call("DELETE", &message(source), BORA, Value::Null).await;
    let path = format!("{}/{}", messages(OTHER), id_of(&sent));
    let shown = w.call("GET", &path, ANA, Value::Null).await.json;
    assert_eq!(shown, sent, "it stays as it was");
    w.clock.advance(std::time::Duration::from_secs(2));
    let edited = w.call("PATCH", &path, ANA, json!({"content": "b"})).await;
    assert_eq!(
        edited.json["code"],
        json!(50021),
        "nobody edits another's words"
    );
    let again = forward(&w, ANA, OTHER, reference(OTHER, id_of(&sent))).await;
    assert_eq!(
        again.expect(200).unwrap().json["message_snapshots"],
        snapshot
    );
}

#[tokio::test]
async fn only_what_one_can_read_is_forwarded() {
    let w = World::new().await;
    w.seat(CEM, OTHER);
    w.seat(ANA, OTHER);
    let source = w.say(BORA, "gizli").await;
    let code = |reply: Reply| reply.json["code"].clone();
    let of_room = reference(ROOM, source);
    assert_eq!(
        code(forward(&w, CEM, OTHER, of_room.clone()).await),
        json!(10003)
    );
    w.allow(ANA, |access| {
        access.chat = Chat::DEFAULT.without(Chat::READ_HISTORY)
    });
    assert_eq!(
        code(forward(&w, ANA, OTHER, of_room.clone()).await),
        json!(50013)
    );
    w.allow(ANA, |access| access.chat = Chat::NONE);
    assert_eq!(
        code(forward(&w, ANA, OTHER, of_room.clone()).await),
        json!(50001)
    );
    w.allow(ANA, |access| access.chat = Chat::DEFAULT);
    let dm = w.dm(BORA, CEM).await;
    let secret = w.say_in(dm, BORA, "sır").await;
    assert_eq!(
        code(forward(&w, ANA, OTHER, reference(dm, secret)).await),
        json!(10003)
    );
    assert_eq!(
        forward(&w, CEM, OTHER, reference(dm, secret)).await.status,
        200
    );
    for bad in [
        reference(ROOM, MessageId::new(5)),
        reference(OTHER, source),
        json!({"type": 1, "message_id": source}),
        json!({"type": 2, "message_id": source, "channel_id": ROOM}),
    ] {
        assert_eq!(
            code(forward(&w, ANA, OTHER, bad.clone()).await),
            json!(50035),
            "{bad}"
        );
    }
    w.clock.advance(std::time::Duration::from_secs(2));
    let body = json!({"content": "bak", "message_reference": of_room});
    let with_words = w.call("POST", &messages(OTHER), ANA, body).await;
    assert_eq!(code(with_words), json!(50035));
}
