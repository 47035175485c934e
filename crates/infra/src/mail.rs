//! Letters to people.

use async_trait::async_trait;
use thiserror::Error;

/// A letter. It may hold a link or a code, so it is never logged and never stored by us.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The address, checked before.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The whole letter as plain text.
    pub text: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter(***)")
    }
}

/// Carries letters.
#[async_trait]
pub trait Mail: Send + Sync + 'static {
    /// Hands a letter over; it is on its way when this returns.
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}

/// Why a letter was not taken.
#[derive(Debug, Error)]
pub enum MailError {
    /// It will never be taken as it is: the address or the letter is refused.
    #[error("send a letter that the mail server refuses")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may be taken later.
    #[error("reach the mail server")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
