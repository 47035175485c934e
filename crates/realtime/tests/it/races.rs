//! What happens at the same moment: changes while a session is being made, bursts, lost answers.

use std::time::Duration;

use anyhow::Result;
use infra::fanout::{Control, Record, Topic};
use kernel::perm::{Chat, Overwrite, Target};
use kernel::{ChannelId, RoleId, UserId};
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::harness::{AYSE, CHANNEL, COMMUNITY, INTENTS, MEHMET, World, plain, session};

/// A client that sent its IDENTIFY and whose snapshots are held back.
async fn half_identified(
    world: &World,
    node: &crate::harness::Node,
    user: UserId,
) -> Result<Gateway> {
    world.gated.snapshots.close();
    let mut gateway = Gateway::connect(node.address).await?;
    let d = json!({"token": testkit::http::token(user)?, "intents": INTENTS});
    gateway.send(2, d).await?;
    world.gated.snapshots.holds().await?;
    Ok(gateway)
}

fn hide(allow: Option<RoleId>) -> Vec<Overwrite> {
    let everyone = Overwrite {
        target: Target::Role(COMMUNITY.cast()),
        allow: Chat::NONE.into(),
        deny: Chat::VIEW_CHANNEL.into(),
    };
    let role = allow.map(|role| Overwrite {
        target: Target::Role(role),
        allow: Chat::VIEW_CHANNEL.into(),
        deny: Chat::NONE.into(),
    });
    std::iter::once(everyone).chain(role).collect()
}

async fn access_changed(world: &World) -> Result<()> {
    let changed = Control::AccessChanged {
        community: COMMUNITY,
        epoch: world.epoch(),
    };
    world.control(Topic::Community(COMMUNITY), changed).await
}

