//! Catching up: what a client missed since it stopped listening.
//!
//! A channel numbers everything that happens in it. Between the client's number and the channel's
//! last one each number is either a row among the channel's events or the coming of a message, so
//! the events tell how many messages came, and those are the newest by `seq`.
//!
//! Every message that came or changed is told once, as it is now: whole, or gone. So nothing that
//! was deleted comes back, no step in between has to be kept, and telling it twice does no harm.

use std::collections::HashMap;
use std::time::Duration;

use contracts::messaging::{Missed, SyncFrom, Synced};
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{ChannelId, FieldError, MessageId, UserId};
use serde_json::json;

use crate::Messaging;
use crate::error::Error;
use crate::happening::{Happening, PinsMoved, TtlSet};
use crate::jobs::EVENT_DAYS;
use crate::live::{ChannelPins, ChannelTtl};
use crate::seats::Seat;
use crate::sql::{self, ChangeRow, HeadRow, Span, TouchedRow};

/// Most channels of one request.
pub(crate) const MAX_CHANNELS: usize = 200;
/// Most changes that a channel is told of one by one.
const MAX_BEHIND: i64 = 200;
/// Most changes of one answer; channels beyond it are fetched anew.
const MAX_TOLD: i64 = 1_000;
/// How far ids of messages and numbers of changes may disagree about the order of two.
const MARGIN: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// How a client is to catch up with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// It has everything.
    Even,
    /// It fetches anew.
    Reset,
    /// It is told of so many changes.
    Tell(i64),
}

impl Messaging {
    /// Tells what `user` missed in channels, in the order asked for.
    pub async fn catch_up_in(
        &self,
        user: UserId,
        from: &[SyncFrom],
    ) -> Result<Vec<(ChannelId, Synced)>, Error> {
        if from.len() > MAX_CHANNELS {
            let error = FieldError::new("/channels", "TOO_LONG", "at most 200 channels");
            return Err(Error::Invalid(vec![error]));
        }
        let asked: Vec<ChannelId> = from.iter().map(|from| from.channel).collect();
        let seats = self.rights_in(user, &asked).await?;
        let heads = sql::list_heads(&self.db, &asked).await?;
        let now = self.clock.now();
        let mut told = 0;
        let mut answers = Vec::with_capacity(from.len());
        let mut behind = Vec::new();
        for from in from {
            let head = heads.iter().find(|head| head.id == from.channel).copied();
            let head = head.unwrap_or(HeadRow {
                id: from.channel,
                last_seq: 0,
                last_ev: 0,
            });
            let Some((seat, rights)) = seats.iter().find(|(seat, _)| seat.channel == from.channel)
            else {
                answers.push((from.channel, Synced::Gone { gone: true }));
                continue;
            };
            let plan = plan(from, &head, now);
            if let (Plan::Tell(changes), true) = (plan, rights.has(Chat::READ_HISTORY))
                && told + changes <= MAX_TOLD
            {
                told += changes;
                behind.push(Behind::new(seat, from, head));
            }
            answers.push((from.channel, first_answer(plan, &head)));
        }
        self.find_missed(behind, now, &mut answers).await?;
        for (_, answer) in &answers {
            let result = match answer {
                Synced::Events { .. } => "told",
                Synced::Reset { .. } => "reset",
                Synced::Gone { .. } => "gone",
            };
            metrics::counter!("meydan_messaging_synced_channels_total", "result" => result)
                .increment(1);
        }
        Ok(answers)
    }

    /// Puts what was missed in the place of the answers that say "fetch anew".
    async fn find_missed(
        &self,
        mut behind: Vec<Behind>,
        now: Timestamp,
        answers: &mut [(ChannelId, Synced)],
    ) -> Result<(), Error> {
        if behind.is_empty() {
            return Ok(());
        }
        let spans: Vec<Span> = behind.iter().map(Behind::changes).collect();
        for row in sql::list_changes_after(&self.db, &spans).await? {
            let of_row = behind.iter_mut().find(|one| one.head.id == row.channel_id);
            if let Some(one) = of_row {
                one.take_change(&row)?;
            }
        }
        let spans: Vec<Span> = behind.iter().map(Behind::messages).collect();
        for row in sql::list_messages_after(&self.db, &spans, now).await? {
            let of_row = behind.iter_mut().find(|one| one.head.id == row.channel_id);
            if let Some(one) = of_row {
                one.came.push(row);
            }
        }
        behind.retain(Behind::is_whole);
        let touched: Vec<(ChannelId, MessageId)> = behind
            .iter()
            .flat_map(|one| one.touched.keys().map(|id| (one.head.id, *id)))
            .collect();
        let mut changed: HashMap<ChannelId, Vec<TouchedRow>> = HashMap::new();
        if !touched.is_empty() {
            for row in sql::list_touched(&self.db, &touched, now).await? {
                changed.entry(row.channel_id).or_default().push(row);
            }
        }
        for one in behind {
            let changed = changed.remove(&one.head.id).unwrap_or_default();
            let (channel, ev) = (one.head.id, one.head.last_ev);
            let events = self.tell_missed(one, changed, now).await?;
            if let Some((_, answer)) = answers.iter_mut().find(|(asked, _)| *asked == channel) {
                *answer = Synced::Events { ev, events };
            }
        }
        Ok(())
    }

