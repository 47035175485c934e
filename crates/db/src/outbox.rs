//! Events leave a context: appended in the transaction that caused them, published by a relay.
//!
//! The relay never remembers a highest id: a transaction with a lower one may commit later. It
//! reads only what every running transaction is younger than. Trap: a write transaction left open
//! in any database of the same server holds all relays back; hence the time-outs in `tx.rs` and
//! the metric `meydan_outbox_lag_seconds`.

use std::sync::Arc;
use std::time::Duration;

use infra::bus::{Bus, BusError, Reason};
use jiff::Timestamp;
use kernel::{Event, EventId, SharedClock, UserId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::mechanics::{backoff, statement};
use crate::{Db, FromRow, Result, Tx};

/// Events per round.
const BATCH: i64 = 500;
/// Looks for events that nobody announced.
const SLOW_POLL: Duration = Duration::from_secs(1);
/// Looks again when events wait for a running transaction.
const HELD_POLL: Duration = Duration::from_millis(50);
/// After this many refusals an event becomes a dead letter.
pub const MAX_ATTEMPTS: i32 = 20;
/// Longest wait between two tries of one event, or of a bus that is away.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Appends events in the caller's transaction and wakes the relay after its commit.
pub async fn append(tx: &Tx, schema: &str, events: &[Event]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let sql = statement(
        schema,
        "outbox.append",
        "INSERT INTO {schema}.outbox (event_id, type, key, actor, tenant, data, at)
        SELECT event_id, type, key, actor, tenant, data, at
        FROM unnest($1, $2, $3, $4, $5, $6, $7)
            WITH ORDINALITY AS e (event_id, type, key, actor, tenant, data, at, place)
        ORDER BY place",
    )?;
    let ids: Vec<EventId> = events.iter().map(|e| e.id).collect();
    let kinds: Vec<&str> = events.iter().map(|e| e.kind.as_str()).collect();
    let keys: Vec<&str> = events.iter().map(|e| e.key.as_str()).collect();
    let actors: Vec<Option<UserId>> = events.iter().map(|e| e.actor).collect();
    let tenants: Vec<Option<i64>> = events.iter().map(|e| e.tenant).collect();
    let data: Vec<serde_json::Value> = events.iter().map(|e| e.data.clone()).collect();
    let moments: Vec<Timestamp> = events.iter().map(|e| e.at).collect();
    sql.bind(&ids)
        .bind(&kinds)
        .bind(&keys)
        .bind(&actors)
        .bind(&tenants)
        .bind(&data)
        .bind(&moments)
        .execute(tx)
        .await?;
    tx.wake_after_commit(schema);
    Ok(())
}

/// Puts a dead letter of the relay back into the outbox; false when there is none.
pub async fn replay(db: &Db, schema: &str, event: EventId) -> Result<bool> {
    let sql = statement(
        schema,
        "outbox.replay",
        "WITH dead AS (
            DELETE FROM {schema}.dead_letters
            WHERE consumer = 'relay' AND event_id = $1
            RETURNING event_id, type, key, actor, tenant, data, at
        )
        INSERT INTO {schema}.outbox (event_id, type, key, actor, tenant, data, at)
        SELECT event_id, type, key, actor, tenant, data, at FROM dead",
    )?;
    let put_back = sql.bind(&event).execute(db).await?;
    db.announce(schema);
    Ok(put_back == 1)
}

#[derive(FromRow)]
struct Waiting {
    id: i64,
    event_id: EventId,
    #[row(name = "type")]
    kind: String,
    key: String,
    actor: Option<UserId>,
    tenant: Option<i64>,
    data: serde_json::Value,
    at: Timestamp,
    attempts: i32,
}

#[derive(FromRow)]
struct Backlog {
    pending: i64,
    oldest: Option<Timestamp>,
}

/// What a round found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Nothing to do.
    Idle,
    /// Events wait: for a running transaction, for a retry, or for the relay of another process.
    Held,
    /// So many events were settled; there may be more.
    Moved(usize),
}

/// Publishes one context's outbox. Several may run; one works at a time.
///
/// While it publishes it keeps one connection of the pool, so a pool needs more connections than
/// there are relays on it.
pub struct Relay {
    db: Db,
    schema: String,
    bus: Arc<dyn Bus>,
    clock: SharedClock,
}

impl Relay {
    /// A relay for `schema`.
    pub fn new(db: Db, schema: impl Into<String>, bus: Arc<dyn Bus>, clock: SharedClock) -> Self {
        Relay {
            db,
            schema: schema.into(),
            bus,
            clock,
        }
    }

