//! What wraps every route: request id, language, panics, errors, security headers, metrics, CORS.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use kernel::failure::INTERNAL;
use kernel::{ErrorKind, Limiter, SharedClock, SharedRng};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::address::{self, Meta, Network, REQUEST_ID};
use crate::cors::Cors;
use crate::fail::{Fail, INVALID_PATH, Pending};
use crate::pages::Pages;
use crate::render;
use crate::tokens::TokenVerifier;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// What [`stack`] needs.
#[derive(Clone)]
pub struct StackOptions {
    /// Judges credentials.
    pub verifier: Arc<TokenVerifier>,
    /// Counts requests.
    pub limiter: Arc<dyn Limiter>,
    /// Tells the time for limits.
    pub clock: SharedClock,
    /// Makes request ids.
    pub rng: SharedRng,
    /// Which pages may call.
    pub cors: Cors,
    /// Sessions of our own pages; without it cookies mean nothing.
    pub pages: Option<Pages>,
    /// Largest body of an operation that sets no limit of its own; 1 MiB unless configured.
    pub body_limit: usize,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether browsers are told to use TLS only; off on plain-http loopback.
    pub hsts: bool,
    /// Tells whether the disk is too full to write; none where writes fill another machine's.
    pub storage: Option<IsFull>,
}

/// Asked for every request that may write, so it answers at once.
type IsFull = Arc<dyn Fn() -> bool + Send + Sync>;

impl StackOptions {
    /// Makes options with no foreign origins, no sessions of pages, no proxies, 1 MiB, no HSTS and no look at the disk.
    pub fn new(
        verifier: Arc<TokenVerifier>,
        limiter: Arc<dyn Limiter>,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Self {
        Self {
            verifier,
            limiter,
            clock,
            rng,
            cors: Cors::default(),
            pages: None,
            body_limit: 1024 * 1024,
            trusted_proxies: Vec::new(),
            hsts: false,
            storage: None,
        }
    }
}

/// What guards find in each request.
pub(crate) struct Shared {
    pub(crate) verifier: Arc<TokenVerifier>,
    pub(crate) limiter: Arc<dyn Limiter>,
    pub(crate) clock: SharedClock,
    pub(crate) body_limit: usize,
    pub(crate) storage: Option<IsFull>,
    pub(crate) pages: Option<Pages>,
    rng: SharedRng,
    proxies: Vec<Network>,
    hsts: bool,
}

/// Wraps the merged router of all tables; the result is what [`crate::serve`] serves.
pub fn stack(router: Router, options: StackOptions) -> Router {
    let shared = Shared {
        verifier: options.verifier,
        limiter: options.limiter,
        clock: options.clock,
        body_limit: options.body_limit,
        rng: options.rng,
        storage: options.storage,
        pages: options.pages,
        proxies: options.trusted_proxies,
        hsts: options.hsts,
    };
    let router = router.fallback(|| async { Fail(kernel::failure::NOT_FOUND.fail()) });
    router
        .layer(options.cors.layer())
        .layer(axum::middleware::from_fn_with_state(
            Arc::new(shared),
            outer,
        ))
}

async fn outer(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let mut meta = Meta::take(&mut request, &shared.proxies, &*shared.rng);
    let pages = shared.pages.as_ref();
    meta.from_own_page = pages.is_some_and(|pages| pages.is_own(request.headers()));
    let path = request.uri().path().to_owned();
    let method = known_method(request.method());
    let route = match request.extensions().get::<MatchedPath>() {
        Some(matched) => matched.as_str().to_owned(),
        None => "unmatched".to_owned(),
    };
    request.extensions_mut().insert(meta.clone());
    request.extensions_mut().insert(Arc::clone(&shared));
    let span = tracing::info_span!(
        "request",
        request.id = meta.request_id,
        http.method = method,
        http.route = route,
        user.id = tracing::field::Empty,
    );
    let gauge = metrics::gauge!("meydan_http_in_flight");
    gauge.increment(1.0);
    let work = async {
        let mut response = if address::host_is_sane(&request) {
            run(&path, &route, request, next).await
        } else {
            Fail(crate::fail::INVALID_HOST.fail()).into_response()
        };
        finish(&mut response, &meta, &path, begun.elapsed());
        response
    };
    let mut response = work.instrument(span).await;
    gauge.decrement(1.0);
    secure(response.headers_mut(), &shared, &meta);
    let status = response.status().as_u16().to_string();
    metrics::histogram!(
        "meydan_http_request_duration_seconds", "route" => route.clone(), "method" => method
    )
    .record(begun.elapsed().as_secs_f64());
    metrics::counter!(
        "meydan_http_requests_total", "route" => route, "method" => method, "status" => status
    )
    .increment(1);
    response
}

/// Runs the rest; a panic ends this request only.
async fn run(path: &str, route: &str, request: Request, next: Next) -> Response {
    if !sound_path(path) {
        return Fail(INVALID_PATH.fail()).into_response();
    }
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => {
            metrics::counter!("meydan_http_panics_total", "route" => route.to_owned()).increment(1);
            Fail(INTERNAL.fail().because("the handler panicked")).into_response()
        }
    }
}

