//! Sending and reading messages.

use contracts::media::Outcome;
use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::model::{NewMessage, SentReference};
use crate::places::Place;
use crate::sql::{self, MessageRow};
use crate::writer::{Append, Sent};

/// What sending led to.
#[derive(Debug)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Whether it was sent before.
    pub replayed: bool,
}

/// Which part of a channel's messages is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The newest.
    Newest,
    /// Those right below a message.
    Before(MessageId),
    /// Those right above a message.
    After(MessageId),
    /// Those on both sides of a message, and it.
    Around(MessageId),
}

impl Messaging {
    /// Sends a message; a second one of the same nonce is the first one again.
    pub async fn send_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        mut new: NewMessage,
    ) -> Result<Delivery, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::SEND_MESSAGES)?;
        self.may_write_in(caller.user, &place).await?;
        if !new.embeds.is_empty() {
            place.needs(Chat::EMBED_LINKS)?;
        }
        if let Some(original) = self.await_turn(caller, &place, new.once.as_deref()).await? {
            return self.replay(caller.user, &place, original, &new).await;
        }
        self.may_say(caller, &place, &new.content, &new.embeds)
            .await?;
        new.forwarded = self.find_forwarded(caller, new.reference.as_ref()).await?;
        let answered = self
            .find_answered(caller.user, &place, new.reference.as_ref())
            .await?;
        let composed = self
            .compose(caller.user, &place, &new, answered.as_ref())
            .await?;
        self.ensure_row(&place).await?;
        let append = self.prepare(caller.user, &place, &new, answered, composed)?;
        self.append(&place, &new, append).await
    }

    /// Stores a message that was put together; a replay is the first one again.
    pub(crate) async fn append(
        &self,
        place: &Place,
        new: &NewMessage,
        mut append: Append,
    ) -> Result<Delivery, Error> {
        let author = append.row.author;
        if let Some(once) = new.once.as_deref().filter(|_| !new.files.is_empty())
            && let Some(original) = self.find_once(author, place.channel, once).await?
        {
            // Its files are claimed by the first one.
            return self.replay(author, place, original, new).await;
        }
        let claimed = self.claim_files(place, new, &mut append).await?;
        // After an error it is not known whether it is stored: a job will look.
        match self.writers.append(append).await? {
            Sent::Fresh(message) => {
                self.settle_files(claimed, Outcome::Kept).await;
                Ok(Delivery {
                    message: *message,
                    replayed: false,
                })
            }
            Sent::Replay(original) => {
                self.settle_files(claimed, Outcome::Released).await;
                self.replay(author, place, original, new).await
            }
        }
    }

    /// Lists messages of a channel, newest first.
    pub async fn list_messages(
        &self,
        caller: &Caller,
        channel: ChannelId,
        window: Window,
        limit: u8,
    ) -> Result<Vec<Message>, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let now = self.clock.now();
        let limit = i64::from(limit.clamp(1, 100));
        let rows = match window {
            Window::Newest => sql::list_newest(&self.db, channel, now, limit).await?,
            Window::Before(id) => sql::list_before(&self.db, channel, now, limit, id).await?,
            Window::After(id) => {
                let mut rows = sql::list_after(&self.db, channel, now, limit, id).await?;
                rows.reverse();
                rows
            }
            Window::Around(id) => {
                let older = limit / 2;
                let sides = (older, limit.saturating_sub(older));
                sql::list_around(&self.db, channel, now, id, sides).await?
            }
        };
        self.show(caller.user, channel, place.community(), rows)
            .await
    }

    /// Finds one message.
    pub async fn find_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: MessageId,
    ) -> Result<Message, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let row = self.row(channel, id).await?;
        self.show_one(caller.user, channel, place.community(), row)
            .await
    }

    /// A message that is still there.
    pub(crate) async fn row(&self, channel: ChannelId, id: MessageId) -> Result<MessageRow, Error> {
        sql::find_message(&self.db, channel, id, self.clock.now())
            .await?
            .ok_or(Error::UnknownMessage)
    }

    /// Shows the original of a message that was sent again.
    async fn replay(
        &self,
        author: UserId,
        place: &Place,
        original: MessageId,
        new: &NewMessage,
    ) -> Result<Delivery, Error> {
        let row = self.row(place.channel, original).await?;
        let shown = self.show_one(author, place.channel, place.community(), row);
        let mut message = shown.await?;
        // An edited original cannot be compared any more; it is the caller's all the same.
        let is_other = message.edited_timestamp.is_none() && message.content != new.content;
        if new.by_key && is_other {
            return Err(kernel::failure::IDEMPOTENCY_MISMATCH.fail().into());
        }
        message.nonce = new.nonce.as_ref().map(|nonce| nonce.shown.clone());
        Ok(Delivery {
            message,
            replayed: true,
        })
    }

    /// Finds the message a reply answers; none for a plain message.
    pub(crate) async fn find_answered(
        &self,
        reader: UserId,
        place: &Place,
        reference: Option<&SentReference>,
    ) -> Result<Option<Message>, Error> {
        let Some(reference) = reference.filter(|reference| !reference.is_forward()) else {
            return Ok(None);
        };
        place.needs(Chat::READ_HISTORY)?;
        let here = reference
            .channel_id
            .is_none_or(|channel| channel == place.channel);
        let found = if here {
            let now = self.clock.now();
            sql::find_message(&self.db, place.channel, reference.message_id, now).await?
        } else {
            None
        };
        match found {
            Some(row) => {
                let shown = self.show_one(reader, place.channel, place.community(), row);
                let mut answered = shown.await?;
                // One level: what the answered message answers is not shown again. And reactions
                // would be those that one reader sees.
                answered.referenced_message = None;
                answered.reactions = None;
                Ok(Some(answered))
            }
            None if reference.fail_if_not_exists == Some(false) => Ok(None),
            None => Err(Error::Invalid(vec![kernel::FieldError::new(
                "/message_reference",
                "MESSAGE_REFERENCE_UNKNOWN_MESSAGE",
                "Unknown message",
            )])),
        }
    }
}
