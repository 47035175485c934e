//! What is unread: by the marker, from where a reader joined, with mentions, levels and the badge.

use std::time::Duration;

use kernel::perm::Chat;
use kernel::{ChannelId, UserId};
use serde_json::{Value, json};

use crate::world::{ANA, BORA, CEM, ROOM, World, access};

const STATES: &str = "/api/v10/users/@me/read-states";

#[tokio::test]
async fn messages_after_the_marker_are_unread() {
    let w = World::new().await;
    assert_eq!(
        w.standing(BORA, ROOM).await,
        Value::Null,
        "nothing is there"
    );
    let first = w.say(ANA, "a").await;
    let last = w.say(ANA, "<@2>").await;
    assert_eq!(
        w.standing(BORA, ROOM).await,
        json!({
            "channel_id": ROOM, "guild_id": "700", "last_seq": 2, "last_ev": 2,
            "last_message_id": last, "read_seq": 0, "unread_count": 2, "mention_count": 1,
            "mention_seqs": [2], "level": "default", "muted_until": null, "version": 1
        })
    );
    w.ack(BORA, ROOM, first, Value::Null).await;
    assert_eq!(w.unread(BORA, ROOM).await, (1, 1));
    w.ack(BORA, ROOM, last, Value::Null).await;
    assert_eq!(w.unread(BORA, ROOM).await, (0, 0));
}

