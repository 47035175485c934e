//! Writing through a webhook: its token is all that is asked for.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use contracts::messaging::{Message, Voice, WebhookAct, WebhookPlace};
use kernel::failure::RATE_LIMITED;
use kernel::{ChannelId, MessageId, Rule, WebhookId};
use serde_json::Value;

use super::embed::Foreign;
use super::github::{self, Told};
use super::model::{EditWebhookMessage, ExecuteWebhook, UpdateWebhook, Webhook, WebhookRow};
use super::slack;
use crate::Applications;
use crate::error::{Error, Result};
use crate::keys::sha256;
use crate::sql::webhooks as sql;

/// What one webhook may do to messages, whoever holds its token.
pub(crate) const EXECUTE: Rule = Rule::new("webhook_execute", 5, Duration::from_secs(2));
/// The dialect's number of a channel that is not there.
const CHANNEL_UNKNOWN: u32 = 10003;

/// How a webhook is named by those who may write through it.
#[derive(Debug)]
pub struct Bearer {
    /// The webhook.
    pub id: WebhookId,
    /// What proves the right to it.
    pub token: String,
    /// The thread to write in instead of the channel.
    pub thread: Option<ChannelId>,
}

/// The form of a program that is not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form<'a> {
    /// Slack's, which others send, too.
    Slack,
    /// GitHub's, with the name of the event.
    GitHub(&'a str),
}

impl Applications {
    /// The webhook, without who made it.
    pub async fn webhook_by_token(&self, bearer: &Bearer) -> Result<Webhook> {
        let row = self.borne(bearer).await?;
        Ok(row.object(bearer.token.clone(), None, &self.settings.public_url))
    }

    /// Changes name and picture; the channel is not the bearer's to choose.
    pub async fn update_webhook_by_token(
        &self,
        bearer: &Bearer,
        patch: UpdateWebhook,
    ) -> Result<Webhook> {
        let row = self.borne(bearer).await?;
        let (id, patch) = (
            row.id,
            UpdateWebhook {
                channel_id: None,
                ..patch
            },
        );
        let row = self.change_webhook(row, id.cast(), &patch, None).await?;
        Ok(row.object(bearer.token.clone(), None, &self.settings.public_url))
    }

    /// Deletes the webhook.
    pub async fn delete_webhook_by_token(&self, bearer: &Bearer) -> Result<()> {
        let row = self.borne(bearer).await?;
        let id = row.id;
        self.remove_webhook(row, id.cast(), None).await
    }

    /// Writes a message. Of two with one `key` in two days the second is the first again.
    pub async fn execute_webhook(
        &self,
        bearer: &Bearer,
        sent: ExecuteWebhook,
        key: Option<String>,
    ) -> Result<Message> {
        let row = self.counted(bearer).await?;
        let (name, avatar_url) = sent.voice()?;
        let voice = voice(&row, name, avatar_url);
        let body =
            serde_json::to_value(&sent).map_err(|error| Error::Unreadable(error.to_string()))?;
        self.send(&row, bearer, WebhookAct::Send { voice, body, key })
            .await
    }

    /// Writes what a program of others sent in its own form; none when that says nothing.
    pub async fn execute_foreign(
        &self,
        bearer: &Bearer,
        form: Form<'_>,
        sent: &Value,
        key: Option<String>,
    ) -> Result<Option<Message>> {
        let row = self.counted(bearer).await?;
        let read = match form {
            Form::Slack => slack::read(sent).map(Told::Message),
            Form::GitHub(event) => github::read(event, sent),
        };
        let unread = || Error::Unreadable("a message in the form of this path".to_owned());
        let foreign: Foreign = match read.ok_or_else(unread)? {
            Told::Nothing => return Ok(None),
            Told::Message(message) => message,
        };
        let body = foreign.body();
        let voice = voice(&row, foreign.username, foreign.avatar_url);
        let act = WebhookAct::Send { voice, body, key };
        self.send(&row, bearer, act).await.map(Some)
    }

    /// A message of the webhook's own.
    pub async fn webhook_message(&self, bearer: &Bearer, id: MessageId) -> Result<Message> {
        let row = self.borne(bearer).await?;
        let channel = bearer.thread.unwrap_or(row.channel_id);
        let found = self.messaging.messages(&[(channel, id)]).await?;
        let own = |message: &Message| message.webhook_id == Some(row.id);
        found.into_iter().find(own).ok_or(Error::UnknownMessage)
    }

    /// Edits a message of the webhook's own.
    pub async fn edit_webhook_message(
        &self,
        bearer: &Bearer,
        id: MessageId,
        edit: EditWebhookMessage,
    ) -> Result<Message> {
        let row = self.counted(bearer).await?;
        let body =
            serde_json::to_value(&edit).map_err(|error| Error::Unreadable(error.to_string()))?;
        let place = place_of(&row, bearer);
        let edited = self
            .messaging
            .speak(place, WebhookAct::Edit(id, body))
            .await?;
        edited.ok_or(Error::UnknownMessage)
    }

    /// Deletes a message of the webhook's own.
    pub async fn delete_webhook_message(&self, bearer: &Bearer, id: MessageId) -> Result<()> {
        let row = self.counted(bearer).await?;
        let place = place_of(&row, bearer);
        self.messaging.speak(place, WebhookAct::Delete(id)).await?;
        Ok(())
    }

    async fn send(&self, row: &WebhookRow, bearer: &Bearer, act: WebhookAct) -> Result<Message> {
        match self.messaging.speak(place_of(row, bearer), act).await {
            Ok(message) => message.ok_or(Error::UnknownMessage),
            // Its channel went while its event was on the way: the webhook goes with it.
            Err(failure) if failure.row.dialect == CHANNEL_UNKNOWN && bearer.thread.is_none() => {
                let tx = self.db.begin().await?;
                sql::delete_webhook(&tx, row.id).await?;
                tx.commit().await?;
                Err(Error::UnknownWebhook)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// The webhook whose token is shown; one that is not there and one that is somebody else's are
    /// never told apart.
    async fn borne(&self, bearer: &Bearer) -> Result<WebhookRow> {
        let found = sql::find_webhook(&self.db, bearer.id).await?;
        let shown = sha256(&bearer.token);
        let is_it = |row: &WebhookRow| verify_slices_are_equal(&row.token_sha256, &shown).is_ok();
        found.filter(is_it).ok_or(Error::UnknownWebhook)
    }

    /// The same, counted. Whoever lacks the token uses nothing up.
    async fn counted(&self, bearer: &Bearer) -> Result<WebhookRow> {
        let row = self.borne(bearer).await?;
        let verdict = self.limiter.take(EXECUTE, &row.id.to_string(), 1).await;
        if !verdict.allowed {
            let refused = RATE_LIMITED.fail().retry_after(verdict.retry_after);
            return Err(Error::Called(refused));
        }
        Ok(row)
    }
}

fn voice(row: &WebhookRow, name: Option<String>, avatar_url: Option<String>) -> Voice {
    Voice {
        name: name.unwrap_or_else(|| row.name.clone()),
        avatar: row.avatar.clone(),
        avatar_url,
    }
}

fn place_of(row: &WebhookRow, bearer: &Bearer) -> WebhookPlace {
    WebhookPlace {
        webhook: row.id,
        creator: row.creator_id,
        community: row.community_id,
        channel: row.channel_id,
        thread: bearer.thread,
    }
}
