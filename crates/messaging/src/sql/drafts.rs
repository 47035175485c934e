//! Drafts: what somebody has begun to write. Primary key: by user, then by channel.

use contracts::messaging::Draft;
use db::{Db, FromRow, Sql};
use jiff::Timestamp;
use kernel::{ChannelId, UserId};

/// A draft.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct DraftRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) content: String,
    pub(crate) updated_at: Timestamp,
}

impl From<DraftRow> for Draft {
    fn from(row: DraftRow) -> Self {
        Draft {
            channel_id: row.channel_id,
            content: Some(row.content),
            updated_at: row.updated_at,
        }
    }
}

// A later draft is of a later moment, whatever the clocks of two nodes say. `$5` newest are kept.
pub(super) const PUT_DRAFT: Sql = Sql::new(
    "messaging.put_draft",
    "WITH put AS (
    INSERT INTO messaging.drafts AS d (user_id, channel_id, content, updated_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, channel_id) DO UPDATE
    SET content = excluded.content,
        updated_at = greatest(excluded.updated_at, d.updated_at + interval '1 microsecond')
    RETURNING d.updated_at
),
trim AS (
    DELETE FROM messaging.drafts d
    USING (
        SELECT k.channel_id
        FROM messaging.drafts k
        WHERE k.user_id = $1 AND k.channel_id <> $2
        ORDER BY k.updated_at DESC
        OFFSET $5 - 1
    ) old
    WHERE d.user_id = $1 AND d.channel_id = old.channel_id
)
SELECT updated_at FROM put",
);

/// Stores a draft; the moment of it. Beyond `most` the oldest ones go.
pub(crate) async fn put_draft(
    db: &Db,
    user: UserId,
    channel: ChannelId,
    content: &str,
    at: Timestamp,
    most: i64,
) -> db::Result<Timestamp> {
    PUT_DRAFT
        .bind(&user)
        .bind(&channel)
        .bind(&content)
        .bind(&at)
        .bind(&most)
        .scalar(db)
        .await
}

pub(super) const DELETE_DRAFT: Sql = Sql::new(
    "messaging.delete_draft",
    "DELETE FROM messaging.drafts
WHERE user_id = $1 AND channel_id = $2
RETURNING greatest($3::timestamptz, updated_at + interval '1 microsecond')",
);

/// Deletes a draft; the moment of it, none when there was none.
pub(crate) async fn delete_draft(
    db: &Db,
    user: UserId,
    channel: ChannelId,
    at: Timestamp,
) -> db::Result<Option<Timestamp>> {
    DELETE_DRAFT
        .bind(&user)
        .bind(&channel)
        .bind(&at)
        .optional_scalar(db)
        .await
}

pub(super) const LIST_DRAFTS: Sql = Sql::new(
    "messaging.list_drafts",
    "SELECT channel_id, content, updated_at
FROM messaging.drafts
WHERE user_id = $1
ORDER BY updated_at DESC
LIMIT $2",
)
.returning::<DraftRow>();

/// Lists drafts, newest first.
pub(crate) async fn list_drafts(db: &Db, user: UserId, limit: i64) -> db::Result<Vec<DraftRow>> {
    LIST_DRAFTS.bind(&user).bind(&limit).all(db).await
}
