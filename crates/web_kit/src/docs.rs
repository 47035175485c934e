//! The page that shows the API, from files inside the binary.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

/// Scripts, styles and pictures from ourselves only; the viewer sets styles on elements and has
/// pictures in its style sheet.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
     object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Serves `/openapi.json` and, below `/docs/`, a viewer of it that fetches nothing from outside.
///
/// # Errors
///
/// When the document cannot be written as JSON.
pub fn docs(document: &utoipa::openapi::OpenApi) -> Result<Router, serde_json::Error> {
    let json: bytes::Bytes = document.to_json()?.into();
    // Without "none" the viewer sends the document's address to a validator on the internet.
    let config = Arc::new(Config::from("/openapi.json").validator_url("none"));
    let index = Arc::clone(&config);
    Ok(Router::new()
        .route(
            "/openapi.json",
            get(|| async move { ([(CONTENT_TYPE, "application/json")], json).into_response() }),
        )
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async move { file("index.html", index) }))
        .route(
            "/docs/{*file}",
            get(|Path(name): Path<String>| async move { file(&name, config) }),
        ))
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    match utoipa_swagger_ui::serve(name, config) {
        Ok(Some(file)) => {
            let kind = HeaderValue::from_str(&file.content_type)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let headers: [(HeaderName, HeaderValue); 2] = [
                (CONTENT_TYPE, kind),
                (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            ];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the API viewer cannot be built");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
