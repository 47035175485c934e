//! A request has its effect once, however often it is sent.
//!
//! The key is inserted in the transaction of the effect, so both stand or fall together. A twin
//! waits on the row until the first one has committed, then gets the first one's answer.

use std::time::Duration;

use kernel::failure::{IDEMPOTENCY_BUSY, IDEMPOTENCY_MISMATCH};
use kernel::{Failure, Once, UserId};

use crate::mechanics::statement;
use crate::{Db, Error, FromRow, Result, Tx};

/// What a claimed key means for the request.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Do the work, then [`settle`] in the same transaction.
    Fresh,
    /// It was done: answer this.
    Replay {
        /// HTTP status.
        status: u16,
        /// Body.
        body: serde_json::Value,
    },
}

#[derive(FromRow)]
struct Known {
    request_hash: Vec<u8>,
    state: String,
    status: Option<i16>,
    body: Option<serde_json::Value>,
}

/// Claims a key. Call it first in the transaction of the effect.
///
/// Fails with `IDEMPOTENCY_MISMATCH` (422) when the key came with another request, and with
/// `IDEMPOTENCY_BUSY` (409) when a twin works longer than 2 s; the transaction is then of no use.
pub async fn claim(
    tx: &Tx,
    schema: &str,
    owner: UserId,
    once: &Once,
) -> std::result::Result<Claim, Failure> {
    match insert(tx, schema, owner, once).await {
        Ok(true) => return Ok(Claim::Fresh),
        Ok(false) => {}
        Err(error @ Error::Contended { .. }) => {
            return Err(busy().because(error));
        }
        Err(error) => return Err(error.into()),
    }
    let sql = statement(
        schema,
        "idempotency_keys.find",
        "SELECT request_hash, state, status, body
        FROM {schema}.idempotency_keys
        WHERE owner_id = $1 AND key = $2",
    )?;
    let known: Option<Known> = sql.bind(&owner).bind(&once.key).optional(tx).await?;
    // Gone between the two statements: the purge was faster than we. A retry finds it fresh.
    let Some(known) = known else {
        return Err(busy());
    };
    if known.request_hash != once.request_hash {
        return Err(IDEMPOTENCY_MISMATCH.fail());
    }
    match (known.state.as_str(), known.status, known.body) {
        ("done", Some(status), Some(body)) => Ok(Claim::Replay {
            status: u16::try_from(status).unwrap_or(500),
            body,
        }),
        _ => Err(busy()),
    }
}

/// Records the answer in the same transaction.
pub async fn settle(
    tx: &Tx,
    schema: &str,
    owner: UserId,
    once: &Once,
    status: u16,
    body: &serde_json::Value,
) -> Result<()> {
    let sql = statement(
        schema,
        "idempotency_keys.settle",
        "UPDATE {schema}.idempotency_keys
        SET state = 'done', status = $3, body = $4
        WHERE owner_id = $1 AND key = $2 AND state = 'started'",
    )?;
    let status = i16::try_from(status).unwrap_or(500);
    let settled = sql
        .bind(&owner)
        .bind(&once.key)
        .bind(&status)
        .bind(body)
        .execute(tx)
        .await?;
    if settled == 1 {
        Ok(())
    } else {
        Err(Error::NotOne {
            statement: "idempotency_keys.settle".into(),
            found: 0,
        })
    }
}

/// Forgets keys older than 24 hours, at most 5,000 at a time. Returns how many.
pub async fn purge(db: &Db, schema: &str) -> Result<u64> {
    let sql = statement(
        schema,
        "idempotency_keys.purge",
        "DELETE FROM {schema}.idempotency_keys
        WHERE (owner_id, key) IN (
            SELECT owner_id, key FROM {schema}.idempotency_keys
            WHERE created_at < now() - interval '24 hours'
            LIMIT 5000
        )",
    )?;
    sql.execute(db).await
}

/// True when the key is ours. A twin's uncommitted row makes us wait, at most 2 s.
async fn insert(tx: &Tx, schema: &str, owner: UserId, once: &Once) -> Result<bool> {
    let limit = statement(
        schema,
        "idempotency_keys.limit_wait",
        "SELECT set_config('lock_timeout', '2s', true)",
    )?;
    let insert = statement(
        schema,
        "idempotency_keys.insert",
        "INSERT INTO {schema}.idempotency_keys (owner_id, key, request_hash)
        VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING",
    )?;
    let no_limit = statement(
        schema,
        "idempotency_keys.unlimit_wait",
        "SELECT set_config('lock_timeout', '0', true)",
    )?;
    let hash = once.request_hash.as_slice();
    // All three leave at once; the last one is for the work that follows.
    let (limited, inserted, unlimited) = futures::join!(
        limit.execute(tx),
        insert.bind(&owner).bind(&once.key).bind(&hash).execute(tx),
        no_limit.execute(tx),
    );
    limited?;
    let inserted = inserted?;
    unlimited?;
    Ok(inserted == 1)
}

fn busy() -> Failure {
    IDEMPOTENCY_BUSY.fail().retry_after(Duration::from_secs(1))
}
