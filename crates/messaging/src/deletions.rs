//! Deleting messages, one or many.

use std::time::Duration;

use async_trait::async_trait;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, EventId, MessageId, UserId};

use crate::Messaging;
use crate::change::{Change, Desk};
use crate::error::Error;
use crate::events::{self, MESSAGE_DELETED};
use crate::happening::{Happening, Named, NamedMany};
use crate::marks::Marks;
use crate::model::Body;
use crate::places::Place;
use crate::sql::{self, DeletedRow};

/// How many messages are deleted at once.
pub(crate) const MANY: std::ops::RangeInclusive<usize> = 2..=100;
/// Older ones are not deleted in masses.
const OLDEST: Duration = Duration::from_secs(14 * 86_400);

/// Empties a message.
struct Delete {
    message: MessageId,
    /// The event of who took another one's away, and the reason given.
    removed: Option<(EventId, Option<String>)>,
}

#[async_trait]
impl Change for Delete {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let id = self.message;
        let gone = empty(desk, &[id]).await?;
        let gone = gone.first().ok_or(Error::UnknownMessage)?;
        desk.happened(Happening::Deleted(Named { message_id: id }))?;
        let (event, message) = (desk.planned.id.cast(), (id, gone.author_id));
        desk.emit_message(event, MESSAGE_DELETED, message, Some(gone.seq))?;
        let Some((event, reason)) = &self.removed else {
            return Ok(());
        };
        let data = serde_json::to_value(events::Removal {
            channel_id: desk.planned.channel,
            community_id: desk.community(),
            id,
            author_id: gone.author_id,
            reason: reason.as_deref(),
        })?;
        desk.emit(*event, events::MESSAGE_REMOVED, data);
        Ok(())
    }
}

/// Empties those of many messages that are there.
pub(crate) struct DeleteMany {
    /// Each with the id of its event.
    pub(crate) messages: Vec<(MessageId, EventId)>,
    /// The event of who did it, and the reason given; none when time did it.
    pub(crate) by: Option<(EventId, Option<String>)>,
}

#[async_trait]
impl Change for DeleteMany {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let ids: Vec<MessageId> = self.messages.iter().map(|(id, _)| *id).collect();
        let gone = empty(desk, &ids).await?;
        if gone.is_empty() {
            return Ok(());
        }
        let message_ids: Vec<MessageId> = gone.iter().map(|row| row.id).collect();
        desk.happened(Happening::DeletedMany(NamedMany {
            message_ids: message_ids.clone(),
        }))?;
        for row in &gone {
            let event = self.messages.iter().find(|(id, _)| *id == row.id);
            if let Some((_, event)) = event {
                let message = (row.id, row.author_id);
                desk.emit_message(*event, MESSAGE_DELETED, message, Some(row.seq))?;
            }
        }
        let Some((event, reason)) = &self.by else {
            return Ok(());
        };
        let data = serde_json::to_value(events::BulkDeletion {
            channel_id: desk.planned.channel,
            community_id: desk.community(),
            ids: message_ids,
            reason: reason.as_deref(),
        })?;
        desk.emit(*event, events::MESSAGES_BULK_DELETED, data);
        Ok(())
    }
}

/// Empties messages and takes back whom they called; those that were there.
async fn empty(desk: &mut Desk<'_>, ids: &[MessageId]) -> Result<Vec<DeletedRow>, Error> {
    let (channel, at, ev) = (desk.planned.channel, desk.planned.at, desk.next_ev());
    let gone = sql::delete_messages(desk.tx, channel, ids, at, ev).await?;
    for row in &gone {
        let body = Body::read(row.body.clone())?;
        desk.take_back(row.seq, &Marks::named(&body));
    }
    Ok(gone)
}

impl Messaging {
    /// Deletes the caller's own message, or anybody's with the right to manage messages.
    pub async fn delete_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: MessageId,
        reason: Option<String>,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        let row = self.row(channel, id).await?;
        if row.author_id == caller.user {
            return self.delete_in(&place, caller.user, id).await;
        }
        place.needs(Chat::MANAGE_MESSAGES)?;
        let delete = Delete {
            message: id,
            removed: Some((self.ids.next()?, reason)),
        };
        let alter = self.plan(caller.user, &place, delete)?;
        self.writers.alter(alter).await.map(drop)
    }

    /// Deletes a message of `actor` in a place.
    pub(crate) async fn delete_in(
        &self,
        place: &Place,
        actor: UserId,
        id: MessageId,
    ) -> Result<(), Error> {
        let delete = Delete {
            message: id,
            removed: None,
        };
        let alter = self.plan(actor, place, delete)?;
        self.writers.alter(alter).await.map(drop)
    }

    /// Deletes many messages at once; those that are gone already are no error.
    pub async fn delete_messages(
        &self,
        caller: &Caller,
        channel: ChannelId,
        mut ids: Vec<MessageId>,
        reason: Option<String>,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::MANAGE_MESSAGES)?;
        ids.sort_unstable();
        ids.dedup();
        if !MANY.contains(&ids.len()) {
            return Err(Error::WrongCount);
        }
        let oldest = self.clock.now().checked_sub(OLDEST);
        let oldest = oldest.map_or(MessageId::new(0), MessageId::floor_at);
        if ids.iter().any(|id| *id < oldest) {
            return Err(Error::TooOld);
        }
        let change = DeleteMany {
            messages: self.with_events(ids)?,
            by: Some((self.ids.next()?, reason)),
        };
        let alter = self.plan(caller.user, &place, change)?;
        self.writers.alter(alter).await.map(drop)
    }

    /// Messages, each with an id for its event.
    pub(crate) fn with_events(
        &self,
        ids: Vec<MessageId>,
    ) -> Result<Vec<(MessageId, EventId)>, Error> {
        let with_event = |id| Ok((id, self.ids.next()?));
        ids.into_iter().map(with_event).collect()
    }
}
