//! Rate limits: what is counted together, and what the client is told.

use std::time::Duration;

use axum::Router;
use kernel::{Caller, UserId};
use serde_json::json;
use testkit::http::{Credential, Reply, app, call, call_with, request, send};
use web_kit::Peer;

use crate::app::{clock, table};

const USER: UserId = UserId::new(42);

async fn say(router: &Router, who: impl Into<Credential>, channel: u8) -> Reply {
    let path = format!("/api/v10/channels/{channel}/messages");
    call(router, "POST", &path, who, json!({ "content": "hi" }))
        .await
        .unwrap()
}

#[tokio::test]
async fn dialect_tells_where_the_client_stands() {
    let clock = clock();
    let router = app(table().router(), clock.clone()).unwrap();
    let first = say(&router, USER, 1).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit"), Some("5"));
    assert_eq!(first.header("x-ratelimit-remaining"), Some("4"));
    assert_eq!(first.header("x-ratelimit-reset-after"), Some("1.000"));
    assert_eq!(first.header("x-ratelimit-reset"), Some("1795158001.000"));
    let bucket = first.header("x-ratelimit-bucket").unwrap().to_owned();
    assert_eq!(bucket.len(), 16);
    for _ in 0..4 {
        assert_eq!(say(&router, USER, 1).await.status, 200);
    }
    clock.advance(Duration::from_millis(150));
    let over = say(&router, USER, 1).await;
    assert_eq!(over.status, 429);
    assert_eq!(over.json["retry_after"], 0.85);
    assert_eq!(over.json["global"], false);
    assert!(over.json["message"].is_string());
    for (name, value) in [
        ("retry-after", "1"),
        ("via", "1.1 meydan"),
        ("x-ratelimit-scope", "user"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset-after", "0.850"),
        ("x-ratelimit-bucket", bucket.as_str()),
        ("content-type", "application/json"),
    ] {
        assert_eq!(over.header(name), Some(value), "{name}");
    }
    assert_eq!(over.header("x-ratelimit-global"), None);
    clock.advance(Duration::from_millis(849));
    assert_eq!(say(&router, USER, 1).await.status, 429);
    clock.advance(Duration::from_millis(1));
    assert_eq!(say(&router, USER, 1).await.status, 200);
}

#[tokio::test]
async fn users_and_major_parameters_are_counted_apart() {
    let router = app(table().router(), clock()).unwrap();
    for _ in 0..5 {
        assert_eq!(say(&router, USER, 1).await.status, 200);
    }
    assert_eq!(say(&router, USER, 1).await.status, 429);
    assert_eq!(say(&router, USER, 2).await.status, 200, "another channel");
    assert_eq!(
        say(&router, UserId::new(43), 1).await.status,
        200,
        "another user"
    );
}

#[tokio::test]
async fn v1_refuses_with_a_problem() {
    let router = app(table().router(), clock()).unwrap();
    let get = async || {
        call(&router, "GET", "/v1/limited-caller", USER, None)
            .await
            .unwrap()
    };
    assert_eq!(get().await.header("x-ratelimit-limit"), None);
    get().await;
    let over = get().await;
    assert_eq!(
        (over.status.as_u16(), &over.json["code"]),
        (429, &json!("RATE_LIMITED"))
    );
    assert_eq!(
        over.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(over.header("retry-after"), Some("5"));
    assert_eq!(over.header("via"), None);
}

#[tokio::test]
async fn strangers_are_counted_by_address() {
    let router = app(table().router(), clock()).unwrap();
    let from = async |ip: &str| {
        let mut request = request("GET", "/v1/limited", &Credential::Nobody, &[], None).unwrap();
        request
            .extensions_mut()
            .insert(Peer(format!("{ip}:1000").parse().unwrap()));
        send(&router, request).await.unwrap().status.as_u16()
    };
    assert_eq!(
        (from("192.0.2.1").await, from("192.0.2.1").await),
        (200, 200)
    );
    assert_eq!(from("192.0.2.1").await, 429);
    assert_eq!(from("198.51.100.1").await, 200);
    // An address that claims to forward for others is still itself.
    let forwarded = [("x-forwarded-for", "203.0.113.5")];
    let mut request = request("GET", "/v1/limited", &Credential::Nobody, &forwarded, None).unwrap();
    request
        .extensions_mut()
        .insert(Peer("192.0.2.1:1000".parse().unwrap()));
    assert_eq!(send(&router, request).await.unwrap().status, 429);
}

#[tokio::test]
async fn refused_requests_never_reach_the_guard_s_inside() {
    let router = app(table().router(), clock()).unwrap();
    for _ in 0..3 {
        let reply = call(&router, "GET", "/v1/limited-caller", "Bearer rubbish", None)
            .await
            .unwrap();
        assert_eq!(reply.status, 401, "a bad token is counted for nobody");
    }
}

#[tokio::test]
async fn bot_is_limited_in_all_and_told_that_it_is_global() {
    let router = app(table().router(), clock()).unwrap();
    let bot = Caller::bot(UserId::new(77));
    for _ in 0..50 {
        let reply = call(&router, "GET", "/api/v10/users/@me", &bot, None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200);
    }
    let over = call(&router, "GET", "/api/v10/users/@me", &bot, None)
        .await
        .unwrap();
    assert_eq!(
        (over.status.as_u16(), &over.json["global"]),
        (429, &json!(true))
    );
    assert_eq!(over.header("x-ratelimit-global"), Some("true"));
    assert_eq!(over.header("x-ratelimit-scope"), Some("global"));
    assert_eq!(over.header("via"), Some("1.1 meydan"));
    for _ in 0..60 {
        let reply = call(&router, "GET", "/api/v10/users/@me", USER, None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "people have no such limit");
    }
}

#[tokio::test]
async fn failure_of_an_operation_can_be_a_rate_limit_too() {
    let router = app(table().router(), clock()).unwrap();
    let reply = call_with(&router, "GET", "/api/v10/slowmode", (), &[], None)
        .await
        .unwrap();
    assert_eq!(reply.status, 429);
    assert_eq!(
        (&reply.json["code"], &reply.json["retry_after"]),
        (&json!(20016), &json!(0.85))
    );
    assert_eq!(reply.header("via"), Some("1.1 meydan"));
}
