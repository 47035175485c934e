//! Messages that are to be sent later.

use db::{Db, FromRow, Sql};
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, MessageId, UserId};

/// A message that is to be sent later, or was.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct ScheduledRow {
    pub(crate) id: AnyId,
    pub(crate) channel_id: ChannelId,
    pub(crate) author_id: UserId,
    pub(crate) send_at: Timestamp,
    pub(crate) body: serde_json::Value,
    /// 0 = waits, 1 = sent, 2 = failed.
    pub(crate) state: i16,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) error: Option<String>,
}

// The count is taken in the statement: two at once may pass it by one, never by many.
pub(super) const INSERT_SCHEDULED: Sql = Sql::new(
    "messaging.insert_scheduled",
    "INSERT INTO messaging.scheduled_messages (id, channel_id, author_id, send_at, body)
SELECT $1, $2, $3, $4, $5::text::jsonb
WHERE (
    SELECT count(*) FROM messaging.scheduled_messages s WHERE s.author_id = $3 AND s.state = 0
) < $6",
);

/// Stores one; 0 when the author has `most` waiting.
pub(crate) async fn insert_scheduled(
    db: &Db,
    id: AnyId,
    channel: ChannelId,
    author: UserId,
    send_at: Timestamp,
    body: &str,
    most: i64,
) -> db::Result<u64> {
    INSERT_SCHEDULED
        .bind(&id)
        .bind(&channel)
        .bind(&author)
        .bind(&send_at)
        .bind(&body)
        .bind(&most)
        .execute(db)
        .await
}

// Index scheduled_messages_author.
pub(super) const LIST_SCHEDULED: Sql = Sql::new(
    "messaging.list_scheduled",
    "SELECT id, channel_id, author_id, send_at, body, state, message_id, error
FROM messaging.scheduled_messages
WHERE author_id = $1 AND channel_id = $2
ORDER BY state, send_at, id
LIMIT $3",
)
.returning::<ScheduledRow>();

/// Lists an author's own in a channel, those that wait first.
pub(crate) async fn list_scheduled(
    db: &Db,
    author: UserId,
    channel: ChannelId,
    limit: i64,
) -> db::Result<Vec<ScheduledRow>> {
    LIST_SCHEDULED
        .bind(&author)
        .bind(&channel)
        .bind(&limit)
        .all(db)
        .await
}

// Primary key.
pub(super) const FIND_SCHEDULED: Sql = Sql::new(
    "messaging.find_scheduled",
    "SELECT id, channel_id, author_id, send_at, body, state, message_id, error
FROM messaging.scheduled_messages
WHERE id = $1 AND author_id = $2 AND channel_id = $3",
)
.returning::<ScheduledRow>();

/// Finds an author's own.
pub(crate) async fn find_scheduled(
    db: &Db,
    id: AnyId,
    author: UserId,
    channel: ChannelId,
) -> db::Result<Option<ScheduledRow>> {
    FIND_SCHEDULED
        .bind(&id)
        .bind(&author)
        .bind(&channel)
        .optional(db)
        .await
}

pub(super) const UPDATE_SCHEDULED: Sql = Sql::new(
    "messaging.update_scheduled",
    "UPDATE messaging.scheduled_messages
SET send_at = $4, body = $5::text::jsonb
WHERE id = $1 AND author_id = $2 AND state = 0 AND (claimed_until IS NULL OR claimed_until <= $3)",
);

/// Changes one that waits; 0 when it is being sent or does not wait any more.
pub(crate) async fn update_scheduled(
    db: &Db,
    id: AnyId,
    author: UserId,
    now: Timestamp,
    send_at: Timestamp,
    body: &str,
) -> db::Result<u64> {
    UPDATE_SCHEDULED
        .bind(&id)
        .bind(&author)
        .bind(&now)
        .bind(&send_at)
        .bind(&body)
        .execute(db)
        .await
}

pub(super) const DELETE_SCHEDULED: Sql = Sql::new(
    "messaging.delete_scheduled",
    "DELETE FROM messaging.scheduled_messages
WHERE id = $1 AND author_id = $2
    AND (state > 0 OR claimed_until IS NULL OR claimed_until <= $3)",
);

/// Deletes one; 0 when it is just being sent.
pub(crate) async fn delete_scheduled(
    db: &Db,
    id: AnyId,
    author: UserId,
    now: Timestamp,
) -> db::Result<u64> {
    DELETE_SCHEDULED
        .bind(&id)
        .bind(&author)
        .bind(&now)
        .execute(db)
        .await
}

// Index scheduled_messages_due. Nodes that claim at once take different rows.
pub(super) const CLAIM_SCHEDULED: Sql = Sql::new(
    "messaging.claim_scheduled",
    "UPDATE messaging.scheduled_messages s
SET claimed_until = $2
FROM (
    SELECT d.id
    FROM messaging.scheduled_messages d
    WHERE d.state = 0 AND d.send_at <= $1 AND (d.claimed_until IS NULL OR d.claimed_until <= $1)
    ORDER BY d.send_at
    LIMIT $3
    FOR UPDATE SKIP LOCKED
) due
WHERE s.id = due.id
RETURNING s.id, s.channel_id, s.author_id, s.send_at, s.body, s.state, s.message_id, s.error",
)
.returning::<ScheduledRow>();

/// Takes those that are due, for nobody else until `until`.
pub(crate) async fn claim_scheduled(
    db: &Db,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> db::Result<Vec<ScheduledRow>> {
    CLAIM_SCHEDULED
        .bind(&now)
        .bind(&until)
        .bind(&limit)
        .all(db)
        .await
}

pub(super) const SETTLE_SCHEDULED: Sql = Sql::new(
    "messaging.settle_scheduled",
    "UPDATE messaging.scheduled_messages
SET state = CASE WHEN $2::bigint IS NULL THEN 2 ELSE 1 END,
    message_id = $2, error = $3, claimed_until = NULL
WHERE id = $1 AND state = 0",
);

/// Notes what became of one: a message, or why there is none.
pub(crate) async fn settle_scheduled(
    db: &Db,
    id: AnyId,
    message: Option<MessageId>,
    error: Option<&str>,
) -> db::Result<u64> {
    SETTLE_SCHEDULED
        .bind(&id)
        .bind(&message)
        .bind(&error)
        .execute(db)
        .await
}

// Index scheduled_messages_settled.
pub(super) const PURGE_SCHEDULED: Sql = Sql::new(
    "messaging.purge_scheduled",
    "DELETE FROM messaging.scheduled_messages s
USING (
    SELECT d.id
    FROM messaging.scheduled_messages d
    WHERE d.state > 0 AND d.send_at < $1
    ORDER BY d.send_at
    LIMIT 1000
) old
WHERE s.id = old.id",
);

/// Deletes those that were settled long ago, at most 1,000.
pub(crate) async fn purge_scheduled(db: &Db, before: Timestamp) -> db::Result<u64> {
    PURGE_SCHEDULED.bind(&before).execute(db).await
}
