//! The operator's commands on people, tokens and keys, beside a running node.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::node::Home;

/// The rows a command prints.
fn rows(output: &std::process::Output) -> Result<Vec<Value>> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "exit {:?}: {said}",
        output.status.code()
    );
    let rows: Value = serde_json::from_slice(&output.stdout)?;
    rows.as_array().cloned().context("a list of rows")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_roles_are_managed_from_the_command_line() -> Result<()> {
    let home = Home::new("operator")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    node.sign_up("mehmet").await?;
    let run = |line: &[&str]| home.run(&[line, &["-o", "json"]].concat());
    assert_eq!(rows(&run(&["admin", "list"])?)?, Vec::<Value>::new());
    let granted = rows(&run(&["admin", "promote", "ayse@example.com"])?)?;
    assert_eq!(granted[0]["state"], "granted");
    rows(&run(&["admin", "promote", "mehmet", "--role", "support"])?)?;
    let listed = rows(&run(&["admin", "list"])?)?;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1]["roles"], "support");
    assert_eq!(
        run(&["admin", "demote", "ayse"])?.status.code(),
        Some(5),
        "the last one"
    );
    assert_eq!(run(&["admin", "promote", "nobody"])?.status.code(), Some(4));
    rows(&run(&["admin", "demote", "mehmet", "--role", "support"])?)?;
    let sessions = rows(&run(&["admin", "sessions", "ayse"])?)?;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["proved_by"], "pwd");
    rows(&run(&["admin", "sign-out", "ayse"])?)?;
    // The running node pulls revocations every two seconds.
    let path = "/v1/users/@me";
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while node
        .client
        .call("GET", path, ayse.credential(), Value::Null)
        .await?
        .status
        != 401
    {
        ensure!(tokio::time::Instant::now() < deadline, "still logged in");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_read_and_the_signing_key_is_replaced() -> Result<()> {
    let home = Home::new("tokens")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let inspect = ["token", "inspect", "-o", "json"];
    let claims = rows(&home.run_with(&inspect, &format!("Bearer {}\n", ayse.token))?)?;
    let claim = |name: &str| {
        let row = claims.iter().find(|row| row["claim"] == name);
        row.map_or(Value::Null, |row| row["value"].clone())
    };
    assert_eq!(claim("user"), json!(ayse.id));
    assert_eq!(claim("good"), json!("true"));
    assert_eq!(home.run_with(&inspect, "x.y.z")?.status.code(), Some(6));
    assert_eq!(home.run_with(&inspect, "")?.status.code(), Some(2));

    let replaced = rows(&home.run(&["key", "rotate", "jwt", "-o", "json"])?)?;
    assert!(replaced[0]["kid"].is_string());
    let still = home.run_with(&inspect, &ayse.token)?;
    assert_eq!(still.status.code(), Some(0), "what was signed is good on");

    let stolen = ["key", "rotate", "jwt", "--compromised"];
    assert_eq!(home.run(&stolen)?.status.code(), Some(2), "asks first");
    rows(&home.run(&[&stolen[..], &["--yes", "-o", "json"]].concat())?)?;
    assert_eq!(home.run_with(&inspect, &ayse.token)?.status.code(), Some(6));
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_sealed_shown_and_verified() -> Result<()> {
    let home = Home::new("audit")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let path = "/v1/users/@me/activity";
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let kinds = loop {
        let reply = node
            .client
            .call("GET", path, ayse.credential(), Value::Null)
            .await?;
        let page = reply.expect(200)?.json;
        let entries = page["items"].as_array().cloned().unwrap_or_default();
        if entries.len() == 2 {
            let kind = |entry: &Value| entry["kind"].as_str().unwrap_or_default().to_owned();
            break entries.iter().map(kind).collect::<Vec<_>>();
        }
        ensure!(tokio::time::Instant::now() < deadline, "{page}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(
        kinds,
        ["identity.device_created.v1", "identity.user_created.v1"]
    );
    assert_eq!(
        rows(&home.run(&["audit", "verify", "-o", "json"])?)?,
        Vec::<Value>::new()
    );
    let exported = home.run(&["audit", "export"])?;
    let lines = String::from_utf8(exported.stdout)?;
    assert!(lines.lines().count() >= 2, "{lines}");
    assert!(!lines.contains("ayse"), "ids, not names");
    node.stop()
}
