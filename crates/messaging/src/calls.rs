//! What other contexts ask of us.

use async_trait::async_trait;
use contracts::messaging::{
    Cursor, Inbox, InboxParts, Message, Position, SyncFrom, Synced, WebhookAct, WebhookPlace,
};
use kernel::failure::INVALID_REQUEST;
use kernel::{ChannelId, Failure, MessageId, UserId};

use crate::Messaging;
use crate::sql;

/// Most channels whose position is told at once.
pub(crate) const MAX_POSITIONS: usize = 500;

#[async_trait]
impl contracts::Messaging for Messaging {
    async fn inbox(&self, user: UserId, parts: InboxParts) -> Result<Inbox, Failure> {
        let (read_states, drafts) = match parts {
            InboxParts::Channels => (Vec::new(), Vec::new()),
            InboxParts::WithReadStates => {
                let seats = self.seats(user).await?;
                (
                    self.read_states(&seats.all).await?,
                    self.drafts(user).await?,
                )
            }
        };
        Ok(Inbox {
            channels: self.private_channels(user).await?,
            read_states,
            drafts,
        })
    }

    async fn positions(&self, channels: &[ChannelId]) -> Result<Vec<Position>, Failure> {
        if channels.len() > MAX_POSITIONS {
            return Err(INVALID_REQUEST
                .fail()
                .because("positions of more than 500 channels"));
        }
        let rows = sql::list_positions(&self.db, channels).await?;
        Ok(rows
            .into_iter()
            .map(|row| Position {
                channel: row.id,
                last_seq: row.last_seq,
                last_ev: row.last_ev,
                last_message_id: row.last_message_id,
            })
            .collect())
    }

    async fn advance(&self, user: UserId, cursors: &[Cursor]) -> Result<(), Failure> {
        Ok(self.advance_soon(user, cursors).await?)
    }

    async fn sync(
        &self,
        user: UserId,
        from: &[SyncFrom],
    ) -> Result<Vec<(ChannelId, Synced)>, Failure> {
        Ok(self.catch_up_in(user, from).await?)
    }

    async fn speak(
        &self,
        place: WebhookPlace,
        act: WebhookAct,
    ) -> Result<Option<Message>, Failure> {
        Ok(self.speak_in(place, act).await?)
    }

    async fn messages(&self, wanted: &[(ChannelId, MessageId)]) -> Result<Vec<Message>, Failure> {
        Ok(self.messages_named(wanted).await?)
    }
}
