//! Every statement of the context.

use db::{Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ApplicationId, CommunityId, UserId};

use crate::model::ApplicationRow;

/// All statements, for the test that prepares each.
pub(crate) const ALL: &[&Sql] = &[
    &INSERT_APPLICATION,
    &FIND_APPLICATION,
    &FIND_OWN_APPLICATION,
    &LIST_APPLICATIONS,
    &UPDATE_APPLICATION,
    &DELETE_APPLICATION,
    &RAISE_OWNED,
    &LOWER_OWNED,
    &COUNT_OWNED,
    &PUT_TOKEN,
    &DELETE_TOKEN,
    &FIND_BY_TOKEN,
    &PUT_INSTALL,
    &FIND_INSTALL,
    &LIST_INSTALLS,
    &DELETE_INSTALL,
];

const INSERT_APPLICATION: Sql = Sql::new(
    "applications.insert_application",
    "INSERT INTO applications.applications
            (id, owner_id, name, description, public_key, private_key_enc, key_id, granted_intents, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

const FIND_APPLICATION: Sql = Sql::new(
    "applications.find_application",
    "SELECT id, owner_id, name, description, icon, public_key, granted_intents
       FROM applications.applications
      WHERE id = $1 AND deleted_at IS NULL",
)
.returning::<ApplicationRow>();

const FIND_OWN_APPLICATION: Sql = Sql::new(
    "applications.find_own_application",
    "SELECT id, owner_id, name, description, icon, public_key, granted_intents
       FROM applications.applications
      WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL",
)
.returning::<ApplicationRow>();

const LIST_APPLICATIONS: Sql = Sql::new(
    "applications.list_applications",
    // Index (owner_id, id); bounded by the limit of applications per owner.
    "SELECT id, owner_id, name, description, icon, public_key, granted_intents
       FROM applications.applications
      WHERE owner_id = $1 AND deleted_at IS NULL
      ORDER BY id
      LIMIT 1000",
)
.returning::<ApplicationRow>();

const UPDATE_APPLICATION: Sql = Sql::new(
    "applications.update_application",
    "UPDATE applications.applications
        SET name = coalesce($3, name),
            description = coalesce($4, description),
            granted_intents = coalesce($5, granted_intents),
            version = version + 1
      WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL
  RETURNING id, owner_id, name, description, icon, public_key, granted_intents",
)
.returning::<ApplicationRow>();

const DELETE_APPLICATION: Sql = Sql::new(
    "applications.delete_application",
    "UPDATE applications.applications
        SET deleted_at = $3, version = version + 1
      WHERE owner_id = $1 AND id = $2 AND deleted_at IS NULL",
);

const RAISE_OWNED: Sql = Sql::new(
    "applications.raise_owned",
    // Check and act in one: two at once cannot pass the limit.
    "INSERT INTO applications.owners AS o (owner_id, applications)
     VALUES ($1, 1)
         ON CONFLICT (owner_id) DO UPDATE
        SET applications = o.applications + 1
      WHERE o.applications < $2",
);

const LOWER_OWNED: Sql = Sql::new(
    "applications.lower_owned",
    "UPDATE applications.owners
        SET applications = applications - 1
      WHERE owner_id = $1",
);

const COUNT_OWNED: Sql = Sql::new(
    "applications.count_owned",
    "SELECT applications
       FROM applications.owners
      WHERE owner_id = $1",
);

const PUT_TOKEN: Sql = Sql::new(
    "applications.put_token",
    "INSERT INTO applications.bot_tokens (token_hash, application_id, created_at)
     VALUES ($1, $2, $3)
         ON CONFLICT (application_id) DO UPDATE
        SET token_hash = excluded.token_hash, created_at = excluded.created_at",
);

const DELETE_TOKEN: Sql = Sql::new(
    "applications.delete_token",
    "DELETE FROM applications.bot_tokens
      WHERE application_id = $1",
);

const FIND_BY_TOKEN: Sql = Sql::new(
    "applications.find_by_token",
    "SELECT a.id, a.owner_id, a.name, a.description, a.icon, a.public_key, a.granted_intents
       FROM applications.bot_tokens t
       JOIN applications.applications a ON a.id = t.application_id
      WHERE t.token_hash = $1 AND a.deleted_at IS NULL",
)
.returning::<ApplicationRow>();

const PUT_INSTALL: Sql = Sql::new(
    "applications.put_install",
    "INSERT INTO applications.installs (application_id, community_id, installed_by, permissions, installed_at)
     VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (application_id, community_id) DO UPDATE
        SET installed_by = excluded.installed_by,
            permissions = excluded.permissions,
            installed_at = excluded.installed_at",
);

const FIND_INSTALL: Sql = Sql::new(
    "applications.find_install",
    "SELECT permissions, installed_at
       FROM applications.installs
      WHERE application_id = $1 AND community_id = $2",
)
.returning::<InstallRow>();

const LIST_INSTALLS: Sql = Sql::new(
    "applications.list_installs",
    // Primary key.
    "SELECT community_id
       FROM applications.installs
      WHERE application_id = $1
      ORDER BY community_id",
);

const DELETE_INSTALL: Sql = Sql::new(
    "applications.delete_install",
    "DELETE FROM applications.installs
      WHERE application_id = $1 AND community_id = $2",
);

/// A stored install.
#[derive(Debug, Clone, db::FromRow)]
pub(crate) struct InstallRow {
    pub(crate) permissions: i64,
    pub(crate) installed_at: Timestamp,
}

/// Keys of a new application.
pub(crate) struct Keys<'a> {
    pub(crate) public: &'a [u8; 32],
    pub(crate) sealed: &'a [u8],
    pub(crate) key_id: &'a str,
}

pub(crate) async fn insert_application(
    tx: &Tx,
    owner: UserId,
    id: ApplicationId,
    (name, description): (&str, &str),
    keys: Keys<'_>,
    granted: i64,
    at: Timestamp,
) -> Result<()> {
    let public = keys.public.as_slice();
    INSERT_APPLICATION
        .bind(&id)
        .bind(&owner)
        .bind(&name)
        .bind(&description)
        .bind(&public)
        .bind(&keys.sealed)
        .bind(&keys.key_id)
        .bind(&granted)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

/// An application of anybody, for installing it.
pub(crate) async fn find_application(
    source: impl Source,
    id: ApplicationId,
) -> Result<Option<ApplicationRow>> {
    FIND_APPLICATION.bind(&id).optional(source).await
}

pub(crate) async fn find_own_application(
    source: impl Source,
    owner: UserId,
    id: ApplicationId,
) -> Result<Option<ApplicationRow>> {
    FIND_OWN_APPLICATION
        .bind(&owner)
        .bind(&id)
        .optional(source)
        .await
}

pub(crate) async fn list_applications(
    source: impl Source,
    owner: UserId,
) -> Result<Vec<ApplicationRow>> {
    LIST_APPLICATIONS.bind(&owner).all(source).await
}

pub(crate) async fn update_application(
    tx: &Tx,
    owner: UserId,
    id: ApplicationId,
    name: Option<&str>,
    description: Option<&str>,
    granted: Option<i64>,
) -> Result<Option<ApplicationRow>> {
    UPDATE_APPLICATION
        .bind(&owner)
        .bind(&id)
        .bind(&name)
        .bind(&description)
        .bind(&granted)
        .optional(tx)
        .await
}

/// False: there was none to delete.
pub(crate) async fn delete_application(
    tx: &Tx,
    owner: UserId,
    id: ApplicationId,
    at: Timestamp,
) -> Result<bool> {
    let deleted = DELETE_APPLICATION
        .bind(&owner)
        .bind(&id)
        .bind(&at)
        .execute(tx)
        .await?;
    Ok(deleted == 1)
}

/// False: the owner has `limit` already.
pub(crate) async fn raise_owned(tx: &Tx, owner: UserId, limit: i32) -> Result<bool> {
    Ok(RAISE_OWNED.bind(&owner).bind(&limit).execute(tx).await? == 1)
}

pub(crate) async fn lower_owned(tx: &Tx, owner: UserId) -> Result<()> {
    LOWER_OWNED.bind(&owner).execute(tx).await.map(drop)
}

pub(crate) async fn count_owned(source: impl Source, owner: UserId) -> Result<i32> {
    Ok(COUNT_OWNED
        .bind(&owner)
        .optional_scalar(source)
        .await?
        .unwrap_or(0))
}

pub(crate) async fn put_token(
    tx: &Tx,
    id: ApplicationId,
    hash: &[u8; 32],
    at: Timestamp,
) -> Result<()> {
    let hash = hash.as_slice();
    PUT_TOKEN
        .bind(&hash)
        .bind(&id)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

pub(crate) async fn delete_token(tx: &Tx, id: ApplicationId) -> Result<()> {
    DELETE_TOKEN.bind(&id).execute(tx).await.map(drop)
}

pub(crate) async fn find_by_token(
    source: impl Source,
    hash: &[u8; 32],
) -> Result<Option<ApplicationRow>> {
    let hash = hash.as_slice();
    FIND_BY_TOKEN.bind(&hash).optional(source).await
}

pub(crate) async fn put_install(
    tx: &Tx,
    id: ApplicationId,
    community: CommunityId,
    by: UserId,
    permissions: i64,
    at: Timestamp,
) -> Result<()> {
    PUT_INSTALL
        .bind(&id)
        .bind(&community)
        .bind(&by)
        .bind(&permissions)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

pub(crate) async fn find_install(
    source: impl Source,
    id: ApplicationId,
    community: CommunityId,
) -> Result<Option<InstallRow>> {
    FIND_INSTALL
        .bind(&id)
        .bind(&community)
        .optional(source)
        .await
}

pub(crate) async fn list_installs(
    source: impl Source,
    id: ApplicationId,
) -> Result<Vec<CommunityId>> {
    LIST_INSTALLS.bind(&id).scalars(source).await
}

pub(crate) async fn delete_install(
    tx: &Tx,
    id: ApplicationId,
    community: CommunityId,
) -> Result<bool> {
    Ok(DELETE_INSTALL
        .bind(&id)
        .bind(&community)
        .execute(tx)
        .await?
        == 1)
}
