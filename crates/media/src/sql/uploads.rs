//! Statements on files that are not whole yet.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, MediaId, UserId};

pub(super) const ALL: &[&Sql] = &[
    &LOCK_OWNER,
    &USAGE,
    &INSERT,
    &LEASE,
    &UNLEASE,
    &ADVANCE,
    &LIST_PARTS,
    &LIST_COMPLETE,
    &FINISH,
];

const LOCK_OWNER: Sql = Sql::new(
    "media.lock_owner",
    "SELECT pg_advisory_xact_lock(hashtextextended('media.owner:' || $1::bigint::text, 0))",
);

/// Waits until nobody else opens uploads of a user; until the end of the transaction.
pub(crate) async fn lock_owner(tx: &Tx, owner: UserId) -> Result<()> {
    LOCK_OWNER.bind(&owner).execute(tx).await.map(drop)
}

/// How much of a user is stored.
#[derive(FromRow)]
pub(crate) struct Usage {
    pub(crate) bytes: i64,
    pub(crate) open: i64,
}

// By the index on the owner.
const USAGE: Sql = Sql::new(
    "media.usage",
    "SELECT coalesce(sum(size_bytes), 0)::bigint AS bytes,
            count(*) FILTER (WHERE state = 'receiving') AS open
       FROM media.assets
      WHERE owner_id = $1
        AND state <> 'removed'",
)
.returning::<Usage>();

/// How much of a user is stored, with what is announced.
pub(crate) async fn usage(source: impl Source, owner: UserId) -> Result<Usage> {
    USAGE.bind(&owner).one(source).await
}

/// A file whose content is to come.
pub(crate) struct NewRow<'a> {
    pub(crate) id: MediaId,
    pub(crate) owner: UserId,
    pub(crate) folder: &'a str,
    pub(crate) file_name: &'a str,
    pub(crate) declared_type: &'a str,
    pub(crate) size_bytes: i64,
    pub(crate) expected_sha256: Option<&'a [u8]>,
    pub(crate) lease: Option<(AnyId, Timestamp)>,
    pub(crate) now: Timestamp,
    pub(crate) expires_at: Timestamp,
}

const INSERT: Sql = Sql::new(
    "media.insert_asset",
    "INSERT INTO media.assets
       (id, owner_id, state, folder, file_name, declared_type, size_bytes, expected_sha256,
        lease_id, leased_until, created_at, expires_at)
     VALUES ($1, $2, 'receiving', $3, $4, $5, $6, $7, $8, $9, $10, $11)",
);

/// Opens a file.
pub(crate) async fn insert_asset(tx: &Tx, row: &NewRow<'_>) -> Result<()> {
    let (lease, until) = row.lease.unzip();
    INSERT
        .bind(&row.id)
        .bind(&row.owner)
        .bind(&row.folder)
        .bind(&row.file_name)
        .bind(&row.declared_type)
        .bind(&row.size_bytes)
        .bind(&row.expected_sha256)
        .bind(&lease)
        .bind(&until)
        .bind(&row.now)
        .bind(&row.expires_at)
        .execute(tx)
        .await
        .map(drop)
}

const LEASE: Sql = Sql::new(
    "media.lease_upload",
    "UPDATE media.assets
        SET lease_id = $3, leased_until = $4
      WHERE id = $1
        AND state = 'receiving'
        AND expires_at > $2
        AND (leased_until IS NULL OR leased_until < $2)",
);

/// Makes an upload ours alone; false when it is somebody's or gone.
pub(crate) async fn lease_upload(
    db: &Db,
    id: MediaId,
    now: Timestamp,
    lease: AnyId,
    until: Timestamp,
) -> Result<bool> {
    let bound = LEASE.bind(&id).bind(&now).bind(&lease).bind(&until);
    Ok(bound.execute(db).await? == 1)
}

const UNLEASE: Sql = Sql::new(
    "media.unlease",
    "UPDATE media.assets
        SET leased_until = NULL
      WHERE id = $1
        AND lease_id = $2",
);

