//! Transactions.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::Result;
use crate::error::Error;
use crate::pool::{End, Lent, Outcome, State, send};
use crate::sql::{Bound, Source};
use crate::value::Row;

/// A transaction. End it with [`Tx::commit`]; a dropped one is rolled back in the background.
///
/// Never call another context, an object store or HTTP while it is open: the connection and its
/// locks would wait with you.
pub struct Tx {
    lent: Lent,
    /// Whether `BEGIN` has been put on the wire.
    begun: AtomicBool,
    /// Set by the first failed statement: PostgreSQL answers a later COMMIT with a silent
    /// ROLLBACK, which must not look like success.
    failed: AtomicBool,
    /// Statements whose end nobody saw, because their future was dropped: they may have failed.
    unsettled: AtomicUsize,
    /// Whether a failure leaves nothing worth cleaning up.
    broken: AtomicBool,
    /// Schemas whose relay is to be woken after the commit.
    wakes: Mutex<Vec<String>>,
}

impl Tx {
    pub(crate) fn new(mut lent: Lent) -> Self {
        lent.state = State::Open;
        Tx {
            lent,
            begun: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            unsettled: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            wakes: Mutex::new(Vec::new()),
        }
    }

    /// Commits.
    ///
    /// [`Error::Aborted`] if a statement had failed. After [`Error::Unavailable`] or
    /// [`Error::Timeout`] it is not known whether the commit happened.
    pub async fn commit(mut self) -> Result<()> {
        if !self.begun.load(SeqCst) {
            return Ok(());
        }
        if self.failed.load(SeqCst) || self.unsettled.load(SeqCst) > 0 {
            self.end("ROLLBACK").await?;
            return Err(Error::Aborted);
        }
        self.end("COMMIT").await?;
        let wakes = std::mem::take(&mut *self.wakes.lock().unwrap_or_else(PoisonError::into_inner));
        for schema in wakes {
            self.lent.db.announce(&schema);
        }
        Ok(())
    }

    /// Rolls back now, for callers that want the locks gone before they go on.
    pub async fn rollback(mut self) -> Result<()> {
        if !self.begun.load(SeqCst) {
            return Ok(());
        }
        self.end("ROLLBACK").await
    }

    /// After the commit, wakes the relay of `schema` in this process.
    pub fn wake_after_commit(&self, schema: &str) {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakes.iter().any(|known| known == schema) {
            wakes.push(schema.to_owned());
        }
    }

    async fn end(&mut self, command: &'static str) -> Result<()> {
        if self.broken.load(SeqCst) {
            self.lent.state = State::Broken;
            return Err(Error::unavailable(command));
        }
        let limit = self.lent.db.settings().statement_timeout;
        let ended = tokio::time::timeout(limit, self.lent.client()?.batch_execute(command)).await;
        match ended {
            Ok(Ok(())) => {
                self.lent.state = State::Clean;
                Ok(())
            }
            Ok(Err(error)) => {
                let error = Error::from_driver(command, error);
                // A deferred constraint refuses at the commit and leaves no transaction open.
                self.lent.state = if error.is_unavailable() {
                    State::Broken
                } else {
                    State::Clean
                };
                Err(error)
            }
            Err(_elapsed) => Err(Error::Timeout {
                statement: command.into(),
                limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// `BEGIN` with the limits of this transaction, as one packet.
    ///
    /// The server's own limits stand behind ours: a transaction that nobody drives any more must
    /// not hold locks, nor hold the relays' view of the oldest transaction back.
    fn opening(&self) -> String {
        let limit_ms = self.lent.db.settings().statement_timeout.as_millis();
        format!(
            "BEGIN; SET LOCAL statement_timeout = {limit_ms}; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            limit_ms.saturating_mul(2)
        )
    }

    async fn run(&self, statement: &Bound<'_>, end: End) -> Result<Outcome> {
        if self.broken.load(SeqCst) {
            return Err(Error::unavailable(statement.sql.name()));
        }
        let client = self.lent.client()?;
        // Ours is a little longer, so that the server reports first and the connection survives.
        let limit = self.lent.db.settings().statement_timeout.saturating_mul(2);
        self.unsettled.fetch_add(1, SeqCst);
        let work = send(client, statement, end, limit);
        let result = if self.begun.swap(true, SeqCst) {
            work.await
        } else {
            // Both leave at once: the first poll of each puts its packet on the wire, in order.
            let opening = self.opening();
            let (opened, result) = futures::join!(client.batch_execute(&opening), work);
            // Of a pipeline the first error counts; the rest follow from it.
            opened
                .map_err(|error| Error::from_driver("BEGIN", error))
                .and(result)
        };
        self.unsettled.fetch_sub(1, SeqCst);
        if let Err(error) = &result {
            self.failed.store(true, SeqCst);
            if error.is_unavailable() {
                self.broken.store(true, SeqCst);
            }
        }
        result
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.lent.state == State::Open {
            self.lent.state = if !self.begun.load(SeqCst) {
                State::Clean
            } else if self.broken.load(SeqCst) {
                State::Broken
            } else {
                State::Open
            };
        }
    }
}

impl Source for &Tx {
    fn rows<'a>(&'a self, statement: &'a Bound<'_>) -> BoxFuture<'a, Result<Vec<Row>>> {
        async { Ok(self.run(statement, End::Rows).await?.rows()) }.boxed()
    }

    fn affected<'a>(&'a self, statement: &'a Bound<'_>) -> BoxFuture<'a, Result<u64>> {
        async { Ok(self.run(statement, End::Affected).await?.affected()) }.boxed()
    }
}
