//! How readers stand in channels. All by primary keys, in constant time per channel.

use db::{Db, FromRow, Sql};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, MessageId, RoleId, UserId};

use crate::seats::Seat;

/// Where a channel stands, and where one of its readers does.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct StandingRow {
    pub(crate) user_id: UserId,
    pub(crate) channel_id: ChannelId,
    pub(crate) last_seq: i64,
    pub(crate) last_ev: i64,
    pub(crate) last_message_id: Option<MessageId>,
    pub(crate) read_seq: Option<i64>,
    /// Of the newest message from before the reader joined; looked up only while nothing was read.
    pub(crate) base_seq: Option<i64>,
    pub(crate) joined_seq: i64,
    pub(crate) mention_seqs: Vec<i64>,
    pub(crate) everyone_seqs: Vec<i64>,
    pub(crate) role_mention_ids: Vec<RoleId>,
    pub(crate) role_mention_seqs: Vec<i64>,
    pub(crate) notify: i16,
    pub(crate) muted_until: Option<Timestamp>,
    pub(crate) version: i64,
}

// One snapshot: a message and the marker its author gets with it are seen together or not at all.
// The lists of a channel are sorted, so the last one tells whether any of them can count.
pub(super) const LIST_STANDING: Sql = Sql::new(
    "messaging.list_standing",
    "SELECT i.u AS user_id, c.id AS channel_id, c.last_seq, c.last_ev, c.last_message_id,
    r.read_seq, base.seq AS base_seq, coalesce(m.joined_seq, 0) AS joined_seq,
    coalesce(r.mention_seqs, '{}') AS mention_seqs,
    CASE WHEN c.everyone_seqs[cardinality(c.everyone_seqs)] > coalesce(r.read_seq, 0)
        THEN c.everyone_seqs ELSE '{}' END AS everyone_seqs,
    CASE WHEN c.role_mention_seqs[cardinality(c.role_mention_seqs)] > coalesce(r.read_seq, 0)
        THEN c.role_mention_ids ELSE '{}' END AS role_mention_ids,
    CASE WHEN c.role_mention_seqs[cardinality(c.role_mention_seqs)] > coalesce(r.read_seq, 0)
        THEN c.role_mention_seqs ELSE '{}' END AS role_mention_seqs,
    coalesce(r.notify, 0::smallint) AS notify, r.muted_until, coalesce(r.version, 0) AS version
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS i(u, ch, since, n)
JOIN messaging.channels c ON c.id = i.ch AND c.deleted_at IS NULL
LEFT JOIN messaging.read_states r ON r.user_id = i.u AND r.channel_id = i.ch
LEFT JOIN messaging.channel_members m ON m.channel_id = i.ch AND m.user_id = i.u
LEFT JOIN LATERAL (
    SELECT b.seq
    FROM messaging.messages b
    WHERE r.read_seq IS NULL AND i.since > 0 AND b.channel_id = i.ch AND b.id < i.since
    ORDER BY b.id DESC
    LIMIT 1
) base ON true
WHERE c.last_seq > 0 OR r.user_id IS NOT NULL
ORDER BY i.n",
)
.returning::<StandingRow>();

/// Lists how readers stand, in the order of their seats.
pub(crate) async fn list_standing(db: &Db, seats: &[Seat]) -> db::Result<Vec<StandingRow>> {
    let users: Vec<UserId> = seats.iter().map(|seat| seat.user).collect();
    let channels: Vec<ChannelId> = seats.iter().map(|seat| seat.channel).collect();
    let since: Vec<MessageId> = seats.iter().map(|seat| seat.since).collect();
    LIST_STANDING
        .bind(&users)
        .bind(&channels)
        .bind(&since)
        .all(db)
        .await
}

/// A message by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct SaidBy {
    pub(crate) channel_id: ChannelId,
    pub(crate) seq: i64,
}

// The unique index (channel_id, seq) of each partition.
pub(super) const LIST_SAID_BY: Sql = Sql::new(
    "messaging.list_said_by",
    "SELECT m.channel_id, m.seq
FROM unnest($1::bigint[], $2::bigint[]) AS i(ch, seq)
JOIN messaging.messages m ON m.channel_id = i.ch AND m.seq = i.seq
WHERE m.author_id = ANY($3::bigint[])",
)
.returning::<SaidBy>();

/// Lists which of these messages are by `authors`.
pub(crate) async fn list_said_by(
    db: &Db,
    messages: &[(ChannelId, i64)],
    authors: &[UserId],
) -> db::Result<Vec<SaidBy>> {
    let (channels, seqs): (Vec<ChannelId>, Vec<i64>) = messages.iter().copied().unzip();
    LIST_SAID_BY
        .bind(&channels)
        .bind(&seqs)
        .bind(&authors)
        .all(db)
        .await
}

// Index channel_members (user_id), then primary keys.
pub(super) const LIST_PRIVATE_IDS: Sql = Sql::new(
    "messaging.list_private_ids",
    "SELECT c.id
FROM messaging.channel_members m
JOIN messaging.channels c ON c.id = m.channel_id
WHERE m.user_id = $1 AND m.left_at IS NULL AND c.deleted_at IS NULL AND c.community_id IS NULL
ORDER BY coalesce(c.last_message_id, c.id) DESC
LIMIT 1000",
);

/// Lists the private channels of a user.
pub(crate) async fn list_private_ids(db: &Db, user: UserId) -> db::Result<Vec<ChannelId>> {
    LIST_PRIVATE_IDS.bind(&user).scalars(db).await
}

/// To whom a channel belongs.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct ChannelHome {
    pub(crate) id: ChannelId,
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) deleted: bool,
    /// Present members of a private channel.
    pub(crate) members: Vec<UserId>,
}

// Primary keys.
pub(super) const LIST_HOMES: Sql = Sql::new(
    "messaging.list_homes",
    "SELECT c.id, c.community_id, c.deleted_at IS NOT NULL AS deleted,
    ARRAY(
        SELECT m.user_id
        FROM messaging.channel_members m
        WHERE m.channel_id = c.id AND m.left_at IS NULL
        ORDER BY m.user_id
    ) AS members
FROM messaging.channels c
WHERE c.id = ANY($1::bigint[])",
)
.returning::<ChannelHome>();

/// Lists to whom channels belong; those without a row are left out.
pub(crate) async fn list_homes(db: &Db, channels: &[ChannelId]) -> db::Result<Vec<ChannelHome>> {
    LIST_HOMES.bind(&channels).all(db).await
}
