use anyhow::Result;
use realtime::Settings;
use serde_json::json;
use testkit::gateway::{Frame, Gateway};

use crate::harness::{AYSE, World};

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_answered_at_any_time() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let mut gateway = Gateway::connect(node.address).await?;
    gateway.send(1, json!(null)).await?;
    assert_eq!(gateway.json().await?, json!({"op": 11, "d": null}));
    let (mut ayse, _) = node.person(AYSE).await?;
    ayse.send(1, json!(2)).await?;
    assert_eq!(ayse.json().await?["op"], 11);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_versions_and_encodings_are_refused() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    for path in ["/gateway?v=9", "/gateway?v=10&encoding=etf"] {
        let mut gateway = Gateway::open(node.address, path).await?;
        assert_eq!(gateway.closed().await?, 4012, "{path}");
    }
    for path in [
        "/gateway",
        "/gateway?v=10&compress=zlib-stream",
        "/gateway?encoding=json&v=10",
    ] {
        let mut gateway = Gateway::open(node.address, path).await?;
        assert_eq!(gateway.json().await?["op"], 10, "{path}");
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_bad_frames_are_closed_with_their_code() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let masked = |opcode, payload: &[u8]| {
        let mut frame = Vec::new();
        ws::encode::append_masked_frame(&mut frame, opcode, payload, [1, 2, 3, 4]);
        frame
    };
    let mut unmasked = Vec::new();
    ws::encode::append_frame(&mut unmasked, ws::Opcode::Text, b"{}");
    let deep = format!("{{\"op\":3,\"d\":{}}}", "[".repeat(1_000));
    for (frame, code, what) in [
        (unmasked, 1002, "unmasked"),
        (vec![0x83, 0x80, 0, 0, 0, 0], 1002, "reserved opcode"),
        (masked(ws::Opcode::Text, &[0xff, 0xfe]), 1007, "not UTF-8"),
        (
            masked(ws::Opcode::Text, &[b' '; 16 * 1024 + 1]),
            4002,
            "too long",
        ),
        (masked(ws::Opcode::Binary, b"x"), 4002, "binary"),
        (masked(ws::Opcode::Text, b"no json"), 4002, "no JSON"),
        (masked(ws::Opcode::Text, deep.as_bytes()), 4002, "too deep"),
        (
            masked(ws::Opcode::Text, b"{\"op\":99}"),
            4001,
            "unknown opcode",
        ),
        (
            masked(ws::Opcode::Text, b"{\"op\":3,\"d\":{}}"),
            4003,
            "before IDENTIFY",
        ),
    ] {
        let mut gateway = Gateway::connect(node.address).await?;
        gateway.send_bytes(&frame).await?;
        assert_eq!(gateway.closed().await?, code, "{what}");
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_ping_of_a_read_is_answered() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let mut gateway = Gateway::connect(node.address).await?;
    let mut pings = Vec::new();
    for n in 0..100u8 {
        ws::encode::append_masked_frame(&mut pings, ws::Opcode::Ping, &[n], [1, 2, 3, 4]);
    }
    gateway.send_bytes(&pings).await?;
    let mut pongs = 0;
    loop {
        pongs += 1;
        match gateway.frame().await? {
            Frame::Pong(payload) if payload == [99] => break,
            Frame::Pong(_) => {}
            other => anyhow::bail!("{other:?}"),
        }
    }
    assert!(pongs < 100, "{pongs} pongs");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_split_and_joined_anyhow_are_read() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let mut gateway = Gateway::connect(node.address).await?;
    let identify = json!({"op": 2, "d": {"token": testkit::http::token(AYSE)?, "intents": 0}});
    let mut bytes = Vec::new();
    for text in [
        r#"{"op":1,"d":null}"#,
        &identify.to_string(),
        r#"{"op":1,"d":null}"#,
    ] {
        ws::encode::append_masked_frame(&mut bytes, ws::Opcode::Text, text.as_bytes(), [5; 4]);
    }
    for byte in bytes {
        gateway.send_bytes(&[byte]).await?;
    }
    gateway.expect("READY").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_resume_in_the_same_read_is_not_lost() -> Result<()> {
    let world = World::new().await?;
    let node = world
        .start(Settings {
            workers: 2,
            ..Settings::default()
        })
        .await?;
    let token = testkit::http::token(AYSE)?;
    for _ in 0..4 {
        let (ayse, ready) = node.person(AYSE).await?;
        ayse.cut();
        let mut gateway = Gateway::connect(node.address).await?;
        let id = crate::harness::session(&ready);
        let resume = json!({"op": 6, "d": {"token": token, "session_id": id, "seq": 2}});
        let mut bytes = Vec::new();
        for text in [resume.to_string().as_str(), r#"{"op":1,"d":2}"#] {
            ws::encode::append_masked_frame(&mut bytes, ws::Opcode::Text, text.as_bytes(), [5; 4]);
        }
        gateway.send_bytes(&bytes).await?;
        let mut seen =
            [gateway.json().await?, gateway.json().await?].map(|frame| frame["op"].clone());
        seen.sort_by_key(|op| op.as_u64());
        assert_eq!(seen, [json!(0), json!(11)]);
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_requests_are_told_to_upgrade() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(Settings::default()).await?;
    let client = testkit::http::Client::new(node.address);
    let reply = client
        .call("GET", "/gateway", (), serde_json::Value::Null)
        .await?;
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json["code"], "UPGRADE_REQUIRED");
    assert_eq!(reply.json["reason"], "Upgrade does not name websocket");
    let reply = client
        .call("GET", "/api/v10/gateway", (), serde_json::Value::Null)
        .await?;
    assert_eq!(reply.json["url"], format!("ws://{}/gateway", node.address));
    let reply = client
        .call("GET", "/api/v10/gateway/bot", (), serde_json::Value::Null)
        .await?;
    assert_eq!(reply.status, 401);
    let reply = client
        .call("GET", "/api/v10/gateway/bot", AYSE, serde_json::Value::Null)
        .await?;
    assert_eq!(reply.json["session_start_limit"]["max_concurrency"], 16);
    node.stop().await
}
