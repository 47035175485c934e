//! The records of pins, of how long messages stay, and of many messages gone.

use infra::fanout::{Record, Version};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, MessageId};
use serde::Serialize;

use super::{Audience, intent, plain};
use crate::error::Error;
use crate::happening::{PinsMoved, TtlSet};

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

/// What clients are told of how long later messages of a channel stay.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelTtl {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
    message_ttl: i32,
}

impl ChannelTtl {
    /// The event's name.
    pub(crate) const NAME: &str = "MESSAGE_TTL_UPDATE";

    pub(crate) fn new(channel_id: ChannelId, guild_id: Option<CommunityId>, set: TtlSet) -> Self {
        ChannelTtl {
            channel_id,
            guild_id,
            message_ttl: set.message_ttl,
        }
    }
}

impl Audience {
    /// The record of another time that later messages stay.
    pub(super) fn ttl_set(&self, set: TtlSet, ev: i64) -> Result<Record, Error> {
        let data = ChannelTtl::new(self.channel, self.community, set);
        let intent = self.intent(intent::GUILDS, intent::DIRECT_MESSAGES);
        let dispatch = plain(ChannelTtl::NAME, Some(intent), &data)?;
        Ok(self.record(dispatch, Version::Ev(ev)))
    }

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
