//! The operator's commands on people, tokens and keys, beside a running node.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::servers::{SmtpRules, SmtpServer};

use crate::node::{Home, Node, Person, unpacked};

/// The rows a command prints.
fn rows(output: &Output) -> Result<Vec<Value>> {
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
    let last = refused(&run(&["admin", "demote", "ayse"])?, 5)?;
    assert!(last.contains("next: meydan admin promote"), "{last}");
    refused(&run(&["admin", "promote", "nobody"])?, 4)?;
    let wrong = refused(&run(&["admin", "create", "ayse"])?, 2)?;
    assert!(wrong.contains("next: meydan admin create"), "{wrong}");
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

/// What a command said when it ended with this code, and nothing it printed.
fn refused(output: &Output, code: i32) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(code),
        "{:?}: {said}",
        output.status
    );
    ensure!(output.stdout.is_empty(), "{:?}", output.stdout);
    Ok(said)
}

/// The token of a link to choose a new password.
fn reset_token(text: &str) -> Result<&str> {
    let (_, rest) = text.split_once("/auth/reset#").context("no link")?;
    rest.split_whitespace().next().context("an empty link")
}

/// Entries of one kind in the record of what happened, once there are so many: events about one
/// person arrive in their order, so that none comes between them later.
async fn audited(home: &Home, kind: &str, count: usize) -> Result<Vec<Value>> {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let exported = String::from_utf8(home.run(&["audit", "export"])?.stdout)?;
        let entries = exported.lines().map(serde_json::from_str);
        let entries: Vec<Value> = entries.collect::<Result<_, _>>()?;
        let of_kind = entries.into_iter().filter(|entry| entry["kind"] == kind);
        let found: Vec<Value> = of_kind.collect();
        if found.len() >= count {
            ensure!(found.len() == count, "{found:?}");
            return Ok(found);
        }
        ensure!(tokio::time::Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Chooses a new password with a link, once; every login of before is over.
async fn choose_password(node: &Node, of: &Person, name: &str, token: &str) -> Result<()> {
    let new = "çok yeni ve uzun bir parola";
    let path = "/v1/auth/password-resets/confirm";
    for status in [204, 401] {
        let body = json!({"token": token, "new_password": new});
        let reply = node.client.call("POST", path, (), body).await?;
        assert_eq!(reply.status, status);
    }
    let old = format!("kırmızı bisiklet yokuşu {name}");
    assert_eq!(node.log_in(name, &old).await?.status, 401);
    node.log_in(name, new).await?.expect(200)?;
    let before = of.credential();
    let reply = node
        .client
        .call("GET", "/v1/users/@me", before, Value::Null);
    assert_eq!(reply.await?.status, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_resets_a_password_and_the_operator_does_not_see_the_link() -> Result<()> {
    let (home, post) = (
        Home::new("reset")?,
        SmtpServer::start(SmtpRules::default()).await?,
    );
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let reset = |user: &str| {
        let url = format!("smtp://127.0.0.1:{}", post.port());
        let mut command = home.operator(&["admin", "reset-password", user, "-o", "json"]);
        command.env("MEYDAN_MAIL__SMTP__URL", url).output()
    };
    let sent = json!({"user": ayse.id, "state": "sent", "to": "ayse@example.com"});
    assert_eq!(rows(&reset("ayse")?)?, [sent]);
    let letters = post.arrived()?;
    assert_eq!(
        (letters.len(), &*letters[0].to),
        (1, &["ayse@example.com".to_owned()][..])
    );
    choose_password(&node, &ayse, "ayse", reset_token(&letters[0].text)?).await?;
    let begun = audited(&home, "identity.reset_started.v1", 1).await?;
    assert_eq!(
        (&begun[0]["actor"], &begun[0]["data"]),
        (&Value::Null, &json!({"user_id": ayse.id}))
    );
    // The server refuses this address.
    node.sign_up("nobody").await?;
    let said = refused(&reset("nobody")?, 4)?;
    assert!(said.contains("next: meydan doctor --only mail"), "{said}");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_letters_the_link_is_shown_on_a_terminal_alone() -> Result<()> {
    let home = Home::new("reset-link")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let reset = ["admin", "reset-password", "ayse"];
    let said = refused(&home.run(&reset)?, 4)?;
    assert!(said.contains("next: set up mail"), "{said}");
    let first = home.run_on_terminal(&reset, "")?;
    let second = home.run_on_terminal(&[&reset[..], &["-o", "json"]].concat(), "")?;
    let (first, second) = (
        String::from_utf8(first.stdout)?,
        String::from_utf8(second.stdout)?,
    );
    assert!(first.contains("30 minutes"), "{first}");
    let token = reset_token(&second)?.trim_end_matches(['"', ',']);
    assert_ne!(token, reset_token(&first)?);
    choose_password(&node, &ayse, "ayse", token).await?;
    // What was refused began nothing.
    audited(&home, "identity.reset_started.v1", 2).await?;
    refused(&home.run(&["admin", "reset-password"])?, 2)?;
    let said = refused(&home.run(&["admin", "reset-password", "fatma"])?, 4)?;
    assert!(said.contains("next: meydan admin list"), "{said}");
    let mehmet = node.sign_up("mehmet").await?;
    rows(&home.run(&["admin", "promote", "mehmet", "-o", "json"])?)?;
    let disable = format!("/v1/users/{}/disable", ayse.id);
    let reason = json!({"reason": "spam"});
    let reply = node
        .client
        .call("POST", &disable, mehmet.credential(), reason);
    reply.await?.expect(204)?;
    let said = refused(&home.run(&reset)?, 5)?;
    assert!(said.contains("disabled"), "{said}");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_written_once_for_the_eyes_of_the_operator() -> Result<()> {
    let home = Home::new("export")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let path = home.path().join("ayse.zip");
    let out = path.to_str().context("a path")?;
    let export = ["privacy", "export", "ayse", "--out", out, "-o", "json"];
    let made = rows(&home.run(&export)?)?;
    let bytes = std::fs::read(&path)?;
    let size = bytes.len().to_string();
    assert_eq!(made, [json!({"user": ayse.id, "file": out, "bytes": size})]);
    assert_eq!(path.metadata()?.permissions().mode() & 0o777, 0o600);
    let held = unpacked(&bytes)?;
    assert_eq!(held["identity.users"][0]["email"], "ayse@example.com");
    let contexts = held.keys().filter_map(|name| name.split('.').next());
    let contexts: std::collections::BTreeSet<&str> = contexts.collect();
    for context in [
        "applications",
        "audit",
        "communities",
        "identity",
        "media",
        "messaging",
        "realtime",
    ] {
        assert!(contexts.contains(context), "{context}");
    }
    let said = refused(&home.run(&export)?, 5)?;
    assert!(
        said.contains("next: name another with --out FILE"),
        "{said}"
    );
    assert_eq!(std::fs::read(&path)?, bytes, "what is there stays");
    rows(&home.run(&["privacy", "export", &ayse.id, "-o", "json"])?)?;
    let own = format!("meydan-export-{}.zip", ayse.id);
    assert!(home.path().join(own).exists());
    refused(
        &home.run(&["privacy", "export", "ayse", "--out", "/nowhere/a.zip"])?,
        4,
    )?;
    refused(&home.run(&["privacy", "export", "fatma"])?, 4)?;
    refused(&home.run(&["privacy", "export"])?, 2)?;
    let acts = audited(&home, "identity.export_requested.v1", 2).await?;
    let actors: Vec<&Value> = acts.iter().map(|act| &act["actor"]).collect();
    assert_eq!(actors, [&Value::Null; 2]);
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_is_confirmed_and_leaves_fourteen_days() -> Result<()> {
    let home = Home::new("erase")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let erase = ["privacy", "erase", "ayse"];
    let said = refused(&home.run(&erase)?, 2)?;
    assert!(
        said.contains("next: meydan privacy erase ayse --yes"),
        "{said}"
    );
    let mistyped = home.run_on_terminal(&erase, "fatma\n")?;
    assert_eq!(mistyped.status.code(), Some(2));
    let typed = home.run_on_terminal(&erase, "ayse\n")?;
    let said = String::from_utf8_lossy(&typed.stdout);
    assert!(typed.status.success() && said.contains("waiting"), "{said}");
    let begun = audited(&home, "identity.erasure_requested.v1", 1).await?;
    assert_eq!(begun[0]["actor"], Value::Null);
    let path = "/v1/users/@me/erasure";
    let kept = node
        .client
        .call("DELETE", path, ayse.credential(), Value::Null);
    kept.await?.expect(204)?;
    rows(&home.run(&["admin", "promote", "ayse", "-o", "json"])?)?;
    let said = refused(
        &home.run(&["privacy", "erase", "ayse", "--now", "--yes"])?,
        5,
    )?;
    let help = "(last_superadmin)\n  next: meydan admin promote SOMEBODY";
    assert!(said.contains(help), "{said}");
    refused(&home.run(&["privacy", "erase", "fatma", "--yes"])?, 4)?;
    node.stop()
}
