//! Channels and their overwrites.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, CommunityId, RoleId, UserId};

use crate::model::{ChannelRow, OverwriteRow};

pub(crate) const ALL: &[&Sql] = &[
    &LIST_CHANNELS,
    &FIND_CHANNEL,
    &LIST_COMPILED,
    &INSERT_CHANNEL,
    &UPDATE_CHANNEL,
    &MOVE_CHANNELS,
    &DELETE_CHANNEL,
    &LIST_OVERWRITES,
    &LIST_OVERWRITES_OF_CHANNELS,
    &PUT_OVERWRITES,
    &DELETE_OVERWRITES,
    &DELETE_OVERWRITES_OF_ROLE,
    &NAMES_MEMBERS,
    &PURGE_CHANNELS,
];

const LIST_CHANNELS: Sql = Sql::new(
    "communities.list_channels",
    "SELECT id, community_id, parent_id, kind, position, name, topic, nsfw, slowmode_s,
       settings
     FROM communities.channels
     WHERE community_id = ANY($1) AND deleted_at IS NULL
     ORDER BY community_id, position, id",
)
.returning::<ChannelRow>();

/// By index channels_community.
pub(crate) async fn list_channels(
    source: impl Source,
    communities: &[CommunityId],
) -> Result<Vec<ChannelRow>> {
    LIST_CHANNELS.bind(&communities).all(source).await
}

const FIND_CHANNEL: Sql = Sql::new(
    "communities.find_channel",
    "SELECT id, community_id, parent_id, kind, position, name, topic, nsfw, slowmode_s,
       settings
     FROM communities.channels
     WHERE community_id = $1 AND id = $2 AND deleted_at IS NULL",
)
.returning::<ChannelRow>();

pub(crate) async fn find_channel(
    source: impl Source,
    community: CommunityId,
    id: ChannelId,
) -> Result<Option<ChannelRow>> {
    FIND_CHANNEL
        .bind(&community)
        .bind(&id)
        .optional(source)
        .await
}

const LIST_COMPILED: Sql = Sql::new(
    "communities.list_channels_to_compile",
    "SELECT id
     FROM communities.channels
     WHERE community_id = $1 AND (deleted_at IS NULL OR deleted_at > $2)
     ORDER BY id",
);

/// Channels that are there, and those deleted since `deleted_since`.
pub(crate) async fn list_channels_to_compile(
    tx: &Tx,
    community: CommunityId,
    deleted_since: Timestamp,
) -> Result<Vec<ChannelId>> {
    LIST_COMPILED
        .bind(&community)
        .bind(&deleted_since)
        .scalars(tx)
        .await
}

const INSERT_CHANNEL: Sql = Sql::new(
    "communities.insert_channel",
    "INSERT INTO communities.channels
       (id, community_id, parent_id, kind, position, name, topic, nsfw, slowmode_s, settings)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);

pub(crate) async fn insert_channel(tx: &Tx, row: &ChannelRow) -> Result<()> {
    INSERT_CHANNEL
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.parent_id)
        .bind(&row.kind)
        .bind(&row.position)
        .bind(&row.name)
        .bind(&row.topic)
        .bind(&row.nsfw)
        .bind(&row.slowmode_s)
        .bind(&row.settings)
        .execute(tx)
        .await
        .map(drop)
}

const UPDATE_CHANNEL: Sql = Sql::new(
    "communities.update_channel",
    "UPDATE communities.channels
     SET parent_id = $3, kind = $4, position = $5, name = $6, topic = $7, nsfw = $8,
       slowmode_s = $9, settings = $10, version = version + 1
     WHERE community_id = $1 AND id = $2 AND deleted_at IS NULL",
);

pub(crate) async fn update_channel(tx: &Tx, row: &ChannelRow) -> Result<u64> {
    UPDATE_CHANNEL
        .bind(&row.community_id)
        .bind(&row.id)
        .bind(&row.parent_id)
        .bind(&row.kind)
        .bind(&row.position)
        .bind(&row.name)
        .bind(&row.topic)
        .bind(&row.nsfw)
        .bind(&row.slowmode_s)
        .bind(&row.settings)
        .execute(tx)
        .await
}

const MOVE_CHANNELS: Sql = Sql::new(
    "communities.move_channels",
    "UPDATE communities.channels c
     SET position = t.position, parent_id = t.parent_id, version = c.version + 1
     FROM unnest($2::bigint[], $3::int[], $4::bigint[]) AS t (id, position, parent_id)
     WHERE c.community_id = $1 AND c.id = t.id AND c.deleted_at IS NULL",
);

/// New places of several channels.
pub(crate) async fn move_channels(
    tx: &Tx,
    community: CommunityId,
    rows: &[ChannelRow],
) -> Result<u64> {
    let ids: Vec<ChannelId> = rows.iter().map(|row| row.id).collect();
    let positions: Vec<i32> = rows.iter().map(|row| row.position).collect();
    let parents: Vec<Option<ChannelId>> = rows.iter().map(|row| row.parent_id).collect();
    MOVE_CHANNELS
        .bind(&community)
        .bind(&ids)
        .bind(&positions)
        .bind(&parents)
        .execute(tx)
        .await
}

const DELETE_CHANNEL: Sql = Sql::new(
    "communities.delete_channel",
    "UPDATE communities.channels
     SET deleted_at = $3, version = version + 1
     WHERE community_id = $1 AND id = $2 AND deleted_at IS NULL",
);

pub(crate) async fn delete_channel(
    tx: &Tx,
    community: CommunityId,
    id: ChannelId,
    at: Timestamp,
) -> Result<u64> {
    DELETE_CHANNEL
        .bind(&community)
        .bind(&id)
        .bind(&at)
        .execute(tx)
        .await
}

