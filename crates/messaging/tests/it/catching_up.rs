//! Catching up: wherever a client stops, it comes to the state of a fresh look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use db::Sql;
use infra::fanout::{Topic, Version};
use kernel::perm::Chat;
use kernel::{ChannelId, MessageId, UserId};
use messaging::log::{Log, NewRow};
use serde_json::{Value, json};

use crate::client::{Client, fresh, happen};
use crate::dice::{self, Dice};
use crate::world::{ANA, BORA, CEM, COMMUNITY, ROOM, World, message};

const SYNC: &str = "/api/v10/users/@me/sync";
/// Scenarios of each run.
const SEEDS: u64 = 3;
const STEPS: usize = 70;

#[tokio::test]
async fn m2_a_client_that_stops_anywhere_comes_to_the_state_of_a_fresh_look() {
    for seed in dice::seeds(SEEDS) {
        let w = World::new().await;
        let mut kinds = messaging::kinds_of_changes();
        // Mostly messages, and something to take away.
        kinds.extend([0, 0, 0, 0, 3, 3, 3, 3, 9]);
        for who in [ANA, BORA] {
            w.allow(who, |access| {
                access.chat = Chat::DEFAULT | Chat::MANAGE_MESSAGES | Chat::MANAGE_CHANNELS;
            });
        }
        let mut dice = Dice::new(seed);
        let mut ear = w.listen(&[Topic::Community(COMMUNITY)]).await;
        let mut live = Client::default();
        let mut stopped = Vec::new();
        for step in 0..STEPS {
            w.clock
                .advance(Duration::from_secs(u64::try_from(dice.roll(50)).unwrap()));
            let at = dice.roll(kinds.len());
            // What chance leaves out comes at the end, each with something to work at.
            let last = step.checked_sub(STEPS - messaging::kinds_of_changes().len());
            let last = last.map(|at| messaging::kinds_of_changes()[at]);
            w.messaging.expire_messages().await.unwrap();
            for kind in last.map_or(vec![kinds[at]], |kind| vec![0, 3, 3, 3, 9, 9, 9, kind]) {
                happen(&w, kind, &mut dice, step).await;
            }
            while let Some(heard) = ear.hear() {
                let Version::Ev(ev) = heard.record.version else {
                    continue;
                };
                live.apply(&heard.name, heard.data);
                assert_eq!(ev, live.ev + 1, "seed {seed}: nothing is left out");
                live.ev = ev;
                stopped.push(live.clone());
            }
        }
        let expected = fresh(&w).await;
        assert_eq!(live.messages, expected, "seed {seed}: who never stopped");
        for (at, client) in stopped.iter().enumerate() {
            let mut client = client.clone();
            for round in 0..2 {
                client.catch_up(&w).await;
                let name = format!("seed {seed}, stopped after {at}, round {round}");
                assert_eq!(client.messages, expected, "{name}");
                assert_eq!(client.ev, live.ev, "{name}");
                if !client.was_reset {
                    assert_eq!(client.last_pin, live.last_pin, "{name}");
                    assert_eq!(client.ttl, live.ttl, "{name}");
                }
                // As if the first answer had been lost.
                client.ev = stopped[at].ev;
            }
        }
        const KINDS: Sql = Sql::new(
            "test.kinds",
            "SELECT coalesce(array_agg(DISTINCT kind ORDER BY kind), '{}')
             FROM messaging.channel_events",
        );
        let seen: Vec<i16> = KINDS.scalar(&w.admin).await.unwrap();
        assert_eq!(
            seen,
            messaging::kinds_of_changes(),
            "seed {seed}: each kind happened"
        );
    }
}

async fn sync(w: &World, who: UserId, channels: Value) -> Value {
    w.clock.advance(Duration::from_secs(2));
    let reply = w
        .call("POST", SYNC, who, json!({"channels": channels}))
        .await;
    reply.expect(200).unwrap().json["channels"].clone()
}

