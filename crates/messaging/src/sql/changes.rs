//! Changes of stored messages. Each raises the channel's `ev`, leaves a row among its events and
//! one in the outbox.

use db::{FromRow, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, MessageId, UserId};

/// A message's new state, written over the state that had `expected_ev`.
#[derive(Debug, Clone)]
pub(crate) struct EditRow {
    pub(crate) channel: ChannelId,
    pub(crate) id: MessageId,
    pub(crate) author: UserId,
    pub(crate) expected_ev: i64,
    pub(crate) content: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) flags: i32,
    pub(crate) at: Timestamp,
    /// The change's own id, made by us.
    pub(crate) change: AnyId,
}

/// A message to empty.
#[derive(Debug, Clone)]
pub(crate) struct DeleteRow {
    pub(crate) channel: ChannelId,
    pub(crate) id: MessageId,
    pub(crate) actor: UserId,
    pub(crate) at: Timestamp,
    pub(crate) change: AnyId,
}

/// A change that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct MadeChange {
    pub(crate) change: AnyId,
    pub(crate) ev: i64,
}

pub(super) const LOCK_CHANNELS: Sql = Sql::new(
    "messaging.lock_channels",
    "SELECT id
FROM messaging.channels
WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL
ORDER BY id
FOR UPDATE",
);

/// Locks the channels of a batch of changes, sorted: batches that meet wait in one order.
pub(crate) async fn lock_channels(tx: &Tx, channels: &[ChannelId]) -> db::Result<Vec<ChannelId>> {
    LOCK_CHANNELS.bind(&channels).scalars(tx).await
}

// Optimistic by `ev`: the new state was computed from the state that had it. At most 50 revisions
// of a message are kept.
pub(super) const EDIT_MESSAGE: Sql = Sql::new(
    "messaging.edit_message",
    "WITH old AS (
    SELECT m.channel_id, m.id, m.content, m.body, c.community_id
    FROM messaging.messages m
    JOIN messaging.channels c ON c.id = m.channel_id
    WHERE m.channel_id = $1 AND m.id = $2 AND m.author_id = $3 AND m.ev = $4
        AND m.deleted_at IS NULL AND c.deleted_at IS NULL
),
up AS (
    UPDATE messaging.channels c
    SET last_ev = c.last_ev + 1
    FROM old
    WHERE c.id = old.channel_id
    RETURNING c.id, c.last_ev
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
),
changed AS (
    UPDATE messaging.messages m
    SET ev = up.last_ev, content = $5, body = $6::text::jsonb, flags = $7, edited_at = $8
    FROM up
    WHERE m.channel_id = $1 AND m.id = $2 AND up.id = m.channel_id
    RETURNING m.ev
),
happened AS (
    INSERT INTO messaging.channel_events (channel_id, ev, id, kind, payload)
    SELECT $1, changed.ev, $9, 1, jsonb_build_object('message_id', $2::bigint::text)
    FROM changed
),
obx AS (
    INSERT INTO messaging.outbox (event_id, type, key, actor, data)
    SELECT $9, 'messaging.message_updated.v1', $1::bigint::text, $3,
        jsonb_strip_nulls(jsonb_build_object(
            'channel_id', $1::bigint::text,
            'community_id', old.community_id::text,
            'id', $2::bigint::text,
            'author_id', $3::bigint::text,
            'ev', changed.ev))
    FROM changed, old
)
SELECT ev FROM changed",
);

/// Writes an edit; none when the message is gone or changed meanwhile.
pub(crate) async fn edit_message(tx: &Tx, edit: &EditRow) -> db::Result<Option<i64>> {
    EDIT_MESSAGE
        .bind(&edit.channel)
        .bind(&edit.id)
        .bind(&edit.author)
        .bind(&edit.expected_ev)
        .bind(&edit.content)
        .bind(&edit.body)
        .bind(&edit.flags)
        .bind(&edit.at)
        .bind(&edit.change)
        .optional_scalar(tx)
        .await
}

// The row stays and keeps its `seq`; everything that was said goes, also from the revisions.
pub(super) const DELETE_MESSAGE: Sql = Sql::new(
    "messaging.delete_message",
    "WITH old AS (
    SELECT m.channel_id, m.id, m.author_id, m.seq, c.community_id
    FROM messaging.messages m
    JOIN messaging.channels c ON c.id = m.channel_id
    WHERE m.channel_id = $1 AND m.id = $2 AND m.deleted_at IS NULL AND c.deleted_at IS NULL
),
up AS (
    UPDATE messaging.channels c
    SET last_ev = c.last_ev + 1
    FROM old
    WHERE c.id = old.channel_id
    RETURNING c.id, c.last_ev
),
rev AS (
    DELETE FROM messaging.revisions r
    USING old
    WHERE r.channel_id = old.channel_id AND r.message_id = old.id
),
changed AS (
    UPDATE messaging.messages m
    SET ev = up.last_ev, content = NULL, ciphertext = NULL, body = NULL, deleted_at = $4
    FROM up
    WHERE m.channel_id = $1 AND m.id = $2 AND up.id = m.channel_id
    RETURNING m.ev
),
happened AS (
    INSERT INTO messaging.channel_events (channel_id, ev, id, kind, payload)
    SELECT $1, changed.ev, $5, 2, jsonb_build_object('message_id', $2::bigint::text)
    FROM changed
),
obx AS (
    INSERT INTO messaging.outbox (event_id, type, key, actor, data)
    SELECT $5, 'messaging.message_deleted.v1', $1::bigint::text, $3,
        jsonb_strip_nulls(jsonb_build_object(
            'channel_id', $1::bigint::text,
            'community_id', old.community_id::text,
            'id', $2::bigint::text,
            'author_id', old.author_id::text,
            'seq', old.seq,
            'ev', changed.ev))
    FROM changed, old
)
SELECT ev FROM changed",
);

/// Empties a message; none when it is gone.
pub(crate) async fn delete_message(tx: &Tx, delete: &DeleteRow) -> db::Result<Option<i64>> {
    DELETE_MESSAGE
        .bind(&delete.channel)
        .bind(&delete.id)
        .bind(&delete.actor)
        .bind(&delete.at)
        .bind(&delete.change)
        .optional_scalar(tx)
        .await
}

// Prunes to the day of each id; within it the primary key's first column.
pub(super) const FIND_MADE_CHANGES: Sql = Sql::new(
    "messaging.find_made_changes",
    "SELECT e.id AS change, e.ev
FROM unnest($1::bigint[], $2::bigint[]) AS i(ch, id)
JOIN messaging.channel_events e ON e.channel_id = i.ch AND e.id = i.id",
)
.returning::<MadeChange>();

/// Finds which changes are stored, after their commit was lost from sight.
pub(crate) async fn find_made_changes(
    source: impl Source,
    channels: &[ChannelId],
    changes: &[AnyId],
) -> db::Result<Vec<MadeChange>> {
    FIND_MADE_CHANGES
        .bind(&channels)
        .bind(&changes)
        .all(source)
        .await
}
