//! Health and metrics, and who may see their details.

use std::sync::Arc;

use axum::Router;
use runtime::health::Registry;
use runtime::{Check, Lifecycle};
use testkit::http::{Credential, Reply, options, request, send};
use web_kit::{Details, Peer, ops, stack};

use crate::app::{clock, table};

fn app(lifecycle: &Lifecycle, database: Result<(), String>) -> Router {
    let check = Check::required("database", move || std::future::ready(database.clone()));
    let registry = Registry::new(lifecycle, clock(), vec![check]);
    let metrics = runtime::telemetry::metrics();
    let ops = ops(
        registry,
        Arc::new(move || metrics.render()),
        Details::ToThisMachine,
    );
    let mut options = options(clock()).unwrap();
    options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    stack(table().router().merge(ops), options)
}

async fn get(router: &Router, path: &str, peer: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = request("GET", path, &Credential::Nobody, headers, None).unwrap();
    request.extensions_mut().insert(Peer(peer.parse().unwrap()));
    send(router, request).await.unwrap()
}

const LOCAL: &str = "127.0.0.1:5000";

#[tokio::test]
async fn metrics_are_for_direct_loopback_peers_only() {
    let router = app(&Lifecycle::new(), Ok(()));
    get(&router, "/v1/public", LOCAL, &[]).await;
    let reply = get(&router, "/metrics", LOCAL, &[]).await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert_eq!(reply.status, 200);
    let line = r#"meydan_http_requests_total{route="/v1/public",method="GET",status="200"} "#;
    assert!(text.contains(line), "{text}");
    assert!(
        get(&router, "/metrics", "[::1]:5000", &[])
            .await
            .status
            .is_success()
    );
    assert_eq!(
        get(&router, "/metrics", "192.0.2.1:5000", &[]).await.status,
        404
    );
    for name in [
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-real-ip",
        "via",
    ] {
        let reply = get(&router, "/metrics", LOCAL, &[(name, "127.0.0.1")]).await;
        assert_eq!(reply.status, 404, "{name}");
    }
}

#[tokio::test]
async fn metrics_tell_how_checks_are_now() {
    let router = app(&Lifecycle::new(), Err("refused".to_owned()));
    let text = get(&router, "/metrics", LOCAL, &[]).await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = r#"meydan_health_check{check="database"} 0"#;
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn readiness_is_for_all_and_its_details_for_loopback() {
    let router = app(&Lifecycle::new(), Err("refused".to_owned()));
    let inside = get(&router, "/readyz", LOCAL, &[]).await;
    assert_eq!(
        (inside.status.as_u16(), &inside.json["ready"]),
        (503, &false.into())
    );
    assert_eq!(inside.json["checks"][0]["check"], "database");
    assert_eq!(inside.json["checks"][0]["status"], "failing");
    assert_eq!(inside.json["checks"][0]["reason"], "refused");
    let outside = get(&router, "/readyz", "192.0.2.1:1", &[]).await;
    assert_eq!(outside.status, 503);
    assert_eq!(
        outside.json,
        serde_json::json!({ "ready": false, "draining": false })
    );
    assert_eq!(get(&router, "/livez", "192.0.2.1:1", &[]).await.status, 200);
}

#[tokio::test]
async fn draining_is_seen_at_once() {
    let lifecycle = Lifecycle::new();
    let router = app(&lifecycle, Ok(()));
    assert_eq!(get(&router, "/readyz", LOCAL, &[]).await.status, 200);
    lifecycle.soft().cancel();
    let reply = get(&router, "/readyz", LOCAL, &[]).await;
    assert_eq!(
        (reply.status.as_u16(), &reply.json["draining"]),
        (503, &true.into())
    );
    assert_eq!(get(&router, "/livez", LOCAL, &[]).await.status, 200);
}

#[tokio::test]
async fn invented_paths_and_methods_share_one_label() {
    let router = app(&Lifecycle::new(), Ok(()));
    for n in 0..20 {
        get(&router, &format!("/invented/{n}"), LOCAL, &[]).await;
    }
    let request = request("BREW", "/v1/public", &Credential::Nobody, &[], None).unwrap();
    send(&router, request).await.unwrap();
    let text = get(&router, "/metrics", LOCAL, &[]).await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(
        !text.contains("invented") && !text.contains("BREW"),
        "{text}"
    );
    assert!(
        text.contains(r#"route="unmatched",method="GET",status="404""#),
        "{text}"
    );
}
