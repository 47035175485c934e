//! Statements on `signing_keys`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;

/// A signing key as it is stored.
#[derive(FromRow)]
pub(crate) struct KeyRow {
    pub(crate) kid: String,
    pub(crate) public_key: Vec<u8>,
    pub(crate) private_enc: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) active_from: Timestamp,
    pub(crate) retires_at: Timestamp,
}

// The number only has to differ from other advisory locks of this database.
const LOCK: Sql = Sql::new(
    "identity.lock_signing_keys",
    "SELECT 1
       FROM pg_advisory_xact_lock(hashtextextended('identity.signing_keys', 0))",
);

/// Waits until nobody else makes keys; until the end of the transaction.
pub(crate) async fn lock(tx: &Tx) -> Result<()> {
    LOCK.scalar::<i32>(tx).await.map(drop)
}

const LIST: Sql = Sql::new(
    "identity.list_signing_keys",
    "SELECT kid, public_key, private_enc, key_id, active_from, retires_at
       FROM identity.signing_keys
      ORDER BY active_from DESC, kid",
)
.returning::<KeyRow>();

/// Every key, the newest first. There are two or three.
pub(crate) async fn list(db: &Db) -> Result<Vec<KeyRow>> {
    LIST.all(db).await
}

const LAST_RETIREMENT: Sql = Sql::new(
    "identity.last_key_retirement",
    "SELECT max(retires_at)
       FROM identity.signing_keys",
);

/// When the last key stops signing.
pub(crate) async fn last_retirement(tx: &Tx) -> Result<Option<Timestamp>> {
    LAST_RETIREMENT.scalar(tx).await
}

const INSERT: Sql = Sql::new(
    "identity.insert_signing_key",
    "INSERT INTO identity.signing_keys
            (kid, alg, public_key, private_enc, key_id, active_from, retires_at, drops_at)
     VALUES ($1, 'EdDSA', $2, $3, $4, $5, $6, $7)",
);

/// Stores a key.
pub(crate) async fn insert(tx: &Tx, key: &KeyRow, drops_at: Timestamp) -> Result<()> {
    INSERT
        .bind(&key.kid)
        .bind(&key.public_key)
        .bind(&key.private_enc)
        .bind(&key.key_id)
        .bind(&key.active_from)
        .bind(&key.retires_at)
        .bind(&drops_at)
        .execute(tx)
        .await
        .map(drop)
}

const DELETE_DROPPED: Sql = Sql::new(
    "identity.delete_dropped_keys",
    "DELETE FROM identity.signing_keys
      WHERE drops_at <= $1",
);

/// Forgets keys whose tokens have all expired.
pub(crate) async fn delete_dropped(tx: &Tx, now: Timestamp) -> Result<u64> {
    DELETE_DROPPED.bind(&now).execute(tx).await
}

const DELETE_ALL: Sql = Sql::new(
    "identity.delete_signing_keys",
    "DELETE FROM identity.signing_keys",
);

/// Forgets every key, and with it every token.
pub(crate) async fn delete_all(tx: &Tx) -> Result<u64> {
    DELETE_ALL.execute(tx).await
}

pub(crate) const ALL: &[&Sql] = &[
    &LOCK,
    &LIST,
    &LAST_RETIREMENT,
    &INSERT,
    &DELETE_DROPPED,
    &DELETE_ALL,
];
