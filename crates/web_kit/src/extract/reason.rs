//! The reason that a request gives for the audit log.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use kernel::FieldError;
use kernel::failure::INVALID_REQUEST;

use crate::fail::Fail;

const REASON: &str = "x-audit-log-reason";
/// Longest reason, in characters.
const MAX_REASON: usize = 512;

/// The percent-encoded reason for the audit log, decoded; none when absent or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReason(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for AuditReason {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fail> {
        let Some(value) = parts.headers.get(REASON) else {
            return Ok(AuditReason(None));
        };
        let Some(text) = percent_decode(value.as_bytes()) else {
            return Err(refused("INVALID", "must be percent-encoded UTF-8"));
        };
        let text = text.trim();
        if text.chars().count() > MAX_REASON {
            return Err(refused("TOO_LONG", "must have at most 512 characters"));
        }
        Ok(AuditReason((!text.is_empty()).then(|| text.to_owned())))
    }
}

fn refused(code: &'static str, detail: &str) -> Fail {
    let error = FieldError::new("X-Audit-Log-Reason", code, detail);
    Fail(INVALID_REQUEST.fail().field(error))
}

/// Percent-decodes text without NULs; a stray `%` stands for itself, as in the libraries that do not
/// encode.
pub fn percent_decode(bytes: &[u8]) -> Option<String> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        let pair = match tail {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = pair {
            out.push(high * 16 + low);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(out)
        .ok()
        .filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::percent_decode;

    #[test]
    fn reasons_are_percent_decoded() {
        for (raw, text) in [
            ("spam", Some("spam")),
            ("g%C3%BCr%C3%BClt%C3%BC", Some("gürültü")),
            ("100% sure%2", Some("100% sure%2")),
            ("%ff", None),
            ("a%00b", None),
            ("", Some("")),
        ] {
            assert_eq!(percent_decode(raw.as_bytes()).as_deref(), text, "{raw}");
        }
    }
}
