//! Sockets of pages: tickets instead of tokens, and only from pages that may.

use anyhow::Result;
use kernel::{Caller, UserId};
use realtime::Settings;
use serde_json::json;
use testkit::gateway::Gateway;
use testkit::http::{Client, access_token, caller, cookie, page_headers, ticket, token};

use crate::harness::{AYSE, COMMUNITY, INTENTS, World, session};

const OWN: &str = "https://meydan.test";

fn settings() -> Settings {
    Settings {
        origins: web_kit::Cors {
            origins: vec![OWN.to_owned()],
            any_loopback: false,
        },
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_socket() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(settings()).await?;
    let ticket = ticket(&caller(AYSE))?;
    let d = json!({"token": ticket, "intents": INTENTS});
    let (mut first, ready) = Gateway::identify(node.address, d.clone()).await?;
    assert_eq!(ready["user"]["id"], AYSE.to_string());
    let guild = first.expect("GUILD_CREATE").await?;
    assert_eq!(guild["id"], COMMUNITY.to_string());
    let mut second = Gateway::connect(node.address).await?;
    second.send(2, d).await?;
    assert_eq!(second.closed().await?, 4004);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ticket_resumes_a_session() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(settings()).await?;
    let d = json!({"token": ticket(&caller(AYSE))?, "intents": INTENTS});
    let (mut gateway, ready) = Gateway::identify(node.address, d).await?;
    gateway.expect("GUILD_CREATE").await?;
    let seq = gateway.last;
    drop(gateway);
    let resume =
        |ticket: String| json!({"token": ticket, "session_id": ready["session_id"], "seq": seq});
    let mut gateway = Gateway::connect(node.address).await?;
    gateway.send(6, resume(ticket(&caller(AYSE))?)).await?;
    gateway.expect("RESUMED").await?;
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_acts_in_a_users_name_gets_no_socket_and_takes_none_over() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(settings()).await?;
    let (mut ayse, ready) = node.person(AYSE).await?;
    let acting = Caller {
        act: Some(UserId::new(900)),
        ..caller(AYSE)
    };
    for token in [access_token(&acting)?, ticket(&acting)?] {
        let mut gateway = Gateway::connect(node.address).await?;
        let d = json!({"token": token, "intents": INTENTS});
        gateway.send(2, d).await?;
        assert_eq!(gateway.closed().await?, 4004);
    }
    for token in [access_token(&acting)?, ticket(&acting)?] {
        let mut gateway = Gateway::resume(node.address, &token, &session(&ready), 2).await?;
        assert_eq!(gateway.closed().await?, 4004);
    }
    world.message(1, "still here").await?;
    let heard = ayse.expect("MESSAGE_CREATE").await?;
    assert_eq!(heard["content"], "still here");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_keys_and_prefixed_tokens_open_no_socket() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(settings()).await?;
    let key = testkit::http::api_key(&Caller::api_key(AYSE, vec!["gateway".to_owned()]));
    for token in [
        cookie(&caller(AYSE))?,
        key.clone(),
        format!("Bearer {key}"),
        format!("Bearer {}", token(AYSE)?),
        "myd_wt_unknown".to_owned(),
        String::new(),
    ] {
        let mut gateway = Gateway::connect(node.address).await?;
        let d = json!({"token": token, "intents": INTENTS});
        gateway.send(2, d).await?;
        assert_eq!(gateway.closed().await?, 4004, "{token}");
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_only_listed_pages_may_open_sockets() -> Result<()> {
    let world = World::new().await?;
    let node = world.start(settings()).await?;
    let client = Client::new(node.address);
    for (origins, expected) in [
        // Without the headers of an upgrade the next check answers.
        (&[][..], 400),
        (&[OWN], 400),
        (&["https://evil.test"], 403),
        (&["http://meydan.test"], 403),
        (&["null"], 403),
        (&[OWN, OWN], 403),
    ] {
        let headers: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
        let reply = client
            .call_with("GET", "/gateway", (), &headers, None)
            .await?;
        assert_eq!(reply.status.as_u16(), expected, "{origins:?}");
    }
    // The session of a page is no reason to let a foreign one in, nor to skip IDENTIFY.
    let mut headers = page_headers(&caller(AYSE))?;
    headers.push(("origin", "https://evil.test".to_owned()));
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let reply = client
        .call_with("GET", "/gateway", (), &headers, None)
        .await?;
    assert_eq!(reply.status, 403);
    node.stop().await
}
