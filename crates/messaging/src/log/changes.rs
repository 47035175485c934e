//! Changes of channels: a batch under the locks of its channels, made again after what went wrong.

use db::Tx;
use kernel::{AnyId, ChannelId, MessageId};

use super::{ASK_AFTER, Log, settle, within};
use crate::change::{Changed, Desk, Ledger, Planned};
use crate::error::Error;
use crate::happening::{Happened, Happening, Said};
use crate::marks;
use crate::sql;

impl Log {
    /// Makes changes and tells what became of each, in the order of the batch.
    pub(crate) async fn change(&self, batch: &[Planned]) -> Vec<Changed> {
        let mut results: Vec<Changed> = unknown(batch.len());
        let mut work: Vec<Vec<usize>> = vec![(0..batch.len()).collect()];
        // Ends: each turn settles a part, or halves it.
        while let Some(part) = work.pop() {
            if part.is_empty() {
                continue;
            }
            match self.try_change(batch, &part).await {
                Ok(done) => settle(&mut results, &part, done),
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = %kernel::Failure::from(error), batch.size = part.len(),
                        "a batch of changes was lost from sight; asking what is stored");
                    let done = self.recover_changes(batch, &part).await;
                    settle(&mut results, &part, done);
                }
                Err(error) if part.len() == 1 => {
                    tracing::error!(error = %kernel::Failure::from(error),
                        "the database refuses a change of a channel");
                    settle(&mut results, &part, vec![Err(Error::Refused)]);
                }
                Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    work.push(second.to_vec());
                    work.push(first.to_vec());
                }
            }
        }
        results
    }

    async fn try_change(&self, batch: &[Planned], part: &[usize]) -> db::Result<Vec<Changed>> {
        within(self.change_once(batch, part)).await
    }

    async fn change_once(&self, batch: &[Planned], part: &[usize]) -> db::Result<Vec<Changed>> {
        let batch: Vec<&Planned> = part.iter().filter_map(|place| batch.get(*place)).collect();
        let channels: Vec<ChannelId> = batch.iter().map(|planned| planned.channel).collect();
        let tx = self.db.begin().await?;
        let (limited, locked) = futures::join!(
            sql::limit_statement(&tx),
            sql::lock_channels(&tx, &channels)
        );
        limited?;
        let mut ledger = Ledger {
            counters: locked?,
            ..Ledger::default()
        };
        let before = ledger.counters.clone();
        let mut done = Vec::with_capacity(batch.len());
        for planned in batch {
            match make(&tx, planned, &mut ledger).await {
                Err(Error::Database(error)) => return Err(error),
                made => done.push(made),
            }
        }
        ledger.counters.retain(|row| !before.contains(row));
        if ledger.counters.is_empty() {
            tx.rollback().await?;
            return Ok(done);
        }
        let said = ledger.said.iter().map(|said| (&said.row, said.seq));
        futures::try_join!(
            sql::step_channels(&tx, &ledger.counters),
            sql::insert_happened(&tx, &ledger.happened),
            sql::insert_said(&tx, &ledger.said),
            marks::take_back(&tx, &ledger.taken_back),
            marks::leave(&tx, said),
            db::outbox::append(&tx, crate::SCHEMA, &ledger.events),
        )?;
        tx.commit().await?;
        Ok(done)
    }

    /// Asks what is stored and makes the rest once more.
    pub(super) async fn recover_changes(&self, batch: &[Planned], part: &[usize]) -> Vec<Changed> {
        let mut done = unknown(part.len());
        for pause in ASK_AFTER {
            tokio::time::sleep(pause).await;
            let planned: Vec<&Planned> =
                part.iter().filter_map(|place| batch.get(*place)).collect();
            let Ok(made) = self.ask_made(&planned).await else {
                continue;
            };
            let mut missing = Vec::new();
            for (at, (slot, made)) in done.iter_mut().zip(made).enumerate() {
                if made.is_empty() {
                    missing.push(at);
                } else {
                    *slot = Ok(made);
                }
            }
            let places: Vec<usize> = missing
                .iter()
                .filter_map(|at| part.get(*at).copied())
                .collect();
            if let Ok(again) = self.try_change(batch, &places).await {
                settle(&mut done, &missing, again);
            }
            return done;
        }
        done
    }

    /// What each change did, as far as it is stored.
    async fn ask_made(&self, batch: &[&Planned]) -> Result<Vec<Vec<Happened>>, Error> {
        let channels: Vec<ChannelId> = batch.iter().map(|planned| planned.channel).collect();
        let ids: Vec<AnyId> = batch.iter().map(|planned| planned.id).collect();
        let made = sql::find_made_changes(&self.db, &channels, &ids).await?;
        let said: (Vec<ChannelId>, Vec<MessageId>) = batch
            .iter()
            .filter_map(|planned| planned.says.as_ref().map(|row| (row.channel, row.id)))
            .unzip();
        let said = sql::find_said(&self.db, &said.0, &said.1).await?;
        let mut all = Vec::with_capacity(batch.len());
        for planned in batch {
            let mut happened = Vec::new();
            for row in made.iter().filter(|row| row.change == planned.id) {
                if let Some(what) = Happening::read(row.kind, row.payload.clone())? {
                    happened.push(Happened { ev: row.ev, what });
                }
            }
            let row = planned.says.as_ref();
            let row = row.and_then(|row| said.iter().find(|said| said.id == row.id));
            happened.extend(row.map(|row| Happened {
                ev: row.ev,
                what: Happening::Said(Said {
                    message_id: row.id,
                    seq: row.seq,
                }),
            }));
            all.push(happened);
        }
        Ok(all)
    }
}

async fn make(tx: &Tx, planned: &Planned, ledger: &mut Ledger) -> Changed {
    let mut desk = Desk::open(tx, planned, ledger)?;
    planned.change.make(&mut desk).await?;
    desk.close()
}

/// It is not known what became of `count` changes.
fn unknown(count: usize) -> Vec<Changed> {
    (0..count).map(|_| Err(Error::Overloaded)).collect()
}
