//! A change of a channel: made under the channel's lock, in the transaction of its batch.
//!
//! A new kind of change is a struct beside its operation that implements [`Change`], and a variant
//! of [`Happening`] for each thing it can do. Locks, numbers, rows among the channel's events,
//! retries, and the order in which clients are told are the same for all and stand in `log`,
//! `writer` and `live`.

use async_trait::async_trait;
use db::Tx;
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, CommunityId, Event, EventId, MessageId, UserId};
use serde_json::Value;

use crate::Messaging;
use crate::error::Error;
use crate::events::{self, MessageEvent};
use crate::happening::{Happened, Happening, Named, Said};
use crate::live::Audience;
use crate::log::NewRow;
use crate::marks::{Marks, TakenBack};
use crate::places::Place;
use crate::sql::{CountersRow, HappenedRow, SaidRow};
use crate::writer::Alter;

/// How one kind of change is made.
///
/// It may be made several times: a batch can be rolled back or halved. One that cannot be made says
/// so by any error but [`Error::Database`], and has written nothing by then.
#[async_trait]
pub(crate) trait Change: Send + Sync {
    /// Writes the change, and notes at the desk what happened; nothing when all was so before.
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error>;
}

/// A change to be made.
pub(crate) struct Planned {
    /// Its own id, made by us: after a lost connection it tells whether the change is stored.
    pub(crate) id: AnyId,
    pub(crate) channel: ChannelId,
    pub(crate) actor: UserId,
    pub(crate) at: Timestamp,
    pub(crate) change: Box<dyn Change>,
    /// The system message that tells of it in the channel, stored with it if anything happens.
    pub(crate) says: Option<NewRow>,
}

impl Messaging {
    /// Plans a change that `actor` makes in a place.
    pub(crate) fn plan(
        &self,
        actor: UserId,
        place: &Place,
        change: impl Change + 'static,
    ) -> Result<Alter, Error> {
        let planned = Planned {
            id: self.ids.next()?,
            channel: place.channel,
            actor,
            at: self.clock.now(),
            change: Box::new(change),
            says: None,
        };
        Ok(Alter {
            planned,
            shows: Vec::new(),
            audience: Audience::of(place, actor),
        })
    }
}

/// How often a change is worked out anew from the stored message, because others changed the same
/// message at once: the new state is written only over the one it was worked out from.
pub(crate) struct Tries(u32);

impl Default for Tries {
    fn default() -> Self {
        Tries(5)
    }
}

impl Tries {
    /// The outcome of a try; none when there is another one.
    pub(crate) fn settle<T>(&mut self, outcome: Result<T, Error>) -> Option<Result<T, Error>> {
        self.0 = self.0.saturating_sub(1);
        match outcome {
            Err(Error::Stale) if self.0 > 0 => None,
            settled => Some(settled),
        }
    }
}

/// What became of a change: what happened, in the order of `ev`; nothing when all was so before.
pub(crate) type Changed = Result<Vec<Happened>, Error>;

/// What a batch has to write besides what its changes write themselves.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) counters: Vec<CountersRow>,
    pub(crate) happened: Vec<HappenedRow>,
    pub(crate) said: Vec<SaidRow>,
    pub(crate) taken_back: TakenBack,
    pub(crate) events: Vec<Event>,
}

/// What a change works at: the transaction, and the counters of its locked channel.
pub(crate) struct Desk<'a> {
    pub(crate) tx: &'a Tx,
    pub(crate) planned: &'a Planned,
    at: usize,
    ledger: &'a mut Ledger,
    done: Vec<Happened>,
}

impl<'a> Desk<'a> {
    /// Opens the desk of a planned change; its channel must be there.
    pub(crate) fn open(
        tx: &'a Tx,
        planned: &'a Planned,
        ledger: &'a mut Ledger,
    ) -> Result<Self, Error> {
        let of_channel = |row: &CountersRow| row.id == planned.channel;
        let at = ledger.counters.iter().position(of_channel);
        Ok(Desk {
            tx,
            planned,
            at: at.ok_or(Error::UnknownChannel)?,
            ledger,
            done: Vec::new(),
        })
    }

