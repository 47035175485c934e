use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::servers::S3Server;

use crate::node::{Home, meydan, person};

#[tokio::test(flavor = "multi_thread")]
async fn second_start_keeps_the_data_and_ctrl_c_is_clean() -> Result<()> {
    let home = Home::new("again")?;
    let mut node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (guild, _) = node.community(&ayse).await?;
    node.server.signal(Signal::SIGINT)?;
    assert_eq!(
        node.server.wait(Duration::from_secs(30))?,
        Some(0),
        "{}",
        node.server.tail()
    );
    let node = home.start().await?;
    let body = json!({"identifier": "ayse", "password": "kırmızı bisiklet yokuşu ayse"});
    let reply = node
        .client
        .call("POST", "/v1/auth/login", (), body)
        .await?
        .expect(200)?;
    let again = person(&reply)?;
    assert_eq!(again.id, ayse.id);
    let found = node
        .done(&again, "GET", &format!("/guilds/{guild}"), Value::Null)
        .await?;
    assert_eq!(found["name"], "Meydan");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn second_owner_of_the_data_is_refused_and_told_who_holds_it() -> Result<()> {
    let home = Home::new("owner")?;
    let node = home.start().await?;
    let port = testkit::servers::free_port()?.to_string();
    let mut second = meydan(home.path());
    second
        .args(["up", "--data"])
        .arg(home.data())
        .args(["--port", &port]);
    let output = second.output()?;
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&node.server.pid().to_string()), "{said}");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_told_with_its_holder_and_the_way_out() -> Result<()> {
    let home = Home::new("taken")?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let up = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = meydan(home.path());
        command.args(["up", "--data"]).arg(home.data());
        let output = command.args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), said))
    };
    let holder = format!("127.0.0.1:{port} is already in use by");
    let pid = format!("(pid {})", std::process::id());
    let (grpc, free) = (format!("grpc.port={port}"), home.port.to_string());
    for (arguments, way_out) in [
        (&["--port", &port.to_string()][..], "meydan up --port "),
        (
            &["--port", &free, "--set", &grpc],
            "meydan up --set grpc.port=",
        ),
    ] {
        let (code, said) = up(arguments)?;
        assert_eq!(code, Some(5), "{said}");
        for part in [holder.as_str(), &pid, way_out] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_root_key_is_told_and_never_replaced() -> Result<()> {
    let home = Home::new("lost-key")?;
    home.start().await?.stop()?;
    let key = home.data().join("secrets/root.key");
    let kept = std::fs::read(&key)?;
    std::fs::remove_file(&key)?;
    let port = testkit::servers::free_port()?.to_string();
    let mut again = meydan(home.path());
    again
        .args(["up", "--data"])
        .arg(home.data())
        .args(["--port", &port]);
    let output = again.output()?;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("restore it from a backup"), "{said}");
    assert!(!key.exists());
    std::fs::write(&key, kept)?;
    home.start().await?.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn first_admin_is_made_by_the_set_up_link_once() -> Result<()> {
    let home = Home::new("setup")?;
    let node = home.start().await?;
    let output = home.run(&["admin", "setup-link"])?;
    let link = String::from_utf8(output.stdout)?;
    let token = link
        .trim()
        .split_once('#')
        .context("a link with a token")?
        .1
        .to_owned();
    let page = node
        .client
        .call("GET", "/setup", (), Value::Null)
        .await?
        .expect(200)?;
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    let body = json!({
        "token": token, "email": "root@example.com", "username": "root_admin",
        "display_name": "Root", "password": "yokuşlu kırmızı bisiklet",
    });
    let reply = node
        .client
        .call("POST", "/v1/auth/setup", (), body.clone())
        .await?
        .expect(201)?;
    let admin = person(&reply)?;
    let me = node
        .client
        .call("GET", "/v1/users/@me", admin.credential(), Value::Null)
        .await?;
    assert_eq!(me.json["roles"], json!(["superadmin"]));
    assert_eq!(
        node.client
            .call("POST", "/v1/auth/setup", (), body)
            .await?
            .status,
        401
    );
    assert_eq!(
        home.run(&["admin", "setup-link"])?.status.code(),
        Some(5),
        "there is one now"
    );
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_is_made_on_the_command_line() -> Result<()> {
    let home = Home::new("admins")?;
    let password = home.path().join("password");
    std::fs::write(&password, "yokuşlu kırmızı bisiklet\n")?;
    let file = password.to_string_lossy().into_owned();
    // Without a running node: the command opens the data itself.
    let output = home.run(&[
        "admin",
        "create",
        "root@example.com",
        "--password-file",
        &file,
    ])?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let node = home.start().await?;
    let body = json!({"identifier": "root@example.com", "password": "yokuşlu kırmızı bisiklet"});
    let reply = node
        .client
        .call("POST", "/v1/auth/login", (), body)
        .await?
        .expect(200)?;
    let me = person(&reply)?;
    let me = node
        .client
        .call("GET", "/v1/users/@me", me.credential(), Value::Null)
        .await?;
    assert_eq!(me.json["roles"], json!(["superadmin"]));
    node.stop()
}

#[test]
fn bad_settings_are_told_all_at_once_and_nothing_starts() -> Result<()> {
    let home = Home::new("settings")?;
    let file = home.path().join("meydan.toml");
    std::fs::write(
        &file,
        "[http]\nprot = 3000\n[database]\nmax_conections = 40\n",
    )?;
    let output = meydan(home.path())
        .args(["up", "--data"])
        .arg(home.data())
        .env("MEYDAN_HTTP__PROT", "1")
        .output()?;
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        "meydan.toml:2:1",
        "http.port",
        "meydan.toml:4:1",
        "database.max_connections",
        "MEYDAN_HTTP__PORT",
        "3 errors",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!home.data().exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_is_made_from_the_environment_and_never_overwritten() -> Result<()> {
    let home = Home::new("environment")?;
    let password = home.path().join("password");
    std::fs::write(&password, "yokuşlu kırmızı bisiklet\n")?;
    let variables = format!(
        "MEYDAN_ADMIN_EMAIL=root@example.com\nMEYDAN_ADMIN_PASSWORD_FILE={}\n",
        password.display()
    );
    std::fs::write(home.path().join(".env"), variables)?;
    let node = home.start().await?;
    let reply = node
        .log_in("root@example.com", "yokuşlu kırmızı bisiklet")
        .await?;
    let root = person(&reply.expect(200)?)?;
    let me = node
        .client
        .call("GET", "/v1/users/@me", root.credential(), Value::Null)
        .await?;
    assert_eq!(me.json["roles"], json!(["superadmin"]));
    node.stop()?;
    std::fs::write(&password, "another sentence nobody guesses\n")?;
    let node = home.start().await?;
    let old = node
        .log_in("root@example.com", "yokuşlu kırmızı bisiklet")
        .await?;
    assert_eq!(
        old.status, 200,
        "the password of an account that exists stays"
    );
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_healthy_node_healthy() -> Result<()> {
    let home = Home::new("doctor")?;
    let node = home.start().await?;
    let output = home.run(&["doctor", "-o", "json"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let checks: Value = serde_json::from_str(&said)?;
    let text = checks.to_string();
    assert!(text.contains("\"DB0"), "the database was looked at: {text}");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tries_the_bucket() -> Result<()> {
    let home = Home::new("bucket")?;
    let server = S3Server::start().await?;
    let bucket = server.bucket().await?;
    let look = |name: &str| -> Result<Value> {
        let mut command = meydan(home.path());
        let output = command
            .args(["doctor", "--only", "objects", "-o", "json"])
            .env("MEYDAN_OBJECTS__S3__ENDPOINT", server.url())
            .env("MEYDAN_OBJECTS__S3__BUCKET", name)
            .env("MEYDAN_OBJECTS__S3__ACCESS_KEY_ID", "test")
            .env("MEYDAN_OBJECTS__S3__SECRET_ACCESS_KEY", "test")
            .output()?;
        let checks: Value = serde_json::from_slice(&output.stdout)?;
        assert_eq!(checks[0]["id"], "OB001");
        Ok(checks[0]["status"].clone())
    };
    assert_eq!(look(&bucket.name)?, "good");
    let left = server.request(&format!("GET /{}", bucket.name)).await?;
    assert!(
        !left.contains("<Contents>"),
        "the doctor leaves nothing: {left}"
    );
    assert_eq!(look("another-bucket")?, "bad");
    Ok(())
}
