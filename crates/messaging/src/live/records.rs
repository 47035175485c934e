//! The records of pins and of many messages gone.

use infra::fanout::{Record, Version};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, MessageId};
use serde::Serialize;

use super::{Audience, intent, plain};
use crate::error::Error;
use crate::happening::PinsMoved;

/// What clients are told of a channel's pins.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelPins {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
    #[serde(with = "kernel::time::dialect_form::option")]
    last_pin_timestamp: Option<Timestamp>,
}

impl ChannelPins {
    /// The event's name.
    pub(crate) const NAME: &str = "CHANNEL_PINS_UPDATE";

    pub(crate) fn new(
        channel_id: ChannelId,
        guild_id: Option<CommunityId>,
        moved: PinsMoved,
    ) -> Self {
        ChannelPins {
            channel_id,
            guild_id,
            last_pin_timestamp: moved.last_pin_at,
        }
    }
}

impl Audience {
    /// The record of a pin that came or went.
    pub(super) fn pins_moved(&self, moved: PinsMoved, ev: i64) -> Result<Record, Error> {
        let data = ChannelPins::new(self.channel, self.community, moved);
        let intent = self.intent(intent::GUILDS, intent::DIRECT_MESSAGES);
        let dispatch = plain(ChannelPins::NAME, Some(intent), &data)?;
        Ok(self.record(dispatch, Version::Ev(ev)))
    }

    /// The record of many messages gone.
    pub(super) fn deleted_many(&self, ids: &[MessageId], ev: i64) -> Result<Record, Error> {
        let data = Gone {
            ids,
            channel_id: self.channel,
            guild_id: self.community,
        };
        let intent = self.intent(intent::GUILD_MESSAGES, intent::DIRECT_MESSAGES);
        let dispatch = plain("MESSAGE_DELETE_BULK", Some(intent), &data)?;
        Ok(self.record(dispatch, Version::Ev(ev)))
    }
}

#[derive(Serialize)]
struct Gone<'a> {
    ids: &'a [MessageId],
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
}
