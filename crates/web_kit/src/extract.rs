//! What handlers take: the typed parts of a request. Who calls is in `callers.rs`.

use axum::body::Bytes;
use axum::extract::path::ErrorKind as PathError;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, LengthLimitError};
use kernel::failure::{INTERNAL, INVALID_REQUEST};
use kernel::{Failure, FieldError};
use serde::de::DeserializeOwned;

use crate::body::Stalled;
use crate::fail::{BODY_BROKEN, BODY_TIMEOUT, BODY_TOO_LARGE, Fail, UNSUPPORTED_TYPE};
use crate::render::is_dialect;

mod json;
mod reason;

use json::{deserialize, field_error};
pub use reason::{AuditReason, percent_decode};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A JSON body, or as an answer a JSON body with status 200.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Fail> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        parse(&parts, &bytes).map(Self)
    }
}

/// A JSON body that may be absent: an empty one, under any content type or none, is the default.
///
/// A body that is there obeys the rules of [`Json`].
#[derive(Clone, Copy, Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Fail> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(&parts, &bytes).map(Self)
    }
}

/// A body as it came, for forms that are not ours to define.
#[derive(Clone, Debug)]
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Fail;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Fail> {
        read(request.into_body()).await.map(Self)
    }
}

/// A JSON body with the caller's `Idempotency-Key`, if there is one.
#[derive(Clone, Debug)]
pub struct Once<T> {
    /// The body.
    pub body: T,
    /// The key and what it is used for.
    pub once: Option<kernel::Once>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Once<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Fail> {
        let (parts, body) = request.into_parts();
        let key = idempotency_key(&parts.headers)?;
        let bytes = read(body).await?;
        let body = parse(&parts, &bytes)?;
        let once = key.map(|key| kernel::Once {
            key,
            request_hash: request_hash(&parts, &bytes),
        });
        Ok(Self { body, once })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Fail> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let good = (1..=64).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    match value.to_str() {
        Ok(key) if good && values.next().is_none() => Ok(Some(key.to_owned())),
        _ => {
            let detail = "send one key of 1 to 64 visible ASCII characters";
            let error = FieldError::new("Idempotency-Key", "INVALID_KEY", detail);
            Err(Fail(INVALID_REQUEST.fail().field(error)))
        }
    }
}

fn request_hash(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    // Neither a method nor a path can hold a line feed, so the parts cannot run into each other.
    for part in [
        parts.method.as_str().as_bytes(),
        b"\n",
        path.as_bytes(),
        b"\n",
        body,
    ] {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Reads a body whose limits in size and time were set before.
async fn read(body: axum::body::Body) -> Result<Bytes, Fail> {
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(Fail(unreadable(error))),
    }
}

fn unreadable(error: axum::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return BODY_TOO_LARGE.fail();
        }
        if error.is::<Stalled>() {
            return BODY_TIMEOUT.fail();
        }
        cause = error.source();
    }
    BODY_BROKEN.fail().because(error)
}

fn parse<T: DeserializeOwned>(parts: &Parts, bytes: &[u8]) -> Result<T, Fail> {
    let writes = matches!(parts.method, Method::PUT | Method::POST);
    // Stock libraries send PUT and POST without a body under any content type or none.
    if bytes.is_empty() && writes && is_dialect(parts.uri.path()) {
        return deserialize(b"{}");
    }
    if !is_json(&parts.headers) {
        return Err(Fail(UNSUPPORTED_TYPE.fail()));
    }
    deserialize(bytes)
}

/// Takes `application/json`, alone or with `charset=utf-8`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let parameters = parameters.trim();
    essence.trim().eq_ignore_ascii_case("application/json")
        && (parameters.is_empty() || parameters.eq_ignore_ascii_case("charset=utf-8"))
}

/// Typed query parameters.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fail> {
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text
                    .split_once(": ")
                    .map_or(text.as_str(), |(_, text)| text);
                Err(Fail(INVALID_REQUEST.fail().field(query_error(text))))
            }
        }
    }
}

/// Reads `name: what is wrong`, as the deserializer writes it, or a message naming the field.
fn query_error(text: &str) -> FieldError {
    if let Some((name, detail)) = text.split_once(": ")
        && !name.contains([' ', '`'])
    {
        let inner = field_error("", detail);
        return FieldError {
            pointer: format!("?{name}"),
            ..inner
        };
    }
    let inner = field_error("", text);
    FieldError {
        pointer: format!("?{}", inner.pointer.trim_start_matches('/')),
        ..inner
    }
}

/// Typed parameters of the path.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fail> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Fail(path_failure(error.into_kind())))
            }
            Err(rejection) => Err(Fail(INTERNAL.fail().because(rejection))),
        }
    }
}

