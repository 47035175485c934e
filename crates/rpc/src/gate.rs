//! What stands in front of every method, unary or streaming: who calls, how many, for how long.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use kernel::failure::{FORBIDDEN, INTERNAL, UNAUTHENTICATED, UNAVAILABLE};
use kernel::{Caller, CallerKind, ErrorRow, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::Instrument as _;
use web_kit::{Meta, VerifyError};

use crate::answer::{Answer, Ending, Meter};
use crate::error::{CALL_TIMEOUT, SERVICE_TOKEN_INVALID};
use crate::life::Life;
use crate::methods::{self, Policy};
use crate::serve::Options;
use crate::status;

const GRPC: &str = "application/grpc";
const TIMEOUT: &str = "grpc-timeout";
/// Where a process shows its service token.
pub(crate) const SERVICE_TOKEN: &str = "x-meydan-service";
/// The label of every method that is not declared: a client can invent any number of them.
const UNDECLARED: &str = "undeclared";

/// What the gate needs; shared by all calls.
pub(crate) struct Gate {
    options: Options,
    slots: Arc<Semaphore>,
    draining: CancellationToken,
}

/// Who was let in, where it matters.
struct Admitted {
    caller: Caller,
    life: Life,
}

impl Gate {
    pub(crate) fn new(options: Options, draining: CancellationToken) -> Arc<Self> {
        let most = options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Gate {
            options,
            slots: Arc::new(Semaphore::new(most)),
            draining,
        })
    }

    /// Judges a call by the table, and by the tokens that are needed. A method that is not declared
    /// is nobody's, whoever asks.
    async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Admitted>, Failure> {
        let policy = methods::find(self.options.methods, path).map(|method| method.policy);
        match policy {
            Some(Policy::Public) => return Ok(None),
            Some(Policy::Internal) => {
                self.know_service(headers).await?;
                if !headers.contains_key(AUTHORIZATION) {
                    return Ok(None);
                }
            }
            Some(Policy::Caller) | None => {}
        }
        let credential = bearer(headers).ok_or_else(|| UNAUTHENTICATED.fail())?;
        let verifier = &self.options.verifier;
        let verified = known(verifier.verified(credential).await, &UNAUTHENTICATED)?;
        let caller = verified.caller;
        // A key has the rights of its scopes alone, and there are none for methods.
        let (Some(_), CallerKind::User, Some(device)) = (policy, caller.kind, caller.device) else {
            return Err(FORBIDDEN.fail());
        };
        tracing::Span::current().record("user.id", caller.user.get());
        let life = Life {
            verifier: Arc::clone(verifier),
            credentials: Arc::clone(&self.options.credentials),
            clock: Arc::clone(&self.options.clock),
            device,
            expires_at: verified.expires_at,
        };
        Ok(Some(Admitted { caller, life }))
    }

    /// Judges the one service token of a call. It says which process calls, and grants nothing of
    /// any user.
    async fn know_service(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let mut values = headers.get_all(SERVICE_TOKEN).iter();
        let token = values.next().and_then(|value| value.to_str().ok());
        let (Some(token), None) = (token, values.next()) else {
            return Err(SERVICE_TOKEN_INVALID.fail());
        };
        let verdict = self.options.verifier.service(token).await;
        let service = known(verdict, &SERVICE_TOKEN_INVALID)?;
        tracing::Span::current().record("peer.service", service);
        Ok(())
    }

    /// Carries a call out up to the head of its answer.
    async fn carry_out(
        &self,
        mut request: Request,
        meta: &Meta,
        next: Next,
    ) -> Result<(Response, Option<Life>), Failure> {
        let path = request.uri().path().to_owned();
        let admitted = self.admit(&path, request.headers()).await?;
        request.extensions_mut().insert(meta.clone());
        let life = admitted.map(|Admitted { caller, life }| {
            request.extensions_mut().insert(caller);
            life
        });
        let limit = deadline(request.headers(), self.options.deadline);
        let work = AssertUnwindSafe(next.run(request)).catch_unwind();
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(response)) => Ok((response, life)),
            Ok(Err(_panic)) => {
                metrics::counter!("meydan_grpc_panics_total", "method" => self.label(&path))
                    .increment(1);
                Err(INTERNAL.fail().because("the handler panicked"))
            }
            Err(_elapsed) => Err(CALL_TIMEOUT.fail()),
        }
    }

    fn label(&self, path: &str) -> &'static str {
        methods::find(self.options.methods, path).map_or(UNDECLARED, |method| method.path)
    }
}

