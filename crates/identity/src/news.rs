//! Letters that tell people what happened to their account, out of our own events.
//!
//! Each event is handled once (`db::inbox`). Should the commit fail after a letter was queued, it
//! is written twice: better than never.

use std::sync::Weak;

use async_trait::async_trait;
use kernel::{DeviceId, Event, Failure, UserId};
use serde_json::Value;

use crate::Identity;
use crate::error::Result;
use crate::events::{
    DEVICE_CREATED, DEVICE_REVOKED, FACTOR_CHANGED, IMPERSONATION_STARTED,
    REGISTRATION_LOCK_WAITING,
};
use crate::letters::{self, News, Sender};
use crate::sender::Parcel;
use crate::sql;

/// The events that letters are written about.
pub(crate) const KINDS: &[&str] = &[
    DEVICE_CREATED,
    DEVICE_REVOKED,
    FACTOR_CHANGED,
    IMPERSONATION_STARTED,
    REGISTRATION_LOCK_WAITING,
];

/// Writes letters. Holds the context weakly, because the bus outlives it.
pub(crate) struct Letters(pub(crate) Weak<Identity>);

#[async_trait]
impl db::inbox::TxHandler for Letters {
    async fn handle(&self, tx: &db::Tx, event: &Event) -> std::result::Result<(), Failure> {
        if let (Some(identity), Ok(user)) = (self.0.upgrade(), event.key.parse()) {
            identity.write_news(tx, user, event).await?;
        }
        Ok(())
    }
}

impl Identity {
    async fn write_news(&self, tx: &db::Tx, user: UserId, event: &Event) -> Result<()> {
        if self.senders.mail.is_none() {
            return Ok(());
        }
        let Some(news) = self.news_of(tx, user, event).await? else {
            return Ok(());
        };
        let Some(to) = sql::mailboxes::find(tx, user).await? else {
            return Ok(());
        };
        // A full queue is 503, and the bus brings the event again.
        let slot = self.outgoing.reserve()?;
        let sender = Sender {
            public_url: &self.settings.public_url,
        };
        let letter = letters::news(sender, to.locale(), &to.email, news);
        slot.send(Parcel::Letter(letter));
        Ok(())
    }

    /// What there is to tell about an event, if anything.
    async fn news_of(&self, tx: &db::Tx, user: UserId, event: &Event) -> Result<Option<News>> {
        let text = |name: &str| event.data.get(name).and_then(Value::as_str);
        Ok(match event.kind.as_str() {
            DEVICE_CREATED => {
                let device: Option<DeviceId> = text("device_id").and_then(|id| id.parse().ok());
                let news = match device {
                    Some(device) => sql::mailboxes::is_news(tx, device, user).await?,
                    None => false,
                };
                news.then_some(News::Login(event.at))
            }
            DEVICE_REVOKED => {
                (text("reason") == Some("refresh_reuse")).then_some(News::RefreshReused)
            }
            FACTOR_CHANGED => text("factor").map(News::of_factor),
            REGISTRATION_LOCK_WAITING => Some(News::LockWaiting),
            IMPERSONATION_STARTED => Some(News::Impersonated(event.at)),
            _ => None,
        })
    }
}
