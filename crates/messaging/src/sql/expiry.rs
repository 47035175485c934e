//! How long messages of a channel stay, and those whose time is over.

use db::{Db, FromRow, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId};

// Primary key.
pub(super) const FIND_TTL: Sql = Sql::new(
    "messaging.find_ttl",
    "SELECT ttl_s
FROM messaging.channels
WHERE id = $1 AND ttl_s IS NOT NULL",
);

/// For how many seconds new messages of a channel stay; none = for good.
pub(crate) async fn find_ttl(db: &Db, channel: ChannelId) -> db::Result<Option<i32>> {
    FIND_TTL.bind(&channel).optional_scalar(db).await
}

// The row is locked by the batch.
pub(super) const SET_TTL: Sql = Sql::new(
    "messaging.set_ttl",
    "UPDATE messaging.channels
SET ttl_s = $2
WHERE id = $1 AND ttl_s IS DISTINCT FROM $2",
);

/// Sets for how many seconds later messages stay; 0 when it was so before.
pub(crate) async fn set_ttl(tx: &Tx, channel: ChannelId, seconds: Option<i32>) -> db::Result<u64> {
    SET_TTL.bind(&channel).bind(&seconds).execute(tx).await
}

/// A message whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct ExpiredRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) id: MessageId,
}

// Index (expires_at) of each partition.
pub(super) const LIST_EXPIRED: Sql = Sql::new(
    "messaging.list_expired",
    "SELECT m.channel_id, m.id
FROM messaging.messages m
JOIN messaging.channels c ON c.id = m.channel_id AND c.deleted_at IS NULL
WHERE m.expires_at IS NOT NULL AND m.expires_at <= $1 AND m.deleted_at IS NULL
ORDER BY m.expires_at
LIMIT $2",
)
.returning::<ExpiredRow>();

/// Lists messages whose time is over, oldest first.
pub(crate) async fn list_expired(
    db: &Db,
    now: Timestamp,
    limit: i64,
) -> db::Result<Vec<ExpiredRow>> {
    LIST_EXPIRED.bind(&now).bind(&limit).all(db).await
}
