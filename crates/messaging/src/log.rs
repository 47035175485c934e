//! The message log: batches in, positions out. One batch is one transaction.
//!
//! Appends and changes never share a transaction: an append takes nonces before channels, a change
//! takes channels first, and mixed they could wait for each other in a ring.

mod changes;

use std::collections::HashMap;
use std::time::Duration;

use db::Db;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kernel::{ChannelId, MessageId, SharedClock, UserId};

use crate::later;
pub use crate::later::Later;
use crate::marks;
pub use crate::marks::{Marks, Reads};
use crate::sql::{self, Stored};

/// The longest a transaction may take, seen from here; the server's limit for each statement is
/// shorter.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(5);
/// Pauses before asking what became of a batch: a restarting server needs a moment.
const ASK_AFTER: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(400),
];

/// A message to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRow {
    /// Where.
    pub channel: ChannelId,
    /// Its id, made by us: after a lost connection it tells whether the message is stored.
    pub id: MessageId,
    /// Who wrote it.
    pub author: UserId,
    /// What the sender calls it; the same name has an effect once.
    pub nonce: Option<String>,
    /// The dialect's type.
    pub kind: i16,
    /// The dialect's flags.
    pub flags: i32,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// Its text.
    pub content: Option<String>,
    /// All else it shows, as JSON text.
    pub body: Option<String>,
    /// When it disappears.
    pub expires_at: Option<Timestamp>,
    /// Whom it calls.
    pub marks: Marks,
    /// What is to be done about it later.
    pub later: Later,
}

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is stored.
    Fresh {
        /// Its number in the channel.
        seq: i64,
        /// The change that made it.
        ev: i64,
        /// When it disappears.
        expires_at: Option<Timestamp>,
    },
    /// Its nonce was used before: this is the message of then.
    Replay(MessageId),
    /// The channel is unknown or deleted; nothing is stored, not even the nonce.
    UnknownChannel,
    /// The database refused this one message.
    Refused,
    /// The database was away; it is not known whether it is stored.
    Away,
}

/// How a try of a batch ended when it did not succeed.
enum Stop {
    /// These places of the batch are of unknown channels; nothing was stored.
    Unknown(Vec<usize>),
    /// The database refused the batch; nothing was stored.
    Refused(db::Error),
    /// It is not known whether the batch was stored.
    Unclear(db::Error),
}

impl From<db::Error> for Stop {
    fn from(error: db::Error) -> Self {
        if error.is_transient() {
            Stop::Unclear(error)
        } else {
            Stop::Refused(error)
        }
    }
}

/// Stores batches.
#[derive(Clone)]
pub struct Log {
    db: Db,
    clock: SharedClock,
}

impl Log {
    /// A log over the database of this context.
    pub fn new(db: Db, clock: SharedClock) -> Self {
        Log { db, clock }
    }

