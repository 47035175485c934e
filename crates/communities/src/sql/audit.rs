//! The audit log.

use db::{FromRow, Result, Source, Sql, Tx};
use kernel::{AnyId, CommunityId, UserId};
use serde_json::Value;

pub(crate) const ALL: &[&Sql] = &[&INSERT, &LIST_BEFORE, &LIST_AFTER];

/// A line of the audit log.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct AuditRow {
    pub(crate) id: AnyId,
    pub(crate) actor_id: UserId,
    pub(crate) action: i16,
    pub(crate) target_id: Option<AnyId>,
    pub(crate) changes: Option<Value>,
    pub(crate) options: Option<Value>,
    pub(crate) reason: Option<String>,
}

const INSERT: Sql = Sql::new(
    "communities.insert_audit_entry",
    "INSERT INTO communities.audit_entries
       (community_id, id, actor_id, action, target_id, changes, options, reason)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);

pub(crate) async fn insert(tx: &Tx, community: CommunityId, row: &AuditRow) -> Result<()> {
    INSERT
        .bind(&community)
        .bind(&row.id)
        .bind(&row.actor_id)
        .bind(&row.action)
        .bind(&row.target_id)
        .bind(&row.changes)
        .bind(&row.options)
        .bind(&row.reason)
        .execute(tx)
        .await
        .map(drop)
}

/// Which entries are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) actor: Option<UserId>,
    pub(crate) action: Option<i16>,
    pub(crate) limit: i64,
}

const LIST_BEFORE: Sql = Sql::new(
    "communities.list_audit_entries_before",
    "SELECT id, actor_id, action, target_id, changes, options, reason
       FROM communities.audit_entries
      WHERE community_id = $1
        AND id < $2
        AND ($3::bigint IS NULL OR actor_id = $3)
        AND ($4::smallint IS NULL OR action = $4)
      ORDER BY id DESC
      LIMIT $5",
)
.returning::<AuditRow>();

/// The newest entries below an id.
pub(crate) async fn list_before(
    source: impl Source,
    community: CommunityId,
    before: AnyId,
    wanted: Wanted,
) -> Result<Vec<AuditRow>> {
    LIST_BEFORE
        .bind(&community)
        .bind(&before)
        .bind(&wanted.actor)
        .bind(&wanted.action)
        .bind(&wanted.limit)
        .all(source)
        .await
}

const LIST_AFTER: Sql = Sql::new(
    "communities.list_audit_entries_after",
    "SELECT id, actor_id, action, target_id, changes, options, reason
       FROM communities.audit_entries
      WHERE community_id = $1
        AND id > $2
        AND ($3::bigint IS NULL OR actor_id = $3)
        AND ($4::smallint IS NULL OR action = $4)
      ORDER BY id
      LIMIT $5",
)
.returning::<AuditRow>();

/// The oldest entries above an id.
pub(crate) async fn list_after(
    source: impl Source,
    community: CommunityId,
    after: AnyId,
    wanted: Wanted,
) -> Result<Vec<AuditRow>> {
    LIST_AFTER
        .bind(&community)
        .bind(&after)
        .bind(&wanted.actor)
        .bind(&wanted.action)
        .bind(&wanted.limit)
        .all(source)
        .await
}
