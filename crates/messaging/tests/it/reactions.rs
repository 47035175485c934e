//! Reactions: what is stored, shown and told; rights, bounds, and what an erasure leaves.

use std::time::Duration;

use db::Sql;
use infra::fanout::{Topic, Version};
use kernel::perm::Chat;
use kernel::{MessageId, UserId};
use serde_json::{Value, json};
use testkit::privacy;

use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, card, message};

const FIRE: &str = "%F0%9F%94%A5";
const COUNTS: Sql = Sql::new(
    "test.counts",
    "SELECT coalesce(jsonb_object_agg(emoji, n), '{}') FROM messaging.reaction_counts",
);

fn path(id: MessageId, rest: &str) -> String {
    format!("{}/reactions{rest}", message(id))
}

async fn call(w: &World, method: &str, who: UserId, path: &str) -> u16 {
    w.clock.advance(Duration::from_secs(1));
    let reply = w.call(method, path, who, Value::Null).await;
    reply.status.as_u16()
}

async fn react(w: &World, who: UserId, id: MessageId, emoji: &str) -> u16 {
    call(w, "PUT", who, &path(id, &format!("/{emoji}/@me"))).await
}

async fn shown(w: &World, who: UserId, id: MessageId) -> Value {
    let reply = w.call("GET", &message(id), who, Value::Null).await;
    reply.expect(200).unwrap().json["reactions"].clone()
}

fn reaction(emoji: Value, count: i32, me: impl Into<Value>) -> Value {
    let me: Value = me.into();
    json!({
        "emoji": emoji, "count": count, "count_details": {"normal": count, "burst": 0},
        "me": me, "me_burst": false, "burst_colors": []
    })
}

fn fire() -> Value {
    json!({"id": null, "name": "🔥"})
}

#[tokio::test]
async fn a_reaction_is_shown_to_each_reader_and_told_to_all() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    assert_eq!(react(&w, BORA, id, FIRE).await, 204);
    assert_eq!(react(&w, BORA, id, FIRE).await, 204, "once is enough");
    assert_eq!(react(&w, ANA, id, "%F0%9F%91%8D").await, 204);
    assert_eq!(react(&w, ANA, id, FIRE).await, 204);
    let thumb = json!({"id": null, "name": "👍"});
    assert_eq!(
        shown(&w, ANA, id).await,
        json!([reaction(fire(), 2, true), reaction(thumb.clone(), 1, true)])
    );
    let of_bora = json!([reaction(fire(), 2, true), reaction(thumb, 1, false)]);
    assert_eq!(shown(&w, BORA, id).await, of_bora);
    let list = w.call("GET", "/api/v10/channels/800/messages", BORA, Value::Null);
    assert_eq!(list.await.json[0]["reactions"], of_bora);

    let heard = ear.hear().unwrap();
    assert_eq!(heard.name, "MESSAGE_REACTION_ADD");
    assert_eq!(
        heard.data,
        json!({
            "user_id": "2", "message_id": id, "channel_id": "800", "guild_id": "700",
            "emoji": fire(), "message_author_id": "1", "burst": false, "type": 0,
            "member": {
                "user": card(2, "bora"), "nick": null, "roles": [], "flags": 0,
                "joined_at": "2026-01-01T00:00:00.000000+00:00", "mute": false, "deaf": false,
                "communication_disabled_until": null
            }
        })
    );
    assert_eq!(heard.dispatch.unwrap().intent, Some(10));
    assert_eq!(heard.record.version, Version::Ev(2));
    let evs: Vec<Version> =
        std::iter::from_fn(|| ear.hear().map(|heard| heard.record.version)).collect();
    assert_eq!(evs, [Version::Ev(3), Version::Ev(4)]);
}

