//! What messages leave in the states of their readers: mentions, markers, receipts.
//!
//! A state is read as it stands and never counted up: what is newer than the marker is unread.
//! Mentions that were read stay among the newest, so that a marker can go back.

use db::{FromRow, Sql, Tx};
use kernel::{ChannelId, CommunityId, RoleId, UserId};

/// A change of one user's state in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MarkRow {
    pub(crate) user: UserId,
    pub(crate) channel: ChannelId,
    /// A message that mentions the user.
    pub(crate) mention_seq: Option<i64>,
    /// The user has read up to it.
    pub(crate) read_seq: Option<i64>,
}

/// A mention of everyone or of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MentionRow {
    pub(crate) channel: ChannelId,
    pub(crate) seq: i64,
    /// None is everyone.
    pub(crate) role: Option<RoleId>,
}

/// How far a member has got, as the others may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReceiptRow {
    pub(crate) user_id: UserId,
    pub(crate) channel_id: ChannelId,
    pub(crate) delivered_seq: i64,
    pub(crate) read_seq: i64,
}

/// A receipt that moved, as it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct MovedReceipt {
    pub(crate) user_id: UserId,
    pub(crate) channel_id: ChannelId,
    pub(crate) community_id: Option<CommunityId>,
    /// Whether everybody in the channel sees it, whatever people's switches say.
    pub(crate) always: bool,
    pub(crate) delivered_seq: i64,
    pub(crate) read_seq: i64,
}

// Primary key. Numbers only grow, so what is appended is sorted; the newest 100 mentions stay.
pub(super) const MARK_READ_STATES: Sql = Sql::new(
    "messaging.mark_read_states",
    "INSERT INTO messaging.read_states AS r (user_id, channel_id, read_seq, mention_seqs, version)
SELECT u, ch, max(read), (coalesce(array_agg(mention ORDER BY mention) FILTER (WHERE mention IS NOT NULL), '{}'))
        [greatest(count(mention) - 99, 1):], 1
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS t(u, ch, mention, read)
GROUP BY u, ch
ORDER BY u, ch
ON CONFLICT (user_id, channel_id) DO UPDATE
SET read_seq = greatest(r.read_seq, excluded.read_seq),
    mention_seqs = (r.mention_seqs || excluded.mention_seqs)
        [greatest(cardinality(r.mention_seqs) + cardinality(excluded.mention_seqs) - 99, 1):],
    version = r.version + 1",
);

/// Adds mentions and moves markers forward.
pub(crate) async fn mark_read_states(tx: &Tx, rows: &[MarkRow]) -> db::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let users: Vec<UserId> = rows.iter().map(|row| row.user).collect();
    let channels: Vec<ChannelId> = rows.iter().map(|row| row.channel).collect();
    let mentions: Vec<Option<i64>> = rows.iter().map(|row| row.mention_seq).collect();
    let reads: Vec<Option<i64>> = rows.iter().map(|row| row.read_seq).collect();
    MARK_READ_STATES
        .bind(&users)
        .bind(&channels)
        .bind(&mentions)
        .bind(&reads)
        .execute(tx)
        .await
        .map(drop)
}

// The rows are locked by whoever stores the messages. The newest 50 of each stay.
pub(super) const MENTION_IN_CHANNELS: Sql = Sql::new(
    "messaging.mention_in_channels",
    "UPDATE messaging.channels c
SET everyone_seqs = (c.everyone_seqs || n.everyone)
        [greatest(cardinality(c.everyone_seqs) + cardinality(n.everyone) - 49, 1):],
    role_mention_ids = (c.role_mention_ids || n.roles)
        [greatest(cardinality(c.role_mention_ids) + cardinality(n.roles) - 49, 1):],
    role_mention_seqs = (c.role_mention_seqs || n.seqs)
        [greatest(cardinality(c.role_mention_seqs) + cardinality(n.seqs) - 49, 1):]
FROM (
    SELECT ch,
        coalesce(array_agg(seq ORDER BY seq) FILTER (WHERE role IS NULL), '{}') AS everyone,
        coalesce(array_agg(role ORDER BY seq, role) FILTER (WHERE role IS NOT NULL), '{}') AS roles,
        coalesce(array_agg(seq ORDER BY seq, role) FILTER (WHERE role IS NOT NULL), '{}') AS seqs
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS t(ch, seq, role)
    GROUP BY ch
) n
WHERE c.id = n.ch",
);

/// Notes mentions of everyone and of roles in the rows of their channels.
pub(crate) async fn mention_in_channels(tx: &Tx, rows: &[MentionRow]) -> db::Result<()> {
    change_calls(tx, &MENTION_IN_CHANNELS, rows).await
}

async fn change_calls(tx: &Tx, sql: &'static Sql, rows: &[MentionRow]) -> db::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let channels: Vec<ChannelId> = rows.iter().map(|row| row.channel).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let roles: Vec<Option<RoleId>> = rows.iter().map(|row| row.role).collect();
    sql.bind(&channels)
        .bind(&seqs)
        .bind(&roles)
        .execute(tx)
        .await
        .map(drop)
}