    /// The number that the next thing that happens will have.
    pub(crate) fn next_ev(&self) -> i64 {
        let counters = self.ledger.counters.get(self.at);
        counters.map_or(0, |row| row.last_ev.saturating_add(1))
    }

    /// The community that the channel belongs to.
    pub(crate) fn community(&self) -> Option<CommunityId> {
        let counters = self.ledger.counters.get(self.at);
        counters.and_then(|row| row.community_id)
    }

    /// Notes what happened.
    pub(crate) fn happened(&mut self, what: Happening) -> Result<(), Error> {
        let ev = self.next_ev();
        if let Some(counters) = self.ledger.counters.get_mut(self.at) {
            counters.last_ev = ev;
        }
        if let Some(kind) = what.kind() {
            self.ledger.happened.push(HappenedRow {
                channel: self.planned.channel,
                ev,
                id: self.planned.id,
                kind,
                payload: serde_json::to_string(&what)?,
            });
        }
        self.done.push(Happened { ev, what });
        Ok(())
    }

    /// Notes that a message shows something else now, and tells other contexts.
    pub(crate) fn updated(&mut self, message: MessageId, author: UserId) -> Result<(), Error> {
        let named = Named {
            message_id: message,
        };
        self.happened(Happening::Updated(named))?;
        let event = self.planned.id.cast();
        self.emit_message(event, events::MESSAGE_UPDATED, (message, author), None)
    }

    /// Takes marks of the message with this number back.
    pub(crate) fn take_back(&mut self, seq: i64, marks: &Marks) {
        let channel = self.planned.channel;
        self.ledger.taken_back.add(channel, seq, marks);
    }

    /// Tells other contexts of the message to which something has just happened. Each event needs
    /// an id of its own; `seq` is told of messages that come and go.
    pub(crate) fn emit_message(
        &mut self,
        event: EventId,
        kind: &'static str,
        (id, author_id): (MessageId, UserId),
        seq: Option<i64>,
    ) -> Result<(), Error> {
        let counters = self.ledger.counters.get(self.at);
        let data = MessageEvent {
            channel_id: self.planned.channel,
            community_id: self.community(),
            id,
            author_id,
            seq,
            ev: counters.map_or(0, |row| row.last_ev),
        };
        self.emit(event, kind, serde_json::to_value(data)?);
        Ok(())
    }

    /// Tells other contexts.
    pub(crate) fn emit(&mut self, id: EventId, kind: &'static str, data: Value) {
        self.ledger.events.push(Event {
            id,
            kind: kind.to_owned(),
            at: self.planned.at,
            actor: Some(self.planned.actor),
            tenant: None,
            key: self.planned.channel.to_string(),
            data,
        });
    }

    /// Ends the change, with the message that tells of it, and gives what happened.
    pub(crate) fn close(mut self) -> Result<Vec<Happened>, Error> {
        if let (Some(row), false) = (&self.planned.says, self.done.is_empty()) {
            let mut seq = 0;
            if let Some(counters) = self.ledger.counters.get_mut(self.at) {
                seq = counters.last_seq.saturating_add(1);
                counters.last_seq = seq;
                counters.last_message_id = counters.last_message_id.max(Some(row.id));
            }
            let (row, ev) = (row.clone(), self.next_ev());
            let said = Said {
                message_id: row.id,
                seq,
            };
            self.happened(Happening::Said(said))?;
            let message = (row.id, row.author);
            self.emit_message(row.id.cast(), events::MESSAGE_CREATED, message, Some(seq))?;
            self.ledger.said.push(SaidRow { row, seq, ev });
        }
        Ok(self.done)
    }
}
