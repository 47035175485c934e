//! Who is told who is here, over real sockets.

use std::time::Duration;

use anyhow::Result;
use infra::fanout::{Control, Topic};
use kernel::UserId;
use realtime::Settings;
use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::http::Client;

use crate::harness::{AYSE, CHANNEL, COMMUNITY, INTENTS, MEHMET, Node, World, session};

const PRESENCES: u64 = 1 << 8;

/// A person who is told who is here.
async fn watcher(node: &Node, user: UserId, more: Value) -> Result<(Gateway, Value, Value)> {
    let mut d = json!({"token": testkit::http::token(user)?, "intents": INTENTS | PRESENCES | 2});
    let fields = d.as_object_mut().into_iter();
    fields.for_each(|fields| fields.extend(more.as_object().cloned().unwrap_or_default()));
    let (mut gateway, ready) = Gateway::identify(node.address, d).await?;
    let guild = gateway.expect("GUILD_CREATE").await?;
    Ok((gateway, ready, guild))
}

/// Waits until a user is shown so in a community, or without one.
async fn until(gateway: &mut Gateway, user: UserId, guild: Value, status: &str) -> Result<()> {
    loop {
        let d = gateway.skip_to("PRESENCE_UPDATE").await?;
        if d["user"]["id"] == json!(user) && d["guild_id"] == guild && d["status"] == status {
            return Ok(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn coming_and_changing_is_told_to_members_who_ask() -> Result<()> {
    let world = World::new().await?;
    let settings = Settings {
        workers: 2,
        ..Settings::default()
    };
    let node = world.start(settings).await?;
    let (mut ayse, ..) = watcher(&node, AYSE, json!({})).await?;
    let idle = json!({"presence": {"status": "idle", "activities": [{"name": "tea", "type": 0}]}});
    let (mut mehmet, ..) = watcher(&node, MEHMET, idle).await?;
    until(&mut ayse, MEHMET, json!(COMMUNITY), "idle").await?;
    let mut third = watcher(&node, AYSE, json!({})).await?;
    let shown = third.2["presences"].as_array().cloned().unwrap_or_default();
    let of = |user: UserId| shown.iter().find(|p| p["user"]["id"] == json!(user));
    let mehmets = of(MEHMET).cloned().unwrap_or_default();
    assert_eq!(mehmets["activities"][0]["name"], "tea");
    assert_eq!(mehmets["client_status"], json!({"desktop": "idle"}));
    let ask = json!({"guild_id": COMMUNITY, "query": "", "limit": 0, "presences": true});
    third.0.send(8, ask).await?;
    let chunk = third.0.skip_to("GUILD_MEMBERS_CHUNK").await?;
    let here = chunk["presences"].as_array().map_or(0, Vec::len);
    assert_eq!(here, 2, "the bot is not here: {chunk}");
    mehmet
        .send(
            3,
            json!({"status": "invisible", "activities": [], "since": 0, "afk": false}),
        )
        .await?;
    until(&mut ayse, MEHMET, json!(COMMUNITY), "offline").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_are_told_without_a_community_and_who_hides_or_blocks_is_not_seen() -> Result<()> {
    let world = World::new().await?;
    world.relations.befriend(AYSE, MEHMET);
    let node = world.start(Settings::default()).await?;
    let (mut ayse, ..) = watcher(&node, AYSE, json!({"cap": 16})).await?;
    let (mut mehmet, ready, _) = watcher(&node, MEHMET, json!({"cap": 16})).await?;
    until(&mut ayse, MEHMET, json!(null), "online").await?;
    assert!(ready["presences"].is_array());
    world.relations.block(MEHMET, AYSE);
    world
        .control(Topic::User(MEHMET), Control::SightChanged)
        .await?;
    until(&mut ayse, MEHMET, json!(null), "offline").await?;
    let (_, _, guild) = watcher(&node, AYSE, json!({})).await?;
    let here = guild["presences"].to_string();
    assert!(!here.contains(&format!("\"{MEHMET}\"")), "{here}");
    // He does not see her either.
    world
        .control(Topic::User(AYSE), Control::SightChanged)
        .await?;
    until(&mut mehmet, AYSE, json!(null), "offline").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hides_sees_nobody_and_the_route_says_so() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, ..) = watcher(&node, AYSE, json!({})).await?;
    let (_mehmet, ..) = watcher(&node, MEHMET, json!({})).await?;
    until(&mut ayse, MEHMET, json!(COMMUNITY), "online").await?;
    world.relations.hide_presence(AYSE);
    world
        .control(Topic::User(AYSE), Control::SightChanged)
        .await?;
    testkit::servers::eventually("she sees nobody", Duration::from_secs(10), || async {
        let Ok((_, _, guild)) = watcher(&node, AYSE, json!({})).await else {
            return false;
        };
        !guild["presences"]
            .to_string()
            .contains(&format!("\"{MEHMET}\""))
    })
    .await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_overtake_a_storm_of_presences() -> Result<()> {
    // From here on metrics count.
    runtime::telemetry::metrics();
    let world = World::new().await?;
    let settings = Settings {
        presence_per_second: 50,
        ..Settings::default()
    };
    let node = world.start(settings).await?;
    let (mut ayse, ..) = watcher(&node, AYSE, json!({})).await?;
    let (_probe, ..) = watcher(&node, MEHMET, json!({})).await?;
    until(&mut ayse, MEHMET, json!(COMMUNITY), "online").await?;
    for member in 0..10_000 {
        let user = UserId::new(1_000_000 + member);
        let d = json!({"user": {"id": user}, "guild_id": COMMUNITY, "status": "online"});
        let record = infra::fanout::Record {
            body: infra::fanout::Body::Presence(infra::fanout::Presence {
                user,
                hidden_from: Vec::new(),
                data: d.to_string().into(),
            }),
            ephemeral: true,
            ..crate::harness::plain("", json!(null))
        };
        world.publish(Topic::Community(COMMUNITY), record).await?;
    }
    world.message(1, "merhaba").await?;
    let mut before = 0;
    loop {
        let frame = ayse.json().await?;
        match frame["t"].as_str() {
            Some("MESSAGE_CREATE") => break,
            Some("PRESENCE_UPDATE") => before += 1,
            _ => {}
        }
    }
    // Two members of the community have a socket and 50 dispatches a second are theirs together:
    // of ten thousand states few were said before the message, and most never are.
    assert!(before < 200, "{before} presences came before the message");
    let dropped = runtime::telemetry::metrics().render();
    let line = dropped
        .lines()
        .find(|line| line.starts_with("meydan_realtime_presence_dropped_total"));
    let dropped: u64 = line
        .and_then(|line| line.rsplit(' ').next()?.parse().ok())
        .unwrap_or(0);
    assert!(dropped >= 1_000, "{dropped} were dropped and counted");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn resumed_session_is_told_the_latest_it_missed() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (ayse, ready, _) = watcher(&node, AYSE, json!({})).await?;
    let last = ayse.last.unwrap_or_default();
    ayse.cut();
    let (mut mehmet, ..) = watcher(&node, MEHMET, json!({})).await?;
    // Told to himself means told to all who follow.
    until(&mut mehmet, MEHMET, json!(COMMUNITY), "online").await?;
    let token = testkit::http::token(AYSE)?;
    let mut again = Gateway::resume(node.address, &token, &session(&ready), last).await?;
    again.skip_to("RESUMED").await?;
    until(&mut again, MEHMET, json!(COMMUNITY), "online").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_hears_of_users_by_the_lease_and_of_their_end() -> Result<()> {
    let world = World::new().await?;
    let settings = |node| Settings {
        node,
        restore: false,
        ..Settings::default()
    };
    let one = world.start(settings(1)).await?;
    let (_mehmet, ..) = watcher(&one, MEHMET, json!({})).await?;
    let two = world.start(settings(2)).await?;
    testkit::servers::eventually("the lease is read", Duration::from_secs(30), || async {
        let Ok((_, _, guild)) = watcher(&two, AYSE, json!({})).await else {
            return false;
        };
        guild["presences"]
            .to_string()
            .contains(&format!("\"{MEHMET}\""))
    })
    .await?;
    let (mut ayse, ..) = watcher(&two, AYSE, json!({})).await?;
    one.stop().await?;
    until(&mut ayse, MEHMET, json!(COMMUNITY), "offline").await?;
    two.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn last_seen_is_noted_at_the_end_and_shown_to_those_who_may() -> Result<()> {
    const SEEN: db::Sql = db::Sql::new(
        "test.seen",
        "SELECT user_id FROM realtime.last_seen ORDER BY 1",
    );
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let _ayse = watcher(&node, AYSE, json!({})).await?;
    let _mehmet = watcher(&node, MEHMET, json!({"presence": {"status": "invisible"}})).await?;
    node.stop().await?;
    let noted: Vec<UserId> = SEEN.scalars(&world.db.admin()?).await?;
    assert_eq!(noted, [AYSE], "who is invisible was not here");
    let node = world.start(Settings::default()).await?;
    let client = Client::new(node.address);
    let path = format!("/api/v10/users/{AYSE}/presence");
    let seen = client
        .call("GET", &path, MEHMET, json!(null))
        .await?
        .expect(200)?
        .json;
    assert_eq!(seen["status"], "offline");
    assert!(
        seen["last_seen"]
            .as_str()
            .is_some_and(|at| at.ends_with(":00.000000+00:00")),
        "{seen}"
    );
    world.relations.hide_presence(MEHMET);
    let hidden = client
        .call("GET", &path, MEHMET, json!(null))
        .await?
        .expect(200)?
        .json;
    assert_eq!(hidden["last_seen"], json!(null), "mutual");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_the_member_list_are_shown_and_kept() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let lazy = json!({"cap": 8});
    let (mut ayse, _, guild) = watcher(&node, AYSE, lazy).await?;
    assert_eq!(guild["presences"], json!([]), "a lazy client asks");
    let channels = json!({CHANNEL.to_string(): [[0, 99]]});
    let d = json!({"guild": COMMUNITY, "channels": channels, "presence": true, "typing": false});
    ayse.send(60, d).await?;
    let members = |d: &Value| -> Vec<(String, String)> {
        let items = d["ops"][0]["items"].as_array().cloned().unwrap_or_default();
        let rows = items.iter().filter(|item| item.get("member").is_some());
        let name = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        rows.map(|item| &item["member"])
            .map(|m| (name(&m["user"]["username"]), name(&m["presence"]["status"])))
            .collect()
    };
    let list = ayse.skip_to("MEMBER_LIST_UPDATE").await?;
    assert_eq!(
        (&list["id"], &list["member_count"]),
        (&json!(CHANNEL), &json!(3))
    );
    assert_eq!(members(&list).len(), 3);
    let (_mehmet, ..) = watcher(&node, MEHMET, json!({})).await?;
    loop {
        let list = ayse.skip_to("MEMBER_LIST_UPDATE").await?;
        if members(&list).contains(&("mehmet".to_owned(), "online".to_owned())) {
            break;
        }
    }
    let too_wide = json!({"guild": COMMUNITY, "channels": {CHANNEL.to_string(): [[0, 100]]}});
    ayse.send(60, too_wide).await?;
    assert_eq!(ayse.closed().await?, 4002);
    node.stop().await
}
