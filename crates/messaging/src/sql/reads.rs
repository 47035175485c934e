//! Messages as they are stored. Lists go by (channel_id, id), the primary key, and leave out what
//! was deleted or has expired.

use db::{Db, FromRow, Source, Sql};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, UserId};

/// A stored message.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct MessageRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) id: MessageId,
    pub(crate) seq: i64,
    pub(crate) ev: i64,
    pub(crate) author_id: UserId,
    pub(crate) kind: i16,
    pub(crate) flags: i32,
    pub(crate) reply_to: Option<MessageId>,
    pub(crate) content: Option<String>,
    pub(crate) body: Option<serde_json::Value>,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

pub(super) const FIND_MESSAGE: Sql = Sql::new(
    "messaging.find_message",
    "SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, edited_at, expires_at
FROM messaging.messages
WHERE channel_id = $1 AND id = $2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > $3)",
)
.returning::<MessageRow>();

/// Finds a message that is still there.
pub(crate) async fn find_message(
    source: impl Source,
    channel: ChannelId,
    id: MessageId,
    now: Timestamp,
) -> db::Result<Option<MessageRow>> {
    FIND_MESSAGE
        .bind(&channel)
        .bind(&id)
        .bind(&now)
        .optional(source)
        .await
}

pub(super) const FIND_MESSAGES: Sql = Sql::new(
    "messaging.find_messages",
    "SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, edited_at, expires_at
FROM messaging.messages
WHERE channel_id = $1 AND id = ANY($2::bigint[]) AND deleted_at IS NULL
    AND (expires_at IS NULL OR expires_at > $3)",
)
.returning::<MessageRow>();

/// Finds those of `ids` that are still there.
pub(crate) async fn find_messages(
    db: &Db,
    channel: ChannelId,
    ids: &[MessageId],
    now: Timestamp,
) -> db::Result<Vec<MessageRow>> {
    FIND_MESSAGES
        .bind(&channel)
        .bind(&ids)
        .bind(&now)
        .all(db)
        .await
}

// Index (author_id, id DESC); `$3` bounds the walk to the time of the slow mode. A deleted message
// counts: deleting must not buy another turn.
pub(super) const FIND_NEWEST_OF_AUTHOR: Sql = Sql::new(
    "messaging.find_newest_of_author",
    "SELECT id
FROM messaging.messages
WHERE author_id = $1 AND channel_id = $2 AND id >= $3
ORDER BY id DESC
LIMIT 1",
);

/// Finds the newest message of an author in a channel that is not older than `oldest`.
pub(crate) async fn find_newest_of_author(
    db: &Db,
    author: UserId,
    channel: ChannelId,
    oldest: MessageId,
) -> db::Result<Option<MessageId>> {
    FIND_NEWEST_OF_AUTHOR
        .bind(&author)
        .bind(&channel)
        .bind(&oldest)
        .optional_scalar(db)
        .await
}

pub(super) const LIST_NEWEST: Sql = Sql::new(
    "messaging.list_newest",
    "SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, edited_at, expires_at
FROM messaging.messages
WHERE channel_id = $1 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
ORDER BY id DESC
LIMIT $3",
)
.returning::<MessageRow>();

/// Lists the newest messages, newest first.
pub(crate) async fn list_newest(
    db: &Db,
    channel: ChannelId,
    now: Timestamp,
    limit: i64,
) -> db::Result<Vec<MessageRow>> {
    LIST_NEWEST
        .bind(&channel)
        .bind(&now)
        .bind(&limit)
        .all(db)
        .await
}

pub(super) const LIST_BEFORE: Sql = Sql::new(
    "messaging.list_before",
    "SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, edited_at, expires_at
FROM messaging.messages
WHERE channel_id = $1 AND id < $4 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
ORDER BY id DESC
LIMIT $3",
)
.returning::<MessageRow>();

/// Lists the newest messages below `before`, newest first.
pub(crate) async fn list_before(
    db: &Db,
    channel: ChannelId,
    now: Timestamp,
    limit: i64,
    before: MessageId,
) -> db::Result<Vec<MessageRow>> {
    LIST_BEFORE
        .bind(&channel)
        .bind(&now)
        .bind(&limit)
        .bind(&before)
        .all(db)
        .await
}

pub(super) const LIST_AFTER: Sql = Sql::new(
    "messaging.list_after",
    "SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, edited_at, expires_at
FROM messaging.messages
WHERE channel_id = $1 AND id > $4 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
ORDER BY id
LIMIT $3",
)
.returning::<MessageRow>();

/// Lists the oldest messages above `after`, oldest first.
pub(crate) async fn list_after(
    db: &Db,
    channel: ChannelId,
    now: Timestamp,
    limit: i64,
    after: MessageId,
) -> db::Result<Vec<MessageRow>> {
    LIST_AFTER
        .bind(&channel)
        .bind(&now)
        .bind(&limit)
        .bind(&after)
        .all(db)
        .await
}

pub(super) const LIST_AROUND: Sql = Sql::new(
    "messaging.list_around",
    "SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, edited_at, expires_at
FROM (
    (SELECT * FROM messaging.messages
        WHERE channel_id = $1 AND id < $3 AND deleted_at IS NULL
            AND (expires_at IS NULL OR expires_at > $2)
        ORDER BY id DESC
        LIMIT $4)
    UNION ALL
    (SELECT * FROM messaging.messages
        WHERE channel_id = $1 AND id >= $3 AND deleted_at IS NULL
            AND (expires_at IS NULL OR expires_at > $2)
        ORDER BY id
        LIMIT $5)
) near
ORDER BY id DESC",
)
.returning::<MessageRow>();

/// Lists `older` messages below `around` and `newer` from it upwards, newest first.
pub(crate) async fn list_around(
    db: &Db,
    channel: ChannelId,
    now: Timestamp,
    around: MessageId,
    (older, newer): (i64, i64),
) -> db::Result<Vec<MessageRow>> {
    LIST_AROUND
        .bind(&channel)
        .bind(&now)
        .bind(&around)
        .bind(&older)
        .bind(&newer)
        .all(db)
        .await
}
