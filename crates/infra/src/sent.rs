//! What would have been sent: mail and texts for development, kept in memory and shown to the
//! developer instead of going out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use kernel::SharedClock;

use crate::mail::{Letter, Mail, MailError};
use crate::sms::{Sms, SmsError, Text};

/// How many messages are kept; the oldest go first.
pub const KEPT: usize = 200;

/// One message that stayed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When it would have gone out.
    pub at: Timestamp,
    /// Letter or text.
    pub message: Message,
}

/// A letter or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Message {
    Letter(Letter),
    Text(Text),
}

/// Takes everything and sends nothing.
pub struct SentBox {
    clock: SharedClock,
    kept: Mutex<VecDeque<Sent>>,
}

impl SentBox {
    /// An empty one.
    pub fn new(clock: SharedClock) -> Arc<Self> {
        Arc::new(SentBox {
            clock,
            kept: Mutex::default(),
        })
    }

    /// What is kept, the newest first.
    pub fn all(&self) -> Vec<Sent> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().cloned().collect()
    }

    fn keep(&self, message: Message) {
        let at = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Sent { at, message });
    }
}

#[async_trait]
impl Mail for SentBox {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        letter.check()?;
        self.keep(Message::Letter(letter.clone()));
        Ok(())
    }
}

#[async_trait]
impl Sms for SentBox {
    async fn send(&self, text: &Text) -> Result<(), SmsError> {
        text.check()?;
        self.keep(Message::Text(text.clone()));
        Ok(())
    }
}