/// Many messages at once.
async fn fill(w: &World, channel: ChannelId, count: usize) -> Vec<MessageId> {
    let rows: Vec<NewRow> = (0..count).map(|_| w.row(channel, ANA, None)).collect();
    let log = Log::new(w.t.app(messaging::SCHEMA).unwrap(), w.clock.clone());
    log.append(&rows).await;
    rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn nothing_of_a_deleted_message_comes_back() {
    let w = World::new().await;
    let first = w.say(ANA, "bir").await;
    let secret = w.say(ANA, "gizli").await;
    let reply = json!({"content": "b", "message_reference": {"message_id": secret}});
    w.send(BORA, reply).await.expect(200).unwrap();
    w.call(
        "PATCH",
        &message(secret),
        ANA,
        json!({"content": "gizli iki"}),
    )
    .await
    .expect(200)
    .unwrap();
    w.call("DELETE", &message(secret), ANA, Value::Null).await;
    for ev in 1..=4 {
        let told = sync(
            &w,
            BORA,
            json!({ROOM.to_string(): {"ev": ev, "last": first}}),
        )
        .await;
        let text = told.to_string();
        assert!(!text.contains("gizli"), "from {ev}: {text}");
        let events = told[ROOM.to_string()]["events"].as_array().unwrap();
        let gone = events.last().unwrap();
        assert_eq!(
            gone,
            &json!({"t": "MESSAGE_DELETE", "ev": 5,
                "d": {"id": secret, "channel_id": ROOM, "guild_id": "700"}}),
            "from {ev}"
        );
    }
}

#[tokio::test]
async fn an_answer_is_the_event_with_its_numbers() {
    let w = World::new().await;
    let first = w.say(ANA, "bir").await;
    let second = w.send(ANA, json!({"content": "iki <@2>"})).await.json;
    let told = sync(
        &w,
        BORA,
        json!({ROOM.to_string(): {"ev": 1, "last": first}}),
    )
    .await;
    let mut expected = second;
    expected["guild_id"] = json!("700");
    assert_eq!(
        told,
        json!({ROOM.to_string(): {"ev": 2, "events": [
            {"t": "MESSAGE_CREATE", "ev": 2, "d": expected}
        ]}})
    );
    let told = sync(
        &w,
        BORA,
        json!({ROOM.to_string(): {"ev": 2, "last": first}}),
    )
    .await;
    assert_eq!(told, json!({ROOM.to_string(): {"ev": 2, "events": []}}));
}

#[tokio::test]
async fn who_is_too_far_behind_fetches_anew() {
    let w = World::new().await;
    let first = w.say(ANA, "a").await;
    fill(&w, ROOM, 200).await;
    let at = |ev: i64| json!({ROOM.to_string(): {"ev": ev, "last": first}});
    let told = sync(&w, BORA, at(1)).await;
    assert_eq!(
        told[ROOM.to_string()]["events"].as_array().unwrap().len(),
        200
    );
    let reset = json!({ROOM.to_string(): {"reset": true, "ev": 201}});
    for ev in [0, -1, 202] {
        assert_eq!(sync(&w, BORA, at(ev)).await, reset, "{ev}");
    }
    assert_eq!(
        sync(&w, BORA, json!({ROOM.to_string(): {"ev": 200}})).await,
        reset
    );
}

#[tokio::test]
async fn changes_of_too_long_ago_are_not_kept() {
    let w = World::new().await;
    let first = w.say(ANA, "a").await;
    w.say(ANA, "b").await;
    let at = json!({ROOM.to_string(): {"ev": 1, "last": first}});
    w.clock.advance(Duration::from_secs(7 * 86_400 - 10));
    let told = sync(&w, BORA, at.clone()).await;
    assert_eq!(
        told[ROOM.to_string()]["events"].as_array().unwrap().len(),
        1
    );
    w.clock.advance(Duration::from_secs(20));
    let told = sync(&w, BORA, at).await;
    assert_eq!(told, json!({ROOM.to_string(): {"reset": true, "ev": 2}}));
    // Nothing happened since: that is no matter of time.
    let told = sync(
        &w,
        BORA,
        json!({ROOM.to_string(): {"ev": 2, "last": first}}),
    )
    .await;
    assert_eq!(told, json!({ROOM.to_string(): {"ev": 2, "events": []}}));
}

#[tokio::test]
async fn a_client_whose_numbers_do_not_add_up_fetches_anew() {
    let w = World::new().await;
    let first = w.say(ANA, "a").await;
    let second = w.say(ANA, "b").await;
    w.call("PATCH", &message(first), ANA, json!({"content": "c"}))
        .await
        .expect(200)
        .unwrap();
    // The change was of a day whose partition is gone, though the message is young.
    w.t.script("DELETE FROM messaging.channel_events")
        .await
        .unwrap();
    let told = sync(
        &w,
        BORA,
        json!({ROOM.to_string(): {"ev": 2, "last": second}}),
    )
    .await;
    assert_eq!(told, json!({ROOM.to_string(): {"reset": true, "ev": 3}}));
    w.t.script(
        "INSERT INTO messaging.channel_events (channel_id, ev, id, kind)
         SELECT 800, 3, max(id), 32000 FROM messaging.messages",
    )
    .await
    .unwrap();
    let told = sync(
        &w,
        BORA,
        json!({ROOM.to_string(): {"ev": 2, "last": second}}),
    )
    .await;
    assert_eq!(
        told,
        json!({ROOM.to_string(): {"reset": true, "ev": 3}}),
        "a kind that only a newer release knows"
    );
}

#[tokio::test]
async fn what_has_expired_is_gone() {
    let w = World::new().await;
    let first = w.say(ANA, "a").await;
    let short = w.say(ANA, "b").await;
    w.t.script(&format!(
        "UPDATE messaging.messages SET expires_at = '2026-11-20T07:00:03Z' WHERE id = {short}"
    ))
    .await
    .unwrap();
    let at = json!({ROOM.to_string(): {"ev": 1, "last": first}});
    w.clock.advance(Duration::from_secs(2));
    let told = sync(&w, BORA, at).await;
    assert_eq!(
        told[ROOM.to_string()]["events"][0]["t"],
        json!("MESSAGE_DELETE")
    );
}

#[tokio::test]
async fn each_channel_is_judged_by_its_rights() {
    let w = World::new().await;
    let first = w.say(ANA, "a").await;
    w.say(ANA, "b").await;
    let dm = w.dm(ANA, BORA).await;
    let hello = w.say_in(dm, ANA, "a").await;
    w.say_in(dm, ANA, "<@2>").await;
    let asked = json!({
        ROOM.to_string(): {"ev": 1, "last": first},
        dm.to_string(): {"ev": 1, "last": hello},
        "1": {"ev": 0},
    });
    let told = sync(&w, BORA, asked.clone()).await;
    let of = |told: &Value, channel: ChannelId| told[channel.to_string()].clone();
    assert_eq!(of(&told, ROOM)["events"].as_array().unwrap().len(), 1);
    assert_eq!(of(&told, dm)["events"][0]["d"]["content"], json!("<@2>"));
    assert_eq!(told["1"], json!({"gone": true}));
    let told = sync(&w, CEM, asked.clone()).await;
    let gone = json!({"gone": true});
    assert_eq!(
        (of(&told, ROOM), of(&told, dm)),
        (gone.clone(), gone.clone())
    );
    // Whoever may see but not read what was said before is told of nothing that was.
    w.rights.change(BORA, ROOM, |access| {
        access.chat = Chat::DEFAULT.without(Chat::READ_HISTORY);
    });
    let told = sync(&w, BORA, asked.clone()).await;
    assert_eq!(of(&told, ROOM), json!({"reset": true, "ev": 2}));
    w.rights
        .change(BORA, ROOM, |access| access.chat = Chat::NONE);
    assert_eq!(of(&sync(&w, BORA, asked).await, ROOM), gone);
}

#[tokio::test]
async fn an_answer_has_bounds() {
    let w = World::new().await;
    let rooms: Vec<ChannelId> = (0..6).map(|n| ChannelId::new(900 + n)).collect();
    let mut asked = serde_json::Map::new();
    for room in &rooms {
        w.seat(ANA, *room);
        let first = w.say_in(*room, ANA, "a").await;
        fill(&w, *room, 200).await;
        asked.insert(room.to_string(), json!({"ev": 1, "last": first}));
    }
    let told = sync(&w, ANA, Value::Object(asked)).await;
    let whole: BTreeSet<bool> = rooms[..5]
        .iter()
        .map(|room| told[room.to_string()]["events"].as_array().map(Vec::len) == Some(200))
        .collect();
    assert_eq!(whole, BTreeSet::from([true]), "a thousand");
    assert_eq!(
        told[rooms[5].to_string()],
        json!({"reset": true, "ev": 201})
    );
    for (count, status) in [(0, 200), (200, 200), (201, 400)] {
        let channels: BTreeMap<String, Value> = (1..=count)
            .map(|id| (id.to_string(), json!({"ev": 0})))
            .collect();
        w.clock.advance(Duration::from_secs(2));
        let reply = w
            .call("POST", SYNC, ANA, json!({"channels": channels}))
            .await;
        assert_eq!(reply.status, status, "{count}");
    }
    for body in [
        json!({}),
        json!({"channels": {"x": {"ev": 1}}}),
        json!({"channels": {"1": {}}}),
    ] {
        assert_eq!(
            w.call("POST", SYNC, ANA, body.clone()).await.status,
            400,
            "{body}"
        );
    }
    assert_eq!(
        w.call("POST", SYNC, (), json!({"channels": {}}))
            .await
            .status,
        401
    );
}