/// The worker knows who sees what, so that it can tell what a change changes.
async fn rights_are_known(world: &World) -> Result<()> {
    let what = "the rights were fetched";
    testkit::servers::eventually(what, Duration::from_secs(10), || async {
        world.gated.compiled.read() > 0
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_device_revoked_while_it_identifies_gets_no_session() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let mut ayse = half_identified(&world, &node, AYSE).await?;
    world.revoke(AYSE);
    world.gated.snapshots.open();
    assert_eq!(ayse.frame().await?, testkit::gateway::Frame::Closed(4004));
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn role_lost_while_identifying_is_lost() -> Result<()> {
    let world = World::new().await?;
    let role = RoleId::new(5 << 22);
    world
        .communities
        .put_role(COMMUNITY, role, Chat::VIEW_CHANNEL, 1);
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(Some(role)));
    world
        .communities
        .edit_member(COMMUNITY, MEHMET, |member| member.roles = vec![role]);
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let mut mehmet = half_identified(&world, &node, MEHMET).await?;
    world
        .communities
        .edit_member(COMMUNITY, MEHMET, |member| member.roles.clear());
    let changed = Control::ClassChanged {
        community: COMMUNITY,
        user: MEHMET,
        class: 0,
    };
    world.control(Topic::Community(COMMUNITY), changed).await?;
    world.message(1, "secret").await?;
    ayse.expect("MESSAGE_CREATE").await?;
    world.gated.snapshots.open();
    mehmet.expect("READY").await?;
    mehmet.expect("GUILD_CREATE").await?;
    world.message(2, "secret too").await?;
    ayse.expect("MESSAGE_CREATE").await?;
    assert_eq!(
        mehmet.expect("CHANNEL_DELETE").await?["id"],
        CHANNEL.to_string()
    );
    mehmet.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn access_changed_while_identifying_shows_in_the_snapshot() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let mut mehmet = half_identified(&world, &node, MEHMET).await?;
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(None));
    access_changed(&world).await?;
    world.message(1, "secret").await?;
    ayse.expect("MESSAGE_CREATE").await?;
    world.gated.snapshots.open();
    mehmet.expect("READY").await?;
    let guild = mehmet.expect("GUILD_CREATE").await?;
    assert_eq!(guild["channels"], json!([]));
    mehmet.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn access_changed_in_a_community_where_nothing_was_said_yet() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut mehmet, _) = node.person(MEHMET).await?;
    rights_are_known(&world).await?;
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(None));
    access_changed(&world).await?;
    assert_eq!(
        mehmet.expect("CHANNEL_DELETE").await?["id"],
        CHANNEL.to_string()
    );
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_overtakes_a_channel_that_comes_into_sight() -> Result<()> {
    let world = World::new().await?;
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(None));
    let node = world.start(Settings::default()).await?;
    let (mut mehmet, _) = node.person(MEHMET).await?;
    rights_are_known(&world).await?;
    world.gated.snapshots.close();
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, Vec::new());
    access_changed(&world).await?;
    world.message(1, "one").await?;
    world.gated.snapshots.holds().await?;
    world.message(2, "two").await?;
    mehmet.expect_nothing().await?;
    world.gated.snapshots.open();
    mehmet.expect("CHANNEL_CREATE").await?;
    assert_eq!(mehmet.expect("MESSAGE_CREATE").await?["content"], "one");
    assert_eq!(mehmet.expect("MESSAGE_CREATE").await?["content"], "two");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_that_cannot_be_shown_ends_the_session() -> Result<()> {
    let world = World::new().await?;
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(None));
    let node = world.start(Settings::default()).await?;
    let (mut mehmet, ready) = node.person(MEHMET).await?;
    rights_are_known(&world).await?;
    world.gated.compiled.close();
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, Vec::new());
    access_changed(&world).await?;
    world.gated.compiled.holds().await?;
    world.communities.leave();
    world.gated.compiled.open();
    assert_eq!(mehmet.closed().await?, 4000);
    let token = testkit::http::token(MEHMET)?;
    let mut again = Gateway::resume(node.address, &token, &session(&ready), 2).await?;
    assert_eq!(again.json().await?["op"], 9);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_community_is_told_and_not_asked_for_again() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut mehmet, _) = node.person(MEHMET).await?;
    world.message(1, "one").await?;
    mehmet.expect("MESSAGE_CREATE").await?;
    let asked = world.gated.compiled.read();
    let epoch = world.epoch() + 1;
    world.communities.remove(COMMUNITY);
    let changed = Control::AccessChanged {
        community: COMMUNITY,
        epoch,
    };
    world.control(Topic::Community(COMMUNITY), changed).await?;
    let gone = Record {
        community: Some(COMMUNITY),
        epoch,
        ..plain("GUILD_DELETE", json!({"id": COMMUNITY}))
    };
    world.publish(Topic::Community(COMMUNITY), gone).await?;
    mehmet.expect("GUILD_DELETE").await?;
    mehmet.expect_nothing().await?;
    assert_eq!(world.gated.compiled.read(), asked + 1);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn burst_closes_nobody_who_reads() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    rights_are_known(&world).await?;
    // More than a queue holds, all at once: they wait for newer rights.
    world.gated.compiled.close();
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(None));
    for ev in 1..=2_000 {
        world.message(ev, &ev.to_string()).await?;
    }
    world.gated.compiled.holds().await?;
    world.gated.compiled.open();
    for ev in 1..=2_000 {
        assert_eq!(
            ayse.expect("MESSAGE_CREATE").await?["content"],
            ev.to_string()
        );
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_the_ring_holds_while_identifying_is_not_skipped() -> Result<()> {
    let world = World::new().await?;
    let settings = Settings {
        ring_events: 8,
        queue_events: 8,
        ..Settings::default()
    };
    let node = world.start(settings).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let mut mehmet = half_identified(&world, &node, MEHMET).await?;
    for ev in 1..=17 {
        world.message(ev, "x").await?;
        ayse.expect("MESSAGE_CREATE").await?;
    }
    world.gated.snapshots.open();
    assert_eq!(mehmet.frame().await?, testkit::gateway::Frame::Closed(4000));
    let mut mehmet = half_identified(&world, &node, MEHMET).await?;
    for ev in 18..=33 {
        world.message(ev, "y").await?;
        ayse.expect("MESSAGE_CREATE").await?;
    }
    world.gated.snapshots.open();
    mehmet.expect("READY").await?;
    mehmet.expect("GUILD_CREATE").await?;
    for _ in 18..=33 {
        mehmet.expect("MESSAGE_CREATE").await?;
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn private_channel_opened_while_identifying_is_followed_at_once() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let mut ayse = half_identified(&world, &node, AYSE).await?;
    let dm = ChannelId::new(77 << 22);
    world
        .control(Topic::User(AYSE), Control::Follow(dm))
        .await?;
    let what = "the topic is followed";
    testkit::servers::eventually(what, Duration::from_secs(5), || async {
        // Revocations, the user, the community, and the channel.
        world.fanout.topic_count() == 4
    })
    .await?;
    let text = plain("MESSAGE_CREATE", json!({"content": "psst"}));
    world.publish(Topic::Channel(dm), text).await?;
    world.gated.snapshots.open();
    ayse.expect("READY").await?;
    ayse.expect("GUILD_CREATE").await?;
    assert_eq!(ayse.expect("MESSAGE_CREATE").await?["content"], "psst");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_large_community_come_as_fast_as_they_are_read() -> Result<()> {
    let world = World::new().await?;
    for id in 100..8_100 {
        let user = world.identity.add(UserId::new(id), &format!("user{id}"));
        world.communities.join(COMMUNITY, &user);
    }
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let ask = json!({"guild_id": COMMUNITY.to_string(), "query": "", "limit": 0});
    ayse.send(8, ask).await?;
    let mut found = 0;
    for index in 0..9 {
        let chunk = ayse.expect("GUILD_MEMBERS_CHUNK").await?;
        assert_eq!(chunk["chunk_index"], index);
        found += chunk["members"].as_array().map_or(0, Vec::len);
    }
    assert_eq!(found, 8_003);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn session_with_records_still_waiting_is_not_left_to_the_next_process() -> Result<()> {
    let world = World::new().await?;
    let quick = || Settings {
        drain: Duration::from_millis(10),
        ..Settings::default()
    };
    let node = world.start(quick()).await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    rights_are_known(&world).await?;
    world.gated.compiled.close();
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, hide(None));
    world.message(1, "waits for rights").await?;
    world.gated.compiled.holds().await?;
    node.lifecycle.soft().cancel();
    assert_eq!(ayse.closed().await?, 4000);
    node.realtime.finish().await;
    world.gated.compiled.open();
    node.stop().await?;
    let next = world.start(quick()).await?;
    let token = testkit::http::token(AYSE)?;
    let mut again = Gateway::resume(next.address, &token, &session(&ready), 2).await?;
    assert_eq!(again.json().await?, json!({"op": 9, "d": false}));
    next.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_may_be_as_long_as_the_setting_says() -> Result<()> {
    let world = World::new().await?;
    let max_frame = 128 * 1024;
    let node = world
        .start(Settings {
            max_frame,
            ..Settings::default()
        })
        .await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let head = r#"{"op":4,"d":""}"#;
    let text = "x".repeat(max_frame - head.len());
    ayse.send_text(&format!(r#"{{"op":4,"d":"{text}"}}"#))
        .await?;
    ayse.expect_nothing().await?;
    ayse.send_text(&format!(r#"{{"op":4,"d":"{text}x"}}"#))
        .await?;
    assert_eq!(ayse.closed().await?, 4002);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_never_come_end_the_wait() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    // A record of an epoch that the communities do not know of, now or later.
    let record = crate::harness::message(world.epoch() + 100, 1, "from the future");
    world.publish(Topic::Community(COMMUNITY), record).await?;
    assert_eq!(
        ayse.closed().await?,
        4000,
        "begin anew rather than wait for ever"
    );
    node.stop().await
}
