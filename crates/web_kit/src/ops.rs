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

/// Who is told metrics, and which check fails why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Details {
    /// Processes of this machine that come without a proxy: what a proxy on the same host passes
    /// on looks like loopback, so a forwarding header closes the door.
    ToThisMachine,
    /// Nobody; another listener tells them.
    ToNobody,
    /// Whoever reaches the listener, which is an operator's own.
    ToEverybody,
}

impl Details {
    fn are_for(self, meta: &Meta) -> bool {
        match self {
            Self::ToThisMachine => meta.direct_loopback,
            Self::ToNobody => false,
            Self::ToEverybody => true,
        }
    }
}

/// Serves `/livez`, `/readyz` and `/metrics`.
///
/// Everybody learns whether the process is alive and ready; the rest is told as `details` says.
pub fn ops(registry: Registry, scrape: Scrape, details: Details) -> Router {
    let checks = registry.clone();
    Router::new()
        .route(
            "/livez",
            get(|| async { axum::Json(json!({ "status": "ok" })) }),
        )
        .route(
            "/readyz",
            get(move |meta: Meta| async move { readyz(&registry, details.are_for(&meta)).await }),
        )
        .route(
            "/metrics",
            get(move |meta: Meta| async move {
                metrics(&checks, &scrape, details.are_for(&meta)).await
            }),
        )
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "the one thing that differs"
)]
async fn readyz(registry: &Registry, detailed: bool) -> Response {
    let report = registry.ready().await;
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = if detailed {
        axum::Json(json!(report))
    } else {
        axum::Json(json!({ "ready": report.ready, "draining": report.draining }))
    };
    (status, body).into_response()
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "the one thing that differs"
)]
async fn metrics(registry: &Registry, scrape: &Scrape, allowed: bool) -> Response {
    if !allowed {
        return Fail(kernel::failure::NOT_FOUND.fail()).into_response();
    }
    // Where nothing else asks for readiness, its gauges would tell of the past.
    registry.ready().await;
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        scrape(),
    )
        .into_response()
}