/// The middleware.
pub(crate) async fn run(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(status) = misplaced(&request) {
        return status.into_response();
    }
    let begun = Instant::now();
    let meta = Meta::take(
        &mut request,
        &gate.options.trusted_proxies,
        &*gate.options.rng,
    );
    let method = gate.label(request.uri().path());
    let span = tracing::info_span!(
        "call",
        request.id = meta.request_id,
        rpc.method = method,
        user.id = tracing::field::Empty,
        peer.service = tracing::field::Empty,
    );
    metrics::gauge!("meydan_grpc_in_flight").increment(1.0);
    let slot = Arc::clone(&gate.slots).try_acquire_owned().ok();
    let is_full = slot.is_none();
    let meter = meter(method, &span, slot);
    let work = async {
        let result = if is_full {
            // Waiting would only make the queue longer than anybody's deadline.
            Err(UNAVAILABLE.fail().because("too many calls in flight"))
        } else {
            gate.carry_out(request, &meta, next).await
        };
        result.map_err(|failure| status::answer(&failure, &meta))
    };
    let result = work.instrument(span).await;
    metrics::histogram!("meydan_grpc_request_duration_seconds", "method" => method)
        .record(begun.elapsed().as_secs_f64());
    respond(&gate, result, meter, meta)
}

fn meter(method: &'static str, span: &tracing::Span, slot: Option<OwnedSemaphorePermit>) -> Meter {
    Meter {
        method,
        span: span.clone(),
        code: None,
        _permit: slot,
    }
}

fn respond(
    gate: &Gate,
    result: Result<(Response, Option<Life>), Status>,
    mut meter: Meter,
    meta: Meta,
) -> Response {
    let (mut response, life) = result.unwrap_or_else(|status| (status.into_http(), None));
    if let Ok(id) = HeaderValue::from_str(&meta.request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    // A status in the head is the whole answer.
    meter.code = code_in(response.headers());
    response.map(|inner| {
        Body::new(Answer {
            inner,
            meter,
            meta,
            ending: life.map(|life| -> Ending { Box::pin(life.end()) }),
            draining: Box::pin(gate.draining.clone().cancelled_owned()),
            frames: 0,
            is_over: false,
        })
    })
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    Status::from_header_map(headers).map(|status| status.code())
}

/// What is no gRPC at all is told so in the words of HTTP.
fn misplaced(request: &Request) -> Option<StatusCode> {
    let kind = request.headers().get(CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(GRPC.as_bytes()));
    if request.version() != Version::HTTP_2 {
        Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED)
    } else if is_grpc {
        None
    } else {
        Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }
}

/// What a verdict means for the call: a bad token is refused with `row`.
fn known<T>(verdict: Result<T, VerifyError>, row: &'static ErrorRow) -> Result<T, Failure> {
    verdict.map_err(|error| match error {
        VerifyError::Invalid => row.fail(),
        VerifyError::Unavailable(cause) => UNAVAILABLE.fail().because(cause),
    })
}

/// The one `authorization: Bearer …` of a call; other schemes belong to other surfaces.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let credential = values.next()?.to_str().ok()?;
    let is_bearer = credential
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    (values.next().is_none() && is_bearer).then_some(credential)
}

/// The client's own deadline, if it is the nearer one.
fn deadline(headers: &HeaderMap, longest: Duration) -> Duration {
    let text = headers.get(TIMEOUT).and_then(|value| value.to_str().ok());
    text.and_then(timeout)
        .map_or(longest, |asked| asked.min(longest))
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (unit_at, unit) = text.char_indices().next_back()?;
    let digits = text.get(..unit_at)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(number * 3_600),
        'M' => Duration::from_secs(number * 60),
        'S' => Duration::from_secs(number),
        'm' => Duration::from_millis(number),
        'u' => Duration::from_micros(number),
        'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_clients_are_read_and_only_shorten_ours() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("+5S", None),
            ("123456789S", None),
            ("1ş", None),
            ("1 S", None),
        ] {
            assert_eq!(timeout(text), expected, "{text:?}");
        }
        let mut headers = HeaderMap::new();
        let ours = Duration::from_secs(10);
        assert_eq!(deadline(&headers, ours), ours);
        headers.insert(TIMEOUT, HeaderValue::from_static("99999999H"));
        assert_eq!(deadline(&headers, ours), ours);
        headers.insert(TIMEOUT, HeaderValue::from_static("20m"));
        assert_eq!(deadline(&headers, ours), Duration::from_millis(20));
    }

    #[test]
    fn exactly_one_bearer_token_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        for (text, counts) in [
            ("Bearer x", true),
            ("bearer x", true),
            ("Bot x", false),
            ("x", false),
            ("Bearerx", false),
        ] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(text));
            assert_eq!(bearer(&headers).is_some(), counts, "{text}");
        }
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer y"));
        assert_eq!(bearer(&headers), None);
    }
}
