use std::time::Duration;

use anyhow::Result;
use infra::fanout::Topic;
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::harness::{AYSE, COMMUNITY, World, message, session};

#[tokio::test(flavor = "multi_thread")]
async fn m8_client_that_stops_reading_is_closed_and_resumes_without_loss() -> Result<()> {
    let world = World::new().await?;
    // Small bounds, so that what the kernel takes does not hide the queue.
    let settings = Settings {
        queue_events: 64,
        ..Settings::default()
    };
    let node = world.start(settings).await?;
    let (ayse, ready) = node.person(AYSE).await?;
    let last = ayse.last.unwrap_or_default();
    // The client is not polled from here on. Large events fill its socket, then the queue.
    let text = "x".repeat(16 * 1024);
    let mut sent = 0_i64;
    let before = slow_closes();
    testkit::servers::eventually("the slow socket is closed", Duration::from_secs(20), || {
        sent += 1;
        let record = message(world.epoch(), sent, &format!("{sent} {text}"));
        let published = world.publish(Topic::Community(COMMUNITY), record);
        async move { published.await.is_ok() && slow_closes() > before }
    })
    .await?;
    ayse.cut();
    // The ring keeps 256 KiB and the queue: what is older than that is honestly refused, never
    // skipped. Nothing was read here, so the session cannot go on from READY.
    let token = testkit::http::token(AYSE)?;
    let mut again = Gateway::resume(node.address, &token, &session(&ready), last).await?;
    let first = again.json().await?;
    let told = first["op"] == 9
        || first["d"]["content"]
            .as_str()
            .is_some_and(|c| c.starts_with("1 "));
    assert!(told, "{first}");
    node.stop().await
}

/// Sockets of this process that were closed as slow, by the metric.
fn slow_closes() -> u64 {
    let text = runtime::telemetry::metrics().render();
    let line = text
        .lines()
        .find(|line| line.starts_with("meydan_realtime_slow_consumer_disconnects_total"));
    line.and_then(|line| line.rsplit(' ').next())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_a_user_and_of_the_node_are_bounded() -> Result<()> {
    let world = World::new().await?;
    let settings = Settings {
        sockets_per_user: 2,
        max_connections: 4,
        ..Settings::default()
    };
    let node = world.start(settings).await?;
    let token = testkit::http::token(AYSE)?;
    let first = node.person(AYSE).await?;
    let _second = node.person(AYSE).await?;
    let mut third = Gateway::connect(node.address).await?;
    third.send(2, json!({"token": token, "intents": 0})).await?;
    assert_eq!(
        third.closed().await?,
        4004,
        "stock clients stop on this one"
    );
    let mut native = Gateway::connect(node.address).await?;
    native.send(2, json!({"token": token, "cap": 1})).await?;
    assert_eq!(native.closed().await?, 4105);
    drop((third, native));
    drop(first);
    // A socket that is gone counts no more.
    testkit::servers::eventually("room for another", Duration::from_secs(10), || async {
        let Ok(mut gateway) = Gateway::connect(node.address).await else {
            return false;
        };
        let identify = json!({"token": token, "intents": 0});
        gateway.send(2, identify).await.is_ok() && gateway.expect("READY").await.is_ok()
    })
    .await?;
    let mut open = Vec::new();
    let refused = loop {
        match Gateway::connect(node.address).await {
            Ok(gateway) => open.push(gateway),
            Err(error) => break error,
        }
        assert!(open.len() < 10, "the node took more than it may");
    };
    assert!(refused.to_string().contains("503"), "{refused}");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_commands_close_resumably() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    for _ in 0..120 {
        ayse.send(3, json!({"status": "online"})).await?;
    }
    assert_eq!(ayse.closed().await?, 4008);
    let token = testkit::http::token(AYSE)?;
    let mut again = Gateway::resume(node.address, &token, &session(&ready), 2).await?;
    again.expect("RESUMED").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_are_closed() -> Result<()> {
    let world = World::new().await?;
    // Interval plus the grace of 15 s would be long; the deadline itself is tested in the machine.
    let node = world.start(Settings::default()).await?;
    let mut gateway = Gateway::connect(node.address).await?;
    let mut half = Vec::new();
    ws::encode::append_masked_frame(&mut half, ws::Opcode::Text, b"{\"op\":1}", [1; 4]);
    gateway.send_bytes(&half[..5]).await?;
    gateway.send_bytes(&half[5..]).await?;
    assert_eq!(gateway.json().await?["op"], 11);
    node.stop().await
}
