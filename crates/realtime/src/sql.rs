//! Every statement of the crate.

use db::{Result, Source, Sql};
use jiff::Timestamp;
use kernel::UserId;

/// All statements, for the test that prepares each.
pub(crate) const ALL: &[&Sql] = &[
    &INSERT_SPILLED,
    &TAKE_SPILLED,
    &DELETE_OLD_SPILLED,
    &PUT_LAST_SEEN,
    &FIND_LAST_SEEN,
];

const INSERT_SPILLED: Sql = Sql::new(
    "realtime.insert_spilled",
    "INSERT INTO realtime.spilled_rings (session_id, user_id, data, spilled_at)
     SELECT id, user_id, data, $4
       FROM unnest($1::text[], $2::bigint[], $3::jsonb[]) AS t (id, user_id, data)
     ON CONFLICT (session_id) DO UPDATE
        SET data = excluded.data, spilled_at = excluded.spilled_at",
);

const TAKE_SPILLED: Sql = Sql::new(
    "realtime.take_spilled",
    // By primary key after a scan of a table that holds minutes.
    "DELETE FROM realtime.spilled_rings
      WHERE session_id IN (SELECT session_id
                             FROM realtime.spilled_rings
                            WHERE spilled_at > $1
                            LIMIT $2
                              FOR UPDATE SKIP LOCKED)
     RETURNING data",
);

const DELETE_OLD_SPILLED: Sql = Sql::new(
    "realtime.delete_old_spilled",
    "DELETE FROM realtime.spilled_rings
      WHERE spilled_at <= $1",
);

/// Stores sessions.
pub(crate) async fn insert_spilled(
    source: impl Source,
    ids: &[String],
    users: &[UserId],
    data: &[serde_json::Value],
    at: Timestamp,
) -> Result<u64> {
    INSERT_SPILLED
        .bind(&ids)
        .bind(&users)
        .bind(&data)
        .bind(&at)
        .execute(source)
        .await
}

/// Takes up to `limit` sessions that were stored after `since`; nobody else gets them.
pub(crate) async fn take_spilled(
    source: impl Source,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<serde_json::Value>> {
    TAKE_SPILLED.bind(&since).bind(&limit).scalars(source).await
}

/// Drops sessions nobody came for.
pub(crate) async fn delete_old_spilled(source: impl Source, before: Timestamp) -> Result<u64> {
    DELETE_OLD_SPILLED.bind(&before).execute(source).await
}

// Newer wins: two nodes may tell of one user.
const PUT_LAST_SEEN: Sql = Sql::new(
    "realtime.put_last_seen",
    "INSERT INTO realtime.last_seen AS l (user_id, seen_at)
     SELECT user_id, seen_at
       FROM unnest($1::bigint[], $2::timestamptz[]) AS t (user_id, seen_at)
      ORDER BY user_id
     ON CONFLICT (user_id) DO UPDATE
        SET seen_at = excluded.seen_at
      WHERE l.seen_at < excluded.seen_at",
);

const FIND_LAST_SEEN: Sql = Sql::new(
    "realtime.find_last_seen",
    // By primary key.
    "SELECT seen_at
       FROM realtime.last_seen
      WHERE user_id = $1",
);

/// Notes when users were here last; each user once.
pub(crate) async fn put_last_seen(
    source: impl Source,
    seen: &[(UserId, Timestamp)],
) -> Result<u64> {
    let (users, moments): (Vec<UserId>, Vec<Timestamp>) = seen.iter().copied().unzip();
    PUT_LAST_SEEN
        .bind(&users)
        .bind(&moments)
        .execute(source)
        .await
}

/// When a user was here last.
pub(crate) async fn find_last_seen(source: impl Source, user: UserId) -> Result<Option<Timestamp>> {
    FIND_LAST_SEEN.bind(&user).optional_scalar(source).await
}
