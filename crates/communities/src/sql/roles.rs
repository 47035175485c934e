//! Roles, and the classes of members that have the same roles.

use db::{FromRow, Result, Source, Sql, Tx};
use kernel::{CommunityId, RoleId};
use serde_json::json;

use crate::model::RoleRow;

pub(crate) const ALL: &[&Sql] = &[
    &LIST_ROLES,
    &INSERT_ROLE,
    &UPDATE_ROLE,
    &MOVE_ROLES,
    &DELETE_ROLE,
    &LIST_CLASSES,
    &FIND_CLASS,
    &INSERT_CLASS,
    &DELETE_EMPTY_CLASSES,
    &COUNT_MEMBERS,
    &MERGE_MEMBERS,
    &DELETE_MERGED_CLASSES,
    &SHRINK_CLASSES,
];

const LIST_ROLES: Sql = Sql::new(
    "communities.list_roles",
    "SELECT id, community_id, name, position, colour, flags, chat, trade,
       (rule ->> 'bot_id')::bigint AS bot_id
     FROM communities.roles
     WHERE community_id = ANY($1)
     ORDER BY community_id, position, id",
)
.returning::<RoleRow>();

/// By index roles_community.
pub(crate) async fn list_roles(
    source: impl Source,
    communities: &[CommunityId],
) -> Result<Vec<RoleRow>> {
    LIST_ROLES.bind(&communities).all(source).await
}

const INSERT_ROLE: Sql = Sql::new(
    "communities.insert_role",
    "INSERT INTO communities.roles (id, community_id, name, position, colour, flags, chat, trade, rule)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

pub(crate) async fn insert_role(tx: &Tx, row: &RoleRow) -> Result<()> {
    let rule = row.bot_id.map(|bot| json!({ "bot_id": bot }));
    INSERT_ROLE
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.name)
        .bind(&row.position)
        .bind(&row.colour)
        .bind(&row.flags)
        .bind(&row.chat)
        .bind(&row.trade)
        .bind(&rule)
        .execute(tx)
        .await
        .map(drop)
}

const UPDATE_ROLE: Sql = Sql::new(
    "communities.update_role",
    "UPDATE communities.roles
     SET name = $3, colour = $4, flags = $5, chat = $6, trade = $7, version = version + 1
     WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn update_role(tx: &Tx, row: &RoleRow) -> Result<u64> {
    UPDATE_ROLE
        .bind(&row.community_id)
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.colour)
        .bind(&row.flags)
        .bind(&row.chat)
        .bind(&row.trade)
        .execute(tx)
        .await
}

const MOVE_ROLES: Sql = Sql::new(
    "communities.move_roles",
    "UPDATE communities.roles r
     SET position = t.position, version = r.version + 1
     FROM unnest($2::bigint[], $3::int[]) AS t (id, position)
     WHERE r.community_id = $1 AND r.id = t.id",
);

pub(crate) async fn move_roles(
    tx: &Tx,
    community: CommunityId,
    ids: &[RoleId],
    positions: &[i32],
) -> Result<u64> {
    MOVE_ROLES
        .bind(&community)
        .bind(&ids)
        .bind(&positions)
        .execute(tx)
        .await
}

const DELETE_ROLE: Sql = Sql::new(
    "communities.delete_role",
    "DELETE FROM communities.roles WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn delete_role(tx: &Tx, community: CommunityId, id: RoleId) -> Result<u64> {
    DELETE_ROLE.bind(&community).bind(&id).execute(tx).await
}

/// A set of roles that members have.
#[derive(FromRow)]
pub(crate) struct ClassRow {
    pub(crate) id: i32,
    pub(crate) role_ids: Vec<RoleId>,
}

const LIST_CLASSES: Sql = Sql::new(
    "communities.list_classes",
    "SELECT id, role_ids FROM communities.role_classes WHERE community_id = $1 ORDER BY id",
)
.returning::<ClassRow>();

pub(crate) async fn list_classes(tx: &Tx, community: CommunityId) -> Result<Vec<ClassRow>> {
    LIST_CLASSES.bind(&community).all(tx).await
}

const FIND_CLASS: Sql = Sql::new(
    "communities.find_class",
    "SELECT id FROM communities.role_classes WHERE community_id = $1 AND role_ids = $2",
);

/// `roles` ascending.
pub(crate) async fn find_class(
    tx: &Tx,
    community: CommunityId,
    roles: &[RoleId],
) -> Result<Option<i32>> {
    FIND_CLASS
        .bind(&community)
        .bind(&roles)
        .optional_scalar(tx)
        .await
}

