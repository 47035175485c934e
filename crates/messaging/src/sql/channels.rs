//! Counter rows, private channels and their members.

use db::{Db, FromRow, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, MessageId, UserId};

/// To whom a channel belongs, as far as we know it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct HomeRow {
    pub(crate) community_id: Option<CommunityId>,
    pub(crate) deleted: bool,
    /// Present members of a private channel.
    pub(crate) members: Vec<UserId>,
}

pub(super) const FIND_HOME: Sql = Sql::new(
    "messaging.find_home",
    "SELECT c.community_id, c.deleted_at IS NOT NULL AS deleted,
    ARRAY(
        SELECT m.user_id
        FROM messaging.channel_members m
        WHERE m.channel_id = c.id AND m.left_at IS NULL
        ORDER BY m.user_id
    ) AS members
FROM messaging.channels c
WHERE c.id = $1",
)
.returning::<HomeRow>();

/// Finds the row of a channel.
pub(crate) async fn find_home(db: &Db, channel: ChannelId) -> db::Result<Option<HomeRow>> {
    FIND_HOME.bind(&channel).optional(db).await
}

pub(super) const IS_THREAD: Sql = Sql::new(
    "messaging.is_thread",
    "SELECT EXISTS (
    SELECT FROM messaging.channels c
    WHERE c.id = $1 AND c.parent_id = $2 AND c.kind IN (10, 11, 12) AND c.deleted_at IS NULL
)",
);

/// Whether a channel is a thread of another one.
pub(crate) async fn is_thread(
    source: impl Source,
    thread: ChannelId,
    parent: ChannelId,
) -> db::Result<bool> {
    IS_THREAD.bind(&thread).bind(&parent).scalar(source).await
}

pub(super) const INSERT_CHANNEL: Sql = Sql::new(
    "messaging.insert_channel",
    "INSERT INTO messaging.channels (id, community_id, kind)
VALUES ($1, $2, $3)
ON CONFLICT (id) DO NOTHING",
);

/// Makes the counter row of a community's channel unless it is there, also as deleted.
pub(crate) async fn insert_channel(
    source: impl Source,
    channel: ChannelId,
    community: CommunityId,
    kind: i16,
) -> db::Result<u64> {
    INSERT_CHANNEL
        .bind(&channel)
        .bind(&community)
        .bind(&kind)
        .execute(source)
        .await
}

// A row is left behind even for a channel never seen, so that an event that comes late, or a use
// that was on its way, cannot bring it back.
pub(super) const DELETE_CHANNEL: Sql = Sql::new(
    "messaging.delete_channel",
    "INSERT INTO messaging.channels (id, community_id, kind, deleted_at)
VALUES ($1, $2, 0, $3)
ON CONFLICT (id) DO UPDATE SET deleted_at = coalesce(channels.deleted_at, excluded.deleted_at)",
);

/// Marks a community's channel as deleted.
pub(crate) async fn delete_channel(
    tx: &Tx,
    channel: ChannelId,
    community: CommunityId,
    at: Timestamp,
) -> db::Result<u64> {
    DELETE_CHANNEL
        .bind(&channel)
        .bind(&community)
        .bind(&at)
        .execute(tx)
        .await
}

pub(super) const FIND_PAIR: Sql = Sql::new(
    "messaging.find_pair",
    "SELECT p.channel_id AS id, c.kind, c.last_message_id
FROM messaging.dm_pairs p
JOIN messaging.channels c ON c.id = p.channel_id
WHERE p.lo = least($1::bigint, $2::bigint) AND p.hi = greatest($1::bigint, $2::bigint)",
)
.returning::<PrivateRow>();

/// Finds the direct channel of two users.
pub(crate) async fn find_pair(
    source: impl Source,
    one: UserId,
    other: UserId,
) -> db::Result<Option<PrivateRow>> {
    FIND_PAIR.bind(&one).bind(&other).optional(source).await
}

// The conflict on the pair waits for a twin's commit, and then makes nothing.
pub(super) const INSERT_PAIR: Sql = Sql::new(
    "messaging.insert_pair",
    "WITH made AS (
    INSERT INTO messaging.dm_pairs (lo, hi, channel_id)
    VALUES (least($1::bigint, $2::bigint), greatest($1::bigint, $2::bigint), $3)
    ON CONFLICT (lo, hi) DO NOTHING
    RETURNING lo, hi, channel_id
),
ch AS (
    INSERT INTO messaging.channels (id, kind, owner_id)
    SELECT channel_id, 1, $1 FROM made
),
mem AS (
    INSERT INTO messaging.channel_members (channel_id, user_id)
    SELECT made.channel_id, u.id
    FROM made, unnest(ARRAY[made.lo, made.hi]) AS u(id)
)
SELECT channel_id FROM made",
);

/// Makes the direct channel of two users; none when they have one.
pub(crate) async fn insert_pair(
    db: &Db,
    opener: UserId,
    other: UserId,
    channel: ChannelId,
) -> db::Result<Option<ChannelId>> {
    INSERT_PAIR
        .bind(&opener)
        .bind(&other)
        .bind(&channel)
        .optional_scalar(db)
        .await
}

/// A private channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct PrivateRow {
    pub(crate) id: ChannelId,
    pub(crate) kind: i16,
    pub(crate) last_message_id: Option<MessageId>,
}

// Index channel_members (user_id), then primary keys.
pub(super) const LIST_PRIVATE_CHANNELS: Sql = Sql::new(
    "messaging.list_private_channels",
    "SELECT c.id, c.kind, c.last_message_id
FROM messaging.channel_members m
JOIN messaging.channels c ON c.id = m.channel_id
WHERE m.user_id = $1 AND m.left_at IS NULL AND c.deleted_at IS NULL AND c.kind IN (1, 3)
ORDER BY coalesce(c.last_message_id, c.id) DESC
LIMIT 1000",
)
.returning::<PrivateRow>();

/// Lists a user's private channels, the one with the newest message first.
pub(crate) async fn list_private_channels(db: &Db, user: UserId) -> db::Result<Vec<PrivateRow>> {
    LIST_PRIVATE_CHANNELS.bind(&user).all(db).await
}

/// A user in a private channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct Membership {
    pub(crate) channel_id: ChannelId,
    pub(crate) user_id: UserId,
}

// Primary key.
pub(super) const LIST_MEMBERS: Sql = Sql::new(
    "messaging.list_members",
    "SELECT channel_id, user_id
FROM messaging.channel_members
WHERE channel_id = ANY($1::bigint[]) AND left_at IS NULL
ORDER BY channel_id, user_id",
)
.returning::<Membership>();

/// Lists the present members of private channels.
pub(crate) async fn list_members(db: &Db, channels: &[ChannelId]) -> db::Result<Vec<Membership>> {
    LIST_MEMBERS.bind(&channels).all(db).await
}

pub(super) const LIST_POSITIONS: Sql = Sql::new(
    "messaging.list_positions",
    "SELECT id, last_seq, last_ev, last_message_id
FROM messaging.channels
WHERE id = ANY($1::bigint[]) AND last_ev > 0 AND deleted_at IS NULL",
)
.returning::<PositionRow>();

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub(crate) struct PositionRow {
    pub(crate) id: ChannelId,
    pub(crate) last_seq: i64,
    pub(crate) last_ev: i64,
    pub(crate) last_message_id: Option<MessageId>,
}

/// Lists where channels stand; those without a message are left out.
pub(crate) async fn list_positions(
    db: &Db,
    channels: &[ChannelId],
) -> db::Result<Vec<PositionRow>> {
    LIST_POSITIONS.bind(&channels).all(db).await
}
