use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::node::{Home, Node, Person, meydan, person, text};

const AYSE: &str = "ayse@example.com";
const MEHMET: &str = "mehmet@example.com";
const PASSWORD: &str = "meydan-demo";

async fn log_in(node: &Node, name: &str) -> Result<Person> {
    person(&node.log_in(name, PASSWORD).await?.expect(200)?)
}

/// The messages of a channel, oldest first: who, what, in answer to what, whether edited.
async fn lines(node: &Node, who: &Person, channel: &str) -> Result<Vec<Value>> {
    let path = format!("/channels/{channel}/messages?limit=100");
    let mut list = node.done(who, "GET", &path, Value::Null).await?;
    let list = list.as_array_mut().map(std::mem::take).unwrap_or_default();
    let line = |message: &Value| {
        json!([
            message["author"]["username"],
            message["content"],
            message["referenced_message"]["content"],
            !message["edited_timestamp"].is_null(),
        ])
    };
    Ok(list.iter().rev().map(line).collect())
}

/// Everything somebody sees, without ids and moments.
async fn world(node: &Node, who: &Person) -> Result<Value> {
    let mut communities = Vec::new();
    let own = node
        .done(who, "GET", "/users/@me/guilds", Value::Null)
        .await?;
    for guild in own.as_array().into_iter().flatten() {
        let path = format!("/guilds/{}", text(&guild["id"]));
        let about = node.done(who, "GET", &path, Value::Null).await?;
        let counted = format!("{path}?with_counts=true");
        let counted = node.done(who, "GET", &counted, Value::Null).await?;
        let list = format!("{path}/channels");
        let list = node.done(who, "GET", &list, Value::Null).await?;
        let list = list.as_array().cloned().unwrap_or_default();
        let mut channels = Vec::new();
        for channel in &list {
            let parent = list.iter().find(|it| it["id"] == channel["parent_id"]);
            let said = match channel["type"].as_i64() {
                Some(0) => lines(node, who, &text(&channel["id"])).await?,
                _ => Vec::new(),
            };
            channels.push(json!([
                channel["name"],
                channel["type"],
                channel["topic"],
                parent.map(|it| &it["name"]),
                said,
            ]));
        }
        communities.push(json!([
            about["name"],
            about["description"],
            counted["approximate_member_count"],
            channels,
        ]));
    }
    let mut private = Vec::new();
    let own = node
        .done(who, "GET", "/users/@me/channels", Value::Null)
        .await?;
    for channel in own.as_array().into_iter().flatten() {
        let peer = &channel["recipients"][0]["username"];
        let said = lines(node, who, &text(&channel["id"])).await?;
        private.push(json!([peer, said]));
    }
    Ok(json!({"communities": communities, "private": private}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sees_a_world_and_a_second_start_adds_nothing() -> Result<()> {
    let home = Home::new("demo")?;
    let node = home.start_with(&["--demo"]).await?;
    let said = std::fs::read_to_string(home.path().join("node.log"))?;
    assert!(said.contains("demo people can be logged in as"), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    let ayse = log_in(&node, AYSE).await?;
    let first = world(&node, &ayse).await?;
    let communities = first["communities"].as_array().cloned().unwrap_or_default();
    assert_eq!(communities.len(), 2);
    let mut all = Vec::new();
    for community in &communities {
        assert_eq!(community[2], 14, "everybody is in {}", community[0]);
        let channels = community[3].as_array().cloned().unwrap_or_default();
        let of_kind = |kind| channels.iter().filter(|it| it[1] == kind).count();
        assert_eq!((of_kind(0), of_kind(4)), (4, 2), "{}", community[0]);
        for channel in channels.iter().filter(|it| it[1] == 0) {
            let said = channel[4].as_array().cloned().unwrap_or_default();
            assert!(!said.is_empty() && channel[3].is_string(), "{channel}");
            all.extend(said);
        }
    }
    assert_eq!(all.len(), 56);
    assert!(all.iter().filter(|it| it[2].is_string()).count() > 20);
    assert_eq!(all.iter().filter(|it| it[3] == true).count(), 1);
    assert_eq!(first["private"][0][0], "mehmet");
    assert_eq!(first["private"][0][1].as_array().map(Vec::len), Some(3));
    let mehmet = log_in(&node, MEHMET).await?;
    assert_eq!(world(&node, &mehmet).await?["private"][0][0], "ayse");
    for other in ["zeynep@example.com", "hannah@example.com"] {
        assert_eq!(node.log_in(other, PASSWORD).await?.status, 401);
    }
    node.stop()?;

    let node = home.start_with(&["--demo"]).await?;
    let ayse = log_in(&node, AYSE).await?;
    assert_eq!(world(&node, &ayse).await?, first);
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filling_that_was_cut_off_goes_on_and_ends_in_the_same_world() -> Result<()> {
    let whole = Home::new("whole")?;
    let node = whole.start_with(&["--demo"]).await?;
    let expected = world(&node, &log_in(&node, AYSE).await?).await?;
    node.stop()?;

    let home = Home::new("cut-off")?;
    for wait_ms in [0, 100, 300] {
        let mut server = home.spawn(&["--demo"])?;
        // The listener opens right before the filling begins.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let address = ("127.0.0.1", home.port);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            ensure!(!server.has_ended()?, "{}", server.tail());
            ensure!(tokio::time::Instant::now() < deadline, "{}", server.tail());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Not to wait for something, but to be cut off at another point each time.
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        server.signal(Signal::SIGKILL)?;
        server.wait(Duration::from_secs(30))?;
    }
    let node = home.start_with(&["--demo"]).await?;
    let found = world(&node, &log_in(&node, AYSE).await?).await?;
    assert_eq!(found, expected);
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_of_others_is_left_alone() -> Result<()> {
    let home = Home::new("others")?;
    let node = home.start().await?;
    let zeynep = node.sign_up("zeynep").await?;
    node.stop()?;
    let node = home.start_with(&["--demo"]).await?;
    assert_eq!(node.log_in(AYSE, PASSWORD).await?.status, 401);
    let own = node
        .done(&zeynep, "GET", "/users/@me/guilds", Value::Null)
        .await?;
    assert_eq!(own, json!([]));
    let said = std::fs::read_to_string(home.path().join("node.log"))?;
    assert!(said.contains("no demo data was added"), "{said}");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn known_passwords_are_refused_where_others_reach_the_server() -> Result<()> {
    let home = Home::new("reached")?;
    let open = ["--set", "http.public_url=http://meydan.example"];
    let up = |variables: &[(&str, &str)], arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = meydan(home.path());
        command.arg("up").arg("--data").arg(home.data());
        command.args(["--port", &home.port.to_string()]);
        command.args(arguments).envs(variables.iter().copied());
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), said))
    };
    // With the flag nothing starts.
    let prod = [("MEYDAN_ENV", "prod")];
    for (variables, arguments) in [
        (&prod[..], &["--demo"][..]),
        (&[], &[&["--demo"], &open[..]].concat()),
    ] {
        let (code, said) = up(variables, arguments)?;
        assert_eq!(code, Some(3), "{said}");
        assert!(
            said.contains("--demo") && said.contains("[config.demo]"),
            "{said}"
        );
    }
    assert!(!home.data().exists());

    let node = home.start_with(&["--demo"]).await?;
    log_in(&node, AYSE).await?;
    node.stop()?;
    // In production neither do the data without it.
    let (code, said) = up(&prod, &["--set", "http.public_url=https://meydan.example"])?;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("there are demo people here"), "{said}");
    // Elsewhere the server runs, and the passwords are worth nothing.
    let node = home.start_with(&open).await?;
    assert_eq!(node.log_in(AYSE, PASSWORD).await?.status, 401);
    node.stop()
}
