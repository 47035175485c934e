//! Markers of readers: forward with others in one statement, back one by one, and what a reader
//! wants to be told of.

use db::{FromRow, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, UserId};

use crate::acks::Step;
use crate::seats::Seat;

/// Cursors by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct CursorRow {
    /// Position among those asked for, from 1.
    pub(crate) place: i64,
    pub(crate) delivered_seq: Option<i64>,
    pub(crate) read_seq: Option<i64>,
}

// Primary keys. A first marker begins where the reader joined, however old the message is.
pub(super) const FIND_CURSORS: Sql = Sql::new(
    "messaging.find_cursors",
    "SELECT i.n AS place, delivered.seq AS delivered_seq,
    CASE WHEN read.seq IS NOT NULL THEN greatest(read.seq, base.seq) END AS read_seq
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    WITH ORDINALITY AS i(u, ch, since, delivered, read, n)
LEFT JOIN messaging.messages delivered
    ON delivered.channel_id = i.ch AND delivered.id = i.delivered
LEFT JOIN messaging.messages read ON read.channel_id = i.ch AND read.id = i.read
LEFT JOIN messaging.read_states r ON r.user_id = i.u AND r.channel_id = i.ch
LEFT JOIN LATERAL (
    SELECT b.seq
    FROM messaging.messages b
    WHERE r.read_seq IS NULL AND i.since > 0 AND b.channel_id = i.ch AND b.id < i.since
    ORDER BY b.id DESC
    LIMIT 1
) base ON true",
)
.returning::<CursorRow>();

/// Finds the numbers of messages that cursors name; none where a message is unknown.
pub(crate) async fn find_cursors(
    source: impl Source,
    seats: &[&Seat],
    delivered: &[Option<MessageId>],
    read: &[Option<MessageId>],
) -> db::Result<Vec<CursorRow>> {
    let users: Vec<UserId> = seats.iter().map(|seat| seat.user).collect();
    let channels: Vec<ChannelId> = seats.iter().map(|seat| seat.channel).collect();
    let since: Vec<MessageId> = seats.iter().map(|seat| seat.since).collect();
    FIND_CURSORS
        .bind(&users)
        .bind(&channels)
        .bind(&since)
        .bind(&delivered)
        .bind(&read)
        .all(source)
        .await
}

/// A marker that moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct MovedMarker {
    pub(crate) user_id: UserId,
    pub(crate) channel_id: ChannelId,
}

pub(super) const ADVANCE_MARKERS: Sql = Sql::new(
    "messaging.advance_markers",
    "INSERT INTO messaging.read_states AS r (user_id, channel_id, read_seq, version)
SELECT u, ch, max(s), 1
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS t(u, ch, s)
WHERE s IS NOT NULL
GROUP BY u, ch
ORDER BY u, ch
ON CONFLICT (user_id, channel_id) DO UPDATE
SET read_seq = excluded.read_seq, version = r.version + 1
WHERE r.read_seq IS NULL OR r.read_seq < excluded.read_seq
RETURNING user_id, channel_id",
)
.returning::<MovedMarker>();

/// Moves markers forward; returns those that moved.
pub(crate) async fn advance_markers(tx: &Tx, steps: &[Step]) -> db::Result<Vec<MovedMarker>> {
    let users: Vec<UserId> = steps.iter().map(|step| step.seat.user).collect();
    let channels: Vec<ChannelId> = steps.iter().map(|step| step.seat.channel).collect();
    let reads: Vec<Option<i64>> = steps.iter().map(|step| step.read_seq).collect();
    ADVANCE_MARKERS
        .bind(&users)
        .bind(&channels)
        .bind(&reads)
        .all(tx)
        .await
}

pub(super) const PUT_MARKER: Sql = Sql::new(
    "messaging.put_marker",
    "INSERT INTO messaging.read_states AS r (user_id, channel_id, read_seq, version)
VALUES ($1, $2, $3, 1)
ON CONFLICT (user_id, channel_id) DO UPDATE
SET read_seq = excluded.read_seq, version = r.version + 1
WHERE r.read_seq IS DISTINCT FROM excluded.read_seq",
);

/// Puts a marker where its reader wants it, also back; 0 rows when it is there.
pub(crate) async fn put_marker(
    source: impl Source,
    user: UserId,
    channel: ChannelId,
    seq: i64,
) -> db::Result<u64> {
    PUT_MARKER
        .bind(&user)
        .bind(&channel)
        .bind(&seq)
        .execute(source)
        .await
}

pub(super) const PUT_NOTIFICATIONS: Sql = Sql::new(
    "messaging.put_notifications",
    "INSERT INTO messaging.read_states AS r (user_id, channel_id, notify, muted_until, version)
VALUES ($1, $2, $3, $4, 1)
ON CONFLICT (user_id, channel_id) DO UPDATE
SET notify = excluded.notify, muted_until = excluded.muted_until, version = r.version + 1
WHERE (r.notify, r.muted_until) IS DISTINCT FROM (excluded.notify, excluded.muted_until)",
);

/// Stores what a reader wants to be told of; 0 rows when that stands there.
pub(crate) async fn put_notifications(
    source: impl Source,
    user: UserId,
    channel: ChannelId,
    level: i16,
    muted_until: Option<Timestamp>,
) -> db::Result<u64> {
    PUT_NOTIFICATIONS
        .bind(&user)
        .bind(&channel)
        .bind(&level)
        .bind(&muted_until)
        .execute(source)
        .await
}
