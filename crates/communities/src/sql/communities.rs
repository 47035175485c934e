//! Communities and who is in them.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, CommunityId, RoleId, UserId};
use serde_json::Value;

use crate::model::{CommunityRow, CommunitySettings};

pub(crate) const ALL: &[&Sql] = &[
    &LOCK_USER,
    &COUNT_MEMBERSHIPS,
    &INSERT_COMMUNITY,
    &LOCK_COMMUNITY,
    &STEP_COMMUNITY,
    &UPDATE_COMMUNITY,
    &DELETE_COMMUNITY,
    &FIND_OF_CHANNEL,
    &LIST_COMMUNITIES,
    &FIND_COMMUNITY,
    &LIST_MEMBERSHIPS,
    &LIST_OWN,
    &SHARE_COMMUNITY,
    &LIST_ACCESS,
    &READ_ONE_STATE,
];

const LOCK_USER: Sql = Sql::new(
    "communities.lock_user",
    "SELECT pg_advisory_xact_lock(hashtextextended('communities.user:' || $1::bigint::text, 0))",
);

/// Makes two joins of one user wait for each other, so that the limit of communities per user holds.
/// Taken before the lock of a community, never after it.
pub(crate) async fn lock_user(tx: &Tx, user: UserId) -> Result<()> {
    LOCK_USER.bind(&user).execute(tx).await.map(drop)
}

const COUNT_MEMBERSHIPS: Sql = Sql::new(
    "communities.count_memberships",
    "SELECT count(*)
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id
     WHERE m.user_id = $1 AND c.deleted_at IS NULL",
);

pub(crate) async fn count_memberships(tx: &Tx, user: UserId) -> Result<i64> {
    COUNT_MEMBERSHIPS.bind(&user).scalar(tx).await
}

const INSERT_COMMUNITY: Sql = Sql::new(
    "communities.insert_community",
    "WITH community AS (
       INSERT INTO communities.communities (id, owner_id, name, settings, member_count, rev, perm_epoch)
       VALUES ($1, $2, $3, $4, 1, 1, 1)
       RETURNING id, owner_id),
     class AS (
       INSERT INTO communities.role_classes (community_id, id, role_ids)
       SELECT id, 0, '{}'::bigint[] FROM community)
     INSERT INTO communities.members (community_id, user_id, joined_at)
     SELECT id, owner_id, $5 FROM community",
);

/// A new community without its roles and channels.
pub(crate) struct NewCommunityRows<'a> {
    pub(crate) id: CommunityId,
    pub(crate) owner: UserId,
    pub(crate) name: &'a str,
    pub(crate) settings: &'a CommunitySettings,
    pub(crate) at: Timestamp,
}

/// The community with class 0 and its owner.
pub(crate) async fn insert_community(tx: &Tx, new: NewCommunityRows<'_>) -> Result<()> {
    INSERT_COMMUNITY
        .bind(&new.id)
        .bind(&new.owner)
        .bind(&new.name)
        .bind(&new.settings.stored())
        .bind(&new.at)
        .execute(tx)
        .await
        .map(drop)
}

const LOCK_COMMUNITY: Sql = Sql::new(
    "communities.lock_community",
    "SELECT id, owner_id, name, icon, settings, member_count, rev, perm_epoch, next_class
     FROM communities.communities
     WHERE id = $1 AND deleted_at IS NULL
     FOR NO KEY UPDATE",
)
.returning::<CommunityRow>();

/// The lock every change of a community begins with.
pub(crate) async fn lock_community(tx: &Tx, id: CommunityId) -> Result<Option<CommunityRow>> {
    LOCK_COMMUNITY.bind(&id).optional(tx).await
}

const STEP_COMMUNITY: Sql = Sql::new(
    "communities.step_community",
    "UPDATE communities.communities
     SET rev = $2, perm_epoch = $3, member_count = $4, next_class = $5
     WHERE id = $1",
);

/// Writes the counters back; the caller holds the lock.
pub(crate) async fn step_community(tx: &Tx, row: &CommunityRow) -> Result<u64> {
    STEP_COMMUNITY
        .bind(&row.id)
        .bind(&row.rev)
        .bind(&row.perm_epoch)
        .bind(&row.member_count)
        .bind(&row.next_class)
        .execute(tx)
        .await
}

const UPDATE_COMMUNITY: Sql = Sql::new(
    "communities.update_community",
    "UPDATE communities.communities
     SET name = $2, owner_id = $3, settings = $4, icon = $5, version = version + 1
     WHERE id = $1",
);

