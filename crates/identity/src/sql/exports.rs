//! Statements on `exports`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, UserId};

// By the unique index on the exports of a user that wait or run.
const INSERT: Sql = Sql::new(
    "identity.insert_export",
    "INSERT INTO identity.exports (id, user_id, state, due_at, created_at)
     VALUES ($1, $2, 'waiting', $3, $3)
     ON CONFLICT (user_id) WHERE state IN ('waiting', 'running') DO NOTHING",
);

/// Stores a wish for an export; false when one is being made.
pub(crate) async fn insert(tx: &Tx, id: AnyId, user: UserId, at: Timestamp) -> Result<bool> {
    Ok(INSERT.bind(&id).bind(&user).bind(&at).execute(tx).await? == 1)
}

/// How far an export is.
#[derive(FromRow)]
pub(crate) struct Row {
    pub(crate) id: AnyId,
    pub(crate) state: String,
    pub(crate) object_key: Option<String>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
}

const FIND: Sql = Sql::new(
    "identity.find_export",
    "SELECT id, state, object_key, expires_at, created_at
       FROM identity.exports
      WHERE user_id = $1
        AND id = $2",
)
.returning::<Row>();

/// An export of a user.
pub(crate) async fn find(db: &Db, user: UserId, id: AnyId) -> Result<Option<Row>> {
    FIND.bind(&user).bind(&id).optional(db).await
}

// By the index exports_of_user. Rows of a month; one is made at a time.
const LIST: Sql = Sql::new(
    "identity.list_exports",
    "SELECT id, state, object_key, expires_at, created_at
       FROM identity.exports
      WHERE user_id = $1
      ORDER BY id DESC
      LIMIT $2",
)
.returning::<Row>();

/// The exports of a user, the newest first.
pub(crate) async fn list(db: &Db, user: UserId, limit: i64) -> Result<Vec<Row>> {
    LIST.bind(&user).bind(&limit).all(db).await
}

/// An export that this node makes now.
#[derive(FromRow)]
pub(crate) struct Claimed {
    pub(crate) id: AnyId,
    pub(crate) user_id: UserId,
}

// Few wait or run at a time. What a node began and left is begun anew when its lease is over.
const CLAIM: Sql = Sql::new(
    "identity.claim_export",
    "UPDATE identity.exports
        SET state = 'running', due_at = $2
      WHERE id = (SELECT e.id
                    FROM identity.exports e
                   WHERE e.state IN ('waiting', 'running')
                     AND e.due_at <= $1
                   ORDER BY e.id
                   LIMIT 1
                     FOR UPDATE SKIP LOCKED)
     RETURNING id, user_id",
)
.returning::<Claimed>();

/// Takes the oldest export that nobody makes, until `lease`.
pub(crate) async fn claim(db: &Db, now: Timestamp, lease: Timestamp) -> Result<Option<Claimed>> {
    CLAIM.bind(&now).bind(&lease).optional(db).await
}

const FINISH: Sql = Sql::new(
    "identity.finish_export",
    "UPDATE identity.exports
        SET state = 'ready', object_key = $2, expires_at = $3
      WHERE id = $1
        AND state = 'running'",
);

/// Notes where a finished export lies; false when it is not wanted any more.
pub(crate) async fn finish(db: &Db, id: AnyId, key: &str, ends: Timestamp) -> Result<bool> {
    Ok(FINISH.bind(&id).bind(&key).bind(&ends).execute(db).await? == 1)
}

const FAIL: Sql = Sql::new(
    "identity.fail_export",
    "UPDATE identity.exports
        SET state = 'failed'
      WHERE id = $1
        AND state = 'running'",
);

/// Notes that an export could not be made.
pub(crate) async fn fail(db: &Db, id: AnyId) -> Result<()> {
    FAIL.bind(&id).execute(db).await.map(drop)
}

const EXPIRE: Sql = Sql::new(
    "identity.expire_export",
    "WITH over AS (
       SELECT e.id, e.object_key
         FROM identity.exports e
        WHERE e.state = 'ready'
          AND e.expires_at <= $1
        ORDER BY e.id
        LIMIT 1
          FOR UPDATE SKIP LOCKED)
     UPDATE identity.exports e
        SET state = 'expired', object_key = NULL
       FROM over o
      WHERE e.id = o.id
     RETURNING o.object_key",
);

/// Ends the link of one export that is over, and gives the key of its object.
pub(crate) async fn expire(db: &Db, now: Timestamp) -> Result<Option<String>> {
    EXPIRE.bind(&now).optional_scalar(db).await
}

const PURGE: Sql = Sql::new(
    "identity.purge_exports",
    "DELETE FROM identity.exports
      WHERE created_at < $1
        AND state IN ('failed', 'expired')",
);

/// Forgets exports that were asked for before a moment.
pub(crate) async fn purge(db: &Db, before: Timestamp) -> Result<()> {
    PURGE.bind(&before).execute(db).await.map(drop)
}

const KEYS_OF: Sql = Sql::new(
    "identity.list_export_objects",
    "SELECT object_key
       FROM identity.exports
      WHERE user_id = $1
        AND object_key IS NOT NULL",
);

/// The keys of a user's exports.
pub(crate) async fn keys_of(tx: &Tx, user: UserId) -> Result<Vec<String>> {
    KEYS_OF.bind(&user).scalars(tx).await
}

pub(crate) const ALL: &[&Sql] = &[
    &INSERT, &FIND, &LIST, &CLAIM, &FINISH, &FAIL, &EXPIRE, &PURGE, &KEYS_OF,
];
