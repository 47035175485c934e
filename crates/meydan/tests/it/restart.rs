use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::json;
use testkit::gateway::Gateway;

use crate::node::{Home, text};

#[tokio::test(flavor = "multi_thread")]
async fn clients_resume_over_a_restart_and_miss_nothing() -> Result<()> {
    let home = Home::new("restart")?;
    let mut node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (_, channel) = node.community(&ayse).await?;
    let messages = format!("/channels/{channel}/messages");
    let (mut gateway, ready) = node.connect(&ayse).await?;
    node.done(&ayse, "POST", &messages, json!({"content": "before"}))
        .await?;
    gateway.expect("MESSAGE_CREATE").await?;
    let last = gateway.last.unwrap_or_default();
    node.server.signal(Signal::SIGTERM)?;
    assert_eq!(gateway.next().await?["op"], 7, "told to come back");
    assert_eq!(gateway.closed().await?, 4000, "resumably");
    assert_eq!(
        node.server.wait(std::time::Duration::from_secs(30))?,
        Some(0)
    );

    let node = home.start().await?;
    node.done(&ayse, "POST", &messages, json!({"content": "after"}))
        .await?;
    let id = text(&ready["session_id"]);
    let mut gateway = Gateway::resume(node.address, &ayse.token, &id, last).await?;
    // The message is replayed before RESUMED or follows it live, as the new process finds out who
    // may see the channel.
    let mut frames = [gateway.next().await?, gateway.next().await?];
    frames.sort_by_key(|frame| text(&frame["t"]));
    assert_eq!(frames[0]["d"]["content"], "after");
    assert_eq!(frames[1]["t"], "RESUMED");
    gateway.expect_nothing().await?;
    node.stop()
}
