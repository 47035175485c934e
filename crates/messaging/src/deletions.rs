//! Deleting messages.

use async_trait::async_trait;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId, UserId};

use crate::Messaging;
use crate::change::{Change, Desk};
use crate::error::Error;
use crate::events::MESSAGE_DELETED;
use crate::happening::{Happening, Named};
use crate::marks::Marks;
use crate::model::Body;
use crate::places::Place;
use crate::sql;

/// Empties a message.
struct Delete(MessageId);

#[async_trait]
impl Change for Delete {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (channel, at, ev) = (desk.planned.channel, desk.planned.at, desk.next_ev());
        let gone = sql::delete_message(desk.tx, channel, self.0, at, ev).await?;
        let gone = gone.ok_or(Error::UnknownMessage)?;
        desk.take_back(gone.seq, &Marks::named(&Body::read(gone.body)?));
        desk.happened(Happening::Deleted(Named { message_id: self.0 }))?;
        let (event, message) = (desk.planned.id.cast(), (self.0, gone.author_id));
        desk.emit_message(event, MESSAGE_DELETED, message, Some(gone.seq))
    }
}

impl Messaging {
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
        self.delete_in(&place, caller.user, id).await
    }

    /// Deletes a message in a place where `actor` may.
    pub(crate) async fn delete_in(
        &self,
        place: &Place,
        actor: UserId,
        id: MessageId,
    ) -> Result<(), Error> {
        let alter = self.plan(actor, place, Delete(id))?;
        self.writers.alter(alter).await.map(drop)
    }
}
