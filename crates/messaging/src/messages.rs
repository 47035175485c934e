//! Sending, reading, editing and deleting messages.

use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId};

use crate::Messaging;
use crate::error::Error;
use crate::live::Audience;
use crate::log::Change;
use crate::model::{Edit, NewMessage, SentReference};
use crate::places::Place;
use crate::sql::{self, DeleteRow, MessageRow};
use crate::writer::{After, Alter, Altered, Sent};

/// How often an edit is computed anew when others edit the same message at once.
const EDIT_TRIES: u32 = 5;

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
        new: NewMessage,
    ) -> Result<Delivery, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::SEND_MESSAGES)?;
        self.may_write_in(caller.user, &place).await?;
        if !new.embeds.is_empty() {
            place.needs(Chat::EMBED_LINKS)?;
        }
        if let Some(original) = self.await_turn(caller, &place, new.once.as_deref()).await? {
            return self.replay(&place, original, &new).await;
        }
        let answered = self.find_answered(&place, new.reference.as_ref()).await?;
        let composed = self
            .compose(caller.user, &place, &new, answered.as_ref())
            .await?;
        self.ensure_row(&place).await?;
        let append = self.prepare(caller.user, &place, &new, answered, composed)?;
        match self.writers.append(append).await? {
            Sent::Fresh(message) => Ok(Delivery {
                message: *message,
                replayed: false,
            }),
            Sent::Replay(original) => self.replay(&place, original, &new).await,
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
        self.show(channel, place.community(), rows).await
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
        self.show_one(channel, place.community(), row).await
    }

    /// Edits the caller's own message.
    pub async fn edit_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: MessageId,
        edit: Edit,
    ) -> Result<Message, Error> {
        let place = self.enter(caller, channel).await?;
        // Otherwise an old message would carry new words past a block.
        self.may_write_in(caller.user, &place).await?;
        if edit
            .embeds
            .as_ref()
            .is_some_and(|embeds| !embeds.is_empty())
        {
            place.needs(Chat::EMBED_LINKS)?;
        }
        // The new state is computed from the stored one and written only over that: whoever loses
        // against another edit computes again.
        for _ in 0..EDIT_TRIES {
            let row = self.row(channel, id).await?;
            if row.author_id != caller.user {
                return Err(Error::NotAuthor);
            }
            let alter = self.prepare_edit(&place, row, &edit).await?;
            match self.writers.alter(alter).await? {
                Altered::Done(Some(message)) => return Ok(*message),
                Altered::Done(None) | Altered::Missed => {}
            }
        }
        Err(Error::Overloaded)
    }

    /// Deletes the caller's own message, or anybody's with the right to manage messages.
    pub async fn delete_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: MessageId,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        let row = self.row(channel, id).await?;
        if row.author_id != caller.user {
            place.needs(Chat::MANAGE_MESSAGES)?;
        }
        let change = DeleteRow {
            channel,
            id,
            actor: caller.user,
            at: self.clock.now(),
            change: self.ids.next::<kernel::id::kind::Other>()?,
        };
        let alter = Alter {
            change: Change::Delete(change),
            after: After::Deleted(id),
            audience: Audience::of(&place),
        };
        match self.writers.alter(alter).await? {
            Altered::Done(_) => Ok(()),
            Altered::Missed => Err(Error::UnknownMessage),
        }
    }

    /// A message that is still there.
    async fn row(&self, channel: ChannelId, id: MessageId) -> Result<MessageRow, Error> {
        sql::find_message(&self.db, channel, id, self.clock.now())
            .await?
            .ok_or(Error::UnknownMessage)
    }

    /// Shows the original of a message that was sent again.
    async fn replay(
        &self,
        place: &Place,
        original: MessageId,
        new: &NewMessage,
    ) -> Result<Delivery, Error> {
        let row = self.row(place.channel, original).await?;
        let mut message = self.show_one(place.channel, place.community(), row).await?;
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
    async fn find_answered(
        &self,
        place: &Place,
        reference: Option<&SentReference>,
    ) -> Result<Option<Message>, Error> {
        let Some(reference) = reference else {
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
                let mut answered = self.show_one(place.channel, place.community(), row).await?;
                // One level: what the answered message answers is not shown again.
                answered.referenced_message = None;
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