/// Gives a lease back.
pub(crate) async fn unlease(db: &Db, id: MediaId, lease: AnyId) -> Result<()> {
    UNLEASE.bind(&id).bind(&lease).execute(db).await.map(drop)
}

// The offset is checked and raised by the same statement; who lost the lease changes nothing.
const ADVANCE: Sql = Sql::new(
    "media.advance_upload",
    "WITH moved AS (
       UPDATE media.assets
          SET offset_bytes = offset_bytes + $4, leased_until = $5
        WHERE id = $1
          AND lease_id = $2
          AND offset_bytes = $3
          AND state = 'receiving'
       RETURNING id)
     INSERT INTO media.parts (asset_id, start_bytes, size_bytes, lease_id)
     SELECT id, $3, $4, $2
       FROM moved",
);

/// A part that was stored as an object.
#[derive(Clone, Copy, FromRow)]
pub(crate) struct PartRow {
    pub(crate) start_bytes: i64,
    pub(crate) size_bytes: i64,
    pub(crate) lease_id: AnyId,
}

/// Counts a stored part in; false when the upload is another's meanwhile.
pub(crate) async fn advance_upload(
    db: &Db,
    id: MediaId,
    part: PartRow,
    until: Timestamp,
) -> Result<bool> {
    let bound = ADVANCE.bind(&id).bind(&part.lease_id);
    let bound = bound.bind(&part.start_bytes).bind(&part.size_bytes);
    Ok(bound.bind(&until).execute(db).await? == 1)
}

// By the primary key.
const LIST_PARTS: Sql = Sql::new(
    "media.list_parts",
    "SELECT start_bytes, size_bytes, lease_id
       FROM media.parts
      WHERE asset_id = $1
      ORDER BY start_bytes",
)
.returning::<PartRow>();

/// The parts of an upload, in order.
pub(crate) async fn list_parts(db: &Db, id: MediaId) -> Result<Vec<PartRow>> {
    LIST_PARTS.bind(&id).all(db).await
}

// By the index on the state.
const LIST_COMPLETE: Sql = Sql::new(
    "media.list_complete",
    "SELECT id
       FROM media.assets
      WHERE state = 'receiving'
        AND offset_bytes = size_bytes
        AND size_bytes > 0
        AND (leased_until IS NULL OR leased_until < $1)
      ORDER BY id
      LIMIT $2",
);

/// Uploads that have everything and were not finished.
pub(crate) async fn list_complete(db: &Db, now: Timestamp, limit: i64) -> Result<Vec<MediaId>> {
    LIST_COMPLETE.bind(&now).bind(&limit).scalars(db).await
}

/// A file that is whole and was judged.
pub(crate) struct WholeRow<'a> {
    pub(crate) id: MediaId,
    pub(crate) lease: AnyId,
    pub(crate) state: &'static str,
    pub(crate) size_bytes: i64,
    pub(crate) sha256: &'a [u8],
    pub(crate) content_type: &'a str,
    pub(crate) object: &'a str,
    pub(crate) size: Option<(i32, i32)>,
    pub(crate) expires_at: Timestamp,
}

const FINISH: Sql = Sql::new(
    "media.finish_upload",
    "WITH parts AS (DELETE FROM media.parts WHERE asset_id = $1)
     UPDATE media.assets
        SET state = $3, size_bytes = $4, offset_bytes = $4, sha256 = $5, content_type = $6,
            object = $7, width = $8, height = $9, expires_at = $10, leased_until = NULL
      WHERE id = $1
        AND lease_id = $2
        AND state = 'receiving'",
);

/// Ends an upload well; false when it is another's meanwhile, or gone.
pub(crate) async fn finish_upload(source: impl Source, row: &WholeRow<'_>) -> Result<bool> {
    let (width, height) = row.size.unzip();
    let bound = FINISH
        .bind(&row.id)
        .bind(&row.lease)
        .bind(&row.state)
        .bind(&row.size_bytes)
        .bind(&row.sha256)
        .bind(&row.content_type)
        .bind(&row.object)
        .bind(&width)
        .bind(&height)
        .bind(&row.expires_at);
    Ok(bound.execute(source).await? == 1)
}
