//! What messages said before. Primary key: by channel, message and number.

use db::{Db, FromRow, Sql};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId};

/// What a message said until an edit.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct RevisionRow {
    pub(crate) ev: i64,
    pub(crate) content: Option<String>,
    pub(crate) body: Option<serde_json::Value>,
    pub(crate) replaced_at: Timestamp,
}

pub(super) const LIST_REVISIONS: Sql = Sql::new(
    "messaging.list_revisions",
    "SELECT ev, content, body, replaced_at
FROM messaging.revisions
WHERE channel_id = $1 AND message_id = $2
ORDER BY ev DESC
LIMIT 50",
)
.returning::<RevisionRow>();

/// Lists the revisions that are kept, newest first.
pub(crate) async fn list_revisions(
    db: &Db,
    channel: ChannelId,
    message: MessageId,
) -> db::Result<Vec<RevisionRow>> {
    LIST_REVISIONS.bind(&channel).bind(&message).all(db).await
}
