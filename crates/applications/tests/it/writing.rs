//! Writing through webhooks.

use applications::{Bearer, ExecuteWebhook};
use serde_json::{Value, json};
use testkit::http::Reply;

use crate::fixture::{NONE, World};
use crate::webhooks::{GENERAL, STAFF, by_token, world};

fn said(text: &str) -> ExecuteWebhook {
    serde_json::from_value(json!({ "content": text })).unwrap()
}

/// Posts what a program of others sends.
async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    world.clock.advance(std::time::Duration::from_secs(61));
    let mut request = http::Request::post(format!("/api/v10{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.to_owned().into()).unwrap();
    testkit::http::send(&world.router, request).await.unwrap()
}

#[tokio::test]
async fn messages_go_out_under_the_name_the_sender_wants() {
    let world = world().await;
    let bearer = world.webhook(GENERAL).await;
    let path = by_token(&bearer);
    let silent = world
        .call((), "POST", &path, json!({"content": "bir"}))
        .await;
    assert_eq!((silent.status.as_u16(), silent.body.len()), (204, 0));
    let body = json!({
        "content": "iki", "username": "Deploy", "avatar_url": "https://example.com/d.png",
        "embeds": [{"title": "t"}], "thread_name": "ignored"
    });
    let wait = format!("{path}?wait=true&thread_id=5100");
    let shown = world.call((), "POST", &wait, body).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.json["author"]["username"], "Deploy");
    assert_eq!(shown.json["webhook_id"], json!(bearer.id));
    assert_eq!(shown.json["channel_id"], "5100", "a thread of its channel");
    let all = world.messaging.all_messages();
    let heard: Vec<(&str, &str)> = all
        .iter()
        .map(|message| (&*message.author.username, &*message.content))
        .collect();
    assert_eq!(heard, [("CI", "bir"), ("Deploy", "iki")]);
    for bad in [
        json!({"content": "x", "username": "u".repeat(81)}),
        json!({"content": "x", "avatar_url": "file:///etc/passwd"}),
        json!({"content": 5}),
    ] {
        world.fails((), "POST", &path, bad, (400, 50035)).await;
    }
}

