//! What other contexts ask of us.

use async_trait::async_trait;
use contracts::messaging::{Inbox, Position};
use kernel::failure::INVALID_REQUEST;
use kernel::{ChannelId, Failure, UserId};

use crate::Messaging;
use crate::sql;

/// Most channels whose position is told at once.
pub(crate) const MAX_POSITIONS: usize = 500;

#[async_trait]
impl contracts::Messaging for Messaging {
    async fn inbox(&self, user: UserId) -> Result<Inbox, Failure> {
        Ok(Inbox {
            channels: self.private_channels(user).await?,
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
}
