use anyhow::Result;
use serde_json::{Value, json};

use crate::node::{Home, text};

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk() -> Result<()> {
    let home = Home::new("talk")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let mehmet = node.sign_up("mehmet").await?;
    let (guild, _) = node.community(&ayse).await?;
    let new = json!({"name": "pazar", "type": 0});
    let path = format!("/guilds/{guild}/channels");
    let channel = text(&node.done(&ayse, "POST", &path, new).await?["id"]);
    let (mut at_ayse, _) = node.connect(&ayse).await?;
    let (mut at_mehmet, _) = node.connect(&mehmet).await?;

    // Mehmet joins by invite: he sees the community, she sees him.
    node.join(&ayse, &channel, &mehmet).await?;
    assert_eq!(at_mehmet.expect("GUILD_CREATE").await?["id"], guild);
    let d = json!({"token": ayse.token, "intents": 2});
    drop(testkit::gateway::Gateway::identify(node.address, d).await?);

    // Both ways, live.
    let messages = format!("/channels/{channel}/messages");
    let sent = node
        .done(&mehmet, "POST", &messages, json!({"content": "merhaba"}))
        .await?;
    at_ayse.skip_to("MESSAGE_CREATE").await?;
    let seen = at_mehmet.expect("MESSAGE_CREATE").await?;
    assert_eq!(
        (&seen["id"], &seen["content"]),
        (&sent["id"], &json!("merhaba"))
    );
    assert_eq!(seen["guild_id"], guild);
    let answer = json!({"content": "selam", "message_reference": {"message_id": sent["id"]}});
    node.done(&ayse, "POST", &messages, answer).await?;
    let reply = at_mehmet.expect("MESSAGE_CREATE").await?;
    assert_eq!(
        (reply["type"].as_i64(), &reply["referenced_message"]["id"]),
        (Some(19), &sent["id"])
    );
    at_ayse.expect("MESSAGE_CREATE").await?;

    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_see_edits_deletes_typing_and_direct_messages() -> Result<()> {
    let home = Home::new("both")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let mehmet = node.sign_up("mehmet").await?;
    let (_, channel) = node.community(&ayse).await?;
    node.join(&ayse, &channel, &mehmet).await?;
    let (mut at_ayse, _) = node.connect(&ayse).await?;
    let (mut at_mehmet, _) = node.connect(&mehmet).await?;
    let messages = format!("/channels/{channel}/messages");
    let sent = node
        .done(&mehmet, "POST", &messages, json!({"content": "merhaba"}))
        .await?;
    at_ayse.expect("MESSAGE_CREATE").await?;
    at_mehmet.expect("MESSAGE_CREATE").await?;

    // Edited and deleted, and both see it.
    let one = format!("{messages}/{}", text(&sent["id"]));
    node.done(&mehmet, "PATCH", &one, json!({"content": "merhaba!"}))
        .await?;
    for gateway in [&mut at_ayse, &mut at_mehmet] {
        let edited = gateway.expect("MESSAGE_UPDATE").await?;
        assert_eq!(
            (
                edited["content"].as_str(),
                edited["author"]["username"].as_str()
            ),
            (Some("merhaba!"), Some("mehmet"))
        );
    }
    node.done(&mehmet, "DELETE", &one, Value::Null).await?;
    for gateway in [&mut at_ayse, &mut at_mehmet] {
        assert_eq!(gateway.expect("MESSAGE_DELETE").await?["id"], sent["id"]);
    }

    // Typing shows.
    node.done(
        &ayse,
        "POST",
        &format!("/channels/{channel}/typing"),
        Value::Null,
    )
    .await?;
    assert_eq!(at_mehmet.expect("TYPING_START").await?["user_id"], ayse.id);

    // A DM opens and carries messages.
    let dm = node
        .done(
            &mehmet,
            "POST",
            "/users/@me/channels",
            json!({"recipient_id": ayse.id}),
        )
        .await?;
    let again = node
        .done(
            &ayse,
            "POST",
            "/users/@me/channels",
            json!({"recipient_id": mehmet.id}),
        )
        .await?;
    assert_eq!(dm["id"], again["id"]);
    at_ayse.skip_to("CHANNEL_CREATE").await?;
    let dms = format!("/channels/{}/messages", text(&dm["id"]));
    node.done(&mehmet, "POST", &dms, json!({"content": "aramızda"}))
        .await?;
    assert_eq!(
        at_ayse.skip_to("MESSAGE_CREATE").await?["content"],
        "aramızda"
    );
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn history_pages() -> Result<()> {
    let home = Home::new("history")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (_, channel) = node.community(&ayse).await?;
    let messages = format!("/channels/{channel}/messages");
    let mut ids = Vec::new();
    for n in 0..5 {
        let sent = node
            .done(&ayse, "POST", &messages, json!({"content": n.to_string()}))
            .await?;
        ids.push(text(&sent["id"]));
    }
    let page = async |query: String| -> Result<String> {
        let list = node
            .done(&ayse, "GET", &format!("{messages}?{query}"), Value::Null)
            .await?;
        let contents = list.as_array().cloned().unwrap_or_default();
        Ok(contents.iter().map(|m| text(&m["content"])).collect())
    };
    assert_eq!(page("limit=100".into()).await?, "43210");
    assert_eq!(page(format!("limit=2&before={}", ids[3])).await?, "21");
    assert_eq!(page(format!("limit=2&after={}", ids[1])).await?, "32");
    assert_eq!(page(format!("limit=3&around={}", ids[2])).await?, "321");
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_decide_who_sees_and_sends() -> Result<()> {
    let home = Home::new("rights")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let mehmet = node.sign_up("mehmet").await?;
    let (guild, channel) = node.community(&ayse).await?;
    let messages = format!("/channels/{channel}/messages");
    let say = json!({"content": "x"});
    assert_eq!(
        node.call(&mehmet, "POST", &messages, say.clone())
            .await?
            .status,
        404,
        "a stranger"
    );
    node.join(&ayse, &channel, &mehmet).await?;
    let (mut at_mehmet, _) = node.connect(&mehmet).await?;
    node.done(&mehmet, "POST", &messages, say.clone()).await?;
    at_mehmet.expect("MESSAGE_CREATE").await?;

    // MANAGE_CHANNELS is not everyone's.
    let new = json!({"name": "mine", "type": 0});
    let path = format!("/guilds/{guild}/channels");
    assert_eq!(node.call(&mehmet, "POST", &path, new).await?.status, 403);

    // Without SEND_MESSAGES.
    let overwrite = format!("/channels/{channel}/permissions/{guild}");
    node.done(
        &ayse,
        "PUT",
        &overwrite,
        json!({"type": 0, "allow": "0", "deny": "2048"}),
    )
    .await?;
    let refused = node.call(&mehmet, "POST", &messages, say.clone()).await?;
    assert_eq!(
        (refused.status.as_u16(), refused.json["code"].as_i64()),
        (403, Some(50013))
    );

    // Without VIEW_CHANNEL: not one event more, and the owner still talks.
    node.done(
        &ayse,
        "PUT",
        &overwrite,
        json!({"type": 0, "allow": "0", "deny": "1024"}),
    )
    .await?;
    node.done(&ayse, "POST", &messages, json!({"content": "secret"}))
        .await?;
    at_mehmet.skip_to("CHANNEL_DELETE").await?;
    at_mehmet.expect_nothing().await?;
    let read = node.call(&mehmet, "GET", &messages, Value::Null).await?;
    assert_eq!(
        (read.status.as_u16(), read.json["code"].as_i64()),
        (404, Some(50001))
    );
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_token_and_socket_at_once() -> Result<()> {
    let home = Home::new("logout")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let (mut gateway, _) = node.connect(&ayse).await?;
    let body = json!({"refresh_token": ayse.refresh});
    node.client
        .call("POST", "/v1/auth/logout", (), body)
        .await?
        .expect(204)?;
    let closed = tokio::time::timeout(std::time::Duration::from_secs(1), gateway.closed()).await;
    assert_eq!(closed??, 4004);
    let me = node
        .client
        .call("GET", "/v1/users/@me", ayse.credential(), Value::Null)
        .await?;
    assert_eq!(me.status, 401);
    let refresh = json!({"refresh_token": ayse.refresh});
    assert_eq!(
        node.client
            .call("POST", "/v1/auth/refresh", (), refresh)
            .await?
            .status,
        401
    );
    node.stop()
}
