use anyhow::Result;
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::harness::{AYSE, World, session};

fn quick() -> Settings {
    Settings {
        drain: std::time::Duration::from_millis(10),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_survive_a_restart_and_miss_nothing() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(quick()).await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    world.message(1, "seen").await?;
    ayse.expect("MESSAGE_CREATE").await?;
    let last = ayse.last.unwrap_or_default();
    node.lifecycle.soft().cancel();
    assert_eq!(ayse.json().await?["op"], 7);
    assert_eq!(ayse.closed().await?, 4000);
    // Requests in progress may still publish until the node finishes.
    world.message(2, "while draining").await?;
    node.stop().await?;

    let next = world.start(quick()).await?;
    world.message(3, "before anybody came back").await?;
    let token = testkit::http::token(AYSE)?;
    let mut ayse = Gateway::resume(next.address, &token, &session(&ready), last).await?;
    assert_eq!(
        ayse.expect("MESSAGE_CREATE").await?["content"],
        "while draining"
    );
    // The other is replayed before RESUMED or follows it live, as the new node finds out who may
    // see the channel.
    let frames = [ayse.json().await?, ayse.json().await?];
    assert!(frames.iter().any(|frame| frame["t"] == "RESUMED"));
    assert!(
        frames
            .iter()
            .any(|frame| frame["d"]["content"] == "before anybody came back")
    );
    next.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_node_takes_no_socket_and_natives_hear_why() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(quick()).await?;
    let d = json!({"token": testkit::http::token(AYSE)?, "cap": 1});
    let (mut native, _) = Gateway::identify(node.address, d).await?;
    native.expect("GUILD_CREATE").await?;
    node.lifecycle.soft().cancel();
    assert_eq!(native.closed().await?, 4101);
    assert!(Gateway::connect(node.address).await.is_err());
    node.stop().await
}