    /// Shows the messages that came or changed in one channel.
    async fn tell_missed(
        &self,
        behind: Behind,
        changed: Vec<TouchedRow>,
        now: Timestamp,
    ) -> Result<Vec<Missed>, Error> {
        let (channel, community) = (behind.head.id, behind.seat.community);
        let has_come = |id: MessageId| behind.came.iter().any(|row| row.id == id);
        let known = changed.into_iter().filter(|row| !has_come(row.id));
        let rows: Vec<TouchedRow> = behind.came.iter().copied().chain(known).collect();
        let there: Vec<MessageId> = rows
            .iter()
            .filter(|row| !row.gone)
            .map(|row| row.id)
            .collect();
        let stored = sql::find_messages(&self.db, channel, &there, now).await?;
        let mut shown: HashMap<MessageId, contracts::messaging::Message> = self
            .show(behind.seat.user, channel, community, stored)
            .await?
            .into_iter()
            .map(|message| (message.id, message))
            .collect();
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            // What hangs on a message changes without the message's own number.
            let ev = behind
                .touched
                .get(&row.id)
                .map_or(row.ev, |ev| row.ev.max(*ev));
            let Some(mut message) = shown.remove(&row.id) else {
                let mut d = json!({"id": row.id, "channel_id": channel});
                if let (Some(d), Some(community)) = (d.as_object_mut(), community) {
                    d.insert("guild_id".to_owned(), json!(community));
                }
                events.push(missed("MESSAGE_DELETE", ev, d));
                continue;
            };
            message.guild_id = community;
            let name = if has_come(row.id) {
                "MESSAGE_CREATE"
            } else {
                "MESSAGE_UPDATE"
            };
            events.push(missed(name, ev, serde_json::to_value(&message)?));
        }
        if let Some((ev, moved)) = behind.pins {
            let d = serde_json::to_value(ChannelPins::new(channel, community, moved))?;
            events.push(missed(ChannelPins::NAME, ev, d));
        }
        if let Some((ev, set)) = behind.ttl {
            let d = serde_json::to_value(ChannelTtl::new(channel, community, set))?;
            events.push(missed(ChannelTtl::NAME, ev, d));
        }
        events.sort_by_key(|event| event.ev);
        Ok(events)
    }
}

fn missed(name: &str, ev: i64, d: serde_json::Value) -> Missed {
    Missed {
        t: name.to_owned(),
        ev,
        d,
    }
}

/// A channel in which a client is behind.
struct Behind {
    seat: Seat,
    head: HeadRow,
    ev: i64,
    floor: MessageId,
    /// Changes that are not the coming of a message.
    changes: i64,
    /// Messages that changed, and the last change of each.
    touched: HashMap<MessageId, i64>,
    /// The last change of the channel's pins.
    pins: Option<(i64, PinsMoved)>,
    /// The last change of how long messages stay.
    ttl: Option<(i64, TtlSet)>,
    /// Whether some change cannot be told.
    is_unclear: bool,
    /// Messages that came.
    came: Vec<TouchedRow>,
}

impl Behind {
    fn new(seat: &Seat, from: &SyncFrom, head: HeadRow) -> Self {
        Behind {
            seat: seat.clone(),
            head,
            ev: from.ev,
            floor: floor(from.last),
            changes: 0,
            touched: HashMap::new(),
            pins: None,
            ttl: None,
            is_unclear: false,
            came: Vec::new(),
        }
    }

