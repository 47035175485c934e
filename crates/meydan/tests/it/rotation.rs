//! S12: the key that signs tokens changes under load, on two nodes of which one still has the old
//! set of keys, and nobody is told that their token is bad.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::http::Client;
use tokio::task::JoinSet;

use crate::node::{Home, Person, text, within};

/// People, and how often each comes in a second: together some 200 requests a second.
const PEOPLE: usize = 20;
const TICK: Duration = Duration::from_millis(100);
/// Rounds of each person after both nodes sign with the new key.
const ROUNDS_AFTER: usize = 10;
/// No more than this in all; the limit of refreshes is 30 a minute for each device.
const MOST_ROUNDS: usize = 600;
/// A round in so many refreshes.
const REFRESH_EVERY: usize = 20;

/// Which key signed a token.
fn kid(token: &str) -> Result<String> {
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default())?;
    let head: Value = serde_json::from_slice(&head)?;
    Ok(text(&head["kid"]))
}

/// What all of them share.
struct Load {
    /// Where requests go; the second node comes later.
    nodes: std::sync::Mutex<Vec<Client>>,
    /// Both nodes sign with the new key.
    changed: AtomicBool,
    requests: AtomicUsize,
}

impl Load {
    /// A node for the request of this number.
    fn node(&self, number: usize) -> Result<Client> {
        let nodes = self.nodes.lock().unwrap();
        let node = nodes.get(number % nodes.len());
        node.cloned().context("a node")
    }

    /// Somebody at work: shows a token, and exchanges it now and then. Tells which keys it met.
    async fn work(self: Arc<Self>, mut me: Person, number: usize) -> Result<BTreeSet<String>> {
        let mut met = BTreeSet::from([kid(&me.token)?]);
        let mut after = 0;
        let mut ticks = tokio::time::interval(TICK);
        for round in 0..MOST_ROUNDS {
            ticks.tick().await;
            let client = self.node(number + round)?;
            self.requests.fetch_add(1, SeqCst);
            if (round + number).is_multiple_of(REFRESH_EVERY) {
                let body = json!({"refresh_token": me.refresh});
                let reply = client.call("POST", "/v1/auth/refresh", (), body).await?;
                ensure!(
                    reply.status == 200,
                    "refresh: {} {}",
                    reply.status,
                    reply.json
                );
                me.token = text(&reply.json["access_token"]);
                me.refresh = text(&reply.json["refresh_token"]);
                met.insert(kid(&me.token)?);
            } else {
                let path = "/v1/users/@me";
                let reply = client
                    .call("GET", path, me.credential(), Value::Null)
                    .await?;
                ensure!(reply.status == 200, "{}: {}", reply.status, reply.json);
            }
            after += usize::from(self.changed.load(SeqCst));
            if after > ROUNDS_AFTER + REFRESH_EVERY {
                return Ok(met);
            }
        }
        anyhow::bail!("the key did not change in {MOST_ROUNDS} rounds")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_the_signing_key_changes_under_load_and_no_token_is_refused() -> Result<()> {
    let database = TestDb::empty().await?;
    let [here, there] = Home::pair(&database.url())?;
    let node = here.start().await?;
    let load = Arc::new(Load {
        nodes: vec![node.client.clone()].into(),
        changed: AtomicBool::new(false),
        requests: AtomicUsize::new(0),
    });
    let mut people = JoinSet::new();
    for number in 0..PEOPLE {
        let person = node.sign_up(&format!("person{number}")).await?;
        people.spawn(Arc::clone(&load).work(person, number));
    }
    let rotated = here.run(&["key", "rotate", "jwt", "--after", "24", "-o", "json"])?;
    ensure!(rotated.status.success());
    let rows: Value = serde_json::from_slice(&rotated.stdout)?;
    let new = text(&rows[0]["kid"]);
    // A day passes in a moment, so the first node does not look at its keys before the new one
    // signs; the other begins now and signs with it at once.
    let script =
        format!("UPDATE identity.signing_keys SET active_from = now() WHERE kid = '{new}'");
    database.script(&script).await?;
    let other = there.start().await?;
    let early = other.sign_up("early").await?;
    ensure!(kid(&early.token)? == new, "the new key signs");
    let path = "/v1/users/@me";
    let seen = node
        .client
        .call("GET", path, early.credential(), Value::Null)
        .await?;
    ensure!(
        seen.status == 200,
        "the node with the old keys: {}",
        seen.json
    );
    load.nodes.lock().unwrap().push(other.client.clone());
    let changed = async {
        for number in 0.. {
            let late = node.sign_up(&format!("late{number}")).await?;
            if kid(&late.token)? == new {
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    };
    within(
        "the first node signs with the new key",
        Duration::from_secs(30),
        changed,
    )
    .await?;
    load.changed.store(true, SeqCst);
    let mut met = BTreeSet::new();
    while let Some(person) = people.join_next().await {
        let keys = person??;
        ensure!(keys.contains(&new), "somebody never met the new key");
        met.extend(keys);
    }
    ensure!(met.len() == 2, "keys that signed: {met:?}");
    let requests = load.requests.load(SeqCst);
    ensure!(requests > PEOPLE * ROUNDS_AFTER, "{requests} requests");
    node.stop()?;
    other.stop()
}
