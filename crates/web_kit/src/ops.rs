//! What operators and their tools ask: is it alive, is it ready, how is it doing.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use runtime::health::Registry;
use serde_json::json;

use crate::address::Meta;
use crate::fail::Fail;

/// Renders all metrics as Prometheus' text.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves `/livez`, `/readyz` and `/metrics`.
///
/// Everybody learns whether the process is alive and ready. Metrics, and which check fails why,
/// are told only to a process of this machine that comes without a proxy: what a proxy on the
/// same host passes on looks like loopback, so a forwarding header closes the door.
pub fn ops(registry: Registry, scrape: Scrape) -> Router {
    Router::new()
        .route(
            "/livez",
            get(|| async { axum::Json(json!({ "status": "ok" })) }),
        )
        .route(
            "/readyz",
            get(move |meta: Meta| async move { readyz(&registry, &meta).await }),
        )
        .route(
            "/metrics",
            get(move |meta: Meta| async move { metrics(&scrape, &meta) }),
        )
}

async fn readyz(registry: &Registry, meta: &Meta) -> Response {
    let report = registry.ready().await;
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = if meta.direct_loopback {
        axum::Json(json!(report))
    } else {
        axum::Json(json!({ "ready": report.ready, "draining": report.draining }))
    };
    (status, body).into_response()
}

fn metrics(scrape: &Scrape, meta: &Meta) -> Response {
    if !meta.direct_loopback {
        return Fail(kernel::failure::NOT_FOUND.fail()).into_response();
    }
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        scrape(),
    )
        .into_response()
}
