//! What happened in channels after a client stopped listening.

use db::{Db, FromRow, Sql};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId};

/// Where a channel stands, for those who catch up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct HeadRow {
    pub(crate) id: ChannelId,
    pub(crate) last_seq: i64,
    pub(crate) last_ev: i64,
}

// Primary key.
pub(super) const LIST_HEADS: Sql = Sql::new(
    "messaging.list_heads",
    "SELECT id, last_seq, last_ev
FROM messaging.channels
WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL",
)
.returning::<HeadRow>();

/// Lists where channels stand; those without a row are left out.
pub(crate) async fn list_heads(db: &Db, channels: &[ChannelId]) -> db::Result<Vec<HeadRow>> {
    LIST_HEADS.bind(&channels).all(db).await
}

/// A part of a channel's history: after `after` and up to `to`, of ids from `floor` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) channel: ChannelId,
    pub(crate) after: i64,
    pub(crate) to: i64,
    pub(crate) floor: MessageId,
}

/// A change among a channel's events.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub(crate) struct ChangeRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) ev: i64,
    pub(crate) kind: i16,
    pub(crate) payload: serde_json::Value,
}

// Primary key; the floor prunes days.
pub(super) const LIST_CHANGES_AFTER: Sql = Sql::new(
    "messaging.list_changes_after",
    "SELECT e.channel_id, e.ev, e.kind, e.payload
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS i(ch, after, upto, floor)
JOIN messaging.channel_events e
    ON e.channel_id = i.ch AND e.ev > i.after AND e.ev <= i.upto AND e.id >= i.floor
WHERE e.id >= $5
ORDER BY e.channel_id, e.ev",
)
.returning::<ChangeRow>();

/// Lists changes by `ev`.
pub(crate) async fn list_changes_after(db: &Db, spans: &[Span]) -> db::Result<Vec<ChangeRow>> {
    let (channels, after, to, floors) = columns(spans);
    let floor = lowest(spans);
    LIST_CHANGES_AFTER
        .bind(&channels)
        .bind(&after)
        .bind(&to)
        .bind(&floors)
        .bind(&floor)
        .all(db)
        .await
}

/// A message as somebody who catches up needs it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct TouchedRow {
    pub(crate) channel_id: ChannelId,
    pub(crate) id: MessageId,
    pub(crate) ev: i64,
    /// Whether it is deleted or has expired.
    pub(crate) gone: bool,
}

// The unique index (channel_id, seq) of each partition; the floor prunes months.
pub(super) const LIST_MESSAGES_AFTER: Sql = Sql::new(
    "messaging.list_messages_after",
    "SELECT m.channel_id, m.id, m.ev,
    m.deleted_at IS NOT NULL OR coalesce(m.expires_at <= $6, false) AS gone
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS i(ch, after, upto, floor)
JOIN messaging.messages m
    ON m.channel_id = i.ch AND m.seq > i.after AND m.seq <= i.upto AND m.id >= i.floor
WHERE m.id >= $5
ORDER BY m.channel_id, m.seq",
)
.returning::<TouchedRow>();

/// Lists messages by `seq`, also deleted ones.
pub(crate) async fn list_messages_after(
    db: &Db,
    spans: &[Span],
    now: Timestamp,
) -> db::Result<Vec<TouchedRow>> {
    let (channels, after, to, floors) = columns(spans);
    let floor = lowest(spans);
    LIST_MESSAGES_AFTER
        .bind(&channels)
        .bind(&after)
        .bind(&to)
        .bind(&floors)
        .bind(&floor)
        .bind(&now)
        .all(db)
        .await
}

// Primary key.
pub(super) const LIST_TOUCHED: Sql = Sql::new(
    "messaging.list_touched",
    "SELECT m.channel_id, m.id, m.ev,
    m.deleted_at IS NOT NULL OR coalesce(m.expires_at <= $3, false) AS gone
FROM unnest($1::bigint[], $2::bigint[]) AS i(ch, id)
JOIN messaging.messages m ON m.channel_id = i.ch AND m.id = i.id",
)
.returning::<TouchedRow>();

/// Lists messages by id, also deleted ones.
pub(crate) async fn list_touched(
    db: &Db,
    messages: &[(ChannelId, MessageId)],
    now: Timestamp,
) -> db::Result<Vec<TouchedRow>> {
    let (channels, ids): (Vec<ChannelId>, Vec<MessageId>) = messages.iter().copied().unzip();
    LIST_TOUCHED
        .bind(&channels)
        .bind(&ids)
        .bind(&now)
        .all(db)
        .await
}

type Columns = (Vec<ChannelId>, Vec<i64>, Vec<i64>, Vec<MessageId>);

fn columns(spans: &[Span]) -> Columns {
    (
        spans.iter().map(|span| span.channel).collect(),
        spans.iter().map(|span| span.after).collect(),
        spans.iter().map(|span| span.to).collect(),
        spans.iter().map(|span| span.floor).collect(),
    )
}

/// The lowest floor: a constant of the statement, by which partitions are left out when it is
/// planned.
fn lowest(spans: &[Span]) -> MessageId {
    let floors = spans.iter().map(|span| span.floor);
    floors.min().unwrap_or(MessageId::new(0))
}