// Primary key.
pub(super) const UNMARK_READ_STATES: Sql = Sql::new(
    "messaging.unmark_read_states",
    "WITH lk AS (
    SELECT r.user_id, r.channel_id, i.seq
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS i(u, ch, seq)
    JOIN messaging.read_states r
        ON r.user_id = i.u AND r.channel_id = i.ch AND i.seq = ANY(r.mention_seqs)
    ORDER BY r.user_id, r.channel_id
    FOR UPDATE OF r
),
gone AS (
    SELECT user_id, channel_id, array_agg(seq) AS seqs
    FROM lk
    GROUP BY user_id, channel_id
)
UPDATE messaging.read_states r
SET mention_seqs = ARRAY(
        SELECT seq
        FROM unnest(r.mention_seqs) AS seq
        WHERE seq <> ALL(gone.seqs)
        ORDER BY seq
    ),
    version = r.version + 1
FROM gone
WHERE r.user_id = gone.user_id AND r.channel_id = gone.channel_id",
);

/// Takes mentions of users back.
pub(crate) async fn unmark_read_states(tx: &Tx, rows: &[MarkRow]) -> db::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let users: Vec<UserId> = rows.iter().map(|row| row.user).collect();
    let channels: Vec<ChannelId> = rows.iter().map(|row| row.channel).collect();
    let seqs: Vec<Option<i64>> = rows.iter().map(|row| row.mention_seq).collect();
    UNMARK_READ_STATES
        .bind(&users)
        .bind(&channels)
        .bind(&seqs)
        .execute(tx)
        .await
        .map(drop)
}

// The rows are locked by whoever changes the messages.
pub(super) const TAKE_BACK_CALLS: Sql = Sql::new(
    "messaging.take_back_calls",
    "WITH gone AS (
    SELECT ch, seq, role
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS t(ch, seq, role)
)
UPDATE messaging.channels c
SET everyone_seqs = ARRAY(
        SELECT e.seq
        FROM unnest(c.everyone_seqs) AS e(seq)
        WHERE NOT EXISTS (
            SELECT FROM gone WHERE gone.ch = c.id AND gone.seq = e.seq AND gone.role IS NULL
        )
        ORDER BY e.seq
    ),
    role_mention_ids = ARRAY(
        SELECT m.role
        FROM unnest(c.role_mention_ids, c.role_mention_seqs) WITH ORDINALITY AS m(role, seq, n)
        WHERE NOT EXISTS (
            SELECT FROM gone WHERE gone.ch = c.id AND gone.seq = m.seq AND gone.role = m.role
        )
        ORDER BY m.n
    ),
    role_mention_seqs = ARRAY(
        SELECT m.seq
        FROM unnest(c.role_mention_ids, c.role_mention_seqs) WITH ORDINALITY AS m(role, seq, n)
        WHERE NOT EXISTS (
            SELECT FROM gone WHERE gone.ch = c.id AND gone.seq = m.seq AND gone.role = m.role
        )
        ORDER BY m.n
    )
WHERE c.id = ANY($1::bigint[])",
);

/// Takes mentions of everyone and of roles back.
pub(crate) async fn take_back_calls(tx: &Tx, rows: &[MentionRow]) -> db::Result<()> {
    change_calls(tx, &TAKE_BACK_CALLS, rows).await
}

// Primary key. What is read was delivered; neither ever goes back. Kind 100 is a deal room.
pub(super) const MOVE_RECEIPTS: Sql = Sql::new(
    "messaging.move_receipts",
    "WITH inp AS (
    SELECT u, ch, greatest(max(delivered), max(read)) AS delivered, max(read) AS read
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS t(u, ch, delivered, read)
    GROUP BY u, ch
),
lk AS (
    SELECT m.channel_id, m.user_id, i.delivered, i.read
    FROM messaging.channel_members m
    JOIN inp i ON i.ch = m.channel_id AND i.u = m.user_id
    WHERE m.left_at IS NULL AND (m.delivered_seq < i.delivered OR m.read_seq < i.read)
    ORDER BY m.channel_id, m.user_id
    FOR UPDATE OF m
)
UPDATE messaging.channel_members m
SET delivered_seq = greatest(m.delivered_seq, lk.delivered), read_seq = greatest(m.read_seq, lk.read)
FROM lk
JOIN messaging.channels c ON c.id = lk.channel_id
WHERE m.channel_id = lk.channel_id AND m.user_id = lk.user_id
RETURNING m.user_id, m.channel_id, c.community_id, c.receipts = 1 OR c.kind = 100 AS always,
    m.delivered_seq, m.read_seq",
)
.returning::<MovedReceipt>();

/// Moves receipts of members forward; returns those that moved.
pub(crate) async fn move_receipts(tx: &Tx, rows: &[ReceiptRow]) -> db::Result<Vec<MovedReceipt>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let users: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
    let channels: Vec<ChannelId> = rows.iter().map(|row| row.channel_id).collect();
    let delivered: Vec<i64> = rows.iter().map(|row| row.delivered_seq).collect();
    let read: Vec<i64> = rows.iter().map(|row| row.read_seq).collect();
    MOVE_RECEIPTS
        .bind(&users)
        .bind(&channels)
        .bind(&delivered)
        .bind(&read)
        .all(tx)
        .await
}
