//! The append: one statement for a whole batch, idempotent, gap-free, with its outbox rows.

use db::{FromRow, Source, Sql, Tx};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{ChannelId, MessageId, UserId};

use crate::log::NewRow;

/// Where a message came to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct Stored {
    /// Position in the batch, from 1; 0 after an append, which goes by id.
    pub(crate) place: i64,
    pub(crate) id: MessageId,
    pub(crate) seq: i64,
    pub(crate) ev: i64,
    /// When it disappears.
    pub(crate) expires_at: Option<Timestamp>,
}

// Nonces first and sorted, then the channels' rows sorted: two batches that meet wait for each
// other in one order and cannot deadlock. `$11` is today in UTC by our clock, because the server's
// current date follows the time zone of the connection; `$12` is now by it. A message stays as long
// as the shorter of its own time and its channel's.
pub(super) const APPEND_MESSAGES: Sql = Sql::new(
    "messaging.append_messages",
    "WITH inp AS (
    SELECT ch, id, author, nonce, kind, flags, reply_to, content, body, expires_at, ord
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::smallint[], $6::integer[],
        $7::bigint[], $8::text[], $9::text[], $10::timestamptz[])
        WITH ORDINALITY AS t(ch, id, author, nonce, kind, flags, reply_to, content, body, expires_at, ord)
),
fresh AS (
    INSERT INTO messaging.message_nonces (author_id, channel_id, nonce, day, message_id)
    SELECT author, ch, nonce, $11::date, id
    FROM inp i
    WHERE nonce IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM messaging.message_nonces y
            WHERE y.author_id = i.author AND y.channel_id = i.ch AND y.nonce = i.nonce
                AND y.day = $11::date - 1
        )
    ORDER BY author, ch, nonce, ord
    ON CONFLICT DO NOTHING
    RETURNING message_id
),
todo AS (
    SELECT * FROM inp WHERE nonce IS NULL OR id IN (SELECT message_id FROM fresh)
),
cnt AS (
    SELECT ch, count(*) AS n, max(id) AS newest FROM todo GROUP BY ch
),
lk AS (
    SELECT c.id
    FROM messaging.channels c
    JOIN cnt ON cnt.ch = c.id
    WHERE c.deleted_at IS NULL
    ORDER BY c.id
    FOR UPDATE OF c
),
up AS (
    UPDATE messaging.channels c
    SET last_seq = c.last_seq + cnt.n,
        last_ev = c.last_ev + cnt.n,
        last_message_id = greatest(c.last_message_id, cnt.newest)
    FROM cnt, lk
    WHERE c.id = cnt.ch AND lk.id = c.id
    RETURNING c.id, c.community_id, c.ttl_s, c.last_seq - cnt.n AS seq_before, c.last_ev - cnt.n AS ev_before
),
ins AS (
    INSERT INTO messaging.messages (channel_id, id, seq, ev, author_id, kind, flags, reply_to, content, body, expires_at)
    SELECT t.ch, t.id, up.seq_before + row_number() OVER w, up.ev_before + row_number() OVER w,
        t.author, t.kind, t.flags, t.reply_to, t.content, t.body::jsonb,
        least(t.expires_at, $12::timestamptz + make_interval(secs => up.ttl_s))
    FROM todo t
    JOIN up ON up.id = t.ch
    WINDOW w AS (PARTITION BY t.ch ORDER BY t.ord)
    RETURNING channel_id, id, seq, ev, author_id, expires_at
),
obx AS (
    INSERT INTO messaging.outbox (event_id, type, key, actor, data)
    SELECT ins.id, 'messaging.message_created.v1', ins.channel_id::text, ins.author_id,
        jsonb_strip_nulls(jsonb_build_object(
            'channel_id', ins.channel_id::text,
            'community_id', up.community_id::text,
            'id', ins.id::text,
            'author_id', ins.author_id::text,
            'seq', ins.seq,
            'ev', ins.ev))
    FROM ins
    JOIN up ON up.id = ins.channel_id
    ORDER BY ins.channel_id, ins.ev
)
SELECT 0::bigint AS place, id, seq, ev, expires_at FROM ins",
)
.returning::<Stored>();

/// Stores what is new of a batch and returns it. What does not come back is a replay, or of an
/// unknown channel; its nonce may have been stored all the same.
pub(crate) async fn append_messages(
    tx: &Tx,
    batch: &[&NewRow],
    (today, now): (Date, Timestamp),
) -> db::Result<Vec<Stored>> {
    let channels: Vec<ChannelId> = batch.iter().map(|row| row.channel).collect();
    let ids: Vec<MessageId> = batch.iter().map(|row| row.id).collect();
    let authors: Vec<UserId> = batch.iter().map(|row| row.author).collect();
    let nonces: Vec<Option<&str>> = batch.iter().map(|row| row.nonce.as_deref()).collect();
    let kinds: Vec<i16> = batch.iter().map(|row| row.kind).collect();
    let flags: Vec<i32> = batch.iter().map(|row| row.flags).collect();
    let replies: Vec<Option<MessageId>> = batch.iter().map(|row| row.reply_to).collect();
    let contents: Vec<Option<&str>> = batch.iter().map(|row| row.content.as_deref()).collect();
    let bodies: Vec<Option<&str>> = batch.iter().map(|row| row.body.as_deref()).collect();
    let expiries: Vec<Option<Timestamp>> = batch.iter().map(|row| row.expires_at).collect();
    APPEND_MESSAGES
        .bind(&channels)
        .bind(&ids)
        .bind(&authors)
        .bind(&nonces)
        .bind(&kinds)
        .bind(&flags)
        .bind(&replies)
        .bind(&contents)
        .bind(&bodies)
        .bind(&expiries)
        .bind(&today)
        .bind(&now)
        .all(tx)
        .await
}

// Primary keys of both tables; the day list and the id of the join prune partitions.
pub(super) const FIND_STORED: Sql = Sql::new(
    "messaging.find_stored",
    "SELECT i.ord AS place, m.id, m.seq, m.ev, m.expires_at
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])
    WITH ORDINALITY AS i(ch, id, author, nonce, ord)
LEFT JOIN LATERAL (
    SELECT n.message_id
    FROM messaging.message_nonces n
    WHERE n.author_id = i.author AND n.channel_id = i.ch AND n.nonce = i.nonce
        AND n.day IN ($5::date, $5::date - 1)
    ORDER BY n.day
    LIMIT 1
) known ON true
JOIN messaging.messages m ON m.channel_id = i.ch AND m.id = coalesce(known.message_id, i.id)",
)
.returning::<Stored>();

/// Finds what is stored of a batch: by nonce, else by id. Another id than the row's own means that
/// the row replays that message.
pub(crate) async fn find_stored(
    source: impl Source,
    batch: &[&NewRow],
    today: Date,
) -> db::Result<Vec<Stored>> {
    let channels: Vec<ChannelId> = batch.iter().map(|row| row.channel).collect();
    let ids: Vec<MessageId> = batch.iter().map(|row| row.id).collect();
    let authors: Vec<UserId> = batch.iter().map(|row| row.author).collect();
    let nonces: Vec<Option<&str>> = batch.iter().map(|row| row.nonce.as_deref()).collect();
    FIND_STORED
        .bind(&channels)
        .bind(&ids)
        .bind(&authors)
        .bind(&nonces)
        .bind(&today)
        .all(source)
        .await
}