#[tokio::test]
async fn one_idempotency_key_is_one_message() {
    let world = world().await;
    let path = by_token(&world.webhook(GENERAL).await);
    let headers = [
        ("idempotency-key", "build-42"),
        ("content-type", "application/json"),
    ];
    for _ in 0..2 {
        let sent = post(&world, &path, &headers, r#"{"content": "green"}"#).await;
        assert_eq!(sent.status, 204);
    }
    assert_eq!(world.messaging.all_messages().len(), 1);
}

#[tokio::test]
async fn its_own_messages_are_read_edited_and_deleted() {
    let world = world().await;
    let bearer = world.webhook(GENERAL).await;
    let path = by_token(&bearer);
    let sent = world
        .call(
            (),
            "POST",
            &format!("{path}?wait=true"),
            json!({"content": "bir"}),
        )
        .await;
    let own = format!("{path}/messages/{}", sent.json["id"].as_str().unwrap());
    assert_eq!(world.call((), "GET", &own, NONE).await.json, sent.json);
    let edited = world
        .call((), "PATCH", &own, json!({"content": "iki"}))
        .await;
    assert_eq!(edited.json["content"], "iki");
    let other = by_token(&world.webhook(GENERAL).await);
    let foreign = format!("{other}/messages/{}", sent.json["id"].as_str().unwrap());
    world.fails((), "GET", &foreign, NONE, (404, 10008)).await;
    assert_eq!(world.call((), "DELETE", &foreign, NONE).await.status, 404);
    assert_eq!(world.call((), "DELETE", &own, NONE).await.status, 204);
    world.fails((), "GET", &own, NONE, (404, 10008)).await;
}

#[tokio::test]
async fn programs_of_others_write_in_their_own_form() {
    let world = world().await;
    let path = by_token(&world.webhook(GENERAL).await);
    let slack = format!("{path}/slack");
    let github = format!("{path}/github");
    let json = [("content-type", "application/json")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = post(
        &world,
        &slack,
        &json,
        r#"{"text": "*hi*", "username": "jira"}"#,
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (200, &b"ok"[..])
    );
    let answer = post(
        &world,
        &slack,
        &form,
        "payload=%7B%22text%22%3A%22form%22%7D",
    )
    .await;
    assert_eq!(answer.status, 200);
    for body in ["{", r#"{"text": ""}"#, "text=plain"] {
        let refused = post(&world, &slack, &json, body).await;
        assert_eq!(refused.status, 400, "{body}");
    }
    let star = r#"{"action": "created", "repository": {"full_name": "a/b", "html_url": "https://github.com/a/b"}, "sender": {"login": "ada"}}"#;
    let event = |name| {
        [
            ("content-type", "application/json"),
            ("x-github-event", name),
            ("x-github-delivery", "guid-1"),
        ]
    };
    let pinged = post(&world, &github, &event("ping"), r#"{"zen": "x"}"#).await;
    assert_eq!(pinged.status, 204);
    for _ in 0..2 {
        let starred = post(&world, &github, &event("star"), star).await;
        assert_eq!(starred.status, 204);
    }
    let nameless = post(&world, &github, &json, star).await;
    assert_eq!(nameless.status, 400, "no name of an event");
    let all = world.messaging.all_messages();
    let heard: Vec<(&str, &str, Option<&Value>)> = all
        .iter()
        .map(|message| {
            let title = message.embeds.first().map(|embed| &embed["title"]);
            (&*message.author.username, &*message.content, title)
        })
        .collect();
    let starred = json!("[a/b] New star");
    assert_eq!(
        heard,
        [
            ("jira", "**hi**", None),
            ("CI", "form", None),
            ("CI", "", Some(&starred))
        ]
    );
}

#[tokio::test]
async fn five_in_two_seconds_and_whoever_lacks_the_token_uses_none() {
    let world = world().await;
    let bearer = world.webhook(GENERAL).await;
    let guess = Bearer {
        id: bearer.id,
        token: "guess".to_owned(),
        thread: None,
    };
    for _ in 0..20 {
        let refused = world.app.execute_webhook(&guess, said("x"), None).await;
        assert!(matches!(refused, Err(applications::Error::UnknownWebhook)));
    }
    for _ in 0..5 {
        world
            .app
            .execute_webhook(&bearer, said("x"), None)
            .await
            .unwrap();
    }
    let refused = world.app.execute_webhook(&bearer, said("x"), None).await;
    let refused = kernel::Failure::from(refused.unwrap_err());
    assert_eq!(refused.row.code, "RATE_LIMITED");
    assert!(refused.retry_after.is_some());
    // Another one is not held up, and this one goes on when its time has come.
    let other = world.webhook(GENERAL).await;
    world
        .app
        .execute_webhook(&other, said("x"), None)
        .await
        .unwrap();
    world
        .app
        .execute_webhook(&bearer, said("x"), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn too_many_are_told_in_the_dialects_form() {
    let world = world().await;
    let path = format!("/api/v10{}", by_token(&world.webhook(GENERAL).await));
    let body = || json!({"content": "x"});
    let mut last = None;
    for at in 0..6 {
        let answer = testkit::http::call(&world.router, "POST", &path, (), body())
            .await
            .unwrap();
        assert_eq!(answer.status, if at < 5 { 204 } else { 429 }, "{at}");
        last = Some(answer);
    }
    let refused = last.unwrap();
    assert!(refused.header("via").is_some() && refused.header("retry-after").is_some());
    assert!(refused.json["retry_after"].is_f64() && refused.json["global"] == false);
    assert_eq!(refused.header("x-ratelimit-limit"), Some("5"));
}

#[tokio::test]
async fn a_webhook_whose_channel_is_gone_before_its_event_goes_when_it_is_used() {
    let world = world().await;
    let bearer = world.webhook(GENERAL).await;
    world.messaging.close(GENERAL);
    let mut in_thread = world.webhook(GENERAL).await;
    in_thread.thread = Some(STAFF);
    // A thread that is gone says nothing of the channel.
    assert!(
        world
            .app
            .execute_webhook(&in_thread, said("x"), None)
            .await
            .is_err()
    );
    assert_eq!(
        world
            .call((), "GET", &by_token(&in_thread), NONE)
            .await
            .status,
        200
    );
    world
        .fails(
            (),
            "POST",
            &by_token(&bearer),
            json!({"content": "x"}),
            (404, 10015),
        )
        .await;
    assert_eq!(
        world.call((), "GET", &by_token(&bearer), NONE).await.status,
        404
    );
}
