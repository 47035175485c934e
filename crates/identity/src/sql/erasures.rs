//! Statements on `erasures` and `erasure_acks`.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, UserId};

// By the unique index on the erasures of a user that wait or run.
const INSERT: Sql = Sql::new(
    "identity.insert_erasure",
    "INSERT INTO identity.erasures AS e (id, user_id, state, due_at, created_at)
     VALUES ($1, $2, 'waiting', $3, $4)
     ON CONFLICT (user_id) WHERE state IN ('waiting', 'running') DO UPDATE
        SET due_at = excluded.due_at
      WHERE e.state = 'waiting'
        AND e.due_at > excluded.due_at",
);

/// Stores the wish to be erased; false when there is one that is no later.
pub(crate) async fn insert(
    tx: &Tx,
    id: AnyId,
    user: UserId,
    due: Timestamp,
    at: Timestamp,
) -> Result<bool> {
    let bound = INSERT.bind(&id).bind(&user).bind(&due).bind(&at);
    Ok(bound.execute(tx).await? == 1)
}

/// An erasure that is not over.
#[derive(FromRow)]
pub(crate) struct Open {
    pub(crate) id: AnyId,
    pub(crate) state: String,
    pub(crate) due_at: Timestamp,
}

// By the same index.
const FIND_OPEN: Sql = Sql::new(
    "identity.find_open_erasure",
    "SELECT id, state, due_at
       FROM identity.erasures
      WHERE user_id = $1
        AND state IN ('waiting', 'running')",
)
.returning::<Open>();

/// The erasure of a user that waits or runs.
pub(crate) async fn find_open(source: impl Source, user: UserId) -> Result<Option<Open>> {
    FIND_OPEN.bind(&user).optional(source).await
}

const MARK_DELETING: Sql = Sql::new(
    "identity.mark_user_deleting",
    "UPDATE identity.users
        SET state = 'deleting', version = version + 1, updated_at = $2
      WHERE id = $1
        AND state = 'active'",
);

/// Notes on the account that it will be erased; false when it is noted.
pub(crate) async fn mark_deleting(tx: &Tx, user: UserId, at: Timestamp) -> Result<bool> {
    Ok(MARK_DELETING.bind(&user).bind(&at).execute(tx).await? == 1)
}

const CANCEL: Sql = Sql::new(
    "identity.cancel_erasure",
    "WITH cancelled AS (
       UPDATE identity.erasures
          SET state = 'cancelled'
        WHERE user_id = $1
          AND state = 'waiting'
       RETURNING user_id)
     UPDATE identity.users u
        SET state = 'active', version = u.version + 1, updated_at = $2
       FROM cancelled c
      WHERE u.id = c.user_id
        AND u.state = 'deleting'",
);

/// Takes the wish back; false when there is none, or it is being carried out.
pub(crate) async fn cancel(tx: &Tx, user: UserId, at: Timestamp) -> Result<bool> {
    Ok(CANCEL.bind(&user).bind(&at).execute(tx).await? == 1)
}

#[derive(FromRow)]
struct Due {
    id: AnyId,
    user_id: UserId,
}

// Few wait at a time.
const LIST_DUE: Sql = Sql::new(
    "identity.list_due_erasures",
    "SELECT id, user_id
       FROM identity.erasures
      WHERE state = 'waiting'
        AND due_at <= $1
      ORDER BY due_at, id
      LIMIT $2",
)
.returning::<Due>();

/// Erasures whose time has come.
pub(crate) async fn list_due(db: &Db, now: Timestamp, limit: i64) -> Result<Vec<(AnyId, UserId)>> {
    let due: Vec<Due> = LIST_DUE.bind(&now).bind(&limit).all(db).await?;
    Ok(due.into_iter().map(|due| (due.id, due.user_id)).collect())
}

const BEGIN: Sql = Sql::new(
    "identity.begin_erasure",
    "UPDATE identity.erasures
        SET state = 'running', due_at = $3
      WHERE id = $1
        AND state = 'waiting'
        AND due_at <= $2",
);

/// Begins an erasure, whose rows go at `settled`; false when it was begun or cancelled.
pub(crate) async fn begin(tx: &Tx, id: AnyId, now: Timestamp, settled: Timestamp) -> Result<bool> {
    Ok(BEGIN
        .bind(&id)
        .bind(&now)
        .bind(&settled)
        .execute(tx)
        .await?
        == 1)
}

// Few run at a time.
const LIST_SETTLED: Sql = Sql::new(
    "identity.list_settled_erasures",
    "SELECT e.id, e.user_id
       FROM identity.erasures e
      WHERE e.state = 'running'
        AND e.due_at <= $1
        AND NOT EXISTS (SELECT 1
                          FROM identity.erasure_acks a
                         WHERE a.erasure_id = e.id
                           AND a.context = 'identity')
      ORDER BY e.due_at, e.id
      LIMIT $2",
)
.returning::<Due>();