#[tokio::test]
async fn what_was_said_before_joining_is_not_unread() {
    let w = World::new().await;
    w.allow(ANA, |access| access.chat = Chat::ALL);
    let old = w.say(ANA, "@everyone").await;
    w.say(ANA, "b").await;
    w.clock.advance(Duration::from_secs(10));
    let joined_at = kernel::Clock::now(&*w.clock);
    w.rights.put(
        CEM,
        contracts::communities::ChannelAccess {
            joined_at,
            ..access(ROOM)
        },
    );
    assert_eq!(w.unread(CEM, ROOM).await, (0, 0));
    w.say(ANA, "@everyone").await;
    assert_eq!(w.unread(CEM, ROOM).await, (1, 1));
    // A first marker at an older message stands where the reader joined.
    let state = w.ack(CEM, ROOM, old, Value::Null).await.json;
    assert_eq!(
        (&state["read_seq"], &state["unread_count"]),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn a_member_that_is_added_later_begins_there() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    for text in ["a", "b", "c"] {
        w.say_in(dm, ANA, text).await;
    }
    w.t.script(&format!(
        "INSERT INTO messaging.channel_members (channel_id, user_id, joined_seq) VALUES ({dm}, 3, 2)"
    ))
    .await
    .unwrap();
    assert_eq!(w.unread(CEM, dm).await, (1, 0));
    assert_eq!(w.unread(BORA, dm).await, (3, 0));
}

#[tokio::test]
async fn mentions_by_blocked_people_do_not_count_whenever_they_were_blocked() {
    let w = World::new().await;
    w.allow(ANA, |access| access.chat = Chat::ALL);
    w.seat(CEM, ROOM);
    w.say(ANA, "<@2>").await;
    w.say(ANA, "@everyone").await;
    w.say(CEM, "<@2>").await;
    assert_eq!(w.unread(BORA, ROOM).await, (3, 3));
    w.relations.block(BORA, ANA);
    assert_eq!(w.unread(BORA, ROOM).await, (3, 1));
    w.say(ANA, "<@2>").await;
    assert_eq!(w.unread(BORA, ROOM).await, (4, 1));
    assert_eq!(w.standing(BORA, ROOM).await["mention_seqs"], json!([3]));
    w.relations.part(BORA, ANA);
    assert_eq!(w.unread(BORA, ROOM).await, (4, 4), "the truth, not a count");
}

#[tokio::test]
async fn states_come_in_pages() {
    let w = World::new().await;
    let mut rooms: Vec<ChannelId> = (0..5).map(|n| ChannelId::new(900 + n)).collect();
    for room in &rooms {
        w.seat(ANA, *room);
        w.say_in(*room, ANA, "a").await;
    }
    // Seen by her, but empty: there is nothing to tell.
    w.seat(ANA, ChannelId::new(902_000));
    let mut seen = Vec::new();
    let mut path = format!("{STATES}?limit=2");
    for _ in 0..5 {
        let page = w
            .call("GET", &path, ANA, Value::Null)
            .await
            .expect(200)
            .unwrap()
            .json;
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("{STATES}?limit=2&cursor={next}");
    }
    let ids: Vec<&Value> = seen.iter().map(|state| &state["channel_id"]).collect();
    rooms.sort_unstable();
    let expected: Vec<Value> = rooms.iter().map(|room| json!(room)).collect();
    assert_eq!(ids, expected.iter().collect::<Vec<_>>());
    for (limit, status) in [("0", 400), ("1", 200), ("200", 200), ("201", 400)] {
        let page = w
            .call("GET", &format!("{STATES}?limit={limit}"), ANA, Value::Null)
            .await;
        assert_eq!(page.status, status, "{limit}");
    }
    let bad = w
        .call("GET", &format!("{STATES}?cursor=x"), ANA, Value::Null)
        .await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn channels_that_are_not_seen_are_not_told_of() {
    let w = World::new().await;
    w.say(ANA, "<@2>").await;
    assert_eq!(w.badge(BORA).await, 1);
    w.rights
        .change(BORA, ROOM, |access| access.chat = Chat::NONE);
    assert_eq!(w.standing(BORA, ROOM).await, Value::Null);
    assert_eq!(w.badge(BORA).await, 0);
}

#[tokio::test]
async fn the_badge_counts_what_one_wants_to_be_told_of() {
    let w = World::new().await;
    let dm = w.dm(ANA, BORA).await;
    w.say_in(dm, ANA, "a").await;
    w.say(ANA, "b").await;
    w.say(ANA, "<@2>").await;
    assert_eq!(w.badge(BORA).await, 3);
    // The community tells its members of mentions only.
    *w.rights.usual.lock().unwrap() = 1;
    assert_eq!(w.badge(BORA).await, 2);
    let set = |channel: ChannelId, body: Value| {
        let path = format!("/api/v10/channels/{channel}/notifications");
        let w = &w;
        async move {
            w.call("PUT", &path, BORA, body)
                .await
                .expect(200)
                .unwrap()
                .json
        }
    };
    let state = set(ROOM, json!({"level": "all"})).await;
    assert_eq!(state["level"], json!("all"));
    assert_eq!(w.badge(BORA).await, 3);
    set(dm, json!({"level": "mentions"})).await;
    assert_eq!(w.badge(BORA).await, 2);
    set(ROOM, json!({"level": "nothing"})).await;
    assert_eq!(w.badge(BORA).await, 0);
    // What is absent goes back to its default.
    set(dm, json!({})).await;
    let until = "2026-11-20T08:00:00.000000+00:00";
    let state = set(ROOM, json!({"level": "all", "muted_until": until})).await;
    assert_eq!(state["muted_until"], json!(until));
    assert_eq!(w.badge(BORA).await, 1, "the direct message");
    w.clock.advance(Duration::from_secs(3_600));
    assert_eq!(w.badge(BORA).await, 3, "the silence is over");
    let state = set(ROOM, json!({"muted_until": until})).await;
    assert_eq!(
        state["muted_until"],
        Value::Null,
        "a moment that is over is none"
    );
}

#[tokio::test]
async fn a_channel_without_messages_can_be_silent() {
    let w = World::new().await;
    let path = format!("/api/v10/channels/{ROOM}/notifications");
    let far = json!({"muted_until": "9999-01-01T00:00:00Z"});
    w.call("PUT", &path, BORA, far).await.expect(200).unwrap();
    w.say(ANA, "<@2>").await;
    assert_eq!(
        (w.badge(BORA).await, w.unread(BORA, ROOM).await),
        (0, (1, 1))
    );
}

#[tokio::test]
async fn refusals() {
    let w = World::new().await;
    let id = w.say(ANA, "a").await;
    let notifications = format!("/api/v10/channels/{ROOM}/notifications");
    for body in [
        json!({"level": "loud"}),
        json!({"level": 1}),
        json!({"muted_until": "soon"}),
    ] {
        let reply = w.call("PUT", &notifications, BORA, body.clone()).await;
        assert_eq!(reply.status, 400, "{body}");
    }
    let ack = format!("/api/v10/channels/{ROOM}/messages/{id}/ack");
    for (method, path) in [
        ("GET", STATES),
        ("GET", "/api/v10/users/@me/badge"),
        ("PUT", notifications.as_str()),
        ("POST", ack.as_str()),
    ] {
        let stranger = w.call(method, path, (), json!({})).await;
        assert_eq!(stranger.status, 401, "{path}");
        let bot = w
            .call(method, path, kernel::Caller::bot(BORA), json!({}))
            .await;
        assert_eq!(bot.status, 403, "{path}");
        let staff = kernel::Caller {
            act: Some(UserId::new(9)),
            ..testkit::http::caller(BORA)
        };
        assert_eq!(
            w.call(method, path, staff, json!({})).await.status,
            403,
            "{path}"
        );
    }
    for path in [&notifications, &ack] {
        let method = if path == &ack { "POST" } else { "PUT" };
        let reply = w.call(method, path, CEM, json!({})).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (404, &json!(10003)),
            "{path}"
        );
    }
}