pub(crate) async fn update_community(tx: &Tx, row: &CommunityRow) -> Result<u64> {
    UPDATE_COMMUNITY
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.owner_id)
        .bind(&row.settings)
        .bind(&row.icon)
        .execute(tx)
        .await
}

const DELETE_COMMUNITY: Sql = Sql::new(
    "communities.delete_community",
    "UPDATE communities.communities
     SET deleted_at = $2, version = version + 1
     WHERE id = $1 AND deleted_at IS NULL",
);

pub(crate) async fn delete_community(tx: &Tx, id: CommunityId, at: Timestamp) -> Result<u64> {
    DELETE_COMMUNITY.bind(&id).bind(&at).execute(tx).await
}

const FIND_OF_CHANNEL: Sql = Sql::new(
    "communities.find_community_of_channel",
    "SELECT community_id FROM communities.channels WHERE id = $1 AND deleted_at IS NULL",
);

pub(crate) async fn find_community_of_channel(
    source: impl Source,
    channel: ChannelId,
) -> Result<Option<CommunityId>> {
    FIND_OF_CHANNEL.bind(&channel).optional_scalar(source).await
}

const LIST_COMMUNITIES: Sql = Sql::new(
    "communities.list_communities_of_viewer",
    "SELECT c.id, c.owner_id, c.name, c.icon, c.settings, c.member_count, c.rev, c.perm_epoch,
       c.next_class
     FROM communities.communities c
     JOIN communities.members m ON m.community_id = c.id
     WHERE m.user_id = $1 AND c.id = ANY($2) AND c.deleted_at IS NULL
     ORDER BY c.id",
)
.returning::<CommunityRow>();

/// Those of `ids` in which `viewer` is a member; by the primary keys.
pub(crate) async fn list_communities_of_viewer(
    tx: &Tx,
    viewer: UserId,
    ids: &[CommunityId],
) -> Result<Vec<CommunityRow>> {
    LIST_COMMUNITIES.bind(&viewer).bind(&ids).all(tx).await
}

const FIND_COMMUNITY: Sql = Sql::new(
    "communities.find_community",
    "SELECT id, owner_id, name, icon, settings, member_count, rev, perm_epoch, next_class
     FROM communities.communities
     WHERE id = $1 AND deleted_at IS NULL",
)
.returning::<CommunityRow>();

pub(crate) async fn find_community(
    source: impl Source,
    id: CommunityId,
) -> Result<Option<CommunityRow>> {
    FIND_COMMUNITY.bind(&id).optional(source).await
}

/// One membership of a user.
#[derive(FromRow)]
pub(crate) struct MembershipRow {
    pub(crate) community_id: CommunityId,
    pub(crate) class: i32,
}

const LIST_MEMBERSHIPS: Sql = Sql::new(
    "communities.list_memberships",
    "SELECT m.community_id, m.class
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id
     WHERE m.user_id = $1 AND c.deleted_at IS NULL
     ORDER BY m.community_id
     LIMIT $2",
)
.returning::<MembershipRow>();

/// By index members_user.
pub(crate) async fn list_memberships(
    source: impl Source,
    user: UserId,
    limit: i64,
) -> Result<Vec<MembershipRow>> {
    LIST_MEMBERSHIPS.bind(&user).bind(&limit).all(source).await
}

/// A community in the list of a user's own, with the rights of the roles that apply.
#[derive(FromRow)]
pub(crate) struct OwnRow {
    pub(crate) id: CommunityId,
    pub(crate) name: String,
    pub(crate) icon: Option<String>,
    pub(crate) settings: Value,
    pub(crate) owner_id: UserId,
    pub(crate) chats: Vec<i64>,
}

const LIST_OWN: Sql = Sql::new(
    "communities.list_own_communities",
    "SELECT c.id, c.name, c.icon, c.settings, c.owner_id,
       ARRAY(SELECT r.chat FROM communities.roles r
         WHERE r.community_id = c.id AND (r.id = c.id OR r.id = ANY(k.role_ids))) AS chats
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.user_id = $1 AND c.deleted_at IS NULL AND c.id > $2 AND c.id < $3
     ORDER BY c.id
     LIMIT $4",
)
.returning::<OwnRow>();

/// By index members_user.
pub(crate) async fn list_own_communities(
    source: impl Source,
    user: UserId,
    after: CommunityId,
    before: CommunityId,
    limit: i64,
) -> Result<Vec<OwnRow>> {
    LIST_OWN
        .bind(&user)
        .bind(&after)
        .bind(&before)
        .bind(&limit)
        .all(source)
        .await
}

