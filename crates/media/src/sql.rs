//! Every statement of the crate: one constant and one function each. What places do to files is in
//! `places.rs`.

mod places;
mod uploads;

use std::sync::LazyLock;

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, MediaId};

use crate::model::Asset;

pub(crate) use places::*;
pub(crate) use uploads::*;

/// What the test prepares.
pub(crate) static STATEMENTS: LazyLock<Vec<&'static Sql>> =
    LazyLock::new(|| [ALL, places::ALL, uploads::ALL].concat());

const ALL: &[&Sql] = &[
    &LIST,
    &TAKE_WAITING,
    &SET_DERIVED,
    &LIST_REMOVED,
    &DELETE_REMOVED,
    &EXPIRE,
    &REMOVE,
    &COUNT_STATES,
];

const LIST: Sql = Sql::new(
    "media.list_assets",
    "SELECT id, owner_id, state, folder, file_name, declared_type, size_bytes, offset_bytes,
            expected_sha256, content_type, object, width, height, placeholder, thumbnail,
            place_kind, place_id, channel_id, picture_hash, tries, expires_at
       FROM media.assets
      WHERE id = ANY ($1)",
)
.returning::<Asset>();

/// Files by their ids; unknown ones are left out.
pub(crate) async fn list_assets(source: impl Source, ids: &[MediaId]) -> Result<Vec<Asset>> {
    LIST.bind(&ids).all(source).await
}

/// One file.
pub(crate) async fn find_asset(source: impl Source, id: MediaId) -> Result<Option<Asset>> {
    Ok(list_assets(source, &[id]).await?.pop())
}

// By the index on the state.
const TAKE_WAITING: Sql = Sql::new(
    "media.take_waiting",
    "UPDATE media.assets
        SET lease_id = $2, leased_until = $3, tries = tries + 1
      WHERE id = (SELECT id
                    FROM media.assets
                   WHERE state = 'waiting'
                     AND (leased_until IS NULL OR leased_until < $1)
                   ORDER BY id
                   LIMIT 1
                     FOR UPDATE SKIP LOCKED)
     RETURNING id",
);

/// Leases the next file to be worked at.
pub(crate) async fn take_waiting(
    db: &Db,
    now: Timestamp,
    lease: AnyId,
    until: Timestamp,
) -> Result<Option<MediaId>> {
    let bound = TAKE_WAITING.bind(&now).bind(&lease).bind(&until);
    bound.optional_scalar(db).await
}

/// What work at a file led to.
pub(crate) struct Derived<'a> {
    pub(crate) content_type: &'a str,
    pub(crate) object: &'a str,
    pub(crate) size_bytes: i64,
    pub(crate) size: Option<(i32, i32)>,
    pub(crate) placeholder: Option<&'a str>,
    pub(crate) thumbnail: Option<&'a str>,
}

const SET_DERIVED: Sql = Sql::new(
    "media.set_derived",
    "UPDATE media.assets
        SET state = 'ready', content_type = $3, object = $4, size_bytes = $5, offset_bytes = $5,
            width = $6, height = $7, placeholder = $8, thumbnail = $9, leased_until = NULL
      WHERE id = $1
        AND lease_id = $2
        AND state = 'waiting'",
);

/// Stores it; false when somebody else has the lease, or nobody needs the file any more.
pub(crate) async fn set_derived(
    tx: &Tx,
    id: MediaId,
    lease: AnyId,
    derived: &Derived<'_>,
) -> Result<bool> {
    let (width, height) = derived.size.unzip();
    let changed = SET_DERIVED
        .bind(&id)
        .bind(&lease)
        .bind(&derived.content_type)
        .bind(&derived.object)
        .bind(&derived.size_bytes)
        .bind(&width)
        .bind(&height)
        .bind(&derived.placeholder)
        .bind(&derived.thumbnail);
    Ok(changed.execute(tx).await? == 1)
}

/// A file whose objects are to go.
#[derive(FromRow)]
pub(crate) struct RemovedRow {
    pub(crate) id: MediaId,
    pub(crate) folder: String,
}

// By the index on the state. Who writes or works at it may finish: objects that come later would
// stay for ever.
const LIST_REMOVED: Sql = Sql::new(
    "media.list_removed",
    "SELECT id, folder
       FROM media.assets
      WHERE state = 'removed'
        AND (leased_until IS NULL OR leased_until < $1)
      ORDER BY id
      LIMIT $2",
)
.returning::<RemovedRow>();

/// Files whose objects are to go.
pub(crate) async fn list_removed(db: &Db, now: Timestamp, limit: i64) -> Result<Vec<RemovedRow>> {
    LIST_REMOVED.bind(&now).bind(&limit).all(db).await
}

const DELETE_REMOVED: Sql = Sql::new(
    "media.delete_removed",
    "DELETE FROM media.assets
      WHERE id = $1
        AND state = 'removed'",
);

/// Forgets a file whose objects are gone.
pub(crate) async fn delete_removed(db: &Db, id: MediaId) -> Result<()> {
    DELETE_REMOVED.bind(&id).execute(db).await.map(drop)
}

// By the index on the expiry.
const EXPIRE: Sql = Sql::new(
    "media.expire",
    "UPDATE media.assets
        SET state = 'removed', expires_at = NULL
      WHERE id IN (SELECT id
                     FROM media.assets
                    WHERE expires_at <= $1
                    ORDER BY expires_at
                    LIMIT $2
                      FOR UPDATE SKIP LOCKED)",
);

/// Lets files go whose time is up.
pub(crate) async fn expire(db: &Db, now: Timestamp, limit: i64) -> Result<u64> {
    EXPIRE.bind(&now).bind(&limit).execute(db).await
}

const REMOVE: Sql = Sql::new(
    "media.remove",
    "UPDATE media.assets
        SET state = 'removed', expires_at = NULL
      WHERE id = ANY ($1)
        AND state <> 'removed'",
);

/// Lets files go.
pub(crate) async fn remove(source: impl Source, ids: &[MediaId]) -> Result<u64> {
    REMOVE.bind(&ids).execute(source).await
}

/// How much work there is.
#[derive(FromRow)]
pub(crate) struct Backlog {
    pub(crate) waiting: i64,
    pub(crate) removed: i64,
}

// By the index on the state.
const COUNT_STATES: Sql = Sql::new(
    "media.count_states",
    "SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
            count(*) FILTER (WHERE state = 'removed') AS removed
       FROM media.assets
      WHERE state <> 'ready'",
)
.returning::<Backlog>();

/// How many files wait to be worked at, and to go.
pub(crate) async fn count_backlog(db: &Db) -> Result<Backlog> {
    COUNT_STATES.one(db).await
}