#[tokio::test]
async fn reactions_are_taken_away_in_each_of_the_four_ways() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    for who in [ANA, BORA] {
        for emoji in [FIRE, "%E2%9D%A4", "%F0%9F%91%8D"] {
            assert_eq!(react(&w, who, id, emoji).await, 204);
        }
    }
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let own = path(id, &format!("/{FIRE}/@me"));
    let of_ana = path(id, &format!("/{FIRE}/1"));
    let all_fire = path(id, &format!("/{FIRE}"));
    let hearts = path(id, "/%E2%9D%A4");
    let all = path(id, "");
    assert_eq!(call(&w, "DELETE", BORA, &own).await, 204);
    assert_eq!(
        call(&w, "DELETE", BORA, &own).await,
        204,
        "it is gone already"
    );
    for foreign in [&of_ana, &all_fire, &all] {
        assert_eq!(call(&w, "DELETE", BORA, foreign).await, 403, "{foreign}");
    }
    w.allow(BORA, |access| {
        access.chat = access.chat | Chat::MANAGE_MESSAGES;
    });
    assert_eq!(call(&w, "DELETE", BORA, &of_ana).await, 204);
    let left: Value = COUNTS.scalar(&w.admin).await.unwrap();
    assert_eq!(
        left,
        json!({"❤": 2, "👍": 2}),
        "the last one takes its row along"
    );
    assert_eq!(call(&w, "DELETE", BORA, &hearts).await, 204);
    assert_eq!(call(&w, "DELETE", BORA, &hearts).await, 204);
    assert_eq!(call(&w, "DELETE", BORA, &all).await, 204);
    assert_eq!(shown(&w, ANA, id).await, json!([]));
    let place = json!({"message_id": id, "channel_id": "800", "guild_id": "700"});
    let mut told = Vec::new();
    while let Some(heard) = ear.hear() {
        assert_eq!(heard.dispatch.unwrap().intent, Some(10));
        told.push((heard.name, heard.data));
    }
    let with = |over: Value| {
        let mut d = place.clone();
        for (key, value) in over.as_object().unwrap() {
            d[key] = value.clone();
        }
        d
    };
    let removed = |user: &str| {
        let d = with(json!({"user_id": user, "emoji": fire(), "burst": false, "type": 0}));
        ("MESSAGE_REACTION_REMOVE".to_owned(), d)
    };
    let heart = json!({"emoji": {"id": null, "name": "❤"}});
    assert_eq!(
        told,
        [
            removed("2"),
            removed("1"),
            ("MESSAGE_REACTION_REMOVE_EMOJI".to_owned(), with(heart)),
            ("MESSAGE_REACTION_REMOVE_ALL".to_owned(), place.clone()),
        ]
    );
}

#[tokio::test]
async fn twenty_emoji_are_the_most_and_those_there_can_be_given_all_the_same() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    let emoji = |n: u32| char::from_u32(0x1f400 + n).unwrap().to_string();
    for n in 0..20 {
        assert_eq!(react(&w, ANA, id, &emoji(n)).await, 204, "{n}");
    }
    w.clock.advance(Duration::from_secs(1));
    let one_more = path(id, &format!("/{}/@me", emoji(20)));
    let refused = w.call("PUT", &one_more, ANA, Value::Null).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["code"]),
        (400, &json!(30010))
    );
    assert_eq!(react(&w, BORA, id, &emoji(19)).await, 204);
    let own = path(id, &format!("/{}/@me", emoji(0)));
    assert_eq!(call(&w, "DELETE", ANA, &own).await, 204);
    assert_eq!(
        react(&w, ANA, id, &emoji(20)).await,
        204,
        "there is room again"
    );
}

#[tokio::test]
async fn a_new_emoji_needs_its_right_and_joining_in_does_not() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    w.allow(BORA, |access| {
        access.chat = access.chat.without(Chat::ADD_REACTIONS);
    });
    assert_eq!(react(&w, BORA, id, FIRE).await, 403);
    assert_eq!(react(&w, ANA, id, FIRE).await, 204);
    assert_eq!(react(&w, BORA, id, FIRE).await, 204);
    w.allow(BORA, |access| {
        access.chat = access.chat.without(Chat::READ_HISTORY);
    });
    assert_eq!(react(&w, BORA, id, FIRE).await, 403);
    let list = path(id, &format!("/{FIRE}"));
    assert_eq!(call(&w, "GET", BORA, &list).await, 403);
    for (emoji, code) in [("abc", 10014), ("%F0%9F%94%A5a", 10014), ("gul:42", 10014)] {
        w.clock.advance(Duration::from_secs(1));
        let given = path(id, &format!("/{emoji}/@me"));
        let reply = w.call("PUT", &given, ANA, Value::Null).await;
        assert_eq!(reply.json["code"], json!(code), "{emoji}");
    }
    let unknown = MessageId::new(5);
    w.clock.advance(Duration::from_secs(1));
    let reply = w
        .call(
            "PUT",
            &path(unknown, &format!("/{FIRE}/@me")),
            ANA,
            Value::Null,
        )
        .await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (404, &json!(10008))
    );
}

#[tokio::test]
async fn a_communitys_emoji_is_known_by_its_id() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    let emoji = contracts::communities::Emoji {
        id: kernel::EmojiId::new(42),
        name: "gul".to_owned(),
        roles: Vec::new(),
        user: None,
        require_colons: true,
        managed: false,
        animated: false,
        available: true,
    };
    w.rights.emojis.lock().unwrap().push(emoji);
    assert_eq!(react(&w, ANA, id, "lale%3A42").await, 204);
    w.rights.emojis.lock().unwrap()[0].name = "karanfil".to_owned();
    assert_eq!(react(&w, BORA, id, "karanfil:42").await, 204);
    assert_eq!(react(&w, BORA, id, "karanfil:43").await, 400);
    let gul = json!({"id": "42", "name": "gul"});
    assert_eq!(
        shown(&w, ANA, id).await,
        json!([reaction(gul, 2, true)]),
        "as it was called when it came, and once"
    );
    assert_eq!(call(&w, "DELETE", BORA, &path(id, "/x1:42/@me")).await, 204);
    let left: Value = COUNTS.scalar(&w.admin).await.unwrap();
    assert_eq!(left, json!({"gul:42": 1}));
}