const SHARE_COMMUNITY: Sql = Sql::new(
    "communities.share_community",
    "SELECT EXISTS (
       SELECT FROM communities.members a
       JOIN communities.members b ON b.community_id = a.community_id AND b.user_id = $2
       JOIN communities.communities c ON c.id = a.community_id AND c.deleted_at IS NULL
       WHERE a.user_id = $1)",
);

pub(crate) async fn share_community(
    source: impl Source,
    one: UserId,
    other: UserId,
) -> Result<bool> {
    SHARE_COMMUNITY.bind(&one).bind(&other).scalar(source).await
}

/// All that decides a user's rights in one channel, read in one statement, hence of one moment.
#[derive(FromRow)]
pub(crate) struct AccessRow {
    pub(crate) id: ChannelId,
    pub(crate) kind: i16,
    pub(crate) community_id: CommunityId,
    pub(crate) slowmode_s: i32,
    pub(crate) owner_id: UserId,
    pub(crate) perm_epoch: i32,
    pub(crate) class: i32,
    pub(crate) nick: Option<String>,
    pub(crate) joined_at: Timestamp,
    pub(crate) timeout_until: Option<Timestamp>,
    pub(crate) quarantined: bool,
    pub(crate) role_ids: Vec<RoleId>,
    pub(crate) everyone: i64,
    pub(crate) everyone_trade: i64,
    pub(crate) role_chats: Vec<i64>,
    pub(crate) role_trades: Vec<i64>,
    pub(crate) target_kinds: Vec<i16>,
    pub(crate) target_ids: Vec<AnyId>,
    pub(crate) allows: Vec<i64>,
    pub(crate) denies: Vec<i64>,
    pub(crate) trade_allows: Vec<i64>,
    pub(crate) trade_denies: Vec<i64>,
}

const LIST_ACCESS: Sql = Sql::new(
    "communities.list_access",
    "SELECT ch.id, ch.kind, ch.community_id, ch.slowmode_s, c.owner_id, c.perm_epoch,
       m.class, m.nick, m.joined_at, m.timeout_until,
       m.quarantined_roles IS NOT NULL AS quarantined, k.role_ids, e.chat AS everyone,
       e.trade AS everyone_trade,
       ARRAY(SELECT r.chat FROM communities.roles r
         WHERE r.id = ANY(k.role_ids) ORDER BY r.id) AS role_chats,
       ARRAY(SELECT r.trade FROM communities.roles r
         WHERE r.id = ANY(k.role_ids) ORDER BY r.id) AS role_trades,
       o.target_kinds, o.target_ids, o.allows, o.denies, o.trade_allows, o.trade_denies
     FROM communities.channels ch
     JOIN communities.communities c ON c.id = ch.community_id AND c.deleted_at IS NULL
     JOIN communities.members m ON m.community_id = ch.community_id AND m.user_id = $1
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     JOIN communities.roles e ON e.id = ch.community_id
     CROSS JOIN LATERAL (
       SELECT coalesce(array_agg(w.target_kind), '{}') AS target_kinds,
         coalesce(array_agg(w.target_id), '{}') AS target_ids,
         coalesce(array_agg(w.chat_allow), '{}') AS allows,
         coalesce(array_agg(w.chat_deny), '{}') AS denies,
         coalesce(array_agg(w.trade_allow), '{}') AS trade_allows,
         coalesce(array_agg(w.trade_deny), '{}') AS trade_denies
       FROM communities.overwrites w
       WHERE w.channel_id = ch.id
         AND CASE w.target_kind WHEN 0
           THEN w.target_id = ch.community_id OR w.target_id = ANY(k.role_ids)
           ELSE w.target_id = $1 END) o
     WHERE ch.id = ANY($2) AND ch.deleted_at IS NULL",
)
.returning::<AccessRow>();

/// By the primary keys; `role_ids` is ascending, so that `role_chats` and `role_trades` stand beside it.
pub(crate) async fn list_access(
    source: impl Source,
    user: UserId,
    channels: &[ChannelId],
) -> Result<Vec<AccessRow>> {
    LIST_ACCESS.bind(&user).bind(&channels).all(source).await
}

const READ_ONE_STATE: Sql = Sql::new(
    "communities.read_one_state",
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
);

/// First in a transaction: all its reads see one state.
pub(crate) async fn read_one_state(tx: &Tx) -> Result<()> {
    READ_ONE_STATE.execute(tx).await.map(drop)
}
