//! A disk that is nearly full: writes are refused, reads go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use axum::Router;
use kernel::UserId;
use runtime::disk::Space;
use serde_json::json;
use testkit::http::{Reply, call, call_with, options};
use web_kit::{Cors, stack};

use crate::app::{clock, table};

fn app(is_full: impl Fn() -> bool + Send + Sync + 'static) -> Router {
    let mut options = options(clock()).unwrap();
    options.storage = Some(Arc::new(is_full));
    options.cors = Cors {
        origins: vec!["https://app.example.com".to_owned()],
        any_loopback: false,
    };
    stack(table().router(), options)
}

async fn write(router: &Router, method: &str, path: &str) -> Reply {
    let body = json!({ "name": "a" });
    call(router, method, path, UserId::new(42), body)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_serves_reads() {
    let router = app(|| true);
    for (method, path) in [
        ("POST", "/v1/items"),
        ("POST", "/v1/echo"),
        ("DELETE", "/v1/items/1"),
    ] {
        let reply = write(&router, method, path).await;
        assert_eq!(reply.status, 507, "{method} {path}");
        assert_eq!(reply.header("retry-after"), Some("30"), "{method} {path}");
        assert_eq!(reply.json["code"], "STORAGE_FULL", "{method} {path}");
        assert_eq!(reply.json["title"], "Insufficient Storage");
    }
    // What writes next to nothing and people cannot do without.
    let reply = write(&router, "POST", "/v1/always").await;
    assert_eq!(reply.status, 200);
    for (method, path) in [
        ("GET", "/v1/public"),
        ("HEAD", "/v1/public"),
        ("GET", "/v1/me"),
        ("GET", "/api/v10/users/@me"),
    ] {
        let reply = call(&router, method, path, UserId::new(42), None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{method} {path}");
    }
}

#[tokio::test]
async fn the_refusal_has_the_shape_of_its_tree_and_the_language_of_the_client() {
    let router = app(|| true);
    let path = "/api/v10/channels/1/messages";
    let headers = [
        ("accept-language", "tr"),
        ("origin", "https://app.example.com"),
    ];
    let reply = call_with(&router, "POST", path, (), &headers, None)
        .await
        .unwrap();
    assert_eq!(reply.status, 507);
    assert_eq!(reply.json["code"], 0);
    let message = reply.json["message"].as_str().unwrap();
    assert!(message.contains("diski dolmak üzere"), "{message}");
    // A page of another origin may read it, and may ask beforehand.
    let allowed = reply.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example.com"));
    let headers = [
        ("origin", "https://app.example.com"),
        ("access-control-request-method", "POST"),
    ];
    let asked = call_with(&router, "OPTIONS", path, (), &headers, None)
        .await
        .unwrap();
    assert_eq!(asked.status, 200);
}

#[tokio::test]
async fn the_guard_is_asked_by_writes_alone_and_each_time() {
    let full = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let router = {
        let (full, asked) = (Arc::clone(&full), Arc::clone(&asked));
        app(move || {
            asked.fetch_add(1, SeqCst);
            full.load(SeqCst)
        })
    };
    assert_eq!(write(&router, "POST", "/v1/echo").await.status, 200);
    full.store(true, SeqCst);
    assert_eq!(write(&router, "POST", "/v1/echo").await.status, 507);
    full.store(false, SeqCst);
    assert_eq!(write(&router, "POST", "/v1/echo").await.status, 200);
    assert_eq!(asked.load(SeqCst), 3);
    call(&router, "GET", "/v1/public", (), None).await.unwrap();
    assert_eq!(asked.load(SeqCst), 3);
}

#[tokio::test]
async fn a_real_disk_is_asked() {
    let folder = std::env::temp_dir();
    for (min_free, status) in [(1, 200), (u64::MAX, 507)] {
        let space = Space::of(&folder, min_free).unwrap();
        let guard = space.guard();
        let router = app(move || guard());
        let reply = write(&router, "POST", "/v1/echo").await;
        assert_eq!(reply.status, status, "{min_free}");
    }
}