const LIST_OVERWRITES: Sql = Sql::new(
    "communities.list_overwrites",
    "SELECT o.channel_id, o.target_kind, o.target_id, o.chat_allow, o.chat_deny,
       o.trade_allow, o.trade_deny
     FROM communities.channels c
     JOIN communities.overwrites o ON o.channel_id = c.id
     WHERE c.community_id = ANY($1)
     ORDER BY o.channel_id, o.target_kind, o.target_id",
)
.returning::<OverwriteRow>();

/// Of every channel of these communities, also of deleted ones; by index channels_community.
pub(crate) async fn list_overwrites(
    source: impl Source,
    communities: &[CommunityId],
) -> Result<Vec<OverwriteRow>> {
    LIST_OVERWRITES.bind(&communities).all(source).await
}

const LIST_OVERWRITES_OF_CHANNELS: Sql = Sql::new(
    "communities.list_overwrites_of_channels",
    "SELECT channel_id, target_kind, target_id, chat_allow, chat_deny, trade_allow, trade_deny
     FROM communities.overwrites
     WHERE channel_id = ANY($1)
     ORDER BY channel_id, target_kind, target_id",
)
.returning::<OverwriteRow>();

pub(crate) async fn list_overwrites_of_channels(
    source: impl Source,
    channels: &[ChannelId],
) -> Result<Vec<OverwriteRow>> {
    LIST_OVERWRITES_OF_CHANNELS
        .bind(&channels)
        .all(source)
        .await
}

const PUT_OVERWRITES: Sql = Sql::new(
    "communities.put_overwrites",
    "INSERT INTO communities.overwrites AS o
       (channel_id, target_kind, target_id, chat_allow, chat_deny, trade_allow, trade_deny)
     SELECT $1, t.kind, t.id, t.allow, t.deny, t.trade_allow, t.trade_deny
     FROM unnest($2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
       AS t (kind, id, allow, deny, trade_allow, trade_deny)
     ON CONFLICT (channel_id, target_kind, target_id)
     DO UPDATE SET chat_allow = excluded.chat_allow, chat_deny = excluded.chat_deny,
       trade_allow = excluded.trade_allow, trade_deny = excluded.trade_deny",
);

/// Adds or replaces; the targets differ from each other.
pub(crate) async fn put_overwrites(
    tx: &Tx,
    channel: ChannelId,
    rows: &[OverwriteRow],
) -> Result<()> {
    let kinds: Vec<i16> = rows.iter().map(|row| row.target_kind).collect();
    let targets: Vec<AnyId> = rows.iter().map(|row| row.target_id).collect();
    let allows: Vec<i64> = rows.iter().map(|row| row.chat_allow).collect();
    let denies: Vec<i64> = rows.iter().map(|row| row.chat_deny).collect();
    let trade_allows: Vec<i64> = rows.iter().map(|row| row.trade_allow).collect();
    let trade_denies: Vec<i64> = rows.iter().map(|row| row.trade_deny).collect();
    PUT_OVERWRITES
        .bind(&channel)
        .bind(&kinds)
        .bind(&targets)
        .bind(&allows)
        .bind(&denies)
        .bind(&trade_allows)
        .bind(&trade_denies)
        .execute(tx)
        .await
        .map(drop)
}

const DELETE_OVERWRITES: Sql = Sql::new(
    "communities.delete_overwrites",
    "DELETE FROM communities.overwrites
     WHERE channel_id = $1 AND target_id = ANY($2)",
);

pub(crate) async fn delete_overwrites(
    tx: &Tx,
    channel: ChannelId,
    targets: &[AnyId],
) -> Result<u64> {
    DELETE_OVERWRITES
        .bind(&channel)
        .bind(&targets)
        .execute(tx)
        .await
}

const DELETE_OVERWRITES_OF_ROLE: Sql = Sql::new(
    "communities.delete_overwrites_of_role",
    "DELETE FROM communities.overwrites WHERE target_kind = 0 AND target_id = $1",
);

/// By index overwrites_target.
pub(crate) async fn delete_overwrites_of_role(tx: &Tx, role: RoleId) -> Result<u64> {
    DELETE_OVERWRITES_OF_ROLE.bind(&role).execute(tx).await
}

const NAMES_MEMBERS: Sql = Sql::new(
    "communities.overwrites_name_members",
    "SELECT EXISTS (
       SELECT FROM communities.overwrites o
       JOIN communities.channels c ON c.id = o.channel_id
       WHERE o.target_kind = 1 AND o.target_id = ANY($2) AND c.community_id = $1)",
);

/// Whether any overwrite of the community speaks of one of the users; by index overwrites_target.
pub(crate) async fn overwrites_name_members(
    tx: &Tx,
    community: CommunityId,
    users: &[UserId],
) -> Result<bool> {
    NAMES_MEMBERS.bind(&community).bind(&users).scalar(tx).await
}

const PURGE_CHANNELS: Sql = Sql::new(
    "communities.purge_channels",
    "DELETE FROM communities.channels
     WHERE id IN (
       SELECT id FROM communities.channels WHERE deleted_at < $1 ORDER BY deleted_at LIMIT $2)",
);

/// Removes the rows of channels deleted before `before`; by index channels_deleted.
pub(crate) async fn purge_channels(
    source: impl Source,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    PURGE_CHANNELS
        .bind(&before)
        .bind(&limit)
        .execute(source)
        .await
}

/// A member an overwrite speaks of, with the roles.
#[derive(FromRow)]
pub(crate) struct NamedRow {
    pub(crate) user_id: UserId,
    pub(crate) role_ids: Vec<RoleId>,
}
