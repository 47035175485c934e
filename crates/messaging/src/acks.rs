//! Acknowledging: a reader's marker, which only the reader sees, and the receipt that the other
//! members see, move as messages arrive and are read.
//!
//! A marker may go back ("mark as unread"), a receipt never does. What a request acknowledges is
//! committed before its answer; what a socket acknowledges is merged for a moment first.

use contracts::messaging::{Cursor, NotificationLevel, ReadState};
use infra::fanout::Topic;
use jiff::Timestamp;
use kernel::{Caller, ChannelId, MessageId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::live;
use crate::seats::Seat;
use crate::sql::{self, MovedMarker, MovedReceipt, ReceiptRow};
use crate::unread;

/// Most cursors of one request or command.
pub(crate) const MAX_CURSORS: usize = 100;

/// How far a reader has got, by numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) seat: Seat,
    pub(crate) delivered_seq: Option<i64>,
    pub(crate) read_seq: Option<i64>,
}

/// How a message is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It was read, with everything before it.
    Read,
    /// The marker goes exactly there, also back; nobody else is told.
    Manual,
}

impl Messaging {
    /// Acknowledges a message of a channel. By hand the message 0 stands for the begin.
    pub async fn acknowledge(
        &self,
        caller: &Caller,
        channel: ChannelId,
        message: MessageId,
        how: Acknowledgement,
    ) -> Result<ReadState, Error> {
        let place = self.enter(caller, channel).await?;
        let seat = Seat::of(caller.user, &place);
        match how {
            Acknowledgement::Read => {
                let cursor = Cursor {
                    channel_id: channel,
                    delivered: None,
                    read: Some(message),
                };
                let steps = self.find_steps(vec![seat.clone()], &[cursor]).await?;
                if steps.is_empty() {
                    return Err(Error::UnknownMessage);
                }
                self.advance_now(&steps).await?;
            }
            Acknowledgement::Manual => {
                self.ensure_row(&place).await?;
                self.put_marker(&seat, message).await?;
            }
        }
        self.read_state(seat).await
    }

    /// Moves cursors of the caller forward; unknown channels and messages are left out. Returns how
    /// the caller stands in the channels named.
    pub async fn put_cursors(
        &self,
        caller: &Caller,
        cursors: &[Cursor],
    ) -> Result<Vec<ReadState>, Error> {
        let steps = self.resolve(caller.user, cursors).await?;
        self.advance_now(&steps).await?;
        let mut seats: Vec<Seat> = steps.into_iter().map(|step| step.seat).collect();
        seats.sort_unstable_by_key(|seat| seat.channel);
        seats.dedup();
        self.read_states(&seats).await
    }

    /// The same a moment later, for sockets: merged with what else comes.
    pub(crate) async fn advance_soon(&self, user: UserId, cursors: &[Cursor]) -> Result<(), Error> {
        let steps = self.resolve(user, cursors).await?;
        self.acks.put(steps);
        Ok(())
    }

    /// Sets what the caller wants to be told of in a channel. A moment that is over is no silence.
    pub async fn set_notifications(
        &self,
        caller: &Caller,
        channel: ChannelId,
        level: NotificationLevel,
        muted_until: Option<Timestamp>,
    ) -> Result<ReadState, Error> {
        let place = self.enter(caller, channel).await?;
        self.ensure_row(&place).await?;
        let until = muted_until.filter(|until| *until > self.clock.now());
        let level = unread::stored(level);
        let seat = Seat::of(caller.user, &place);
        if sql::put_notifications(&self.db, caller.user, channel, level, until).await? > 0 {
            self.tell_states(std::slice::from_ref(&seat)).await?;
        }
        self.read_state(seat).await
    }

    /// Writes what readers acknowledged, and tells those who are to know.
    pub(crate) async fn advance_now(&self, steps: &[Step]) -> Result<(), Error> {
        let receipts: Vec<ReceiptRow> = steps.iter().map(receipt).collect();
        let tx = self.db.begin().await?;
        // They leave at once and are carried out in this order, the one in which messages write.
        let (markers, receipts) = futures::try_join!(
            sql::advance_markers(&tx, steps),
            sql::move_receipts(&tx, &receipts),
        )?;
        tx.commit().await?;
        if let Err(error) = self.tell_moved(steps, &markers, &receipts).await {
            // It is stored all the same, and states carry the whole truth the next time.
            tracing::warn!(error = %kernel::Failure::from(error), "moved cursors were not told");
        }
        Ok(())
    }