    /// Appends a batch and tells what became of each message, in the order of the batch.
    ///
    /// Bad messages are taken out and do not hurt the others; a lost connection is healed by
    /// asking what is stored and sending the rest once more.
    pub async fn append(&self, batch: &[NewRow]) -> Vec<Appended> {
        let mut results = vec![Appended::Away; batch.len()];
        let mut work: Vec<Vec<usize>> = vec![(0..batch.len()).collect()];
        // Ends: each turn settles a part, makes it smaller, or halves it.
        while let Some(part) = work.pop() {
            if part.is_empty() {
                continue;
            }
            match self.try_append(batch, &part).await {
                Ok(done) => settle(&mut results, &part, done),
                Err(Stop::Unknown(bad)) => {
                    settle(
                        &mut results,
                        &bad,
                        vec![Appended::UnknownChannel; bad.len()],
                    );
                    work.push(
                        part.into_iter()
                            .filter(|place| !bad.contains(place))
                            .collect(),
                    );
                }
                Err(Stop::Unclear(error)) => {
                    tracing::warn!(error = %kernel::Failure::from(error), batch.size = part.len(),
                        "a batch of messages was lost from sight; asking what is stored");
                    let done = self.recover_appends(batch, &part).await;
                    settle(&mut results, &part, done);
                }
                Err(Stop::Refused(error)) if part.len() == 1 => {
                    tracing::error!(error = %kernel::Failure::from(error),
                        "the database refuses a message");
                    settle(&mut results, &part, vec![Appended::Refused]);
                }
                Err(Stop::Refused(_)) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    work.push(second.to_vec());
                    work.push(first.to_vec());
                }
            }
        }
        results
    }

    fn today(&self) -> Date {
        self.clock.now().to_zoned(TimeZone::UTC).date()
    }

    async fn try_append(&self, batch: &[NewRow], part: &[usize]) -> Result<Vec<Appended>, Stop> {
        within(self.append_once(batch, part)).await
    }

    async fn append_once(&self, batch: &[NewRow], part: &[usize]) -> Result<Vec<Appended>, Stop> {
        let rows: Vec<&NewRow> = part.iter().filter_map(|place| batch.get(*place)).collect();
        let today = self.today();
        let now = self.clock.now();
        let tx = self.db.begin().await?;
        // Both leave at once; the limit is in force when the append begins.
        let (limited, stored) = futures::join!(
            sql::limit_statement(&tx),
            sql::append_messages(&tx, &rows, (today, now))
        );
        limited?;
        let stored: HashMap<MessageId, Stored> =
            stored?.into_iter().map(|row| (row.id, row)).collect();
        let mut done: Vec<Option<Appended>> = rows
            .iter()
            .map(|row| stored.get(&row.id))
            .map(|row| {
                row.map(|row| Appended::Fresh {
                    seq: row.seq,
                    ev: row.ev,
                    expires_at: row.expires_at,
                })
            })
            .collect();
        if stored.len() < rows.len() {
            let known = sql::find_stored(&tx, &rows, today).await?;
            fill(&mut done, &rows, &known);
        }
        let bad: Vec<usize> = part
            .iter()
            .zip(&done)
            .filter_map(|(place, done)| done.is_none().then_some(*place))
            .collect();
        if !bad.is_empty() {
            // Their nonces were stored all the same: nothing of this may stay.
            tx.rollback().await?;
            return Err(Stop::Unknown(bad));
        }
        let fresh = rows
            .iter()
            .filter_map(|row| stored.get(&row.id).map(|stored| (*row, stored.seq)));
        marks::leave(&tx, fresh.clone()).await?;
        let laters = fresh.map(|(row, _)| ((row.channel, row.id, now), &row.later));
        later::leave(&tx, laters).await?;
        tx.wake_after_commit(crate::SCHEMA);
        tx.commit().await?;
        Ok(done.into_iter().flatten().collect())
    }

    /// Asks what is stored and sends the rest once more.
    async fn recover_appends(&self, batch: &[NewRow], part: &[usize]) -> Vec<Appended> {
        let mut done = vec![Appended::Away; part.len()];
        let Some(known) = self.ask_stored(batch, part).await else {
            return done;
        };
        let missing = take_known(&mut done, batch, part, known);
        if missing.is_empty() {
            return done;
        }
        let places: Vec<usize> = missing
            .iter()
            .filter_map(|at| part.get(*at).copied())
            .collect();
        match self.try_append(batch, &places).await {
            Ok(resent) => settle(&mut done, &missing, resent),
            Err(Stop::Unknown(bad)) => {
                for at in missing {
                    if part.get(at).is_some_and(|place| bad.contains(place)) {
                        settle(&mut done, &[at], vec![Appended::UnknownChannel]);
                    }
                }
            }
            // A key that is taken: the lost commit came through after we had asked.
            Err(Stop::Refused(error)) if error.constraint().is_some() => {
                if let Some(known) = self.ask_stored(batch, &places).await {
                    let mut late = vec![Appended::Away; places.len()];
                    take_known(&mut late, batch, &places, known);
                    settle(&mut done, &missing, late);
                }
            }
            Err(Stop::Refused(error) | Stop::Unclear(error)) => {
                tracing::error!(error = %kernel::Failure::from(error), batch.size = places.len(),
                    "messages could not be stored, also not on the second try");
            }
        }
        done
    }

    async fn ask_stored(&self, batch: &[NewRow], part: &[usize]) -> Option<Vec<Stored>> {
        let rows: Vec<&NewRow> = part.iter().filter_map(|place| batch.get(*place)).collect();
        for pause in ASK_AFTER {
            tokio::time::sleep(pause).await;
            match sql::find_stored(&self.db, &rows, self.today()).await {
                Ok(known) => return Some(known),
                Err(error) => tracing::warn!(error = %kernel::Failure::from(error),
                    "cannot ask which messages are stored"),
            }
        }
        None
    }
}

/// Bounds a try from outside. The dropped transaction is rolled back or its connection closed.
async fn within<T, E: From<db::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match tokio::time::timeout(TRANSACTION_LIMIT, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(E::from(db::Error::Timeout {
            statement: "messaging.batch".into(),
            limit_ms: u64::try_from(TRANSACTION_LIMIT.as_millis()).unwrap_or(u64::MAX),
        })),
    }
}

/// Writes `done` to the places of `results` it belongs to.
fn settle<T>(results: &mut [T], places: &[usize], done: Vec<T>) {
    for (place, done) in places.iter().zip(done) {
        if let Some(slot) = results.get_mut(*place) {
            *slot = done;
        }
    }
}

/// Adds what was found stored to what the append returned.
fn fill(done: &mut [Option<Appended>], rows: &[&NewRow], known: &[Stored]) {
    for found in known {
        let place = usize::try_from(found.place).unwrap_or(0).wrapping_sub(1);
        if let (Some(slot @ None), Some(row)) = (done.get_mut(place), rows.get(place)) {
            *slot = Some(read_stored(row, found));
        }
    }
}

/// Under its own id a row is stored, be it by an earlier try; under another it is a replay.
fn read_stored(row: &NewRow, found: &Stored) -> Appended {
    if found.id == row.id {
        Appended::Fresh {
            seq: found.seq,
            ev: found.ev,
            expires_at: found.expires_at,
        }
    } else {
        Appended::Replay(found.id)
    }
}

/// Writes down what is known of a part and returns which of its places are not.
fn take_known(
    done: &mut [Appended],
    batch: &[NewRow],
    part: &[usize],
    known: Vec<Stored>,
) -> Vec<usize> {
    let rows: Vec<&NewRow> = part.iter().filter_map(|place| batch.get(*place)).collect();
    let mut found: Vec<Option<Appended>> = vec![None; part.len()];
    fill(&mut found, &rows, &known);
    let mut missing = Vec::new();
    for (at, found) in found.into_iter().enumerate() {
        match (found, done.get_mut(at)) {
            (Some(found), Some(slot)) => *slot = found,
            _ => missing.push(at),
        }
    }
    missing
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
