//! The one place where a failure becomes a response.
//!
//! Which of the two shapes is used depends on the path alone; both come from the same
//! [`kernel::ErrorRow`].

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, VIA, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use kernel::{ErrorKind, ErrorRow, Failure, FieldError, failure};
use serde_json::{Map, Value, json};

use crate::address::Meta;
use crate::fail;

/// Where the chat dialect begins.
pub(crate) const DIALECT_ROOT: &str = "/api/v10";

const RATE_SCOPE: HeaderName = HeaderName::from_static("x-ratelimit-scope");

/// Tells whether a path speaks the chat dialect.
pub fn is_dialect(path: &str) -> bool {
    path.strip_prefix(DIALECT_ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the status of a kind of failure.
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Timeout => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::BadGateway => StatusCode::BAD_GATEWAY,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// Finds the row for a response that no handler of ours wrote, such as the router's own 404.
pub(crate) fn row_for(status: StatusCode) -> Option<&'static ErrorRow> {
    Some(match status {
        StatusCode::BAD_REQUEST => &failure::INVALID_REQUEST,
        StatusCode::UNAUTHORIZED => &failure::UNAUTHENTICATED,
        StatusCode::FORBIDDEN => &failure::FORBIDDEN,
        StatusCode::NOT_FOUND => &failure::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => &fail::METHOD_NOT_ALLOWED,
        StatusCode::REQUEST_TIMEOUT => &fail::BODY_TIMEOUT,
        StatusCode::PAYLOAD_TOO_LARGE => &fail::BODY_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => &fail::UNSUPPORTED_TYPE,
        StatusCode::TOO_MANY_REQUESTS => &failure::RATE_LIMITED,
        StatusCode::SERVICE_UNAVAILABLE => &failure::UNAVAILABLE,
        status if status.is_server_error() => &failure::INTERNAL,
        _ => return None,
    })
}

/// Writes `failure` into `response`, keeping its headers (`Allow`, rate limits, CORS).
pub(crate) fn apply(response: &mut Response, failure: &Failure, meta: &Meta, path: &str) {
    let status = status(failure.row.kind);
    let wait = retry_after(failure);
    let (body, content_type) = if meta.dialect {
        (dialect_body(failure, meta, wait), "application/json")
    } else {
        (problem(failure, meta, path), "application/problem+json")
    };
    *response.status_mut() = status;
    *response.body_mut() = Body::from(body.to_string());
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(wait) = wait {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
    }
    match failure.row.kind {
        // Stock libraries take a 429 without `Via` for a ban by a proxy in front of us.
        ErrorKind::RateLimited if meta.dialect => {
            headers.insert(VIA, HeaderValue::from_static("1.1 meydan"));
            headers
                .entry(RATE_SCOPE)
                .or_insert(HeaderValue::from_static("user"));
        }
        // RFC 9470 §3: the token is good, the proof behind it too old.
        ErrorKind::Forbidden if failure.row.code == failure::STEP_UP_REQUIRED.code => {
            let challenge = format!(
                "Bearer error=\"insufficient_user_authentication\", max_age={}",
                kernel::STEP_UP_WINDOW.as_secs()
            );
            headers.extend(
                HeaderValue::try_from(challenge).map(|challenge| (WWW_AUTHENTICATE, challenge)),
            );
        }
        ErrorKind::Unauthenticated if !meta.dialect => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
}

/// The pause to announce; those kinds that promise one always have it.
fn retry_after(failure: &Failure) -> Option<Duration> {
    match failure.row.kind {
        ErrorKind::RateLimited | ErrorKind::Unavailable | ErrorKind::StorageFull => {
            Some(failure.retry_after.unwrap_or(Duration::from_secs(1)))
        }
        _ => failure.retry_after,
    }
}

/// Rounds up: a client that waits that long is not refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
        .max(1)
}

fn problem(failure: &Failure, meta: &Meta, path: &str) -> Value {
    let status = status(failure.row.kind);
    let mut body = Map::new();
    let urn = format!("urn:meydan:error:{}", failure.row.code.to_ascii_lowercase());
    body.insert("type".to_owned(), urn.into());
    body.insert(
        "title".to_owned(),
        status.canonical_reason().unwrap_or("Error").into(),
    );
    body.insert("status".to_owned(), status.as_u16().into());
    body.insert("detail".to_owned(), failure.row.text(meta.locale).into());
    body.insert("instance".to_owned(), path.into());
    body.insert("code".to_owned(), failure.row.code.into());
    if !failure.fields.is_empty() {
        let errors: Vec<Value> = failure.fields.iter().map(field).collect();
        body.insert("errors".to_owned(), errors.into());
    }
    body.insert("request_id".to_owned(), meta.request_id.as_str().into());
    add_extra(&mut body, failure);
    Value::Object(body)
}

fn field(error: &FieldError) -> Value {
    json!({ "pointer": error.pointer, "code": error.code, "detail": error.detail })
}

fn dialect_body(failure: &Failure, meta: &Meta, wait: Option<Duration>) -> Value {
    let mut body = Map::new();
    if failure.row.kind == ErrorKind::RateLimited {
        // Rounded up: a client that waits exactly this long is let through.
        let seconds = wait.unwrap_or_default().as_micros().div_ceil(1_000).max(1);
        let seconds = u32::try_from(seconds).map_or(f64::from(u32::MAX), f64::from) / 1_000.0;
        body.insert("retry_after".to_owned(), seconds.into());
        let global = failure
            .extra
            .get("global")
            .cloned()
            .unwrap_or(Value::Bool(false));
        body.insert("global".to_owned(), global);
    }
    body.insert("message".to_owned(), dialect_message(failure, meta).into());
    if failure.row.dialect != 0 || failure.row.kind != ErrorKind::RateLimited {
        body.insert("code".to_owned(), failure.row.dialect.into());
    }
    if !failure.fields.is_empty() {
        body.insert("errors".to_owned(), nested(&failure.fields));
    }
    if status(failure.row.kind).is_server_error() {
        body.insert("request_id".to_owned(), meta.request_id.as_str().into());
    }
    add_extra(&mut body, failure);
    Value::Object(body)
}

/// Rows without a number get the dialect's general messages, on which libraries branch.
fn dialect_message(failure: &Failure, meta: &Meta) -> String {
    match (failure.row.dialect, failure.row.kind) {
        (0, ErrorKind::Unauthenticated | ErrorKind::NotFound | ErrorKind::MethodNotAllowed) => {
            status(failure.row.kind).to_string().replacen(' ', ": ", 1)
        }
        _ => failure.row.text(meta.locale).to_owned(),
    }
}

/// Members of our own never replace those of the shape.
fn add_extra(body: &mut Map<String, Value>, failure: &Failure) {
    for (name, value) in failure.extra.iter() {
        body.entry(name.clone()).or_insert_with(|| value.clone());
    }
}

/// Nests field errors as the dialect does: `{content: {_errors: [{code, message}]}}`.
fn nested(fields: &[FieldError]) -> Value {
    let mut root = Map::new();
    for error in fields {
        let leaf = json!({ "code": error.code, "message": error.detail });
        put(&mut root, &segments(&error.pointer), leaf);
    }
    Value::Object(root)
}

fn put(place: &mut Map<String, Value>, path: &[String], leaf: Value) {
    let Some((name, rest)) = path.split_first() else {
        let list = place
            .entry("_errors")
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(leaf);
        }
        return;
    };
    let next = place
        .entry(name.clone())
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(inner) = next {
        put(inner, rest, leaf);
    }
}

