use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::node::{Home, Node, Person, text};

const WRITERS: usize = 8;
const CHANNELS: usize = 24;
const ROUNDS: u64 = 3;

/// What a writer was told: channel and nonce, and the id it was acknowledged with.
type Acknowledged = HashMap<(String, String), String>;

#[tokio::test(flavor = "multi_thread")]
async fn r1_kill_9_loses_and_doubles_nothing() -> Result<()> {
    let home = Home::new("crash")?;
    let mut node = home.start().await?;
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        writers.push(node.sign_up(&format!("writer{n}")).await?);
    }
    let owner = writers.first().cloned().context("a writer")?;
    let (guild, first) = node.community(&owner).await?;
    let mut channels = vec![first.clone()];
    for n in 1..CHANNELS {
        let new = json!({"name": format!("c{n}"), "type": 0});
        let path = format!("/guilds/{guild}/channels");
        channels.push(text(&node.done(&owner, "POST", &path, new).await?["id"]));
    }
    for writer in writers.iter().skip(1) {
        node.join(&owner, &first, writer).await?;
    }
    let channels = Arc::new(channels);
    let mut all = Acknowledged::new();
    for round in 0..ROUNDS {
        // Each round dies somewhere else: among the first sends, in the middle, later.
        let acknowledged = write_and_kill(node, &writers, &channels, round).await?;
        ensure!(
            !acknowledged.is_empty(),
            "nothing was acknowledged before the kill"
        );
        all.extend(acknowledged);
        let begun = tokio::time::Instant::now();
        node = home.start().await?;
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "ready again after {:?}",
            begun.elapsed()
        );
        check(&node, &owner, &channels, &all).await?;
        replay(&node, &writers, &all).await?;
    }
    node.stop()
}

/// Sends from all writers, kills the process in the middle, and gives what was acknowledged.
async fn write_and_kill(
    mut node: Node,
    writers: &[Person],
    channels: &Arc<Vec<String>>,
    round: u64,
) -> Result<Acknowledged> {
    let mut tasks = tokio::task::JoinSet::new();
    let count = Arc::new(AtomicUsize::new(0));
    for (number, writer) in writers.iter().enumerate() {
        let (client, writer) = (node.client.clone(), writer.clone());
        let (channels, count) = (Arc::clone(channels), Arc::clone(&count));
        tasks.spawn(async move {
            let mut acknowledged = Acknowledged::new();
            for n in 0..channels.len() * 5 {
                let channel = &channels[n % channels.len()];
                let nonce = format!("{number}-{round}-{n}");
                let body = json!({"content": nonce, "nonce": nonce, "enforce_nonce": true});
                let path = format!("/api/v10/channels/{channel}/messages");
                let sent = client.call("POST", &path, writer.credential(), body).await;
                // The first failure is the kill: what was not answered is not owed.
                let Ok(reply) = sent else { break };
                if reply.status == 200 {
                    let key = (channel.clone(), nonce);
                    acknowledged.insert(key, text(&reply.json["id"]));
                    count.fetch_add(1, Relaxed);
                }
            }
            acknowledged
        });
    }
    let enough = 30 + 120 * usize::try_from(round)?;
    testkit::servers::eventually("messages are acknowledged", Duration::from_secs(30), || {
        let count = count.load(Relaxed);
        async move { count >= enough }
    })
    .await?;
    node.server.kill_hard()?;
    let mut acknowledged = Acknowledged::new();
    while let Some(part) = tasks.join_next().await {
        acknowledged.extend(part?);
    }
    Ok(acknowledged)
}

/// Every acknowledged message is there exactly once, and numbers have no gap.
async fn check(
    node: &Node,
    owner: &Person,
    channels: &[String],
    acknowledged: &Acknowledged,
) -> Result<()> {
    let mut stored: HashMap<(String, String), Vec<String>> = HashMap::new();
    for channel in channels {
        let mut seqs = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!("/channels/{channel}/messages?limit=100{before}");
            let page = node.done(owner, "GET", &path, Value::Null).await?;
            let page = page.as_array().cloned().unwrap_or_default();
            for message in &page {
                seqs.push(message["seq"].as_i64().context("a seq")?);
                let key = (channel.clone(), text(&message["content"]));
                stored.entry(key).or_default().push(text(&message["id"]));
            }
            let Some(last) = page.last() else { break };
            before = format!("&before={}", text(&last["id"]));
        }
        seqs.sort_unstable();
        let expected: Vec<i64> = (1..=i64::try_from(seqs.len())?).collect();
        assert_eq!(seqs, expected, "numbers of channel {channel}");
    }
    for (key, id) in acknowledged {
        assert_eq!(stored.get(key), Some(&vec![id.clone()]), "{key:?}");
    }
    Ok(())
}

/// A repeated nonce brings the original back.
async fn replay(node: &Node, writers: &[Person], acknowledged: &Acknowledged) -> Result<()> {
    let mut tried = std::collections::HashSet::new();
    for ((channel, nonce), id) in acknowledged {
        let number: usize = nonce.split('-').next().unwrap_or_default().parse()?;
        // One try per writer and channel: more would meet the rate limit.
        if !tried.insert((number, channel.clone())) {
            continue;
        }
        let body = json!({"content": "again", "nonce": nonce, "enforce_nonce": true});
        let path = format!("/channels/{channel}/messages");
        let reply = node
            .call(&writers[number], "POST", &path, body)
            .await?
            .expect(200)?;
        assert_eq!(
            (text(&reply.json["id"]), text(&reply.json["content"])),
            (id.clone(), nonce.clone())
        );
        assert_eq!(reply.header("idempotent-replayed"), Some("true"));
    }
    Ok(())
}
