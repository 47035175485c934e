//! Templates of communities.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{CommunityId, UserId};
use serde_json::Value;

pub(crate) const ALL: &[&Sql] = &[
    &FIND_TEMPLATE,
    &LIST_TEMPLATES,
    &INSERT_TEMPLATE,
    &UPDATE_TEMPLATE,
    &DELETE_TEMPLATE,
    &USE_TEMPLATE,
];

/// A template.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct TemplateRow {
    pub(crate) code: String,
    pub(crate) community_id: CommunityId,
    pub(crate) creator_id: UserId,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) content: Value,
    pub(crate) uses: i32,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

const FIND_TEMPLATE: Sql = Sql::new(
    "communities.find_template",
    "SELECT t.code, t.community_id, t.creator_id, t.name, t.description, t.content, t.uses,
       t.created_at, t.updated_at
     FROM communities.templates t
     JOIN communities.communities c ON c.id = t.community_id AND c.deleted_at IS NULL
     WHERE t.code = $1",
)
.returning::<TemplateRow>();

pub(crate) async fn find_template(source: impl Source, code: &str) -> Result<Option<TemplateRow>> {
    FIND_TEMPLATE.bind(&code).optional(source).await
}

const LIST_TEMPLATES: Sql = Sql::new(
    "communities.list_templates",
    "SELECT code, community_id, creator_id, name, description, content, uses, created_at, updated_at
     FROM communities.templates
     WHERE community_id = $1
     ORDER BY created_at, code",
)
.returning::<TemplateRow>();

/// By index templates_community.
pub(crate) async fn list_templates(
    source: impl Source,
    community: CommunityId,
) -> Result<Vec<TemplateRow>> {
    LIST_TEMPLATES.bind(&community).all(source).await
}

const INSERT_TEMPLATE: Sql = Sql::new(
    "communities.insert_template",
    "INSERT INTO communities.templates
       (code, community_id, creator_id, name, description, content, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
     ON CONFLICT (code) DO NOTHING",
);

/// 0 when the code is taken.
pub(crate) async fn insert_template(tx: &Tx, row: &TemplateRow) -> Result<u64> {
    INSERT_TEMPLATE
        .bind(&row.code)
        .bind(&row.community_id)
        .bind(&row.creator_id)
        .bind(&row.name)
        .bind(&row.description)
        .bind(&row.content)
        .bind(&row.created_at)
        .execute(tx)
        .await
}

const UPDATE_TEMPLATE: Sql = Sql::new(
    "communities.update_template",
    "UPDATE communities.templates
     SET name = $3, description = $4, content = $5, updated_at = $6
     WHERE community_id = $1 AND code = $2",
);

pub(crate) async fn update_template(tx: &Tx, row: &TemplateRow) -> Result<u64> {
    UPDATE_TEMPLATE
        .bind(&row.community_id)
        .bind(&row.code)
        .bind(&row.name)
        .bind(&row.description)
        .bind(&row.content)
        .bind(&row.updated_at)
        .execute(tx)
        .await
}

const DELETE_TEMPLATE: Sql = Sql::new(
    "communities.delete_template",
    "DELETE FROM communities.templates WHERE community_id = $1 AND code = $2",
);

pub(crate) async fn delete_template(tx: &Tx, community: CommunityId, code: &str) -> Result<u64> {
    DELETE_TEMPLATE
        .bind(&community)
        .bind(&code)
        .execute(tx)
        .await
}

const USE_TEMPLATE: Sql = Sql::new(
    "communities.use_template",
    "UPDATE communities.templates SET uses = uses + 1 WHERE code = $1",
);

/// Counts one use; 0 when the template is gone.
pub(crate) async fn use_template(tx: &Tx, code: &str) -> Result<u64> {
    USE_TEMPLATE.bind(&code).execute(tx).await
}
