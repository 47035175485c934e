//! Pins: messages that a channel keeps in sight.

use async_trait::async_trait;
use contracts::messaging::Message;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId};
use serde::Serialize;

use crate::Messaging;
use crate::change::{Change, Desk, Tries};
use crate::error::Error;
use crate::happening::{Happening, PinsMoved};
use crate::model::{self, Body};
use crate::places::{Inside, Place};
use crate::sql;
use crate::writer::Alter;

/// Most pins of a channel.
pub(crate) const MAX_PINS: i64 = 250;
/// The dialect's own right to pin; managing messages includes it.
const PIN_MESSAGES: Chat = Chat::from_bits(1 << 51);

/// A pinned message.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Pin {
    /// When it was pinned.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub pinned_at: Timestamp,
    /// The message.
    pub message: Message,
}

/// A part of a channel's pins.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Pins {
    /// Newest first.
    pub items: Vec<Pin>,
    /// Whether older ones follow.
    pub has_more: bool,
}

/// Pins a message or lets it go.
struct Turn {
    message: MessageId,
    expected_ev: i64,
    pins: bool,
}

impl Turn {
    fn pin(row: &sql::MessageRow) -> Self {
        Turn {
            message: row.id,
            expected_ev: row.ev,
            pins: true,
        }
    }

    fn unpin(row: &sql::MessageRow) -> Self {
        Turn {
            pins: false,
            ..Turn::pin(row)
        }
    }
}

#[async_trait]
impl Change for Turn {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (channel, message, at) = (desk.planned.channel, self.message, desk.planned.at);
        let found = sql::find_pin(desk.tx, channel, message, at).await?;
        let found = found.ok_or(Error::UnknownMessage)?;
        if found.pinned == self.pins {
            return Ok(());
        }
        if self.pins && found.pins >= MAX_PINS {
            return Err(Error::TooManyPins);
        }
        let ev = desk.next_ev();
        if sql::touch_message(desk.tx, channel, message, self.expected_ev, ev).await? == 0 {
            return Err(Error::Stale);
        }
        let last_pin_at = if self.pins {
            let by = desk.planned.actor;
            Some(sql::insert_pin(desk.tx, channel, message, by, at).await?)
        } else {
            sql::delete_pin(desk.tx, channel, message).await?
        };
        desk.updated(message, found.author_id)?;
        desk.happened(Happening::PinsMoved(PinsMoved { last_pin_at }))
    }
}

impl Messaging {
    /// Pins a message; once is enough.
    pub async fn pin(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<(), Error> {
        let place = self.enter_to_pin(caller, channel).await?;
        let mut tries = Tries::default();
        loop {
            let row = self.row(channel, message).await?;
            if !model::is_from_people(row.kind) {
                return Err(Error::SystemMessage);
            }
            let turn = Turn::pin(&row);
            let mut alter = self.plan_turn(caller, &place, row, turn).await?;
            let about = Some(message);
            let said = self.said(caller.user, &place, model::PINNED, about, Body::default());
            let (row, shown) = said.await?;
            alter.planned.says = Some(row);
            alter.shows.push(shown);
            if let Some(done) = tries.settle(self.writers.alter(alter).await) {
                return done.map(drop);
            }
        }
    }

    /// Lets a pinned message go.
    pub async fn unpin(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: MessageId,
    ) -> Result<(), Error> {
        let place = self.enter_to_pin(caller, channel).await?;
        let mut tries = Tries::default();
        loop {
            let row = self.row(channel, message).await?;
            let turn = Turn::unpin(&row);
            let alter = self.plan_turn(caller, &place, row, turn).await?;
            if let Some(done) = tries.settle(self.writers.alter(alter).await) {
                return done.map(drop);
            }
        }
    }

    /// Lists pins, the newest first.
    pub async fn list_pins(
        &self,
        caller: &Caller,
        channel: ChannelId,
        before: Option<Timestamp>,
        limit: u8,
    ) -> Result<Pins, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let now = self.clock.now();
        let wanted = usize::from(limit);
        let one_more = i64::from(limit).saturating_add(1);
        let mut pins = sql::list_pins(&self.db, channel, before, now, one_more).await?;
        let has_more = pins.len() > wanted;
        pins.truncate(wanted);
        let ids: Vec<MessageId> = pins.iter().map(|pin| pin.message_id).collect();
        let rows = sql::find_messages(&self.db, channel, &ids, now).await?;
        let mut shown = self
            .show(caller.user, channel, place.community(), rows)
            .await?;
        let mut items = Vec::with_capacity(pins.len());
        for pin in pins {
            // One that went meanwhile is left out.
            if let Some(at) = shown.iter().position(|one| one.id == pin.message_id) {
                items.push(Pin {
                    pinned_at: pin.pinned_at,
                    message: shown.swap_remove(at),
                });
            }
        }
        Ok(Pins { items, has_more })
    }

    /// In private channels everybody pins.
    async fn enter_to_pin(&self, caller: &Caller, channel: ChannelId) -> Result<Place, Error> {
        let place = self.enter(caller, channel).await?;
        if let Inside::Community(_) = &place.inside
            && !place.rights.has(PIN_MESSAGES)
        {
            place.needs(Chat::MANAGE_MESSAGES)?;
        }
        self.may_write_in(caller.user, &place).await?;
        Ok(place)
    }

    async fn plan_turn(
        &self,
        caller: &Caller,
        place: &Place,
        row: sql::MessageRow,
        turn: Turn,
    ) -> Result<Alter, Error> {
        let pinned = turn.pins;
        let mut alter = self.plan(caller.user, place, turn)?;
        let shown = self.show_one(caller.user, place.channel, place.community(), row);
        let mut shown = shown.await?;
        shown.pinned = pinned;
        alter.shows = vec![shown];
        Ok(alter)
    }
}
