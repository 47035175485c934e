use anyhow::Result;
use infra::fanout::{Control, Topic};
use kernel::perm::Chat;
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::harness::{AYSE, BOT, COMMUNITY, INTENTS, MEHMET, World};

#[tokio::test(flavor = "multi_thread")]
async fn person_gets_ready_and_the_community_whole() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let d = json!({"token": testkit::http::token(AYSE)?, "intents": INTENTS});
    let (mut gateway, ready) = Gateway::identify(node.address, d).await?;
    assert_eq!(gateway.last, Some(1));
    assert_eq!(ready["v"], 10);
    assert_eq!(ready["user"]["id"], AYSE.to_string());
    assert_eq!(
        ready["guilds"],
        json!([{"id": COMMUNITY.to_string(), "unavailable": true}])
    );
    assert_eq!(
        ready["resume_gateway_url"],
        format!("ws://{}/gateway", node.address)
    );
    assert!(ready.get("application").is_none());
    let guild = gateway.expect("GUILD_CREATE").await?;
    assert_eq!(guild["id"], COMMUNITY.to_string());
    assert_eq!(guild["channels"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        guild["roles"][0]["id"],
        COMMUNITY.to_string(),
        "the everyone role"
    );
    assert_eq!(guild["member_count"], 3);
    assert_eq!(
        guild["members"].as_array().map(Vec::len),
        Some(1),
        "only the own one without its intent"
    );
    assert_eq!(guild["large"], true);
    gateway.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn bot_gets_its_application_and_members_with_the_intent() -> Result<()> {
    let world = World::new().await?;
    world
        .applications
        .add(&testkit::http::bot_token(BOT), BOT, (1 << 15) | (1 << 1));
    let node = world.start(Settings::default()).await?;
    let d =
        json!({"token": testkit::http::bot_token(BOT), "intents": INTENTS | 2, "shard": [0, 1]});
    let (mut gateway, ready) = Gateway::identify(node.address, d).await?;
    assert_eq!(ready["application"]["id"], BOT.to_string());
    assert_eq!(ready["shard"], json!([0, 1]));
    assert_eq!(ready["private_channels"], json!([]));
    let guild = gateway.expect("GUILD_CREATE").await?;
    assert_eq!(guild["members"].as_array().map(Vec::len), Some(3));
    assert_eq!(guild["large"], false);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_their_codes() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let person = testkit::http::token(AYSE)?;
    let bot = testkit::http::bot_token(BOT);
    let service = testkit::http::service_token("messaging")?;
    for (d, code) in [
        (json!({"token": "eyJ.x.y", "intents": 0}), 4004),
        (json!({"token": "MTM.x.y", "intents": 0}), 4004),
        // A process of ours is no user.
        (json!({"token": service, "intents": 0}), 4004),
        (
            json!({"token": format!("Bot {service}"), "intents": 0}),
            4004,
        ),
        (json!({"token": bot, "intents": 1 << 8}), 4014),
        (
            json!({"token": person, "intents": 0, "shard": [2, 2]}),
            4010,
        ),
        (
            json!({"token": person, "intents": 0, "shard": [0, 0]}),
            4010,
        ),
        (json!({"intents": 0}), 4002),
    ] {
        let mut gateway = Gateway::connect(node.address).await?;
        gateway.send(2, d.clone()).await?;
        assert_eq!(gateway.closed().await?, code, "{d}");
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_that_are_away_never_cost_a_token() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    for leave in [0, 1, 2] {
        match leave {
            0 => world.communities.leave(),
            1 => world.messaging.leave(),
            _ => world.identity.leave(),
        }
        let mut gateway = Gateway::connect(node.address).await?;
        gateway
            .send(
                2,
                json!({"token": testkit::http::token(AYSE)?, "intents": 0}),
            )
            .await?;
        assert_eq!(gateway.closed().await?, 4000);
        world.communities.come_back();
        world.messaging.come_back();
        world.identity.come_back();
    }
    node.person(AYSE).await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_and_leaving_reach_open_sessions() -> Result<()> {
    let world = World::new().await?;
    let other = kernel::CommunityId::new(9 << 22);
    let node = world.start(Settings::default()).await?;
    let (mut gateway, _) = node.person(MEHMET).await?;
    world.communities.add(other, "market", &world.users[0]);
    world.communities.join(other, &world.users[1]);
    world
        .control(Topic::User(MEHMET), Control::Joined(other))
        .await?;
    let guild = gateway.expect("GUILD_CREATE").await?;
    assert_eq!(guild["id"], other.to_string());
    world.communities.leave_community(other, MEHMET);
    world
        .control(Topic::User(MEHMET), Control::Left(other))
        .await?;
    assert_eq!(
        gateway.expect("GUILD_DELETE").await?,
        json!({"id": other.to_string()})
    );
    gateway.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_sent_in_chunks_on_request() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut gateway, _) = node.person(AYSE).await?;
    let ask = json!({"guild_id": COMMUNITY.to_string(), "query": "", "limit": 0, "nonce": "n1"});
    gateway.send(8, ask).await?;
    let chunk = gateway.expect("GUILD_MEMBERS_CHUNK").await?;
    assert_eq!(chunk["members"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        (chunk["nonce"].as_str(), chunk["chunk_count"].as_u64()),
        (Some("n1"), Some(1))
    );
    let ids = json!({"guild_id": COMMUNITY.to_string(), "user_ids": ["11", "999"]});
    gateway.send(8, ids).await?;
    let chunk = gateway.expect("GUILD_MEMBERS_CHUNK").await?;
    assert_eq!(chunk["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(chunk["not_found"], json!(["999"]));
    gateway
        .send(8, json!({"guild_id": "77", "query": "", "limit": 0}))
        .await?;
    gateway.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_channels_are_not_in_guild_create() -> Result<()> {
    let world = World::new().await?;
    world
        .communities
        .put_role(COMMUNITY, COMMUNITY.cast(), Chat::NONE, 0);
    let node = world.start(Settings::default()).await?;
    let d = json!({"token": testkit::http::token(MEHMET)?, "intents": INTENTS});
    let (mut gateway, _) = Gateway::identify(node.address, d).await?;
    let guild = gateway.expect("GUILD_CREATE").await?;
    assert_eq!(guild["channels"], json!([]));
    node.stop().await
}