    /// Works until `soft` is cancelled; a round that has begun is finished.
    pub async fn run(self, wake: Arc<Notify>, soft: CancellationToken) {
        let mut failures = 0;
        while !soft.is_cancelled() {
            let wait = match self.round().await {
                Ok(Round::Moved(_)) => {
                    failures = 0;
                    continue;
                }
                Ok(Round::Held) => HELD_POLL,
                Ok(Round::Idle) => SLOW_POLL,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        db.schema = %self.schema,
                        attempt = failures,
                        error = %crate::error::chain(&error),
                        "the outbox cannot be published"
                    );
                    // A wake-up does not shorten this wait: the cause is not a missing event.
                    tokio::select! {
                        () = soft.cancelled() => return,
                        () = tokio::time::sleep(backoff(SLOW_POLL, MAX_WAIT, failures)) => continue,
                    }
                }
            };
            failures = 0;
            tokio::select! {
                () = soft.cancelled() => return,
                () = wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One round: read, publish, settle.
    pub async fn round(&self) -> std::result::Result<Round, RelayError> {
        if self.backlog().await? == 0 {
            return Ok(Round::Idle);
        }
        // Only a transaction that has written counts for the guard, so this one holds nobody
        // back while it waits for the bus.
        let tx = self.db.begin().await?;
        if !self.claim(&tx).await? {
            tx.rollback().await?;
            return Ok(Round::Held);
        }
        let now = self.clock.now();
        let waiting = self.read(&tx, now).await?;
        if waiting.is_empty() {
            tx.rollback().await?;
            return Ok(Round::Held);
        }
        let events: Vec<Event> = waiting.iter().map(Waiting::event).collect();
        let refusals = match self.bus.publish(&events).await {
            Ok(()) => Vec::new(),
            Err(BusError::NotAccepted { refusals }) => refusals,
            Err(away) => return Err(away.into()),
        };
        let mut accepted = Vec::with_capacity(waiting.len());
        for row in &waiting {
            let mut refused = refusals
                .iter()
                .filter(|refusal| refusal.event == row.event_id);
            let Some(first) = refused.next() else {
                accepted.push(row.id);
                continue;
            };
            // Those behind a refused one wait with it and are not to blame.
            let blamed = std::iter::once(first)
                .chain(refused)
                .find(|refusal| !matches!(refusal.reason, Reason::Behind));
            if let Some(refusal) = blamed {
                let error = format!("{}: {}", refusal.consumer, refusal.reason);
                self.refuse(&tx, row, &error, now).await?;
            }
        }
        let delete = statement(
            &self.schema,
            "outbox.delete",
            "DELETE FROM {schema}.outbox WHERE id = ANY($1)",
        )?;
        delete.bind(&accepted).execute(&tx).await?;
        tx.commit().await?;
        Ok(Round::Moved(waiting.len()))
    }

    async fn backlog(&self) -> Result<i64> {
        let sql = statement(
            &self.schema,
            "outbox.backlog",
            "SELECT (SELECT count(*) FROM (SELECT FROM {schema}.outbox LIMIT 10000) AS known) AS pending,
                (SELECT at FROM {schema}.outbox ORDER BY id LIMIT 1) AS oldest",
        )?;
        let backlog: Backlog = sql.one(&self.db).await?;
        let pending = i32::try_from(backlog.pending).unwrap_or(i32::MAX);
        let lag = backlog.oldest.map_or(0.0, |oldest| {
            self.clock
                .now()
                .duration_since(oldest)
                .as_secs_f64()
                .max(0.0)
        });
        metrics::gauge!("meydan_outbox_pending", "context" => self.schema.clone())
            .set(f64::from(pending));
        metrics::gauge!("meydan_outbox_lag_seconds", "context" => self.schema.clone()).set(lag);
        Ok(backlog.pending)
    }

    /// The right to publish this outbox until the transaction ends, however it ends.
    async fn claim(&self, tx: &Tx) -> Result<bool> {
        let sql = statement(
            &self.schema,
            "outbox.claim",
            "SELECT pg_try_advisory_xact_lock(hashtextextended('meydan.relay.{schema}', 0))
                AND set_config('idle_in_transaction_session_timeout', '300000', true) IS NOT NULL",
        )?;
        sql.scalar(tx).await
    }

    async fn read(&self, tx: &Tx, now: Timestamp) -> Result<Vec<Waiting>> {
        let sql = statement(
            &self.schema,
            "outbox.list_waiting",
            "SELECT id, event_id, type, key, actor, tenant, data, at, attempts
            FROM {schema}.outbox AS o
            WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
                AND NOT EXISTS (
                    SELECT FROM {schema}.outbox AS w WHERE w.key = o.key AND w.retry_at > $1
                )
            ORDER BY id
            LIMIT $2",
        )?;
        sql.bind(&now).bind(&BATCH).all(tx).await
    }

    /// Tries later, the key waits; or buries it, the key goes on.
    async fn refuse(&self, tx: &Tx, row: &Waiting, error: &str, now: Timestamp) -> Result<()> {
        let attempts = row.attempts.saturating_add(1);
        if attempts < MAX_ATTEMPTS {
            let failures = u32::try_from(row.attempts).unwrap_or(0);
            let retry_at = now + backoff(Duration::from_millis(200), MAX_WAIT, failures);
            let sql = statement(
                &self.schema,
                "outbox.postpone",
                "UPDATE {schema}.outbox SET attempts = $2, retry_at = $3 WHERE id = $1",
            )?;
            sql.bind(&row.id)
                .bind(&attempts)
                .bind(&retry_at)
                .execute(tx)
                .await?;
            return Ok(());
        }
        crate::dead_letters::bury(tx, &self.schema, "relay", &row.event(), attempts, error).await?;
        let sql = statement(
            &self.schema,
            "outbox.delete_one",
            "DELETE FROM {schema}.outbox WHERE id = $1",
        )?;
        sql.bind(&row.id).execute(tx).await?;
        Ok(())
    }
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The database.
    #[error("relaying the outbox")]
    Database(#[from] crate::Error),
    /// The bus took nothing at all.
    #[error("publishing the outbox")]
    Bus(#[from] BusError),
}

impl Waiting {
    fn event(&self) -> Event {
        Event {
            id: self.event_id,
            kind: self.kind.clone(),
            at: self.at,
            actor: self.actor,
            tenant: self.tenant,
            key: self.key.clone(),
            data: self.data.clone(),
        }
    }
}
