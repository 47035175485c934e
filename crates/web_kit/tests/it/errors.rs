//! The two shapes of errors, as snapshots: one per tree, every kind of origin.

use std::fmt::Write as _;

use serde_json::json;
use testkit::http::{Credential, call_with, request, send};

use crate::app::router;

const SHOWN: [&str; 8] = [
    "content-type",
    "allow",
    "retry-after",
    "via",
    "www-authenticate",
    "x-ratelimit-scope",
    "x-request-id",
    "content-length",
];

/// Calls each path and writes status, the headers that matter, and the body.
async fn shown(cases: &[(&str, &str, &str)]) -> String {
    let router = router();
    let mut text = String::new();
    for (method, path, language) in cases {
        let headers = [
            ("x-request-id", "test-request"),
            ("accept-language", language),
        ];
        let reply = call_with(&router, method, path, (), &headers, None)
            .await
            .unwrap();
        writeln!(text, "{method} {path} ({language})\n{}", reply.status).unwrap();
        for name in SHOWN.iter().filter(|name| **name != "content-length") {
            if let Some(value) = reply.header(name) {
                writeln!(text, "{name}: {value}").unwrap();
            }
        }
        let mut json = reply.json;
        // Whether a map keeps the order of its names depends on who else uses serde_json.
        json.sort_all_objects();
        let json = serde_json::to_string_pretty(&json).unwrap();
        writeln!(text, "{json}\n").unwrap();
    }
    text
}

#[tokio::test]
async fn problems_under_v1() {
    let text = shown(&[
        ("GET", "/v1/nothing-here", "en"),
        ("PATCH", "/v1/items", "en"),
        ("GET", "/v1/me", "en"),
        ("GET", "/v1/items/404", "tr-TR,tr;q=0.9,en;q=0.5"),
        ("GET", "/v1/items/abc", "en"),
        ("GET", "/v1/items?limit=900&query=x", "en"),
        ("GET", "/v1/items", "en"),
        ("GET", "/v1/fields", "tr"),
        ("GET", "/v1/panics", "en"),
        ("GET", "/v1/breaks", "tr"),
        ("GET", "/v1/away", "en"),
        ("GET", "/v1//items", "en"),
        ("GET", "/v1/disagrees", "en"),
    ])
    .await;
    insta::assert_snapshot!("problems", text);
}

#[tokio::test]
async fn dialect_under_api_v10() {
    let text = shown(&[
        ("GET", "/api/v10/nothing-here", "en"),
        ("DELETE", "/api/v10/users/@me", "en"),
        ("GET", "/api/v10/users/@me", "tr"),
        ("GET", "/api/v10/fields", "en"),
        ("GET", "/api/v10/panics", "en"),
        ("GET", "/api/v10/forbidden", "tr"),
        ("GET", "/api/v10/slowmode", "en"),
        ("GET", "/api/v10/away", "en"),
    ])
    .await;
    insta::assert_snapshot!("dialect", text);
}

#[tokio::test]
async fn causes_never_reach_the_client() {
    let router = router();
    for path in [
        "/v1/panics",
        "/v1/breaks",
        "/v1/away",
        "/api/v10/panics",
        "/api/v10/away",
    ] {
        let reply = call_with(&router, "GET", path, (), &[], None)
            .await
            .unwrap();
        let everything = format!("{:?} {:?}", reply.headers, reply.body);
        assert!(reply.status.is_server_error(), "{path}");
        assert!(!everything.contains("secret"), "{path}: {everything}");
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(reply.json["request_id"], id, "{path}");
    }
}

#[tokio::test]
async fn no_content_has_no_content_type() {
    let router = router();
    let user = kernel::UserId::new(42);
    let reply = call_with(&router, "DELETE", "/v1/items/1", user, &[], None)
        .await
        .unwrap();
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("content-type"), None);
    assert!(reply.body.is_empty());
}

#[tokio::test]
async fn json_content_type_is_exact() {
    let router = router();
    for (method, path, body) in [
        ("GET", "/api/v10/users/@me", None),
        (
            "POST",
            "/api/v10/channels/1/messages",
            Some(json!({ "content": "hi" })),
        ),
        ("GET", "/api/v10/fields", None),
    ] {
        let user = kernel::UserId::new(42);
        let reply = call_with(&router, method, path, user, &[], body)
            .await
            .unwrap();
        assert_eq!(
            reply.header("content-type"),
            Some("application/json"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let reply = call_with(&router(), "HEAD", "/v1/public", (), &[], None)
        .await
        .unwrap();
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
}

#[tokio::test]
async fn trace_and_invented_methods_are_not_allowed() {
    for method in ["TRACE", "CONNECT", "BREW"] {
        let request = request(method, "/v1/items", &Credential::Nobody, &[], None).unwrap();
        let reply = send(&router(), request).await.unwrap();
        assert_eq!(reply.status, 405, "{method}");
        assert_eq!(reply.header("allow"), Some("POST,GET,HEAD"), "{method}");
        assert_eq!(reply.json["code"], "METHOD_NOT_ALLOWED");
    }
}