#[tokio::test]
async fn who_reacted_is_listed_in_pages() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    for n in 100..130 {
        let user = w.identity.add(UserId::new(n), &format!("u{n}"));
        w.seat(user.id, ROOM);
        assert_eq!(react(&w, user.id, id, FIRE).await, 204);
    }
    let ids = |query: &str| {
        let path = path(id, &format!("/{FIRE}{query}"));
        let w = &w;
        async move {
            let reply = w.call("GET", &path, ANA, Value::Null).await.expect(200);
            let users = reply.unwrap().json;
            let users = users.as_array().unwrap().iter();
            users
                .map(|user| user["id"].as_str().unwrap().parse::<i64>().unwrap())
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(ids("").await, (100..125).collect::<Vec<_>>());
    assert_eq!(
        ids("?after=124&limit=100").await,
        (125..130).collect::<Vec<_>>()
    );
    assert_eq!(ids("?limit=1").await, [100]);
    for query in ["?limit=0", "?limit=101"] {
        let path = path(id, &format!("/{FIRE}{query}"));
        assert_eq!(call(&w, "GET", ANA, &path).await, 400, "{query}");
    }
    assert_eq!(ids("?after=129").await, Vec::<i64>::new());
}

#[tokio::test]
async fn reactions_go_with_their_message_and_an_edit_keeps_them() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    assert_eq!(react(&w, ANA, id, FIRE).await, 204);
    let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
    let edited = w
        .call("PATCH", &message(id), ANA, json!({"content": "b"}))
        .await;
    assert_eq!(
        edited.expect(200).unwrap().json["reactions"],
        json!([reaction(fire(), 1, true)])
    );
    let heard = ear.hear().unwrap();
    assert_eq!(heard.name, "MESSAGE_UPDATE");
    assert!(
        heard.data.get("reactions").is_none(),
        "what everybody hears cannot say who reacted"
    );
    assert_eq!(call(&w, "DELETE", ANA, &message(id)).await, 204);
    let left: Value = COUNTS.scalar(&w.admin).await.unwrap();
    assert_eq!(left, json!({}));
    assert_eq!(react(&w, ANA, id, FIRE).await, 404);
}

#[tokio::test]
async fn in_direct_messages_both_react_until_one_blocks() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    let id = w.say_in(dm, ANA, "selam").await;
    let mut ear = w.listen(&[Topic::Channel(dm)]).await;
    let given = format!("/api/v10/channels/{dm}/messages/{id}/reactions/{FIRE}/@me");
    assert_eq!(call(&w, "PUT", BORA, &given).await, 204);
    let heard = ear.hear().unwrap();
    assert_eq!(heard.dispatch.unwrap().intent, Some(13));
    assert!(heard.data.get("guild_id").is_none() && heard.data.get("member").is_none());
    assert_eq!(call(&w, "PUT", CEM, &given).await, 404);
    w.relations.block(ANA, BORA);
    let other = given.replace(FIRE, "%F0%9F%91%8D");
    assert_eq!(call(&w, "PUT", BORA, &other).await, 403);
    assert_eq!(
        call(&w, "DELETE", BORA, &given).await,
        204,
        "one's own can go"
    );
}

#[tokio::test]
async fn an_erased_user_is_counted_no_more() {
    let w = World::new().await;
    let id = w.say(ANA, "selam").await;
    for (who, emoji) in [(ANA, FIRE), (BORA, FIRE), (BORA, "%F0%9F%91%8D")] {
        assert_eq!(react(&w, who, id, emoji).await, 204);
    }
    let module = messaging::module(w.messaging.clone());
    privacy::erase(&module.consumers, BORA).await.unwrap();
    assert_eq!(shown(&w, ANA, id).await, json!([reaction(fire(), 1, true)]));
}

#[tokio::test]
async fn many_who_react_at_once_are_counted_exactly() {
    let w = std::sync::Arc::new(World::new().await);
    let id = w.say(ANA, "selam").await;
    let mut tasks = Vec::new();
    for n in 100..140 {
        let user = w.identity.add(UserId::new(n), &format!("u{n}")).id;
        w.seat(user, ROOM);
        let w = std::sync::Arc::clone(&w);
        tasks.push(runtime::spawn(&w.lifecycle.clone(), "test", async move {
            let given = path(id, &format!("/{FIRE}/@me"));
            w.call("PUT", &given, user, Value::Null)
                .await
                .status
                .as_u16()
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 204);
    }
    assert_eq!(shown(&w, ANA, id).await[0]["count"], json!(40));
}