/// Renders a failure that waits in the response, or one that the router itself answered, and logs
/// what has to be logged, once.
fn finish(response: &mut Response, meta: &Meta, path: &str, took: Duration) {
    let pending = response.extensions_mut().remove::<Pending>();
    if let Some(Pending(failure)) = pending {
        render::apply(response, &failure, meta, path);
        let http_status = response.status().as_u16();
        match failure.row.kind {
            ErrorKind::Internal => {
                tracing::error!(http.status = http_status, error = %failure, "request failed");
            }
            ErrorKind::Unavailable => {
                tracing::warn!(http.status = http_status, error = %failure, "request not served");
            }
            // A full disk is logged once, by whoever watches it, and not filled with lines.
            _ => tracing::debug!(http.status = http_status, error = %failure, "request refused"),
        }
    } else if let Some(row) = foreign(response) {
        render::apply(response, &row.fail(), meta, path);
    }
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        http.status = response.status().as_u16(),
        duration_ms,
        "request done"
    );
}

/// An error that no code of ours wrote: it has no JSON body.
fn foreign(response: &Response) -> Option<&'static kernel::ErrorRow> {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.contains("json")) {
        return None;
    }
    render::row_for(response.status())
}

/// A path without empty segments, dot segments (also encoded) and encoded NUL: what a proxy in
/// front and the router behind could read differently.
fn sound_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    if lower.contains("//") || lower.contains("%00") || lower.contains('\\') {
        return false;
    }
    lower.split('/').all(|segment| {
        let dots = segment.replace("%2e", ".");
        dots != "." && dots != ".."
    })
}

/// Labels are a bounded set: anything a client invents counts as one.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn secure(headers: &mut HeaderMap, shared: &Shared, meta: &Meta) {
    const CSP: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; \
         frame-ancestors 'none'";
    let mut default = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    default(CONTENT_SECURITY_POLICY, CSP);
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(REFERRER_POLICY, "no-referrer");
    default(OPENER_POLICY, "same-origin");
    default(CACHE_CONTROL, "no-store");
    if shared.hsts {
        default(
            STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
    if let Ok(id) = HeaderValue::from_str(&meta.request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    #[test]
    fn doubtful_paths_are_refused() {
        for (path, sound) in [
            ("/v1/users/@me", true),
            ("/", true),
            ("/docs/", true),
            (
                "/api/v10/channels/1/messages/2/reactions/%F0%9F%94%A5/@me",
                true,
            ),
            ("/v1/..hidden/x.json", true),
            ("//v1/users", false),
            ("/v1//users", false),
            ("/v1/../admin", false),
            ("/v1/./users", false),
            ("/v1/%2e%2E/admin", false),
            ("/v1/%2e", false),
            ("/v1/users%00", false),
            ("/v1\\users", false),
        ] {
            assert_eq!(sound_path(path), sound, "{path}");
        }
    }

    #[test]
    fn foreign_errors_are_those_without_json() {
        assert!(foreign(&StatusCode::NOT_FOUND.into_response()).is_some());
        assert!(foreign(&StatusCode::OK.into_response()).is_none());
        let own = (StatusCode::NOT_FOUND, axum::Json(1)).into_response();
        assert!(foreign(&own).is_none());
    }
}