fn path_failure(kind: PathError) -> Failure {
    let (name, detail) = match kind {
        PathError::ParseErrorAtKey {
            key, expected_type, ..
        } => (key, format!("not a valid {expected_type}")),
        PathError::InvalidUtf8InPathParam { key } => (key, "not valid UTF-8".to_owned()),
        PathError::DeserializeError { key, message, .. } => (key, message),
        PathError::ParseErrorAtIndex { .. } | PathError::ParseError { .. } => {
            ("path".to_owned(), "not a valid value".to_owned())
        }
        PathError::Message(message) => ("path".to_owned(), message),
        // The number or kind of parameters differs from the template: a mistake of ours.
        other => return INTERNAL.fail().because(other.to_string()),
    };
    INVALID_REQUEST
        .fail()
        .field(FieldError::new(format!("{{{name}}}"), "INVALID", detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its type is looked at")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type is looked at")]
        channels: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its type is looked at")]
        position: u8,
    }

    fn problem(text: &str) -> (String, Option<(String, String)>) {
        let Fail(failure) = deserialize::<Body>(text.as_bytes()).unwrap_err();
        let field = failure
            .fields
            .first()
            .map(|f| (f.pointer.clone(), f.code.to_owned()));
        (failure.row.code.to_owned(), field)
    }

    #[test]
    fn errors_point_at_the_field() {
        for (text, pointer, code) in [
            ("{}", "/name", "REQUIRED"),
            (r#"{"name":1}"#, "/name", "INVALID"),
            (r#"{"name":"a","x":1}"#, "/x", "UNKNOWN_FIELD"),
            (r#"{"name":"a","name":"b"}"#, "/name", "DUPLICATE_FIELD"),
            (
                r#"{"name":"a","channels":[{"position":1},{}]}"#,
                "/channels/1/position",
                "REQUIRED",
            ),
            (
                r#"{"name":"a","channels":[{"position":300}]}"#,
                "/channels/0/position",
                "INVALID",
            ),
            (
                r#"{"name":"a","channels":[{"position":1,"y":2}]}"#,
                "/channels/0/y",
                "UNKNOWN_FIELD",
            ),
            (r#" ["a"]"#, "", "INVALID"),
            ("[]", "", "INVALID"),
        ] {
            let (row, field) = problem(text);
            assert_eq!(row, "INVALID_REQUEST", "{text}");
            let expected = (pointer.to_owned(), code.to_owned());
            assert_eq!(field, Some(expected), "{text}");
        }
    }

    #[test]
    fn s14_errors_do_not_repeat_what_was_sent() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "only its type is looked at")]
        struct Login {
            password: String,
            remembered: bool,
            kind: Option<Kind>,
        }
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Kind {
            Token,
        }
        for (text, told) in [
            (r#"{"password":["s3cret"]}"#, Some("expected a string")),
            (r#"{"remembered":"s3cret"}"#, Some("expected a boolean")),
            (
                r#"{"remembered":"s3cret, expected x"}"#,
                Some("expected a boolean"),
            ),
            (r#"{"kind":"s3cret"}"#, Some("expected `token`")),
            (r#""s3cret""#, Some("expected struct Login")),
            (r#"{"remembered":"s3cret","password":"#, None),
        ] {
            let Fail(failure) = deserialize::<Login>(text.as_bytes()).unwrap_err();
            let detail = failure.fields.first().map(|field| field.detail.to_string());
            assert_eq!(detail.as_deref(), told, "{text}");
            let logged = format!("{failure} {failure:?}");
            assert!(!logged.contains("s3cret"), "{logged}");
        }
    }

    #[test]
    fn text_that_is_no_json_is_malformed() {
        let deep = format!(r#"{{"name":{}"#, "[".repeat(1_000));
        for text in [
            "",
            "{",
            "{\"name\":\"a\"} x",
            "{'name':1}",
            "\u{feff}{}",
            &deep,
        ] {
            assert_eq!(problem(text).0, "MALFORMED_JSON", "{text}");
        }
    }

    #[test]
    fn query_errors_name_the_parameter() {
        for (text, pointer, code) in [
            ("limit: invalid digit found in string", "?limit", "INVALID"),
            ("missing field `query`", "?query", "REQUIRED"),
            ("unknown field `x`, expected `limit`", "?x", "UNKNOWN_FIELD"),
        ] {
            let error = query_error(text);
            assert_eq!(
                (error.pointer.as_str(), error.code),
                (pointer, code),
                "{text}"
            );
        }
    }

    #[test]
    fn json_is_recognised_strictly() {
        for (value, good) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=latin1", false),
            ("application/json-patch+json", false),
            ("text/json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_json(&headers), good, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
