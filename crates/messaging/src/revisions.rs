//! Revisions: what a message said before it was edited.

use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId};
use serde::Serialize;
use serde_json::Value;

use crate::Messaging;
use crate::error::Error;
use crate::model::Body;
use crate::sql;

/// What a message said until an edit.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Revision {
    /// Number of the change that had made it so.
    pub ev: i64,
    /// The text.
    pub content: String,
    /// Embeds.
    #[schema(value_type = Vec<Object>)]
    pub embeds: Vec<Value>,
    /// Components.
    #[schema(value_type = Vec<Object>)]
    pub components: Vec<Value>,
    /// When the edit came.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub replaced_at: Timestamp,
}

impl Messaging {
    /// Lists what a message said before, newest first: to its author and to who manages messages.
    pub async fn list_revisions(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<Vec<Revision>, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let row = self.row(channel, message).await?;
        if row.author_id != caller.user {
            place.needs(Chat::MANAGE_MESSAGES)?;
        }
        let rows = sql::list_revisions(&self.db, channel, message).await?;
        let revision = |row: sql::RevisionRow| {
            let body = Body::read(row.body)?;
            Ok(Revision {
                ev: row.ev,
                content: row.content.unwrap_or_default(),
                embeds: body.embeds,
                components: body.components,
                replaced_at: row.replaced_at,
            })
        };
        rows.into_iter().map(revision).collect()
    }
}
