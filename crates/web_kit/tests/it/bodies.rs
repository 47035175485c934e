//! Request bodies: type, size, JSON, idempotency keys.

use axum::body::Body;
use axum::http::Request;
use kernel::UserId;
use serde_json::json;
use testkit::http::{Reply, call, call_with, send, token};

use crate::app::router;

const MIB: usize = 1024 * 1024;
const SEND: &str = "/api/v10/channels/1/messages";
const PIN: &str = "/api/v10/channels/1/pins/2";

async fn raw(method: &str, path: &str, content_type: Option<&str>, body: impl Into<Body>) -> Reply {
    let token = token(UserId::new(42)).unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"));
    if let Some(value) = content_type {
        request = request.header("content-type", value);
    }
    send(&router(), request.body(body.into()).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn malformed_json_is_told_apart_from_wrong_fields() {
    for (path, status, code) in [
        ("/v1/echo", "code", json!("MALFORMED_JSON")),
        (SEND, "code", json!(50109)),
    ] {
        for body in ["{", "", "{}x", "nul"] {
            // An empty body is fine in the dialect.
            if body.is_empty() && path == SEND {
                continue;
            }
            let reply = raw("POST", path, Some("application/json"), body).await;
            assert_eq!(
                (reply.status.as_u16(), &reply.json[status]),
                (400, &code),
                "{path} {body:?}"
            );
        }
    }
    let reply = raw(
        "POST",
        "/v1/echo",
        Some("application/json"),
        r#"{"name":"a","tags":[{}]}"#,
    )
    .await;
    assert_eq!(reply.json["code"], "INVALID_REQUEST");
    assert_eq!(reply.json["errors"][0]["pointer"], "/tags/0/weight");
    let reply = raw("POST", SEND, Some("application/json"), r#"{"content":5}"#).await;
    assert_eq!(reply.json["code"], 50035);
    assert_eq!(
        reply.json["errors"]["content"]["_errors"][0]["code"],
        "INVALID"
    );
}

#[tokio::test]
async fn unknown_fields_are_refused_where_the_type_says_so() {
    let reply = call(
        &router(),
        "POST",
        "/v1/echo",
        (),
        json!({ "name": "a", "x": 1 }),
    )
    .await
    .unwrap();
    assert_eq!(reply.status, 400);
    assert_eq!(reply.json["errors"][0]["pointer"], "/x");
    assert_eq!(reply.json["errors"][0]["code"], "UNKNOWN_FIELD");
    let user = UserId::new(42);
    let reply = call(
        &router(),
        "POST",
        SEND,
        user,
        json!({ "content": "a", "x": 1 }),
    )
    .await
    .unwrap();
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn other_content_types_are_refused() {
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let reply = raw("POST", "/v1/echo", content_type, r#"{"name":"a"}"#).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["code"]),
            (415, &json!("UNSUPPORTED_TYPE"))
        );
        let reply = raw("POST", SEND, content_type, r#"{"content":"a"}"#).await;
        assert_eq!(reply.status, 415, "{content_type:?}");
    }
    let reply = raw(
        "POST",
        "/v1/echo",
        Some("application/json; charset=utf-8"),
        r#"{"name":"a"}"#,
    )
    .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn an_optional_body_may_be_empty_under_any_content_type() {
    let path = "/v1/optional";
    for content_type in [
        None,
        Some("text/plain"),
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let reply = raw("POST", path, content_type, "").await;
        assert_eq!(reply.status, 200, "{content_type:?}");
        assert_eq!(reply.json["content"], "", "{content_type:?}");
    }
    let json = Some("application/json");
    let reply = raw("POST", path, json, r#"{"content":"a"}"#).await;
    assert_eq!(reply.json["content"], "a");
    // One that is there is held to the rules of all others.
    for (content_type, body, status) in [
        (None, "{}", 415),
        (Some("text/plain"), "{}", 415),
        (json, " ", 400),
        (json, "{", 400),
        (json, r#"{"content":5}"#, 400),
    ] {
        let reply = raw("POST", path, content_type, body).await;
        assert_eq!(reply.status, status, "{content_type:?} {body:?}");
    }
    let long = format!(r#"{{"content":"{}"}}"#, "a".repeat(MIB));
    assert_eq!(raw("POST", path, json, long).await.status, 413);
}

#[tokio::test]
async fn dialect_takes_empty_put_and_post_with_any_content_type() {
    for content_type in [
        None,
        Some("application/octet-stream"),
        Some("application/json"),
    ] {
        assert_eq!(
            raw("PUT", PIN, content_type, "").await.status,
            204,
            "{content_type:?}"
        );
        assert_eq!(
            raw("POST", SEND, content_type, "").await.status,
            200,
            "{content_type:?}"
        );
    }
    let reply = raw("POST", "/v1/echo", None, "").await;
    assert_eq!(reply.status, 415, "only the dialect does");
}

/// A JSON body of exactly `length` bytes.
fn sized(length: usize) -> String {
    let frame = r#"{"name":""}"#.len();
    format!(r#"{{"name":"{}"}}"#, "x".repeat(length - frame))
}

#[tokio::test]
async fn one_mebibyte_passes_and_one_byte_more_does_not() {
    let json = Some("application/json");
    assert_eq!(raw("POST", "/v1/echo", json, sized(MIB)).await.status, 200);
    let reply = raw("POST", "/v1/echo", json, sized(MIB + 1)).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (413, &json!("BODY_TOO_LARGE"))
    );
    let reply = raw("POST", SEND, json, sized(MIB + 1)).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["code"]),
        (413, &json!(40005))
    );
}

#[tokio::test]
async fn operation_may_set_its_own_limit_and_streams_count() {
    let json = Some("application/json");
    assert_eq!(raw("POST", "/v1/small", json, sized(64)).await.status, 200);
    assert_eq!(raw("POST", "/v1/small", json, sized(65)).await.status, 413);
    // Without a length in the head the limit is met while reading.
    let chunks = sized(65)
        .into_bytes()
        .into_iter()
        .map(|b| Ok::<_, std::io::Error>(vec![b]));
    let body = Body::from_stream(futures::stream::iter(chunks));
    assert_eq!(raw("POST", "/v1/small", json, body).await.status, 413);
}

#[tokio::test]
async fn idempotency_key_is_bound_to_the_request() {
    let user = UserId::new(42);
    let body = || json!({ "name": "a" });
    let router = router();
    let create = async |key: &str, body| {
        let headers = [("idempotency-key", key)];
        call_with(&router, "POST", "/v1/items", user, &headers, Some(body))
            .await
            .unwrap()
    };
    let first = create("k-1", body()).await;
    assert_eq!(
        (first.status.as_u16(), &first.json["key"]),
        (201, &json!("k-1"))
    );
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(create("k-2", body()).await.json["hash"], first.json["hash"]);
    assert_ne!(
        create("k-1", json!({ "name": "b" })).await.json["hash"],
        first.json["hash"]
    );
    assert_eq!(
        create("again", body()).await.header("idempotent-replayed"),
        Some("true")
    );
    let without = call(&router, "POST", "/v1/items", user, body())
        .await
        .unwrap();
    assert_eq!(
        (without.status.as_u16(), &without.json["key"]),
        (201, &json!(null))
    );
    assert_eq!(create(&"k".repeat(64), body()).await.status, 201);
    for bad in ["", &"k".repeat(65), "with space", "tür"] {
        let reply = create(bad, body()).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["errors"][0]["code"]),
            (400, &json!("INVALID_KEY"))
        );
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let reply = call_with(&router, "POST", "/v1/items", user, &twice, Some(body()))
        .await
        .unwrap();
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn paths_and_queries_are_typed() {
    let router = router();
    let get = async |path: &str| call(&router, "GET", path, (), None).await.unwrap();
    assert_eq!(get("/v1/items/7").await.json["id"], "7");
    for bad in [
        "/v1/items/-1",
        "/v1/items/9223372036854775808",
        "/v1/items/%20",
        "/v1/items/%ff",
    ] {
        let reply = get(bad).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json["errors"][0]["pointer"]),
            (400, &json!("{item_id}")),
            "{bad}"
        );
    }
    assert_eq!(
        get("/v1/items?query=a%20b&limit=3").await.json["items"][0]["query"],
        "a b"
    );
    assert_eq!(
        get("/v1/items?limit=300&query=a").await.json["errors"][0]["pointer"],
        "?limit"
    );
    assert_eq!(
        get("/v1/items?limit=3").await.json["errors"][0]["pointer"],
        "?query"
    );
}
