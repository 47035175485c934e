//! What hangs on messages, as one reader sees it: reactions, pins and votes.

use db::{Db, FromRow, Sql};
use kernel::{ChannelId, MessageId, UserId};

/// Something that hangs on a message.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct HungRow {
    pub(crate) message_id: MessageId,
    /// 1 = a reaction, 2 = a pin, 3 = votes for an answer.
    pub(crate) kind: i16,
    /// The emoji of a reaction, the number of an answer.
    pub(crate) name: String,
    pub(crate) n: i32,
    /// Whether the reader has a part in it.
    pub(crate) own: bool,
}

// Primary keys of each table.
pub(super) const LIST_HUNG: Sql = Sql::new(
    "messaging.list_hung",
    "SELECT message_id, kind, name, n, own
FROM (
    SELECT c.message_id, 1::smallint AS kind, c.emoji AS name, c.n,
        EXISTS (
            SELECT FROM messaging.reactions r
            WHERE r.channel_id = c.channel_id AND r.message_id = c.message_id
                AND r.emoji = c.emoji AND r.user_id = $3
        ) AS own,
        c.since
    FROM messaging.reaction_counts c
    WHERE c.channel_id = $1 AND c.message_id = ANY($2::bigint[])
    UNION ALL
    SELECT p.message_id, 2::smallint, '', 1, p.pinned_by = $3, 0
    FROM messaging.pins p
    WHERE p.channel_id = $1 AND p.message_id = ANY($2::bigint[])
    UNION ALL
    SELECT c.message_id, 3::smallint, c.answer_id::text, c.n,
        EXISTS (
            SELECT FROM messaging.poll_votes v
            WHERE v.channel_id = c.channel_id AND v.message_id = c.message_id
                AND v.user_id = $3 AND v.answer_id = c.answer_id
        ),
        c.answer_id
    FROM messaging.poll_counts c
    WHERE c.channel_id = $1 AND c.message_id = ANY($2::bigint[]) AND c.n > 0
) hung
ORDER BY message_id, kind, since, name",
)
.returning::<HungRow>();

/// Lists what hangs on messages, as `reader` sees it.
pub(crate) async fn list_hung(
    db: &Db,
    reader: UserId,
    channel: ChannelId,
    messages: &[MessageId],
) -> db::Result<Vec<HungRow>> {
    LIST_HUNG
        .bind(&channel)
        .bind(&messages)
        .bind(&reader)
        .all(db)
        .await
}
