//! Texts to phones, and codes that a company sends and checks for us.

pub mod twilio;

use async_trait::async_trait;
use thiserror::Error;

/// A text. It may hold a code, so it is never logged and never stored by us.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The number, E.164.
    pub to: String,
    /// What it says; one or two segments.
    pub body: String,
}

/// A text that no adapter takes.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the number is not E.164, or the text is empty or too long")]
pub struct BadText;

/// The longest text, in characters: what providers take at most.
const MAX_BODY_CHARS: usize = 1_600;

impl Text {
    /// Whether the number and the length are right. Every adapter asks before it sends.
    pub fn check(&self) -> Result<(), SmsError> {
        let length = self.body.chars().count();
        if is_e164(&self.to) && !self.body.trim().is_empty() && length <= MAX_BODY_CHARS {
            return Ok(());
        }
        Err(SmsError::Refused(Box::new(BadText)))
    }
}

/// A plus sign and 7 to 15 digits, the first of them not zero.
fn is_e164(number: &str) -> bool {
    let Some(digits) = number.strip_prefix('+') else {
        return false;
    };
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Text(***)")
    }
}

/// Carries texts.
#[async_trait]
pub trait Sms: Send + Sync + 'static {
    /// Hands a text over; it is on its way when this returns.
    async fn send(&self, text: &Text) -> Result<(), SmsError>;
}

/// Makes, sends and checks codes in our place. Our counters still stand in front.
#[async_trait]
pub trait Verify: Send + Sync + 'static {
    /// Sends a code to a number, E.164, in a language (`tr`, `en`).
    async fn start(&self, to: &str, locale: &str) -> Result<(), SmsError>;

    /// Whether this is the code that the number got last.
    async fn check(&self, to: &str, code: &str) -> Result<bool, SmsError>;
}

/// Why a text was not taken, or a code could not be judged.
#[derive(Debug, Error)]
pub enum SmsError {
    /// It will never be taken: the number or the text is refused.
    #[error("send a text that the provider refuses")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may be taken later.
    #[error("reach the provider of texts")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Counts what became of a request: a `text`, a `code` to send or a `check` of one.
fn count<T>(what: &'static str, outcome: &Result<T, SmsError>) {
    let result = match outcome {
        Ok(_) => "sent",
        Err(SmsError::Refused(_)) => "refused",
        Err(SmsError::Unavailable(_)) => "unavailable",
    };
    metrics::counter!("meydan_sms_requests_total", "what" => what, "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_e164() {
        for good in ["+905551112233", "+1234567", "+123456789012345"] {
            assert!(is_e164(good), "{good}");
        }
        for bad in [
            "",
            "+",
            "905551112233",
            "+0905551112233",
            "+123456",
            "+1234567890123456",
            "+90 555 111 22 33",
            "+90555111223x",
            "+٩٠٥٥٥١١١٢٢٣٣",
            "whatsapp:+905551112233",
        ] {
            assert!(!is_e164(bad), "{bad}");
        }
    }

    #[test]
    fn texts_are_bounded_and_not_empty() {
        let taken = |body: String| {
            let to = "+905551112233".to_owned();
            Text { to, body }.check().is_ok()
        };
        assert!(taken("ş".repeat(MAX_BODY_CHARS)));
        assert!(!taken("ş".repeat(MAX_BODY_CHARS + 1)));
        assert!(!taken(" \n".to_owned()));
    }
}
