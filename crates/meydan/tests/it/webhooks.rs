//! Webhooks in and events out, over the whole system.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::node::{Home, Node, Person, text, within};

/// `webhook-id` and body of what came.
type Heard = Arc<Mutex<Vec<(String, Value)>>>;

/// A receiver that takes all after it wrote it down; at `/slow` it never answers.
async fn receiver() -> Result<(String, Heard)> {
    let heard = Heard::default();
    let router = Router::new()
        .route("/ok", post(receive))
        .route("/slow", post(never))
        .with_state(Arc::clone(&heard));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    #[expect(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((format!("http://{address}"), heard))
}

async fn receive(State(heard): State<Heard>, headers: HeaderMap, body: String) {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let body = serde_json::from_str(&body).unwrap_or_default();
    let mut heard = heard.lock().unwrap();
    heard.push((id.unwrap_or_default().to_owned(), body));
}

async fn never(state: State<Heard>, headers: HeaderMap, body: String) {
    receive(state, headers, body).await;
    std::future::pending().await
}

fn contents(heard: &Heard) -> Vec<String> {
    let heard = heard.lock().unwrap();
    heard
        .iter()
        .map(|(_, body)| text(&body["data"]["content"]))
        .collect()
}

async fn subscribe(node: &Node, who: &Person, guild: &str, url: &str) -> Result<String> {
    let path = format!("/guilds/{guild}/subscriptions");
    let body = json!({"url": url, "events": ["message.created"]});
    let made = node.done(who, "POST", &path, body).await?;
    Ok(format!("{path}/{}", text(&made["id"])))
}

/// How soon what happens elsewhere is seen.
const SOON: Duration = Duration::from_secs(5);

async fn is_logged(node: &Node, who: &Person, log: &str, hook: &Value) -> Result<()> {
    loop {
        let log = node.done(who, "GET", log, Value::Null).await?;
        if log["audit_log_entries"][0]["target_id"] == *hook {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_gone(node: &Node, path: &str) -> Result<()> {
    loop {
        let found = node.client.call("GET", path, (), Value::Null).await?;
        if found.status == 404 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_writes_and_another_one_hears_of_it() -> Result<()> {
    let (url, heard) = receiver().await?;
    let home = Home::new("webhooks")?.with("MEYDAN_OUTBOUND__ALLOW", "127.0.0.0/8");
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (guild, channel) = node.community(&ayse).await?;
    subscribe(&node, &ayse, &guild, &format!("{url}/ok")).await?;
    let (mut gateway, _) = node.connect(&ayse).await?;
    let hooks = format!("/channels/{channel}/webhooks");
    let hook = node
        .done(&ayse, "POST", &hooks, json!({"name": "CI"}))
        .await?;
    gateway.skip_to("WEBHOOKS_UPDATE").await?;
    let address = text(&hook["url"]);
    let path = address
        .split_once("/api/v10")
        .context("an address of ours")?
        .1;
    let path = format!("/api/v10{path}");
    ensure!(address.starts_with("http://"), "{address}");
    let sent = node
        .client
        .call(
            "POST",
            &format!("{path}?wait=true"),
            (),
            json!({"content": "green", "username": "Builds"}),
        )
        .await?
        .expect(200)?;
    let live = gateway.skip_to("MESSAGE_CREATE").await?;
    assert_eq!(
        (&live["id"], &live["author"]["username"]),
        (&sent.json["id"], &json!("Builds"))
    );
    assert_eq!(
        (&live["webhook_id"], &live["author"]["bot"]),
        (&hook["id"], &json!(true))
    );
    assert!(live.get("member").is_none());
    let github = json!({"action": "created", "repository": {"full_name": "a/b"}, "sender": {"login": "ada"}});
    let event = [
        ("x-github-event", "star"),
        ("content-type", "application/json"),
    ];
    let starred = node
        .client
        .call_with("POST", &format!("{path}/github"), (), &event, github)
        .await?;
    assert_eq!(starred.status, 204);
    within("both messages are told", SOON, async {
        while heard.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
    .await?;
    assert_eq!(contents(&heard), ["green", ""]);
    let log = format!("/guilds/{guild}/audit-logs?action_type=50");
    let logged = is_logged(&node, &ayse, &log, &hook["id"]);
    within("the log tells who made it", SOON, logged).await?;
    let room = format!("/channels/{channel}");
    node.done(&ayse, "DELETE", &room, Value::Null).await?;
    let gone = is_gone(&node, &path);
    within("the webhook goes with its channel", SOON, gone).await?;
    node.stop()
}

/// Killed while the receiver holds what it got: each message arrives all the same, under one id.
#[tokio::test(flavor = "multi_thread")]
async fn r1_kill_9_loses_no_delivery() -> Result<()> {
    let (url, heard) = receiver().await?;
    let home = Home::new("deliveries")?.with("MEYDAN_OUTBOUND__ALLOW", "127.0.0.0/8");
    let mut node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (guild, channel) = node.community(&ayse).await?;
    let subscription = subscribe(&node, &ayse, &guild, &format!("{url}/slow")).await?;
    let messages = format!("/channels/{channel}/messages");
    for n in 0..5 {
        let body = json!({"content": n.to_string()});
        node.done(&ayse, "POST", &messages, body).await?;
    }
    within("some are under way", Duration::from_secs(5), async {
        while heard.lock().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    })
    .await?;
    node.server.kill_hard()?;
    let node = home.start().await?;
    let body = json!({"url": format!("{url}/ok")});
    node.done(&ayse, "PATCH", &subscription, body).await?;
    // What was claimed is due again after half a minute.
    within("all have arrived", Duration::from_secs(45), async {
        loop {
            let list = format!("{subscription}/deliveries");
            let list = node.done(&ayse, "GET", &list, Value::Null).await?;
            let all = list.as_array().context("a list")?;
            if all.len() == 5 && all.iter().all(|one| one["state"] == "delivered") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
    .await?;
    let told: HashSet<(String, String)> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|(id, body)| (id.clone(), text(&body["data"]["content"])))
        .collect();
    assert_eq!(told.len(), 5, "one id for each message: {told:?}");
    node.stop()
}
