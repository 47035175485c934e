use anyhow::Result;
use infra::fanout::{Control, Record, Topic, Version};
use kernel::ChannelId;
use kernel::perm::{Chat, Overwrite, Target};
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::harness::{
    AYSE, BOT, CHANNEL, COMMUNITY, INTENTS, MEHMET, World, message, needing, plain,
};

#[tokio::test(flavor = "multi_thread")]
async fn message_reaches_everyone_who_sees_the_channel() -> Result<()> {
    let world = World::new().await?;
    let node = world
        .start(Settings {
            workers: 2,
            ..Settings::default()
        })
        .await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let (mut mehmet, _) = node.person(MEHMET).await?;
    world.message(1, "merhaba").await?;
    assert_eq!(ayse.expect("MESSAGE_CREATE").await?["content"], "merhaba");
    assert_eq!(mehmet.expect("MESSAGE_CREATE").await?["content"], "merhaba");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sight_lost_stops_events_and_sight_gained_brings_the_channel() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut mehmet, _) = node.person(MEHMET).await?;
    world.message(1, "one").await?;
    mehmet.expect("MESSAGE_CREATE").await?;
    let hide = Overwrite {
        target: Target::Role(COMMUNITY.cast()),
        allow: Chat::NONE.into(),
        deny: Chat::VIEW_CHANNEL.into(),
    };
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, vec![hide]);
    // The message carries the new epoch; the order to fetch rights may come later or never.
    world.message(2, "secret").await?;
    let gone = mehmet.expect("CHANNEL_DELETE").await?;
    assert_eq!(gone["id"], CHANNEL.to_string());
    mehmet.expect_nothing().await?;
    world
        .communities
        .set_overwrites(COMMUNITY, CHANNEL, Vec::new());
    let changed = Control::AccessChanged {
        community: COMMUNITY,
        epoch: world.epoch(),
    };
    world.control(Topic::Community(COMMUNITY), changed).await?;
    let shown = mehmet.expect("CHANNEL_CREATE").await?;
    assert_eq!(
        (shown["id"].clone(), shown["name"].as_str()),
        (json!(CHANNEL), Some("general"))
    );
    world.message(3, "three").await?;
    assert_eq!(mehmet.expect("MESSAGE_CREATE").await?["content"], "three");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bot_without_the_content_intent_reads_only_what_is_meant_for_it() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let d = json!({"token": testkit::http::bot_token(BOT), "intents": 1 | (1 << 9)});
    let (mut bot, _) = Gateway::identify(node.address, d).await?;
    bot.expect("GUILD_CREATE").await?;
    world.message(1, "not for bots").await?;
    assert_eq!(bot.expect("MESSAGE_CREATE").await?["content"], "");
    let mut mention = message(world.epoch(), 2, "hey bot");
    if let infra::fanout::Body::Dispatch(dispatch) = &mut mention.body {
        dispatch.full_for = vec![BOT];
    }
    world.publish(Topic::Community(COMMUNITY), mention).await?;
    assert_eq!(bot.expect("MESSAGE_CREATE").await?["content"], "hey bot");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn intents_filter() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let d = json!({"token": testkit::http::token(AYSE)?, "intents": 1});
    let (mut gateway, _) = Gateway::identify(node.address, d).await?;
    gateway.expect("GUILD_CREATE").await?;
    world.message(1, "unseen").await?;
    gateway.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn natives_get_positions_and_stock_clients_do_not() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let d = json!({"token": testkit::http::token(AYSE)?, "cap": 3});
    let (mut native, _) = Gateway::identify(node.address, d).await?;
    native.expect("GUILD_CREATE").await?;
    let (mut stock, _) = node.person(MEHMET).await?;
    world.message(7, "x").await?;
    let frame = native.json().await?;
    assert_eq!(
        (frame["c"].clone(), frame["ev"].as_i64()),
        (json!(CHANNEL), Some(7))
    );
    let frame = stock.json().await?;
    assert!(frame.get("ev").is_none() && frame.get("c").is_none());
    let role = Record {
        community: Some(COMMUNITY),
        version: Version::Rev(9),
        ..plain("GUILD_ROLE_UPDATE", json!({"guild_id": "1"}))
    };
    world.publish(Topic::Community(COMMUNITY), role).await?;
    let frame = native.json().await?;
    assert_eq!(
        (frame["g"].clone(), frame["rev"].as_i64()),
        (json!(COMMUNITY), Some(9))
    );
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn private_channels_are_followed_when_they_open() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let dm = ChannelId::new(77 << 22);
    world
        .control(Topic::User(AYSE), Control::Follow(dm))
        .await?;
    let opened = plain("CHANNEL_CREATE", json!({"id": dm, "type": 1}));
    world.publish(Topic::User(AYSE), opened).await?;
    ayse.expect("CHANNEL_CREATE").await?;
    // The topic is followed from here on, a moment after the order.
    testkit::servers::eventually(
        "the topic is followed",
        std::time::Duration::from_secs(5),
        || async {
            // Revocations, the user, the community, and now the channel.
            world.fanout.topic_count() == 4
        },
    )
    .await?;
    let text = plain("MESSAGE_CREATE", json!({"content": "psst"}));
    world.publish(Topic::Channel(dm), text).await?;
    assert_eq!(ayse.expect("MESSAGE_CREATE").await?["content"], "psst");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_revocation_closes_with_the_code_on_which_libraries_stop() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    world.revoke(AYSE);
    assert_eq!(ayse.closed().await?, 4004);
    let token = testkit::http::token(AYSE)?;
    let session = crate::harness::session(&ready);
    let mut again = Gateway::resume(node.address, &token, &session, 2).await?;
    assert_eq!(again.closed().await?, 4004, "its token is bad, too");
    let bot = json!({"token": testkit::http::bot_token(BOT), "intents": INTENTS});
    let (mut bot, _) = Gateway::identify(node.address, bot).await?;
    bot.expect("GUILD_CREATE").await?;
    world
        .control(Topic::Revoked, Control::BotTokenRevoked(BOT))
        .await?;
    assert_eq!(bot.closed().await?, 4004);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_right_in_a_channel_is_for_those_who_have_it_there() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, _) = node.person(AYSE).await?;
    let (mut mehmet, _) = node.person(MEHMET).await?;
    let invite = || Record {
        community: Some(COMMUNITY),
        channel: Some(CHANNEL),
        epoch: world.epoch(),
        ..needing(
            Chat::MANAGE_CHANNELS,
            plain("INVITE_CREATE", json!({"code": "abc"})),
        )
    };
    world.publish(Topic::Community(COMMUNITY), invite()).await?;
    ayse.expect("INVITE_CREATE").await?;
    mehmet.expect_nothing().await?;
    let manager = kernel::RoleId::new(5 << 22);
    let rights = Chat::VIEW_CHANNEL | Chat::MANAGE_CHANNELS;
    world.communities.put_role(COMMUNITY, manager, rights, 1);
    world
        .communities
        .edit_member(COMMUNITY, MEHMET, |member| member.roles = vec![manager]);
    let changed = Record {
        community: Some(COMMUNITY),
        epoch: world.epoch(),
        body: infra::fanout::Body::Control(Control::ClassChanged {
            community: COMMUNITY,
            user: MEHMET,
            class: 1,
        }),
        ..plain("", json!(null))
    };
    world.publish(Topic::Community(COMMUNITY), changed).await?;
    world.publish(Topic::Community(COMMUNITY), invite()).await?;
    mehmet.expect("INVITE_CREATE").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_right_in_the_community_is_for_those_who_have_it() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut owner, _) = node.person(AYSE).await?;
    let (mut member, _) = node.person(MEHMET).await?;
    let ban = Record {
        community: Some(COMMUNITY),
        epoch: world.epoch(),
        ..needing(
            Chat::BAN_MEMBERS,
            plain(
                "GUILD_BAN_ADD",
                json!({"guild_id": COMMUNITY, "user": {"id": "99"}}),
            ),
        )
    };
    world.publish(Topic::Community(COMMUNITY), ban).await?;
    owner.expect("GUILD_BAN_ADD").await?;
    world.message(1, "after").await?;
    assert_eq!(member.expect("MESSAGE_CREATE").await?["content"], "after");
    node.stop().await
}
