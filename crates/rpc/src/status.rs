//! The one place where a failure becomes a gRPC status, with its details as google.rpc messages.

use std::collections::HashMap;
use std::time::Duration;

use kernel::{ErrorKind, Failure, FieldError, Locale};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use web_kit::Meta;

/// Whose codes the reasons are.
const DOMAIN: &str = "meydan";

/// Failures that ask for a different state first: another factor, or a lock that opens later.
/// Logging in again would not help, which is what their kind means to clients of gRPC.
const NEEDS_STATE: &[&str] = &["SECOND_FACTOR_REQUIRED", "REGISTRATION_LOCKED"];

/// Logs what has to be logged, once, and makes the status.
pub(crate) fn answer(failure: &Failure, meta: &Meta) -> Status {
    match failure.row.kind {
        ErrorKind::Internal => tracing::error!(error = %failure, "call failed"),
        ErrorKind::Unavailable => tracing::warn!(error = %failure, "call not served"),
        _ => tracing::debug!(error = %failure, "call refused"),
    }
    status(failure, meta)
}

pub(crate) fn status(failure: &Failure, meta: &Meta) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(failure.row.code, DOMAIN, members(failure));
    details.set_localized_message(meta.locale.tag(), failure.row.text(meta.locale));
    details.set_request_info(meta.request_id.clone(), "");
    if !failure.fields.is_empty() {
        let violations: Vec<FieldViolation> = failure.fields.iter().map(violation).collect();
        details.set_bad_request(violations);
    }
    if let Some(wait) = retry_after(failure) {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(code(failure), failure.row.text(Locale::En), details)
}

fn code(failure: &Failure) -> Code {
    if NEEDS_STATE.contains(&failure.row.code) {
        return Code::FailedPrecondition;
    }
    match failure.row.kind {
        ErrorKind::Invalid | ErrorKind::UnsupportedType | ErrorKind::Unprocessable => {
            Code::InvalidArgument
        }
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::MethodNotAllowed => Code::Unimplemented,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Conflict | ErrorKind::PreconditionRequired => Code::FailedPrecondition,
        ErrorKind::Stale => Code::Aborted,
        ErrorKind::TooLarge
        | ErrorKind::HeadTooLarge
        | ErrorKind::RateLimited
        | ErrorKind::StorageFull => Code::ResourceExhausted,
        ErrorKind::Internal => Code::Internal,
        ErrorKind::BadGateway | ErrorKind::Unavailable => Code::Unavailable,
    }
}

/// The pause to announce; those kinds that promise one always have it.
fn retry_after(failure: &Failure) -> Option<Duration> {
    match failure.row.kind {
        ErrorKind::RateLimited
        | ErrorKind::Unavailable
        | ErrorKind::BadGateway
        | ErrorKind::StorageFull => Some(failure.retry_after.unwrap_or(Duration::from_secs(1))),
        _ => failure.retry_after,
    }
}

/// Public members of the failure; what is no text is written as JSON.
fn members(failure: &Failure) -> HashMap<String, String> {
    let members = failure.extra.iter().map(|(name, value)| {
        let text = value.as_str().map(ToOwned::to_owned);
        (name.clone(), text.unwrap_or_else(|| value.to_string()))
    });
    members.collect()
}

fn violation(error: &FieldError) -> FieldViolation {
    let field = error.pointer.trim_start_matches(['/', '?']);
    FieldViolation {
        reason: error.code.to_owned(),
        ..FieldViolation::new(field.replace('/', "."), error.detail.clone())
    }
}

/// The name of a code, as a label.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
