//! Unread, receipts and catching up through the real binary: over sockets, over REST, over a crash.

use anyhow::Result;
use serde_json::{Value, json};
use testkit::gateway::Gateway;

use crate::node::{Home, Node, Person, text};

/// A session with every native feature.
async fn native(node: &Node, who: &Person) -> Result<(Gateway, Value)> {
    let d = json!({"token": who.token, "intents": 0xffff, "cap": 31});
    Gateway::identify(node.address, d).await
}

async fn dm(node: &Node, from: &Person, to: &Person) -> Result<String> {
    let body = json!({"recipient_id": to.id});
    let opened = node.done(from, "POST", "/users/@me/channels", body).await?;
    Ok(text(&opened["id"]))
}

/// Two who may write to each other.
async fn friends(node: &Node) -> Result<(Person, Person)> {
    let ayse = node.sign_up("ayse").await?;
    let mehmet = node.sign_up("mehmet").await?;
    let (_, channel) = node.community(&ayse).await?;
    node.join(&ayse, &channel, &mehmet).await?;
    Ok((ayse, mehmet))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_and_a_friend_see_what_was_read() -> Result<()> {
    let home = Home::new("reading")?;
    let node = home.start().await?;
    let (ayse, mehmet) = friends(&node).await?;
    let channel = dm(&node, &ayse, &mehmet).await?;
    let messages = format!("/channels/{channel}/messages");
    let (mut at_ayse, _) = native(&node, &ayse).await?;
    at_ayse.expect("GUILD_CREATE").await?;
    let hello = json!({"content": format!("merhaba <@{}>", mehmet.id)});
    let sent = node.done(&ayse, "POST", &messages, hello).await?;
    at_ayse.expect("MESSAGE_CREATE").await?;

    // His first device begins with what waits for him, the second one too.
    let (mut phone, ready) = native(&node, &mehmet).await?;
    phone.expect("GUILD_CREATE").await?;
    let (mut desk, _) = native(&node, &mehmet).await?;
    desk.expect("GUILD_CREATE").await?;
    let state = &ready["read_states"][0];
    assert_eq!(
        (
            &state["channel_id"],
            &state["unread_count"],
            &state["mention_count"]
        ),
        (&json!(channel), &json!(1), &json!(1))
    );
    assert_eq!(ready["private_channels"][0]["id"], json!(channel));

    // Arrived on the phone, then read there: she sees both, the desk agrees.
    phone
        .send(65, json!({&channel: {"delivered": sent["id"]}}))
        .await?;
    let receipt = at_ayse.expect("RECEIPT_UPDATE").await?;
    assert_eq!(
        receipt,
        json!({"channel_id": channel, "user_id": mehmet.id, "delivered_seq": 1, "read_seq": 0})
    );
    phone
        .send(65, json!({&channel: {"read": sent["id"]}}))
        .await?;
    assert_eq!(
        at_ayse.expect("RECEIPT_UPDATE").await?["read_seq"],
        json!(1)
    );
    let told = desk.expect("MESSAGE_ACK").await?;
    assert_eq!(
        (
            &told["read_seq"],
            &told["unread_count"],
            &told["mention_seqs"]
        ),
        (&json!(1), &json!(0), &json!([]))
    );
    assert_eq!(desk.expect("BADGE_UPDATE").await?, json!({"count": 0}));

    // The phone was away for a while, and catches up.
    phone.cut();
    let more = node
        .done(&ayse, "POST", &messages, json!({"content": "orada mısın?"}))
        .await?;
    let asked = json!({"channels": {&channel: {"ev": 1, "last": sent["id"]}}});
    let woken = node
        .done(&mehmet, "POST", "/users/@me/sync", asked.clone())
        .await?;
    let events = &woken["channels"][&channel]["events"];
    assert_eq!(
        (&events[0]["t"], &events[0]["d"]["id"], &events[0]["ev"]),
        (&json!("MESSAGE_CREATE"), &more["id"], &json!(2))
    );
    desk.skip_to("MESSAGE_CREATE").await?;
    desk.send(61, asked).await?;
    let result = desk.next().await?;
    assert_eq!(result["op"], json!(62));
    assert_eq!(result["d"]["channels"], woken["channels"]);
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() -> Result<()> {
    let home = Home::new("acked")?;
    let mut node = home.start().await?;
    let (ayse, mehmet) = friends(&node).await?;
    let channel = dm(&node, &ayse, &mehmet).await?;
    let messages = format!("/channels/{channel}/messages");
    let mut ids = Vec::new();
    for n in 0..3 {
        let sent = node.done(&ayse, "POST", &messages, json!({"content": n.to_string()}));
        ids.push(text(&sent.await?["id"]));
    }
    let read = format!("{messages}/{}/ack", ids[0]);
    let one = json!({"cursors": [{"channel_id": channel, "read": ids[1]}]});
    let mute = format!("/channels/{channel}/notifications");
    let back = format!("{messages}/0/ack");
    for (method, path, body, unread, level) in [
        ("POST", read.as_str(), Value::Null, 2, "default"),
        ("POST", "/users/@me/cursors", one, 1, "default"),
        (
            "PUT",
            mute.as_str(),
            json!({"level": "nothing"}),
            1,
            "nothing",
        ),
        ("POST", back.as_str(), json!({"manual": true}), 3, "nothing"),
    ] {
        node.done(&mehmet, method, path, body).await?;
        node.server.kill_hard()?;
        node = home.start().await?;
        let path = "/users/@me/read-states";
        let states = node.done(&mehmet, "GET", path, Value::Null).await?;
        let state = states["items"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["channel_id"] == json!(channel)))
            .cloned()
            .unwrap_or_default();
        assert_eq!(
            (&state["unread_count"], &state["level"]),
            (&json!(unread), &json!(level)),
            "{method} {path}"
        );
    }
    node.stop()
}
