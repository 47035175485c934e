//! Events that could not be handled: kept, looked at, replayed.

use jiff::Timestamp;
use kernel::{Event, EventId, UserId};

use crate::mechanics::statement;
use crate::{Db, FromRow, Result, Source};

/// One dead letter.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct DeadLetter {
    /// Who could not handle it; `relay` when the bus did not get rid of it.
    pub consumer: String,
    /// The event.
    pub event_id: EventId,
    /// Its type.
    #[row(name = "type")]
    pub kind: String,
    /// Its key.
    pub key: String,
    /// Who caused it.
    pub actor: Option<UserId>,
    /// Its gallery.
    pub tenant: Option<i64>,
    /// Its payload.
    pub data: serde_json::Value,
    /// When it happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: i32,
    /// The last error, for operators.
    pub error: String,
    /// When it was given up.
    pub failed_at: Timestamp,
}

impl DeadLetter {
    /// The event as it was.
    #[must_use]
    pub fn event(&self) -> Event {
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

/// The oldest dead letters of a context, at most 100, after `after` in the order of event ids.
pub async fn list(db: &Db, schema: &str, after: Option<EventId>) -> Result<Vec<DeadLetter>> {
    let sql = statement(
        schema,
        "dead_letters.list",
        "SELECT consumer, event_id, type, key, actor, tenant, data, at, attempts, error, failed_at
        FROM {schema}.dead_letters
        WHERE $1::bigint IS NULL OR event_id > $1
        ORDER BY event_id, consumer
        LIMIT 100",
    )?;
    sql.bind(&after).all(db).await
}

/// Finds one and locks it.
pub(crate) async fn find_for_update(
    source: impl Source,
    schema: &str,
    consumer: &str,
    event: EventId,
) -> Result<Option<DeadLetter>> {
    let sql = statement(
        schema,
        "dead_letters.find_for_update",
        "SELECT consumer, event_id, type, key, actor, tenant, data, at, attempts, error, failed_at
        FROM {schema}.dead_letters
        WHERE consumer = $1 AND event_id = $2
        FOR UPDATE",
    )?;
    sql.bind(&consumer).bind(&event).optional(source).await
}

/// Forgets one for good; false when there is none.
pub async fn discard(
    source: impl Source,
    schema: &str,
    consumer: &str,
    event: EventId,
) -> Result<bool> {
    let sql = statement(
        schema,
        "dead_letters.delete",
        "DELETE FROM {schema}.dead_letters WHERE consumer = $1 AND event_id = $2",
    )?;
    Ok(sql.bind(&consumer).bind(&event).execute(source).await? == 1)
}

pub(crate) async fn bury(
    source: impl Source,
    schema: &str,
    consumer: &str,
    event: &Event,
    attempts: i32,
    error: &str,
) -> Result<()> {
    let sql = statement(
        schema,
        "dead_letters.insert",
        "INSERT INTO {schema}.dead_letters
            (consumer, event_id, type, key, actor, tenant, data, at, attempts, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (consumer, event_id) DO UPDATE
        SET attempts = EXCLUDED.attempts, error = EXCLUDED.error, failed_at = now()",
    )?;
    sql.bind(&consumer)
        .bind(&event.id)
        .bind(&event.kind)
        .bind(&event.key)
        .bind(&event.actor)
        .bind(&event.tenant)
        .bind(&event.data)
        .bind(&event.at)
        .bind(&attempts)
        .bind(&error)
        .execute(source)
        .await?;
    metrics::counter!("meydan_dead_letters_total", "consumer" => consumer.to_owned()).increment(1);
    tracing::error!(
        event.id = %event.id,
        event.kind = %event.kind,
        consumer,
        attempts,
        error,
        "an event became a dead letter; look at it and replay it"
    );
    Ok(())
}