/// Splits an RFC 6901 pointer, or takes `?name` and other names as they are.
fn segments(pointer: &str) -> Vec<String> {
    match pointer.strip_prefix('/') {
        Some(path) => path
            .split('/')
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect(),
        None if pointer.is_empty() => Vec::new(),
        None => vec![pointer.trim_start_matches('?').to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_are_the_dialect() {
        assert!(is_dialect("/api/v10"));
        assert!(is_dialect("/api/v10/users/@me"));
        assert!(!is_dialect("/api/v100/users"));
        assert!(!is_dialect("/v1/users"));
    }

    #[test]
    fn seconds_round_up_and_are_never_zero() {
        for (ms, seconds) in [
            (0, 1),
            (1, 1),
            (1_000, 1),
            (1_001, 2),
            (850, 1),
            (59_999, 60),
        ] {
            assert_eq!(whole_seconds(Duration::from_millis(ms)), seconds, "{ms}");
        }
    }

    #[test]
    fn pointers_nest_and_share_parents() {
        let fields = [
            FieldError::new("/embeds/0/title", "TOO_LONG", "shorten it"),
            FieldError::new("/embeds/0", "INVALID", "not an embed"),
            FieldError::new("?limit", "OUT_OF_RANGE", "1 to 100"),
            FieldError::new("/a~1b", "INVALID", "escaped"),
            FieldError::new("", "INVALID", "the whole"),
        ];
        let expected = json!({
            "embeds": {"0": {
                "title": {"_errors": [{"code": "TOO_LONG", "message": "shorten it"}]},
                "_errors": [{"code": "INVALID", "message": "not an embed"}],
            }},
            "limit": {"_errors": [{"code": "OUT_OF_RANGE", "message": "1 to 100"}]},
            "a/b": {"_errors": [{"code": "INVALID", "message": "escaped"}]},
            "_errors": [{"code": "INVALID", "message": "the whole"}],
        });
        assert_eq!(nested(&fields), expected);
    }
}
