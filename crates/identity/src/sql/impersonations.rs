//! Statements on `impersonations`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::{DeviceId, UserId};

/// A wish to be stored.
pub(crate) struct NewRow<'a> {
    pub(crate) id: DeviceId,
    pub(crate) staff: UserId,
    pub(crate) user: UserId,
    pub(crate) reason: &'a str,
    pub(crate) needs_approval: bool,
    pub(crate) at: Timestamp,
}

const INSERT: Sql = Sql::new(
    "identity.insert_impersonation",
    "INSERT INTO identity.impersonations (id, staff_id, user_id, reason, needs_approval, asked_at)
     VALUES ($1, $2, $3, $4, $5, $6)",
);

/// Stores the wish to act as a user.
pub(crate) async fn insert(tx: &Tx, new: &NewRow<'_>) -> Result<()> {
    INSERT
        .bind(&new.id)
        .bind(&new.staff)
        .bind(&new.user)
        .bind(&new.reason)
        .bind(&new.needs_approval)
        .bind(&new.at)
        .execute(tx)
        .await
        .map(drop)
}

const APPROVE: Sql = Sql::new(
    "identity.approve_impersonation",
    "UPDATE identity.impersonations
        SET approved_by = $2, approved_at = $3
      WHERE id = $1
        AND staff_id <> $2
        AND needs_approval
        AND approved_at IS NULL
        AND asked_at > $4
     RETURNING user_id",
);

/// Agrees to the wish of somebody else that was uttered after `since`; the user it is about.
pub(crate) async fn approve(
    tx: &Tx,
    id: DeviceId,
    by: UserId,
    at: Timestamp,
    since: Timestamp,
) -> Result<Option<UserId>> {
    APPROVE
        .bind(&id)
        .bind(&by)
        .bind(&at)
        .bind(&since)
        .optional_scalar(tx)
        .await
}

const START: Sql = Sql::new(
    "identity.start_impersonation",
    "UPDATE identity.impersonations
        SET started_at = $3
      WHERE id = $1
        AND staff_id = $2
        AND started_at IS NULL
        AND asked_at > $4
        AND (approved_at > $4 OR NOT needs_approval)
     RETURNING user_id",
);

/// Begins what was asked for, and where needed approved, after `since`; once. The user it is about.
pub(crate) async fn start(
    tx: &Tx,
    id: DeviceId,
    staff: UserId,
    at: Timestamp,
    since: Timestamp,
) -> Result<Option<UserId>> {
    START
        .bind(&id)
        .bind(&staff)
        .bind(&at)
        .bind(&since)
        .optional_scalar(tx)
        .await
}

/// Who acted as whom.
#[derive(FromRow)]
pub(crate) struct Parties {
    pub(crate) staff_id: UserId,
    pub(crate) user_id: UserId,
}

const FIND: Sql = Sql::new(
    "identity.find_impersonation",
    "SELECT staff_id, user_id
       FROM identity.impersonations
      WHERE id = $1",
)
.returning::<Parties>();

/// Who asked to act as whom.
pub(crate) async fn find(db: &Db, id: DeviceId) -> Result<Option<Parties>> {
    FIND.bind(&id).optional(db).await
}

const WITHDRAW: Sql = Sql::new(
    "identity.withdraw_impersonation",
    "DELETE FROM identity.impersonations
      WHERE id = $1
        AND started_at IS NULL",
);

/// Takes a wish back that was not carried out; false when it was.
pub(crate) async fn withdraw(db: &Db, id: DeviceId) -> Result<bool> {
    Ok(WITHDRAW.bind(&id).execute(db).await? == 1)
}

/// A row of the list.
#[derive(FromRow)]
pub(crate) struct ListedRow {
    pub(crate) id: DeviceId,
    pub(crate) staff_id: UserId,
    pub(crate) user_id: UserId,
    pub(crate) reason: String,
    pub(crate) needs_approval: bool,
    pub(crate) asked_at: Timestamp,
    pub(crate) approved_by: Option<UserId>,
    pub(crate) started_at: Option<Timestamp>,
    /// Whether the device that came of it may still act.
    pub(crate) live: bool,
}

// By primary key, downwards.
const LIST: Sql = Sql::new(
    "identity.list_impersonations_before",
    "SELECT i.id, i.staff_id, i.user_id, i.reason, i.needs_approval, i.asked_at, i.approved_by,
            i.started_at,
            EXISTS (SELECT 1
                      FROM identity.user_devices d
                     WHERE d.id = i.id
                       AND d.revoked_at IS NULL
                       AND d.expires_at > now()) AS live
       FROM identity.impersonations i
      WHERE i.id < $1
      ORDER BY i.id DESC
      LIMIT $2",
)
.returning::<ListedRow>();

/// Who acted or wishes to act as whom, the newest first.
pub(crate) async fn list_before(db: &Db, before: i64, limit: i64) -> Result<Vec<ListedRow>> {
    LIST.bind(&before).bind(&limit).all(db).await
}

pub(crate) const ALL: &[&Sql] = &[&INSERT, &APPROVE, &START, &FIND, &WITHDRAW, &LIST];