const INSERT_CLASS: Sql = Sql::new(
    "communities.insert_class",
    "INSERT INTO communities.role_classes (community_id, id, role_ids) VALUES ($1, $2, $3)",
);

/// `roles` ascending.
pub(crate) async fn insert_class(
    tx: &Tx,
    community: CommunityId,
    id: i32,
    roles: &[RoleId],
) -> Result<()> {
    INSERT_CLASS
        .bind(&community)
        .bind(&id)
        .bind(&roles)
        .execute(tx)
        .await
        .map(drop)
}

const DELETE_EMPTY_CLASSES: Sql = Sql::new(
    "communities.delete_empty_classes",
    "DELETE FROM communities.role_classes k
     WHERE k.community_id = $1 AND k.id = ANY($2) AND k.id <> 0
       AND NOT EXISTS (
         SELECT FROM communities.members m WHERE m.community_id = $1 AND m.class = k.id)",
);

/// Drops those of these classes that nobody has any more; by index members_class.
pub(crate) async fn delete_empty_classes(
    tx: &Tx,
    community: CommunityId,
    ids: &[i32],
) -> Result<u64> {
    DELETE_EMPTY_CLASSES
        .bind(&community)
        .bind(&ids)
        .execute(tx)
        .await
}

/// How many members have a role.
#[derive(FromRow)]
pub(crate) struct CountRow {
    pub(crate) role_id: RoleId,
    pub(crate) members: i64,
}

const COUNT_MEMBERS: Sql = Sql::new(
    "communities.count_members_by_role",
    "SELECT r.id AS role_id, coalesce(sum(held.members), 0)::bigint AS members
     FROM communities.roles r
     LEFT JOIN (
       SELECT unnest(k.role_ids) AS role_id, count(*) AS members
       FROM communities.members m
       JOIN communities.role_classes k ON k.community_id = m.community_id AND k.id = m.class
       WHERE m.community_id = $1
       GROUP BY 1) held ON held.role_id = r.id
     WHERE r.community_id = $1 AND r.id <> $1
     GROUP BY r.id
     ORDER BY r.id",
)
.returning::<CountRow>();

/// Of every role but everyone's; by index members_class.
pub(crate) async fn count_members_by_role(
    source: impl Source,
    community: CommunityId,
) -> Result<Vec<CountRow>> {
    COUNT_MEMBERS.bind(&community).all(source).await
}

/// A member who came into another class.
#[derive(FromRow)]
pub(crate) struct MovedRow {
    pub(crate) user_id: kernel::UserId,
    pub(crate) class: i32,
}

const MERGE_MEMBERS: Sql = Sql::new(
    "communities.merge_members_without_role",
    "UPDATE communities.members m
     SET class = t.id
     FROM communities.role_classes k
     JOIN communities.role_classes t
       ON t.community_id = k.community_id AND t.role_ids = array_remove(k.role_ids, $2)
     WHERE k.community_id = $1 AND $2 = ANY(k.role_ids)
       AND m.community_id = $1 AND m.class = k.id
     RETURNING m.user_id, m.class",
)
.returning::<MovedRow>();

/// When a role goes: members of a class that would equal another one come into that.
pub(crate) async fn merge_members_without_role(
    tx: &Tx,
    community: CommunityId,
    role: RoleId,
) -> Result<Vec<MovedRow>> {
    MERGE_MEMBERS.bind(&community).bind(&role).all(tx).await
}

const DELETE_MERGED_CLASSES: Sql = Sql::new(
    "communities.delete_merged_classes",
    "DELETE FROM communities.role_classes k
     WHERE k.community_id = $1 AND $2 = ANY(k.role_ids)
       AND EXISTS (
         SELECT FROM communities.role_classes t
         WHERE t.community_id = $1 AND t.role_ids = array_remove(k.role_ids, $2))",
);

/// Second step: the classes that were emptied by the first.
pub(crate) async fn delete_merged_classes(
    tx: &Tx,
    community: CommunityId,
    role: RoleId,
) -> Result<u64> {
    DELETE_MERGED_CLASSES
        .bind(&community)
        .bind(&role)
        .execute(tx)
        .await
}

const SHRINK_CLASSES: Sql = Sql::new(
    "communities.shrink_classes",
    "UPDATE communities.role_classes
     SET role_ids = array_remove(role_ids, $2)
     WHERE community_id = $1 AND $2 = ANY(role_ids)",
);

/// Third step: all others lose the role in place.
pub(crate) async fn shrink_classes(tx: &Tx, community: CommunityId, role: RoleId) -> Result<u64> {
    SHRINK_CLASSES
        .bind(&community)
        .bind(&role)
        .execute(tx)
        .await
}
