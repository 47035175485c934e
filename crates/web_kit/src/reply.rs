//! Answers of handlers that succeeded.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kernel::failure::INTERNAL;
use serde::Serialize;

use crate::extract::Json;
use crate::fail::Fail;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

impl<T: Serialize> IntoResponse for Json<T> {
    /// Answers 200 with the content type exactly `application/json`: stock clients compare it.
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// 201 with the created thing.
#[derive(Debug)]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        json(StatusCode::CREATED, &self.0)
    }
}

/// 204: no body and no content type, or stock clients try to parse the nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// The answer of an operation that takes an idempotency key or a nonce.
#[derive(Debug)]
pub struct Replayed<T> {
    /// The status of the first answer.
    pub status: StatusCode,
    /// The body of the first answer.
    pub body: T,
    /// Whether this is a repetition; says so in `Idempotent-Replayed: true`.
    pub replayed: bool,
}

impl<T: Serialize> IntoResponse for Replayed<T> {
    fn into_response(self) -> Response {
        let mut response = if self.status == StatusCode::NO_CONTENT {
            NoContent.into_response()
        } else {
            json(self.status, &self.body)
        };
        if self.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = status;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => Fail(INTERNAL.fail().because(error)).into_response(),
    }
}
