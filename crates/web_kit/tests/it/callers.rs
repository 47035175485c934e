//! Policies: who gets past the guard.

use std::sync::Arc;

use kernel::{Caller, SystemClock, UserId};
use serde_json::json;
use testkit::http::{AUDIENCE, ISSUER, bot_token, call, call_with, options, token};
use web_kit::{TokenVerifier, stack};

use crate::app::{clock, router, table};

const USER: UserId = UserId::new(42);

#[tokio::test]
async fn caller_policy_needs_a_good_token() {
    let router = router();
    let good = call(&router, "GET", "/v1/me", USER, None).await.unwrap();
    assert_eq!(
        (good.status.as_u16(), good.json),
        (200, json!({ "id": "42", "bot": false }))
    );
    for bad in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x.y.z",
        "Basic dXNlcjpwYXNz",
        "Bearer test",
        "\u{7f}",
    ] {
        if bad == "\u{7f}" {
            continue;
        }
        let reply = call(&router, "GET", "/v1/me", bad, None).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (401, &json!("UNAUTHENTICATED")),
            "{bad}"
        );
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
}

#[tokio::test]
async fn undeclared_policy_is_the_strict_one() {
    let reply = call(&router(), "GET", "/v1/undeclared", (), None)
        .await
        .unwrap();
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn two_credentials_are_none() {
    let bearer = format!("Bearer {}", token(USER).unwrap());
    let headers = [("authorization", bearer.as_str())];
    let reply = call_with(&router(), "GET", "/v1/me", USER, &headers, None)
        .await
        .unwrap();
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn bots_and_bare_tokens_belong_to_the_chat_surface() {
    let router = router();
    let bot = Caller::bot(UserId::new(77));
    let reply = call(&router, "GET", "/api/v10/users/@me", &bot, None)
        .await
        .unwrap();
    assert_eq!(reply.json, json!({ "id": "77", "bot": true }));
    assert_eq!(
        call(&router, "GET", "/v1/me", &bot, None)
            .await
            .unwrap()
            .status,
        401
    );
    let bare = token(USER).unwrap();
    let reply = call(&router, "GET", "/api/v10/users/@me", bare.as_str(), None)
        .await
        .unwrap();
    assert_eq!(reply.json["id"], "42");
    assert_eq!(
        call(&router, "GET", "/v1/me", bare.as_str(), None)
            .await
            .unwrap()
            .status,
        401
    );
    let wrong = format!("Bot {}x", bot_token(UserId::new(77)));
    let reply = call(&router, "GET", "/api/v10/users/@me", wrong.as_str(), None)
        .await
        .unwrap();
    assert_eq!(
        (reply.status.as_u16(), reply.json),
        (401, json!({ "code": 0, "message": "401: Unauthorized" }))
    );
}

#[tokio::test]
async fn public_operations_do_not_look_at_tokens() {
    let reply = call(&router(), "GET", "/v1/public", "Bearer rubbish", None)
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn handler_and_policy_that_disagree_are_our_mistake() {
    let reply = call(&router(), "GET", "/v1/disagrees", USER, None)
        .await
        .unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (500, &json!("INTERNAL"))
    );
}

#[tokio::test]
async fn what_cannot_be_judged_is_503_and_never_401() {
    let mut options = options(clock()).unwrap();
    // A verifier without keys: identity has not answered yet.
    options.verifier = Arc::new(TokenVerifier::new(ISSUER, AUDIENCE, Arc::new(SystemClock)));
    let router = stack(table().router(), options);
    for path in ["/v1/me", "/api/v10/users/@me"] {
        let reply = call(&router, "GET", path, USER, None).await.unwrap();
        assert_eq!(reply.status, 503, "{path}");
        assert_eq!(reply.header("retry-after"), Some("1"), "{path}");
    }
}

#[tokio::test]
async fn table_outside_of_the_stack_serves_nobody() {
    let reply = call(&table().router(), "GET", "/v1/public", (), None)
        .await
        .unwrap();
    assert_eq!(reply.status, 500);
}
