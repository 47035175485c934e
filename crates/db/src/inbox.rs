//! Events enter a context: each has its effect once, however often it is brought.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kernel::event::{Handler, Handling};
use kernel::{Event, EventId, Failure};

use crate::mechanics::{backoff, statement};
use crate::{Db, Result, Tx, dead_letters};

/// Tries of one event before it becomes a dead letter.
pub const MAX_ATTEMPTS: u32 = 5;
/// First wait between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// Longest wait between two tries.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Handles an event inside a transaction of the consuming context.
#[async_trait]
pub trait TxHandler: Send + Sync {
    /// Applies the event. Only SQL through `tx`: it may run again when the commit fails.
    async fn handle(&self, tx: &Tx, event: &Event) -> std::result::Result<(), Failure>;
}

/// Wraps a [`TxHandler`]: skips duplicates, tries again, gives up into `dead_letters`.
///
/// A failure that may pass by itself (503) is not buried but returned, so that the bus brings
/// the event again later and its key waits.
pub struct Consumer {
    db: Db,
    schema: String,
    name: &'static str,
    handler: Arc<dyn TxHandler>,
}

impl Consumer {
    /// A consumer by a stable name, unique in its context.
    pub fn new(
        db: Db,
        schema: impl Into<String>,
        name: &'static str,
        handler: Arc<dyn TxHandler>,
    ) -> Self {
        Consumer {
            db,
            schema: schema.into(),
            name,
            handler,
        }
    }

    /// Handles a dead letter again; false when there is none.
    pub async fn replay(&self, event: EventId) -> std::result::Result<bool, Failure> {
        let tx = self.db.begin().await?;
        let found = dead_letters::find_for_update(&tx, &self.schema, self.name, event).await?;
        let Some(letter) = found else {
            tx.rollback().await?;
            return Ok(false);
        };
        self.handler.handle(&tx, &letter.event()).await?;
        dead_letters::discard(&tx, &self.schema, self.name, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn accept(&self, event: &Event) -> std::result::Result<(), Failure> {
        let mut attempt = 0;
        loop {
            let failure = match self.once(event).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            attempt += 1;
            if attempt >= MAX_ATTEMPTS {
                return self.give_up(event, failure).await;
            }
            tokio::time::sleep(backoff(FIRST_WAIT, MAX_WAIT, attempt)).await;
        }
    }

    async fn once(&self, event: &Event) -> std::result::Result<(), Failure> {
        let tx = self.db.begin().await?;
        if !self.mark(&tx, event).await? {
            tx.rollback().await?;
            return Ok(());
        }
        self.handler.handle(&tx, event).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn give_up(&self, event: &Event, failure: Failure) -> std::result::Result<(), Failure> {
        if failure.is_transient() {
            return Err(failure);
        }
        let tx = self.db.begin().await?;
        // Marked as seen: only a replay brings it again.
        if self.mark(&tx, event).await? {
            let attempts = i32::try_from(MAX_ATTEMPTS).unwrap_or(i32::MAX);
            let error = failure.to_string();
            dead_letters::bury(&tx, &self.schema, self.name, event, attempts, &error).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// False when the event was seen before. A twin at work is waited for.
    async fn mark(&self, tx: &Tx, event: &Event) -> Result<bool> {
        let sql = statement(
            &self.schema,
            "inbox.insert",
            "INSERT INTO {schema}.inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )?;
        Ok(sql.bind(&self.name).bind(&event.id).execute(tx).await? == 1)
    }
}

impl Handler for Consumer {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(self.accept(event))
    }
}

/// Forgets marks older than `days`; the bus must not bring events that late. Returns how many.
pub async fn purge(db: &Db, schema: &str, days: i32) -> Result<u64> {
    let sql = statement(
        schema,
        "inbox.purge",
        "DELETE FROM {schema}.inbox
        WHERE (consumer, event_id) IN (
            SELECT consumer, event_id FROM {schema}.inbox
            WHERE at < now() - make_interval(days => $1)
            LIMIT 5000
        )",
    )?;
    sql.bind(&days).execute(db).await
}
