//! A post office for tests: takes every message and hands it to the test.

use std::sync::Arc;

use async_trait::async_trait;
use identity::Senders;
use infra::mail::{Letter, Mail, MailError};
use infra::sms::{Sms, SmsError, Text, Verify};
use tokio::sync::{Mutex, mpsc};

/// Somebody's number.
pub(crate) const PHONE: &str = "+905321234567";

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    Letter(Letter),
    Text(Text),
    /// A company was asked to send a code to a number, in a language.
    Code(String, String),
}

impl Message {
    /// The text to read.
    pub(crate) fn text(&self) -> &str {
        match self {
            Message::Letter(letter) => &letter.text,
            Message::Text(text) => &text.body,
            Message::Code(to, _) => to,
        }
    }

    /// The first six digits in a row.
    pub(crate) fn code(&self) -> String {
        let parts = self.text().split(|c: char| !c.is_ascii_digit());
        let mut codes = parts.filter(|part| part.len() == 6);
        codes.next().unwrap().to_owned()
    }
}

/// Takes messages; the company among them knows one code.
pub(crate) struct Post {
    tx: mpsc::Sender<Message>,
    rx: Mutex<mpsc::Receiver<Message>>,
}

/// The code that the company makes.
pub(crate) const COMPANY_CODE: &str = "271828";

impl Post {
    pub(crate) fn new() -> Arc<Self> {
        let (tx, rx) = mpsc::channel(1_000);
        Arc::new(Post {
            tx,
            rx: Mutex::new(rx),
        })
    }

    /// Letters and texts.
    pub(crate) fn senders(self: &Arc<Self>) -> Senders {
        Senders {
            mail: Some(self.clone()),
            sms: Some(self.clone()),
            verify: None,
        }
    }

    /// Waits for the next message.
    pub(crate) async fn next(&self) -> Message {
        self.rx.lock().await.recv().await.unwrap()
    }

    async fn take(&self, message: Message) {
        self.tx.send(message).await.unwrap();
    }
}

#[async_trait]
impl Mail for Post {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        self.take(Message::Letter(letter.clone())).await;
        Ok(())
    }
}

#[async_trait]
impl Sms for Post {
    async fn send(&self, text: &Text) -> Result<(), SmsError> {
        self.take(Message::Text(text.clone())).await;
        Ok(())
    }
}

#[async_trait]
impl Verify for Post {
    async fn start(&self, to: &str, locale: &str) -> Result<(), SmsError> {
        let message = Message::Code(to.to_owned(), locale.to_owned());
        self.take(message).await;
        Ok(())
    }

    async fn check(&self, to: &str, code: &str) -> Result<bool, SmsError> {
        if code == "000000" {
            return Err(SmsError::Unavailable("away".into()));
        }
        Ok(to == PHONE && code == COMPANY_CODE)
    }
}
