//! Texts to phones, and codes that a company sends and checks for us.

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
