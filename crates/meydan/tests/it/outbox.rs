use anyhow::Result;
use serde_json::{Value, json};

use crate::node::Home;

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_shown_to_this_computer_in_development() -> Result<()> {
    let home = Home::new("outbox")?;
    let node = home.start().await?;
    let list = node
        .client
        .call("GET", "/dev/outbox.json", (), Value::Null)
        .await?
        .expect(200)?;
    assert_eq!(list.json, json!([]));
    assert_eq!(list.header("cache-control"), Some("no-store"));
    let page = node
        .client
        .call("GET", "/dev/outbox", (), Value::Null)
        .await?
        .expect(200)?;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for header in [
        ("x-forwarded-for", "192.0.2.1"),
        ("host", "evil.example"),
        ("origin", "http://localhost:5173"),
    ] {
        for path in ["/dev/outbox", "/dev/outbox.json"] {
            let reply = node
                .client
                .call_with("GET", path, (), &[header], None)
                .await?;
            assert_eq!(reply.status, 404, "{path} {header:?}");
        }
    }
    let document = node
        .client
        .call("GET", "/openapi.json", (), Value::Null)
        .await?;
    assert!(document.json["paths"]["/dev/outbox"].is_null());
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_outbox_outside_of_development() -> Result<()> {
    let home = Home::new("no-outbox")?;
    let node = home.start_with(&["--set", "auth.dev_mode=false"]).await?;
    for path in ["/dev/outbox", "/dev/outbox.json"] {
        let reply = node.client.call("GET", path, (), Value::Null).await?;
        assert_eq!(reply.status, 404, "{path}");
    }
    node.stop()
}
