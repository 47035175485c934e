//! Statements on `api_keys`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, UserId};

/// A key to be stored.
pub(crate) struct NewRow<'a> {
    pub(crate) id: AnyId,
    pub(crate) owner: UserId,
    pub(crate) name: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) hash: &'a [u8],
    pub(crate) scopes: &'a [&'a str],
    pub(crate) expires_at: Timestamp,
    pub(crate) at: Timestamp,
}

const LOCK_OWNER: Sql = Sql::new(
    "identity.lock_key_owner",
    "SELECT id
       FROM identity.users
      WHERE id = $1
        AND state = 'active'
        FOR NO KEY UPDATE",
);

/// Makes others who make keys of the same owner wait; false when the owner is not active.
pub(crate) async fn lock_owner(tx: &Tx, owner: UserId) -> Result<bool> {
    let found: Option<UserId> = LOCK_OWNER.bind(&owner).optional_scalar(tx).await?;
    Ok(found.is_some())
}

// By the index on owner_id. Counted by the same statement, under the lock of `lock_owner`.
const INSERT: Sql = Sql::new(
    "identity.insert_api_key",
    "INSERT INTO identity.api_keys
            (id, owner_id, name, prefix, secret_hash, scopes, expires_at, created_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8
      WHERE (SELECT count(*)
               FROM identity.api_keys k
              WHERE k.owner_id = $2
                AND k.revoked_at IS NULL
                AND k.expires_at > $8) < $9",
);

/// Stores a key; false when the owner has `most` live ones.
pub(crate) async fn insert(tx: &Tx, new: &NewRow<'_>, most: i64) -> Result<bool> {
    Ok(INSERT
        .bind(&new.id)
        .bind(&new.owner)
        .bind(&new.name)
        .bind(&new.prefix)
        .bind(&new.hash)
        .bind(&new.scopes)
        .bind(&new.expires_at)
        .bind(&new.at)
        .bind(&most)
        .execute(tx)
        .await?
        == 1)
}

/// A key in the list of its owner.
#[derive(FromRow)]
pub(crate) struct ListedKey {
    pub(crate) id: AnyId,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

// By the index on owner_id.
const LIST: Sql = Sql::new(
    "identity.list_api_keys",
    "SELECT id, name, prefix, scopes, expires_at, last_used_at, created_at
       FROM identity.api_keys
      WHERE owner_id = $1
        AND revoked_at IS NULL
        AND expires_at > $2
      ORDER BY id DESC",
)
.returning::<ListedKey>();

/// The live keys of an owner, the newest first.
pub(crate) async fn list(db: &Db, owner: UserId, now: Timestamp) -> Result<Vec<ListedKey>> {
    LIST.bind(&owner).bind(&now).all(db).await
}

const REVOKE: Sql = Sql::new(
    "identity.revoke_api_key",
    "UPDATE identity.api_keys
        SET revoked_at = $3
      WHERE owner_id = $1
        AND id = $2
        AND revoked_at IS NULL",
);

/// Takes a key back; false when it is not the owner's or was taken back before.
pub(crate) async fn revoke(tx: &Tx, owner: UserId, key: AnyId, at: Timestamp) -> Result<bool> {
    Ok(REVOKE.bind(&owner).bind(&key).bind(&at).execute(tx).await? == 1)
}

/// Whom a live key stands for.
#[derive(FromRow)]
pub(crate) struct Live {
    pub(crate) owner_id: UserId,
    pub(crate) scopes: Vec<String>,
}

// By the unique index on secret_hash. The use is noted once a minute, and by one of many at a time.
const USE: Sql = Sql::new(
    "identity.use_api_key",
    "WITH live AS (
       SELECT k.id, k.owner_id, k.scopes
         FROM identity.api_keys k
         JOIN identity.users u ON u.id = k.owner_id
        WHERE k.secret_hash = $1
          AND k.revoked_at IS NULL
          AND k.expires_at > $2
          AND u.state = 'active'),
     used AS (
       UPDATE identity.api_keys k
          SET last_used_at = $2
         FROM live l
        WHERE k.id = l.id
          AND (k.last_used_at IS NULL OR k.last_used_at <= $2 - interval '1 minute'))
     SELECT owner_id, scopes
       FROM live",
)
.returning::<Live>();

/// The owner and scopes of a live key whose owner is active.
pub(crate) async fn use_key(db: &Db, hash: &[u8], now: Timestamp) -> Result<Option<Live>> {
    USE.bind(&hash).bind(&now).optional(db).await
}

pub(crate) const ALL: &[&Sql] = &[&LOCK_OWNER, &INSERT, &LIST, &REVOKE, &USE];
