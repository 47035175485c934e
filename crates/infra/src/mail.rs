//! Letters to people.

pub mod smtp;

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

/// A letter that no adapter takes: a line break in its head would become a header of its own.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the head of a letter is empty, too long or has characters that do not belong there")]
pub struct BadHead;

/// The longest subject, in characters.
const MAX_SUBJECT_CHARS: usize = 200;
/// The longest address, in bytes.
const MAX_ADDRESS_BYTES: usize = 254;

impl Letter {
    /// Whether address and subject are one line each. Every adapter asks before it sends.
    pub fn check(&self) -> Result<(), MailError> {
        let address = !self.to.is_empty()
            && self.to.len() <= MAX_ADDRESS_BYTES
            && !self.to.chars().any(|c| c.is_control() || c.is_whitespace());
        let subject = !self.subject.trim().is_empty()
            && self.subject.chars().count() <= MAX_SUBJECT_CHARS
            && !self.subject.chars().any(breaks_lines);
        if address && subject {
            return Ok(());
        }
        Err(MailError::Refused(Box::new(BadHead)))
    }
}

/// Control characters, and the two separators that some programs take for line ends.
fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
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

/// Counts what became of a letter.
fn count(outcome: &Result<(), MailError>) {
    let result = match outcome {
        Ok(()) => "sent",
        Err(MailError::Refused(_)) => "refused",
        Err(MailError::Unavailable(_)) => "unavailable",
    };
    metrics::counter!("meydan_mail_letters_total", "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(to: &str, subject: &str) -> bool {
        let letter = Letter {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "One.\r\nTwo.".to_owned(),
        };
        letter.check().is_ok()
    }

    #[test]
    fn no_head_has_more_than_one_line() {
        assert!(taken("ayse@example.com", "Şifreni değiştir"));
        assert!(taken("ayşe@örnek.example", "x"));
        for to in [
            "",
            "a@b.example\r\nBcc: c@d.example",
            "a@b.example\n",
            "a@b\0",
            "a @b",
        ] {
            assert!(!taken(to, "x"), "{to:?}");
        }
        for subject in [
            "",
            " ",
            "x\r\nBcc: c@d.example",
            "x\ny",
            "x\ry",
            "x\u{85}y",
            "x\u{2028}y",
        ] {
            assert!(!taken("a@b.example", subject), "{subject:?}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        assert!(taken("a@b.example", &"ş".repeat(MAX_SUBJECT_CHARS)));
        assert!(!taken("a@b.example", &"ş".repeat(MAX_SUBJECT_CHARS + 1)));
        assert!(taken(&"a".repeat(MAX_ADDRESS_BYTES), "x"));
        assert!(!taken(&"a".repeat(MAX_ADDRESS_BYTES + 1), "x"));
    }
}