    async fn tell_moved(
        &self,
        steps: &[Step],
        markers: &[MovedMarker],
        receipts: &[MovedReceipt],
    ) -> Result<(), Error> {
        let is_moved = |seat: &Seat| {
            markers.contains(&MovedMarker {
                user_id: seat.user,
                channel_id: seat.channel,
            })
        };
        let moved = steps.iter().map(|step| &step.seat);
        let moved: Vec<Seat> = moved.filter(|seat| is_moved(seat)).cloned().collect();
        self.tell_states(&moved).await?;
        self.tell_receipts(receipts).await
    }

    async fn resolve(&self, user: UserId, cursors: &[Cursor]) -> Result<Vec<Step>, Error> {
        if cursors.len() > MAX_CURSORS {
            return Err(Error::Invalid(vec![kernel::FieldError::new(
                "/cursors",
                "TOO_LONG",
                "at most 100 cursors",
            )]));
        }
        let mut channels: Vec<ChannelId> = cursors.iter().map(|c| c.channel_id).collect();
        channels.sort_unstable();
        channels.dedup();
        let seats = self.seats_in(user, &channels).await?;
        let named = |cursor: &&Cursor| seats.iter().any(|seat| seat.channel == cursor.channel_id);
        let cursors: Vec<Cursor> = cursors.iter().filter(named).copied().collect();
        let seats = cursors.iter().filter_map(|cursor| {
            let seat = seats.iter().find(|seat| seat.channel == cursor.channel_id);
            seat.cloned()
        });
        self.find_steps(seats.collect(), &cursors).await
    }

    /// Turns messages into numbers; `seats` belong to `cursors` one by one.
    async fn find_steps(&self, seats: Vec<Seat>, cursors: &[Cursor]) -> Result<Vec<Step>, Error> {
        let asked: Vec<&Seat> = seats.iter().collect();
        let delivered: Vec<Option<MessageId>> = cursors.iter().map(|c| c.delivered).collect();
        let read: Vec<Option<MessageId>> = cursors.iter().map(|c| c.read).collect();
        let rows = sql::find_cursors(&self.db, &asked, &delivered, &read).await?;
        let steps = rows.into_iter().filter_map(|row| {
            let place = usize::try_from(row.place).ok()?.checked_sub(1)?;
            Some(Step {
                seat: seats.get(place)?.clone(),
                delivered_seq: row.delivered_seq,
                read_seq: row.read_seq,
            })
        });
        Ok(steps
            .filter(|step| step.delivered_seq.is_some() || step.read_seq.is_some())
            .collect())
    }

    async fn put_marker(&self, seat: &Seat, message: MessageId) -> Result<(), Error> {
        let seq = if message.get() == 0 {
            0
        } else {
            let found = sql::find_cursors(&self.db, &[seat], &[Some(message)], &[None]).await?;
            let seq = found.first().and_then(|row| row.delivered_seq);
            seq.ok_or(Error::UnknownMessage)?
        };
        if sql::put_marker(&self.db, seat.user, seat.channel, seq).await? > 0 {
            self.tell_states(std::slice::from_ref(seat)).await?;
        }
        Ok(())
    }

    async fn read_state(&self, seat: Seat) -> Result<ReadState, Error> {
        let states = self.read_states(&[seat]).await?;
        states.into_iter().next().ok_or(Error::UnknownChannel)
    }

    /// Tells the other devices of readers how they stand now.
    async fn tell_states(&self, seats: &[Seat]) -> Result<(), Error> {
        for (user, state) in self.standing(seats).await? {
            let record = live::read_state(&state)?;
            live::publish(&*self.fanout, Topic::User(user), record).await;
            self.badges.put(user);
        }
        Ok(())
    }
}

/// What of a step the other members may come to see.
fn receipt(step: &Step) -> ReceiptRow {
    ReceiptRow {
        user_id: step.seat.user,
        channel_id: step.seat.channel,
        delivered_seq: step.delivered_seq.unwrap_or(0),
        read_seq: step.read_seq.unwrap_or(0),
    }
}
