use anyhow::Result;
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::harness::{AYSE, MEHMET, World, session};

#[tokio::test(flavor = "multi_thread")]
async fn cut_client_resumes_and_gets_what_it_missed_once() -> Result<()> {
    let world = World::new().await?;
    // Several workers: the new socket lands on another one and is handed over.
    let node = world
        .start(Settings {
            workers: 3,
            ..Settings::default()
        })
        .await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    world.message(1, "seen").await?;
    ayse.expect("MESSAGE_CREATE").await?;
    let last = ayse.last.unwrap_or_default();
    ayse.cut();
    for ev in 2..=5 {
        world.message(ev, &format!("missed {ev}")).await?;
    }
    let token = testkit::http::token(AYSE)?;
    let mut ayse = Gateway::resume(node.address, &token, &session(&ready), last).await?;
    for ev in 2..=5 {
        assert_eq!(
            ayse.expect("MESSAGE_CREATE").await?["content"],
            format!("missed {ev}")
        );
    }
    assert!(ayse.expect("RESUMED").await?.is_object());
    world.message(6, "live").await?;
    assert_eq!(ayse.expect("MESSAGE_CREATE").await?["content"], "live");
    ayse.expect_nothing().await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn second_resume_takes_the_session_from_the_first_socket() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut first, ready) = node.person(AYSE).await?;
    let token = testkit::http::token(AYSE)?;
    let mut second = Gateway::resume(node.address, &token, &session(&ready), 2).await?;
    second.expect("RESUMED").await?;
    assert_eq!(first.closed().await?, 4000);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_cannot_go_on_get_op_9_and_may_identify() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (ayse, ready) = node.person(AYSE).await?;
    ayse.cut();
    let own = testkit::http::token(AYSE)?;
    let other = testkit::http::token(MEHMET)?;
    let id = session(&ready);
    for (token, id, seq, why) in [
        (&own, "junk", 2, "no id"),
        (&own, "000100ffffffffffffffffffffffffffffff", 2, "unknown"),
        (&other, id.as_str(), 2, "of somebody else"),
        (&own, id.as_str(), 1, "inside the snapshots"),
    ] {
        let mut gateway = Gateway::resume(node.address, token, id, seq).await?;
        assert_eq!(gateway.json().await?, json!({"op": 9, "d": false}), "{why}");
        gateway
            .send(2, json!({"token": token, "intents": 0}))
            .await?;
        gateway.expect("READY").await?;
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn number_from_the_future_is_refused() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (_ayse, ready) = node.person(AYSE).await?;
    let token = testkit::http::token(AYSE)?;
    let mut gateway = Gateway::resume(node.address, &token, &session(&ready), 99).await?;
    assert_eq!(gateway.closed().await?, 4007);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_says_goodbye_has_no_session_left() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let token = testkit::http::token(AYSE)?;
    for (code, resumes) in [(1000, false), (1001, false), (4200, true)] {
        let (mut ayse, ready) = node.person(AYSE).await?;
        ayse.close(code).await?;
        assert_eq!(ayse.closed().await?, code, "the code is echoed");
        let mut again = Gateway::resume(node.address, &token, &session(&ready), 2).await?;
        let frame = again.json().await?;
        assert_eq!(frame["t"] == "RESUMED", resumes, "{code}: {frame}");
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn session_without_a_socket_ends_after_its_time() -> Result<()> {
    let world = World::new().await?;
    let keep_detached = std::time::Duration::from_secs(1);
    let node = world
        .start(Settings {
            keep_detached,
            ..Settings::default()
        })
        .await?;
    let (ayse, ready) = node.person(AYSE).await?;
    ayse.cut();
    let token = testkit::http::token(AYSE)?;
    // Topics are followed as long as the session lives.
    testkit::servers::eventually(
        "the session ends",
        std::time::Duration::from_secs(10),
        || async { world.fanout.topic_count() == 1 },
    )
    .await?;
    let mut again = Gateway::resume(node.address, &token, &session(&ready), 2).await?;
    assert_eq!(again.json().await?, json!({"op": 9, "d": false}));
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn resumed_is_said_once_per_resume() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    let last = ayse.last.unwrap_or_default();
    world.message(1, "x").await?;
    ayse.expect("MESSAGE_CREATE").await?;
    ayse.cut();
    let token = testkit::http::token(AYSE)?;
    for _ in 0..2 {
        let mut again = Gateway::resume(node.address, &token, &session(&ready), last).await?;
        again.expect("MESSAGE_CREATE").await?;
        again.expect("RESUMED").await?;
        // Not acknowledged, so that the next one gets the same.
        again.send(1, json!(null)).await?;
        assert_eq!(again.json().await?["op"], 11);
        again.cut();
    }
    node.stop().await
}
