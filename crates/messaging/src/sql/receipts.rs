//! Receipts of the members of a channel. Primary key: by channel, then by user.

use db::{Db, FromRow, Sql};
use kernel::{ChannelId, UserId};

use crate::receipts::Receipt;

pub(super) const LIST_RECEIPTS: Sql = Sql::new(
    "messaging.list_receipts",
    "SELECT user_id, delivered_seq, read_seq
FROM messaging.channel_members
WHERE channel_id = $1 AND left_at IS NULL
ORDER BY user_id
LIMIT 257",
)
.returning::<Receipt>();

/// Lists how far members have got; 257 say that there are more than receipts have names for.
pub(crate) async fn list_receipts(db: &Db, channel: ChannelId) -> db::Result<Vec<Receipt>> {
    LIST_RECEIPTS.bind(&channel).all(db).await
}

pub(super) const SHOWS_RECEIPTS: Sql = Sql::new(
    "messaging.shows_receipts",
    "SELECT receipts = 1 OR kind = 100
FROM messaging.channels
WHERE id = $1",
);

/// Whether a channel shows receipts whatever people's switches say; deal rooms (kind 100) do.
pub(crate) async fn shows_receipts(db: &Db, channel: ChannelId) -> db::Result<bool> {
    let shows = SHOWS_RECEIPTS.bind(&channel).optional_scalar(db).await?;
    Ok(shows.unwrap_or(false))
}

/// How many members a message reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct ReceiptCounts {
    pub(crate) members: i64,
    pub(crate) delivered: i64,
}

pub(super) const COUNT_RECEIPTS: Sql = Sql::new(
    "messaging.count_receipts",
    "SELECT count(*) AS members, count(*) FILTER (WHERE delivered_seq >= $3) AS delivered
FROM messaging.channel_members
WHERE channel_id = $1 AND left_at IS NULL AND user_id <> $2",
)
.returning::<ReceiptCounts>();

/// Counts whom a message of `author` reached.
pub(crate) async fn count_receipts(
    db: &Db,
    channel: ChannelId,
    author: UserId,
    seq: i64,
) -> db::Result<ReceiptCounts> {
    COUNT_RECEIPTS
        .bind(&channel)
        .bind(&author)
        .bind(&seq)
        .one(db)
        .await
}

pub(super) const LIST_READERS: Sql = Sql::new(
    "messaging.list_readers",
    "SELECT user_id
FROM messaging.channel_members
WHERE channel_id = $1 AND left_at IS NULL AND user_id <> $2 AND read_seq >= $3
ORDER BY user_id
LIMIT 1000",
);

/// Lists who has read a message of `author`; at most 1,000.
pub(crate) async fn list_readers(
    db: &Db,
    channel: ChannelId,
    author: UserId,
    seq: i64,
) -> db::Result<Vec<UserId>> {
    LIST_READERS
        .bind(&channel)
        .bind(&author)
        .bind(&seq)
        .scalars(db)
        .await
}
