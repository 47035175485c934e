//! Putting what is staged into the chain. One node seals a chain at a time: it holds the row of the
//! chain's end.

use kernel::{Event, EventId};

use crate::error::Result;
use crate::model::{head_mac, link};
use crate::sql::{Head, NewEntries, Staged};
use crate::{Audit, sql};

/// Entries sealed in one transaction.
pub(crate) const BATCH: i64 = 1_000;
/// Chains looked at in one run; the next run goes on.
const MAX_CHAINS: i64 = 1_000;
/// Batches of one chain in one run; the next run goes on.
const MAX_BATCHES: usize = 100;

impl Audit {
    /// Seals everything that is staged; how many entries that were.
    pub async fn seal(&self) -> Result<usize> {
        let mut sealed = 0;
        for chain in sql::staged_chains(&self.db, MAX_CHAINS).await? {
            for _ in 0..MAX_BATCHES {
                let batch = self.seal_batch(chain).await?;
                sealed += batch;
                if i64::try_from(batch).unwrap_or(i64::MAX) < BATCH {
                    break;
                }
            }
        }
        Ok(sealed)
    }

    async fn seal_batch(&self, chain: i64) -> Result<usize> {
        let tx = self.db.begin().await?;
        let beginning = head_mac(&self.key.0, chain, 0, b"");
        sql::begin_chain(&tx, chain, &beginning).await?;
        let mut head = sql::lock_head(&tx, chain).await?;
        let mut staged = sql::take_staged(&tx, chain, BATCH).await?;
        if staged.is_empty() {
            return Ok(0);
        }
        staged.sort_by_key(|event| event.event_id);
        let entries = linked(&mut head, staged)?;
        head.mac = head_mac(&self.key.0, chain, head.seq, &head.hash);
        sql::append(&tx, chain, &entries).await?;
        sql::move_head(&tx, &head).await?;
        tx.commit().await?;
        Ok(entries.seqs.len())
    }
}

/// Links events to the end of a chain, and moves the end.
fn linked(head: &mut Head, staged: Vec<Staged>) -> Result<NewEntries> {
    let mut new = NewEntries::default();
    for event in staged {
        let Event { kind, actor, .. } = serde_json::from_slice(&event.body)?;
        let prev = std::mem::take(&mut head.hash);
        head.seq += 1;
        head.hash = link(&prev, head.chain, head.seq, &event.body);
        new.push(event, head, prev, kind, actor);
    }
    Ok(new)
}

impl NewEntries {
    fn push(
        &mut self,
        event: Staged,
        head: &Head,
        prev: Vec<u8>,
        kind: String,
        actor: Option<kernel::UserId>,
    ) {
        let id: EventId = event.event_id;
        self.seqs.push(head.seq);
        self.events.push(id);
        self.bodies.push(event.body);
        self.prevs.push(prev);
        self.hashes.push(head.hash.clone());
        self.kinds.push(kind);
        self.actors.push(actor);
        self.subjects.push(event.subject);
    }
}