    fn take_change(&mut self, row: &ChangeRow) -> Result<(), Error> {
        self.changes += 1;
        match Happening::read(row.kind, row.payload.clone())? {
            Some(
                Happening::Updated(named)
                | Happening::Deleted(named)
                | Happening::ReactionsCleared(named),
            ) => self.touch(named.message_id, row.ev),
            Some(Happening::Reacted(named) | Happening::Unreacted(named)) => {
                self.touch(named.message_id, row.ev);
            }
            Some(Happening::VoteCame(voted) | Happening::VoteWent(voted)) => {
                self.touch(voted.message_id, row.ev);
            }
            Some(Happening::EmojiCleared(named)) => self.touch(named.message_id, row.ev),
            Some(Happening::DeletedMany(named)) => {
                named
                    .message_ids
                    .iter()
                    .for_each(|id| self.touch(*id, row.ev));
            }
            Some(Happening::TtlSet(set)) => self.ttl = Some((row.ev, set)),
            Some(Happening::PinsMoved(moved)) => self.pins = Some((row.ev, moved)),
            // A newer release made it; this one cannot tell it. And what a change said is never
            // stored here.
            None | Some(Happening::Said(_)) => self.is_unclear = true,
        }
        Ok(())
    }

    fn touch(&mut self, message: MessageId, ev: i64) {
        let last = self.touched.entry(message).or_insert(ev);
        *last = ev.max(*last);
    }

    fn changes(&self) -> Span {
        Span {
            channel: self.head.id,
            after: self.ev,
            to: self.head.last_ev,
            floor: self.floor,
        }
    }

    /// How many messages came: the numbers that are no other change.
    fn came(&self) -> i64 {
        self.head.last_ev - self.ev - self.changes
    }

    fn messages(&self) -> Span {
        Span {
            channel: self.head.id,
            after: self.head.last_seq - self.came(),
            to: self.head.last_seq,
            floor: self.floor,
        }
    }

    /// Whether every number is accounted for. It is not when events of that time are not kept any
    /// more: then older messages seem to have come.
    fn is_whole(&self) -> bool {
        let came = i64::try_from(self.came.len()).unwrap_or(i64::MAX);
        !self.is_unclear && came == self.came() && self.came.iter().all(|row| row.ev > self.ev)
    }
}

fn plan(from: &SyncFrom, head: &HeadRow, now: Timestamp) -> Plan {
    let behind = head.last_ev.saturating_sub(from.ev);
    let kept = now.checked_sub(DAY * EVENT_DAYS);
    let oldest = kept.map_or(MessageId::new(0), MessageId::floor_at);
    if behind == 0 {
        Plan::Even
    } else if !(0..=MAX_BEHIND).contains(&behind) || from.ev < 0 {
        Plan::Reset
    } else if from.last.is_none_or(|last| last < oldest) {
        // Not all changes since then are kept.
        Plan::Reset
    } else {
        Plan::Tell(behind)
    }
}

/// The answer before anything is looked up.
fn first_answer(plan: Plan, head: &HeadRow) -> Synced {
    match plan {
        Plan::Even => Synced::Events {
            ev: head.last_ev,
            events: Vec::new(),
        },
        Plan::Reset | Plan::Tell(_) => Synced::Reset {
            reset: true,
            ev: head.last_ev,
        },
    }
}

/// What a client with this newest message cannot have missed.
fn floor(last: Option<MessageId>) -> MessageId {
    let at = last.and_then(|last| last.made_at().checked_sub(MARGIN).ok());
    at.map_or(MessageId::new(0), MessageId::floor_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_catches_up_and_who_fetches_anew() {
        let now: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let ago = |time: Duration| Some(MessageId::floor_at(now.checked_sub(time).unwrap()));
        let head = HeadRow {
            id: ChannelId::new(1),
            last_seq: 900,
            last_ev: 1_000,
        };
        let week = DAY * EVENT_DAYS;
        for (ev, last, expected) in [
            (1_000, ago(DAY), Plan::Even),
            // Quiet for a month is not behind.
            (1_000, ago(DAY * 30), Plan::Even),
            (1_000, None, Plan::Even),
            (999, ago(DAY), Plan::Tell(1)),
            (800, ago(DAY), Plan::Tell(200)),
            (799, ago(DAY), Plan::Reset),
            (1_001, ago(DAY), Plan::Reset),
            (i64::MIN, ago(DAY), Plan::Reset),
            (i64::MAX, ago(DAY), Plan::Reset),
            (999, ago(week), Plan::Tell(1)),
            (999, ago(week + Duration::from_millis(1)), Plan::Reset),
            (999, None, Plan::Reset),
        ] {
            let from = SyncFrom {
                channel: head.id,
                ev,
                last,
            };
            assert_eq!(plan(&from, &head, now), expected, "{ev} {last:?}");
        }
        let empty = HeadRow {
            last_seq: 0,
            last_ev: 0,
            ..head
        };
        let from = SyncFrom {
            channel: head.id,
            ev: -1,
            last: ago(DAY),
        };
        assert_eq!(plan(&from, &empty, now), Plan::Reset);
    }
}
