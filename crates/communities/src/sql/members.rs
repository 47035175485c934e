//! Members.

use db::{Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{CommunityId, RoleId, UserId};

use super::channels::NamedRow;
use crate::model::MemberRow;

pub(crate) const ALL: &[&Sql] = &[
    &OWNS_PEOPLED,
    &DELETE_EVERYWHERE,
    &FIND_MEMBER,
    &LIST_MEMBERS_OF_VIEWER,
    &LIST_MEMBERS_BY_IDS,
    &LIST_MEMBERS_AFTER,
    &LIST_MEMBERS_BY_NICK,
    &LIST_NAMED,
    &INSERT_MEMBER,
    &UPDATE_MEMBER,
    &DELETE_MEMBERS,
    &COUNT_JOINED_SINCE,
    &COUNT_INACTIVE,
    &LIST_INACTIVE,
];

const FIND_MEMBER: Sql = Sql::new(
    "communities.find_member",
    "SELECT m.community_id, m.user_id, m.nick, m.class, m.flags, m.timeout_until, m.joined_at,
       m.quarantined_roles, k.role_ids
     FROM communities.members m
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.community_id = $1 AND m.user_id = $2",
)
.returning::<MemberRow>();

pub(crate) async fn find_member(
    source: impl Source,
    community: CommunityId,
    user: UserId,
) -> Result<Option<MemberRow>> {
    FIND_MEMBER
        .bind(&community)
        .bind(&user)
        .optional(source)
        .await
}

const LIST_MEMBERS_OF_VIEWER: Sql = Sql::new(
    "communities.list_members_of_viewer",
    "SELECT m.community_id, m.user_id, m.nick, m.class, m.flags, m.timeout_until, m.joined_at,
       m.quarantined_roles, k.role_ids
     FROM communities.members m
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.user_id = $1 AND m.community_id = ANY($2)",
)
.returning::<MemberRow>();

/// The viewer's own rows in several communities.
pub(crate) async fn list_members_of_viewer(
    tx: &Tx,
    viewer: UserId,
    communities: &[CommunityId],
) -> Result<Vec<MemberRow>> {
    LIST_MEMBERS_OF_VIEWER
        .bind(&viewer)
        .bind(&communities)
        .all(tx)
        .await
}

const LIST_MEMBERS_BY_IDS: Sql = Sql::new(
    "communities.list_members_by_ids",
    "SELECT m.community_id, m.user_id, m.nick, m.class, m.flags, m.timeout_until, m.joined_at,
       m.quarantined_roles, k.role_ids
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id AND c.deleted_at IS NULL
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.community_id = $1 AND m.user_id = ANY($2)
     ORDER BY m.user_id",
)
.returning::<MemberRow>();

pub(crate) async fn list_members_by_ids(
    source: impl Source,
    community: CommunityId,
    ids: &[UserId],
) -> Result<Vec<MemberRow>> {
    LIST_MEMBERS_BY_IDS
        .bind(&community)
        .bind(&ids)
        .all(source)
        .await
}

const LIST_MEMBERS_AFTER: Sql = Sql::new(
    "communities.list_members_after",
    "SELECT m.community_id, m.user_id, m.nick, m.class, m.flags, m.timeout_until, m.joined_at,
       m.quarantined_roles, k.role_ids
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id AND c.deleted_at IS NULL
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.community_id = $1 AND m.user_id > $2
     ORDER BY m.user_id
     LIMIT $3",
)
.returning::<MemberRow>();

/// By the primary key.
pub(crate) async fn list_members_after(
    source: impl Source,
    community: CommunityId,
    after: UserId,
    limit: i64,
) -> Result<Vec<MemberRow>> {
    LIST_MEMBERS_AFTER
        .bind(&community)
        .bind(&after)
        .bind(&limit)
        .all(source)
        .await
}

const LIST_MEMBERS_BY_NICK: Sql = Sql::new(
    "communities.list_members_by_nick",
    "SELECT m.community_id, m.user_id, m.nick, m.class, m.flags, m.timeout_until, m.joined_at,
       m.quarantined_roles, k.role_ids
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id AND c.deleted_at IS NULL
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.community_id = $1 AND starts_with(lower(m.nick COLLATE \"C\"), $2)
     ORDER BY m.user_id
     LIMIT $3",
)
.returning::<MemberRow>();

/// `prefix` in ASCII lower case; walks the community's part of the primary key.
pub(crate) async fn list_members_by_nick(
    source: impl Source,
    community: CommunityId,
    prefix: &str,
    limit: i64,
) -> Result<Vec<MemberRow>> {
    LIST_MEMBERS_BY_NICK
        .bind(&community)
        .bind(&prefix)
        .bind(&limit)
        .all(source)
        .await
}

const LIST_NAMED: Sql = Sql::new(
    "communities.list_named_members",
    "SELECT m.user_id, k.role_ids
     FROM (
       SELECT DISTINCT o.target_id FROM communities.channels c
       JOIN communities.overwrites o ON o.channel_id = c.id
       WHERE c.community_id = $1 AND o.target_kind = 1) named
     JOIN communities.members m ON m.community_id = $1 AND m.user_id = named.target_id
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     ORDER BY m.user_id",
)
.returning::<NamedRow>();

/// Members whom an overwrite names.
pub(crate) async fn list_named_members(tx: &Tx, community: CommunityId) -> Result<Vec<NamedRow>> {
    LIST_NAMED.bind(&community).all(tx).await
}

const INSERT_MEMBER: Sql = Sql::new(
    "communities.insert_member",
    "INSERT INTO communities.members (community_id, user_id, class, joined_at)
     VALUES ($1, $2, $3, $4)",
);

pub(crate) async fn insert_member(tx: &Tx, row: &MemberRow) -> Result<()> {
    INSERT_MEMBER
        .bind(&row.community_id)
        .bind(&row.user_id)
        .bind(&row.class)
        .bind(&row.joined_at)
        .execute(tx)
        .await
        .map(drop)
}

const UPDATE_MEMBER: Sql = Sql::new(
    "communities.update_member",
    "UPDATE communities.members
     SET nick = $3, class = $4, timeout_until = $5, quarantined_roles = $6
     WHERE community_id = $1 AND user_id = $2",
);

pub(crate) async fn update_member(tx: &Tx, row: &MemberRow) -> Result<u64> {
    UPDATE_MEMBER
        .bind(&row.community_id)
        .bind(&row.user_id)
        .bind(&row.nick)
        .bind(&row.class)
        .bind(&row.timeout_until)
        .bind(&row.quarantined_roles)
        .execute(tx)
        .await
}

const DELETE_MEMBERS: Sql = Sql::new(
    "communities.delete_members",
    "DELETE FROM communities.members WHERE community_id = $1 AND user_id = ANY($2)",
);

pub(crate) async fn delete_members(
    tx: &Tx,
    community: CommunityId,
    users: &[UserId],
) -> Result<u64> {
    DELETE_MEMBERS
        .bind(&community)
        .bind(&users)
        .execute(tx)
        .await
}

const COUNT_JOINED_SINCE: Sql = Sql::new(
    "communities.count_joined_since",
    "SELECT count(*)
     FROM (
       SELECT FROM communities.members
       WHERE community_id = $1 AND joined_at > $2
       LIMIT $3) lately",
);

/// At most `most`; by index members_joined.
pub(crate) async fn count_joined_since(
    tx: &Tx,
    community: CommunityId,
    since: Timestamp,
    most: i64,
) -> Result<i64> {
    COUNT_JOINED_SINCE
        .bind(&community)
        .bind(&since)
        .bind(&most)
        .scalar(tx)
        .await
}

/// Members who neither joined nor wrote since a moment and have no roles but these.
#[derive(Clone, Copy)]
pub(crate) struct Inactive<'a> {
    pub(crate) community: CommunityId,
    pub(crate) since: Timestamp,
    pub(crate) roles: &'a [RoleId],
    /// Never this one, nor the owner.
    pub(crate) but: UserId,
}

const COUNT_INACTIVE: Sql = Sql::new(
    "communities.count_inactive",
    "SELECT count(*)
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.community_id = $1
       AND greatest(m.joined_at, m.wrote_at) < $2
       AND k.role_ids <@ $3
       AND m.user_id <> $4 AND m.user_id <> c.owner_id",
);

/// Walks the community's part of the primary key.
pub(crate) async fn count_inactive(source: impl Source, wanted: Inactive<'_>) -> Result<i64> {
    COUNT_INACTIVE
        .bind(&wanted.community)
        .bind(&wanted.since)
        .bind(&wanted.roles)
        .bind(&wanted.but)
        .scalar(source)
        .await
}

const LIST_INACTIVE: Sql = Sql::new(
    "communities.list_inactive",
    "SELECT m.community_id, m.user_id, m.nick, m.class, m.flags, m.timeout_until, m.joined_at,
       m.quarantined_roles, k.role_ids
     FROM communities.members m
     JOIN communities.communities c ON c.id = m.community_id
     JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
     WHERE m.community_id = $1
       AND greatest(m.joined_at, m.wrote_at) < $2
       AND k.role_ids <@ $3
       AND m.user_id <> $4 AND m.user_id <> c.owner_id
     ORDER BY m.user_id
     LIMIT $5",
)
.returning::<MemberRow>();

/// By user id.
pub(crate) async fn list_inactive(
    source: impl Source,
    wanted: Inactive<'_>,
    limit: i64,
) -> Result<Vec<MemberRow>> {
    LIST_INACTIVE
        .bind(&wanted.community)
        .bind(&wanted.since)
        .bind(&wanted.roles)
        .bind(&wanted.but)
        .bind(&limit)
        .all(source)
        .await
}

// By the index on user_id.
const OWNS_PEOPLED: Sql = Sql::new(
    "communities.owns_peopled_community",
    "SELECT EXISTS (SELECT 1
                      FROM communities.members m
                      JOIN communities.communities c ON c.id = m.community_id
                     WHERE m.user_id = $1
                       AND c.owner_id = $1
                       AND c.deleted_at IS NULL
                       AND c.member_count > 1)",
);

/// Whether a user owns a community in which there are others.
pub(crate) async fn owns_peopled_community(db: &db::Db, user: UserId) -> Result<bool> {
    OWNS_PEOPLED.bind(&user).scalar(db).await
}

// By the index on user_id. Sockets that follow a community see by its `rev` that something changed.
const DELETE_EVERYWHERE: Sql = Sql::new(
    "communities.delete_member_everywhere",
    "WITH gone AS (
       DELETE FROM communities.members
        WHERE user_id = $1
       RETURNING community_id)
     UPDATE communities.communities c
        SET member_count = greatest(c.member_count - 1, 0), rev = c.rev + 1
       FROM gone g
      WHERE c.id = g.community_id",
);

/// Takes a user out of every community.
pub(crate) async fn delete_everywhere(tx: &Tx, user: UserId) -> Result<u64> {
    DELETE_EVERYWHERE.bind(&user).execute(tx).await
}
