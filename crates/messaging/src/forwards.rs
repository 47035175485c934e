//! Forwards: a message shown somewhere else, as it was at that moment.

use contracts::messaging::{MessageSnapshot, SnapshotMessage};
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, FieldError, MessageId};
use serde::{Deserialize, Serialize};

use crate::Messaging;
use crate::error::Error;
use crate::model::{self, Body, SentReference};

/// The dialect's flag of a message that shows another one.
pub(crate) const HAS_SNAPSHOT: i32 = 1 << 14;

/// What is stored of a forwarded message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Forwarded {
    pub(crate) message_id: MessageId,
    pub(crate) channel_id: ChannelId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guild_id: Option<CommunityId>,
    pub(crate) snapshot: MessageSnapshot,
}

impl Messaging {
    /// Finds the message a forward shows: the caller must be able to read it where it stands.
    pub(crate) async fn find_forwarded(
        &self,
        caller: &Caller,
        reference: Option<&SentReference>,
    ) -> Result<Option<Forwarded>, Error> {
        let Some(reference) = reference.filter(|reference| reference.is_forward()) else {
            return Ok(None);
        };
        let channel = reference.channel_id.ok_or_else(|| unknown("channel_id"))?;
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let row = match self.row(channel, reference.message_id).await {
            Err(Error::UnknownMessage) => return Err(unknown("message_id")),
            row => row?,
        };
        if !model::is_from_people(row.kind) {
            return Err(Error::SystemMessage);
        }
        let body = Body::read(row.body)?;
        if body.poll.is_some() {
            let detail = "a poll stays where it is";
            let error = FieldError::new("/message_reference", "POLL_NOT_FORWARDED", detail);
            return Err(Error::Invalid(vec![error]));
        }
        // Of a forward that is forwarded the same is shown again.
        let snapshot = body.forwarded.map_or_else(
            || SnapshotMessage {
                content: row.content.unwrap_or_default(),
                embeds: [body.embeds, body.previews].concat(),
                components: body.components,
                attachments: Vec::new(),
                timestamp: row.id.made_at(),
                edited_timestamp: row.edited_at,
                flags: row.flags,
                kind: row.kind,
                mentions: Vec::new(),
                mention_roles: Vec::new(),
            },
            |forwarded| forwarded.snapshot.message,
        );
        Ok(Some(Forwarded {
            message_id: row.id,
            channel_id: channel,
            guild_id: place.community(),
            snapshot: MessageSnapshot { message: snapshot },
        }))
    }
}

fn unknown(field: &str) -> Error {
    Error::Invalid(vec![FieldError::new(
        format!("/message_reference/{field}"),
        "MESSAGE_REFERENCE_UNKNOWN_MESSAGE",
        "Unknown message",
    )])
}