/// Erasures that were begun and whose rows can go.
pub(crate) async fn list_settled(
    db: &Db,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(AnyId, UserId)>> {
    let due: Vec<Due> = LIST_SETTLED.bind(&now).bind(&limit).all(db).await?;
    Ok(due.into_iter().map(|due| (due.id, due.user_id)).collect())
}

const ACKNOWLEDGE: Sql = Sql::new(
    "identity.insert_erasure_ack",
    "INSERT INTO identity.erasure_acks (erasure_id, context, acked_at)
     VALUES ($1, $2, $3)
     ON CONFLICT (erasure_id, context) DO NOTHING",
);

/// Notes that a context erased the user; false when it is noted.
pub(crate) async fn acknowledge(tx: &Tx, id: AnyId, context: &str, at: Timestamp) -> Result<bool> {
    Ok(ACKNOWLEDGE
        .bind(&id)
        .bind(&context)
        .bind(&at)
        .execute(tx)
        .await?
        == 1)
}

const FIND_RUNNING: Sql = Sql::new(
    "identity.find_running_erasure",
    "SELECT id
       FROM identity.erasures
      WHERE user_id = $1
        AND state = 'running'
        FOR UPDATE",
);

/// The erasure of a user that is being carried out; others who note an answer wait.
pub(crate) async fn find_running(tx: &Tx, user: UserId) -> Result<Option<AnyId>> {
    FIND_RUNNING.bind(&user).optional_scalar(tx).await
}

const FINISH: Sql = Sql::new(
    "identity.finish_erasure",
    "UPDATE identity.erasures e
        SET state = 'done'
      WHERE e.user_id = $1
        AND e.state = 'running'
        AND NOT EXISTS (SELECT 1
                          FROM unnest($2::text[]) AS x (context)
                         WHERE NOT EXISTS (SELECT 1
                                             FROM identity.erasure_acks a
                                            WHERE a.erasure_id = e.id
                                              AND a.context = x.context))",
);

/// Ends an erasure for which every expected context has answered.
pub(crate) async fn finish(tx: &Tx, user: UserId, expected: &[&str]) -> Result<()> {
    FINISH
        .bind(&user)
        .bind(&expected)
        .execute(tx)
        .await
        .map(drop)
}

const COUNT_LATE: Sql = Sql::new(
    "identity.count_late_erasures",
    "SELECT count(*)
       FROM identity.erasures
      WHERE state = 'running'
        AND due_at < $1",
);

/// How many erasures were begun before a moment and are not done.
pub(crate) async fn count_late(db: &Db, before: Timestamp) -> Result<i64> {
    COUNT_LATE.bind(&before).scalar(db).await
}

const CONTACTS_OF: Sql = Sql::new(
    "identity.list_contacts_of_user",
    "SELECT c.contact
       FROM identity.users u
      CROSS JOIN LATERAL (VALUES (u.phone_number), (u.email_key)) AS c (contact)
      WHERE u.id = $1
        AND c.contact IS NOT NULL",
);

/// The number and the address of a user, as their budgets of codes are keyed.
pub(crate) async fn contacts_of(tx: &Tx, user: UserId) -> Result<Vec<String>> {
    CONTACTS_OF.bind(&user).scalars(tx).await
}

const FORGET_TARGETS: Sql = Sql::new(
    "identity.forget_otp_targets",
    "WITH challenges AS (
       DELETE FROM identity.otp_challenges
        WHERE target_hmac = ANY ($1))
     DELETE FROM identity.otp_targets
      WHERE target_hmac = ANY ($1)",
);

/// Deletes challenges and budgets of numbers and addresses.
pub(crate) async fn forget_targets(tx: &Tx, targets: &[Vec<u8>]) -> Result<()> {
    FORGET_TARGETS.bind(&targets).execute(tx).await.map(drop)
}

const IS_LAST_ADMIN: Sql = Sql::new(
    "identity.is_last_admin",
    "SELECT EXISTS (SELECT 1
                      FROM identity.platform_roles r
                     WHERE r.user_id = $1
                       AND r.role = 'superadmin')
        AND NOT EXISTS (SELECT 1
                          FROM identity.platform_roles r
                          JOIN identity.users u ON u.id = r.user_id
                         WHERE r.user_id <> $1
                           AND r.role = 'superadmin'
                           AND u.state = 'active')",
);

/// Whether nobody else administers the platform.
pub(crate) async fn is_last_admin(db: &Db, user: UserId) -> Result<bool> {
    IS_LAST_ADMIN.bind(&user).scalar(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &INSERT,
    &FIND_OPEN,
    &MARK_DELETING,
    &CANCEL,
    &LIST_DUE,
    &BEGIN,
    &LIST_SETTLED,
    &ACKNOWLEDGE,
    &FIND_RUNNING,
    &FINISH,
    &COUNT_LATE,
    &CONTACTS_OF,
    &FORGET_TARGETS,
    &IS_LAST_ADMIN,
];
