//! Edits and deletions of stored messages, under the lock of their channel.

use db::{FromRow, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, EventId, MediaId, MessageId, UserId};

use crate::marks::Marks;

/// A message's new state, written over the state that had `expected_ev`.
#[derive(Debug, Clone)]
pub(crate) struct EditRow {
    pub(crate) id: MessageId,
    pub(crate) author: UserId,
    pub(crate) expected_ev: i64,
    pub(crate) content: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) flags: i32,
    pub(crate) seq: i64,
    /// Whom it calls no more.
    pub(crate) taken_back: Marks,
    /// Files it shows no more, and the event that tells so.
    pub(crate) files_gone: Option<(EventId, Vec<MediaId>)>,
    /// Links that are new in it.
    pub(crate) links: Vec<String>,
}

// Optimistic by `ev`: the new state was computed from the state that had it. At most 50 revisions
// of a message are kept.
pub(super) const EDIT_MESSAGE: Sql = Sql::new(
    "messaging.edit_message",
    "WITH old AS (
    SELECT m.channel_id, m.id, m.content, m.body
    FROM messaging.messages m
    WHERE m.channel_id = $1 AND m.id = $2 AND m.author_id = $3 AND m.ev = $4
        AND m.deleted_at IS NULL
),
rev AS (
    INSERT INTO messaging.revisions (channel_id, message_id, ev, content, body, replaced_at)
    SELECT old.channel_id, old.id, $4, old.content, old.body, $8
    FROM old
),
trim AS (
    DELETE FROM messaging.revisions r
    USING old
    WHERE r.channel_id = old.channel_id AND r.message_id = old.id
        AND r.ev <= (
            SELECT k.ev
            FROM messaging.revisions k
            WHERE k.channel_id = $1 AND k.message_id = $2
            ORDER BY k.ev DESC
            OFFSET 49 LIMIT 1
        )
)
UPDATE messaging.messages m
SET ev = $9, content = $5, body = $6::text::jsonb, flags = $7, edited_at = $8
FROM old
WHERE m.channel_id = $1 AND m.id = $2 AND old.id = m.id",
);

/// Writes an edit as the change number `ev`; 0 when the message is gone or changed meanwhile.
pub(crate) async fn edit_message(
    tx: &Tx,
    channel: ChannelId,
    edit: &EditRow,
    at: Timestamp,
    ev: i64,
) -> db::Result<u64> {
    EDIT_MESSAGE
        .bind(&channel)
        .bind(&edit.id)
        .bind(&edit.author)
        .bind(&edit.expected_ev)
        .bind(&edit.content)
        .bind(&edit.body)
        .bind(&edit.flags)
        .bind(&at)
        .bind(&ev)
        .execute(tx)
        .await
}

/// A message that is gone.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct DeletedRow {
    pub(crate) id: MessageId,
    pub(crate) author_id: UserId,
    pub(crate) seq: i64,
    /// What it showed besides its text until now.
    pub(crate) body: Option<serde_json::Value>,
}

// The rows stay and keep their `seq`; everything that was said goes, also from the revisions, and
// what hung on them.
pub(super) const DELETE_MESSAGES: Sql = Sql::new(
    "messaging.delete_messages",
    "WITH rev AS (
    DELETE FROM messaging.revisions r
    WHERE r.channel_id = $1 AND r.message_id = ANY($2::bigint[])
),
reacted AS (
    DELETE FROM messaging.reactions r
    WHERE r.channel_id = $1 AND r.message_id = ANY($2::bigint[])
),
counted AS (
    DELETE FROM messaging.reaction_counts r
    WHERE r.channel_id = $1 AND r.message_id = ANY($2::bigint[])
),
pinned AS (
    DELETE FROM messaging.pins p
    WHERE p.channel_id = $1 AND p.message_id = ANY($2::bigint[])
),
asked AS (
    DELETE FROM messaging.polls p
    WHERE p.channel_id = $1 AND p.message_id = ANY($2::bigint[])
),
voted AS (
    DELETE FROM messaging.poll_votes v
    WHERE v.channel_id = $1 AND v.message_id = ANY($2::bigint[])
),
votes AS (
    DELETE FROM messaging.poll_counts c
    WHERE c.channel_id = $1 AND c.message_id = ANY($2::bigint[])
),
looked AS (
    DELETE FROM messaging.link_previews l
    WHERE l.channel_id = $1 AND l.message_id = ANY($2::bigint[])
),
old AS (
    SELECT m.id, m.body
    FROM messaging.messages m
    WHERE m.channel_id = $1 AND m.id = ANY($2::bigint[])
),
gone AS (
    UPDATE messaging.messages m
    SET ev = $4, content = NULL, ciphertext = NULL, body = NULL, deleted_at = $3
    FROM old
    WHERE m.channel_id = $1 AND m.id = ANY($2::bigint[]) AND m.id = old.id AND m.deleted_at IS NULL
    RETURNING m.id, m.author_id, m.seq, old.body
)
SELECT id, author_id, seq, body FROM gone ORDER BY id",
)
.returning::<DeletedRow>();

/// Empties messages by the change number `ev`; those that were there, in the order of ids.
pub(crate) async fn delete_messages(
    tx: &Tx,
    channel: ChannelId,
    ids: &[MessageId],
    at: Timestamp,
    ev: i64,
) -> db::Result<Vec<DeletedRow>> {
    DELETE_MESSAGES
        .bind(&channel)
        .bind(&ids)
        .bind(&at)
        .bind(&ev)
        .all(tx)
        .await
}
