//! What all changes of channels have in common: counters under their locks, rows among the
//! channel's events, system messages that tell of a change.

use db::{FromRow, Source, Sql, Tx};
use kernel::{AnyId, ChannelId, CommunityId, MessageId, UserId};

use crate::log::NewRow;

/// The counters of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct CountersRow {
    pub(crate) id: ChannelId,
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) last_seq: i64,
    pub(crate) last_ev: i64,
    pub(crate) last_message_id: Option<MessageId>,
}

/// A row among the events of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HappenedRow {
    pub(crate) channel: ChannelId,
    pub(crate) ev: i64,
    /// The change.
    pub(crate) id: AnyId,
    pub(crate) kind: i16,
    pub(crate) payload: String,
}

/// A system message with its numbers.
#[derive(Debug, Clone)]
pub(crate) struct SaidRow {
    pub(crate) row: NewRow,
    pub(crate) seq: i64,
    pub(crate) ev: i64,
}

/// What a stored change did.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct MadeRow {
    pub(crate) change: AnyId,
    pub(crate) ev: i64,
    pub(crate) kind: i16,
    pub(crate) payload: serde_json::Value,
}

pub(super) const LOCK_CHANNELS: Sql = Sql::new(
    "messaging.lock_channels",
    "SELECT id, community_id, last_seq, last_ev, last_message_id
FROM messaging.channels
WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL
ORDER BY id
FOR UPDATE",
)
.returning::<CountersRow>();

/// Locks the channels of a batch of changes, sorted: batches that meet wait in one order.
pub(crate) async fn lock_channels(tx: &Tx, channels: &[ChannelId]) -> db::Result<Vec<CountersRow>> {
    LOCK_CHANNELS.bind(&channels).all(tx).await
}

// The rows are locked since the begin of the batch, so what was counted from them is still true.
pub(super) const STEP_CHANNELS: Sql = Sql::new(
    "messaging.step_channels",
    "UPDATE messaging.channels c
SET last_seq = n.last_seq, last_ev = n.last_ev, last_message_id = n.last_message_id
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS n(id, last_seq, last_ev, last_message_id)
WHERE c.id = n.id",
);

/// Writes back the counters of locked channels.
pub(crate) async fn step_channels(tx: &Tx, rows: &[CountersRow]) -> db::Result<u64> {
    let ids: Vec<ChannelId> = rows.iter().map(|row| row.id).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.last_seq).collect();
    let evs: Vec<i64> = rows.iter().map(|row| row.last_ev).collect();
    let newest: Vec<Option<MessageId>> = rows.iter().map(|row| row.last_message_id).collect();
    STEP_CHANNELS
        .bind(&ids)
        .bind(&seqs)
        .bind(&evs)
        .bind(&newest)
        .execute(tx)
        .await
}

pub(super) const INSERT_HAPPENED: Sql = Sql::new(
    "messaging.insert_happened",
    "INSERT INTO messaging.channel_events (channel_id, ev, id, kind, payload)
SELECT channel_id, ev, id, kind, payload::jsonb
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::text[])
    AS n(channel_id, ev, id, kind, payload)",
);

/// Adds to the events of channels.
pub(crate) async fn insert_happened(tx: &Tx, rows: &[HappenedRow]) -> db::Result<u64> {
    let channels: Vec<ChannelId> = rows.iter().map(|row| row.channel).collect();
    let evs: Vec<i64> = rows.iter().map(|row| row.ev).collect();
    let ids: Vec<AnyId> = rows.iter().map(|row| row.id).collect();
    let kinds: Vec<i16> = rows.iter().map(|row| row.kind).collect();
    let payloads: Vec<&str> = rows.iter().map(|row| row.payload.as_str()).collect();
    INSERT_HAPPENED
        .bind(&channels)
        .bind(&evs)
        .bind(&ids)
        .bind(&kinds)
        .bind(&payloads)
        .execute(tx)
        .await
}

pub(super) const INSERT_SAID: Sql = Sql::new(
    "messaging.insert_said",
    "INSERT INTO messaging.messages
    (channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body)
SELECT channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body::jsonb
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[],
    $7::integer[], $8::bigint[], $9::text[], $10::text[])
    AS n(channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body)",
);

/// Stores the messages that tell of changes.
pub(crate) async fn insert_said(tx: &Tx, said: &[SaidRow]) -> db::Result<u64> {
    let channels: Vec<ChannelId> = said.iter().map(|said| said.row.channel).collect();
    let ids: Vec<MessageId> = said.iter().map(|said| said.row.id).collect();
    let seqs: Vec<i64> = said.iter().map(|said| said.seq).collect();
    let evs: Vec<i64> = said.iter().map(|said| said.ev).collect();
    let authors: Vec<UserId> = said.iter().map(|said| said.row.author).collect();
    let kinds: Vec<i16> = said.iter().map(|said| said.row.kind).collect();
    let flags: Vec<i32> = said.iter().map(|said| said.row.flags).collect();
    let replies: Vec<Option<MessageId>> = said.iter().map(|said| said.row.reply_to).collect();
    let contents: Vec<Option<&str>> = said
        .iter()
        .map(|said| said.row.content.as_deref())
        .collect();
    let bodies: Vec<Option<&str>> = said.iter().map(|said| said.row.body.as_deref()).collect();
    INSERT_SAID
        .bind(&channels)
        .bind(&ids)
        .bind(&seqs)
        .bind(&evs)
        .bind(&authors)
        .bind(&kinds)
        .bind(&flags)
        .bind(&replies)
        .bind(&contents)
        .bind(&bodies)
        .execute(tx)
        .await
}

// Prunes to the day of each id; within it the primary key's first column.
pub(super) const FIND_MADE_CHANGES: Sql = Sql::new(
    "messaging.find_made_changes",
    "SELECT e.id AS change, e.ev, e.kind, e.payload
FROM unnest($1::bigint[], $2::bigint[]) AS i(ch, id)
JOIN messaging.channel_events e ON e.channel_id = i.ch AND e.id = i.id
ORDER BY e.id, e.ev",
)
.returning::<MadeRow>();

/// Finds which changes are stored, and what they did, after their commit was lost from sight.
pub(crate) async fn find_made_changes(
    source: impl Source,
    channels: &[ChannelId],
    changes: &[AnyId],
) -> db::Result<Vec<MadeRow>> {
    FIND_MADE_CHANGES
        .bind(&channels)
        .bind(&changes)
        .all(source)
        .await
}

/// A message that a change left, with its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct SaidAt {
    pub(crate) id: MessageId,
    pub(crate) seq: i64,
    pub(crate) ev: i64,
}

// Primary key.
pub(super) const FIND_SAID: Sql = Sql::new(
    "messaging.find_said",
    "SELECT m.id, m.seq, m.ev
FROM unnest($1::bigint[], $2::bigint[]) AS i(ch, id)
JOIN messaging.messages m ON m.channel_id = i.ch AND m.id = i.id",
)
.returning::<SaidAt>();

/// Finds which system messages are stored.
pub(crate) async fn find_said(
    source: impl Source,
    channels: &[ChannelId],
    messages: &[MessageId],
) -> db::Result<Vec<SaidAt>> {
    FIND_SAID.bind(&channels).bind(&messages).all(source).await
}
