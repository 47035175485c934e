//! Statements of applications, their tokens and where they are installed.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ApplicationId, CommunityId, UserId};

use crate::model::{ApplicationRow, InstallRow};

pub(crate) const ALL: &[&Sql] = &[
    &LOCK_OWNER,
    &COUNT_APPLICATIONS,
    &INSERT_APPLICATION,
    &FIND_APPLICATION,
    &LOCK_APPLICATION,
    &LIST_APPLICATIONS,
    &UPDATE_APPLICATION,
    &DELETE_APPLICATION,
    &LIST_DELETED,
    &RETIRE_APPLICATION,
    &FIND_SIGNING_KEY,
    &PUT_TOKEN,
    &DELETE_TOKEN,
    &RESOLVE_TOKEN,
    &PUT_INSTALL,
    &FIND_INSTALL,
    &LIST_INSTALLS,
    &DELETE_INSTALL,
    &DELETE_INSTALLS_OF_COMMUNITY,
];

const LOCK_OWNER: Sql = Sql::new(
    "applications.lock_owner",
    "SELECT pg_advisory_xact_lock(hashtextextended('applications.owner:' || $1::bigint::text, 0))",
);

/// Makes two creations of one owner wait for each other, so that the limit holds exactly.
pub(crate) async fn lock_owner(tx: &Tx, owner: UserId) -> Result<()> {
    LOCK_OWNER.bind(&owner).execute(tx).await.map(drop)
}

const COUNT_APPLICATIONS: Sql = Sql::new(
    "applications.count_applications",
    "SELECT count(*) FROM applications.applications WHERE owner_id = $1 AND deleted_at IS NULL",
);

pub(crate) async fn count_applications(source: impl Source, owner: UserId) -> Result<i64> {
    COUNT_APPLICATIONS.bind(&owner).scalar(source).await
}

const INSERT_APPLICATION: Sql = Sql::new(
    "applications.insert_application",
    "INSERT INTO applications.applications
       (id, owner_id, name, description, intents, verify_key, signing_key_enc, signing_kek, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

/// The parts of a row nobody reads back as they are.
pub(crate) struct Wrapped<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) kek: &'a str,
    pub(crate) at: Timestamp,
}

pub(crate) async fn insert_application(
    tx: &Tx,
    row: &ApplicationRow,
    wrapped: Wrapped<'_>,
) -> Result<()> {
    INSERT_APPLICATION
        .bind(&row.id)
        .bind(&row.owner_id)
        .bind(&row.name)
        .bind(&row.description)
        .bind(&row.intents)
        .bind(&row.verify_key)
        .bind(&wrapped.key)
        .bind(&wrapped.kek)
        .bind(&wrapped.at)
        .execute(tx)
        .await
        .map(drop)
}

const FIND_APPLICATION: Sql = Sql::new(
    "applications.find_application",
    "SELECT a.id, a.owner_id, a.name, a.icon, a.description, a.bot_public, a.require_code_grant,
       a.intents, a.verify_key,
       (SELECT count(*) FROM applications.installs i WHERE i.application_id = a.id) AS communities
     FROM applications.applications a
     WHERE a.id = $1 AND a.deleted_at IS NULL",
)
.returning::<ApplicationRow>();

pub(crate) async fn find_application(
    source: impl Source,
    id: ApplicationId,
) -> Result<Option<ApplicationRow>> {
    FIND_APPLICATION.bind(&id).optional(source).await
}

const LOCK_APPLICATION: Sql = Sql::new(
    "applications.lock_application",
    "SELECT id
     FROM applications.applications
     WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL
     FOR NO KEY UPDATE",
);

/// False when there is none or it is somebody else's. Two changes of one application wait here.
pub(crate) async fn lock_application(tx: &Tx, owner: UserId, id: ApplicationId) -> Result<bool> {
    let found: Option<ApplicationId> = LOCK_APPLICATION
        .bind(&id)
        .bind(&owner)
        .optional_scalar(tx)
        .await?;
    Ok(found.is_some())
}

const LIST_APPLICATIONS: Sql = Sql::new(
    "applications.list_applications",
    "SELECT a.id, a.owner_id, a.name, a.icon, a.description, a.bot_public, a.require_code_grant,
       a.intents, a.verify_key,
       (SELECT count(*) FROM applications.installs i WHERE i.application_id = a.id) AS communities
     FROM applications.applications a
     WHERE a.owner_id = $1 AND a.deleted_at IS NULL
     ORDER BY a.id
     LIMIT $2",
)
.returning::<ApplicationRow>();

/// By index applications_owner.
pub(crate) async fn list_applications(
    source: impl Source,
    owner: UserId,
    limit: i64,
) -> Result<Vec<ApplicationRow>> {
    LIST_APPLICATIONS
        .bind(&owner)
        .bind(&limit)
        .all(source)
        .await
}

const UPDATE_APPLICATION: Sql = Sql::new(
    "applications.update_application",
    "UPDATE applications.applications
     SET name = $3, description = $4, bot_public = $5, require_code_grant = $6, intents = $7,
       version = version + 1
     WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL",
);

pub(crate) async fn update_application(tx: &Tx, row: &ApplicationRow) -> Result<u64> {
    UPDATE_APPLICATION
        .bind(&row.id)
        .bind(&row.owner_id)
        .bind(&row.name)
        .bind(&row.description)
        .bind(&row.bot_public)
        .bind(&row.require_code_grant)
        .bind(&row.intents)
        .execute(tx)
        .await
}

const DELETE_APPLICATION: Sql = Sql::new(
    "applications.delete_application",
    "UPDATE applications.applications
     SET deleted_at = $3, version = version + 1
     WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL",
);

pub(crate) async fn delete_application(
    tx: &Tx,
    owner: UserId,
    id: ApplicationId,
    at: Timestamp,
) -> Result<u64> {
    DELETE_APPLICATION
        .bind(&id)
        .bind(&owner)
        .bind(&at)
        .execute(tx)
        .await
}

const LIST_DELETED: Sql = Sql::new(
    "applications.list_deleted_applications",
    "SELECT id
     FROM applications.applications
     WHERE deleted_at IS NOT NULL AND retired_at IS NULL
     ORDER BY deleted_at
     LIMIT $1",
);

/// Deleted ones whose bot is not out everywhere yet; by index applications_deleted.
pub(crate) async fn list_deleted_applications(
    source: impl Source,
    limit: i64,
) -> Result<Vec<ApplicationId>> {
    LIST_DELETED.bind(&limit).scalars(source).await
}

const RETIRE_APPLICATION: Sql = Sql::new(
    "applications.retire_application",
    "UPDATE applications.applications SET retired_at = $2 WHERE id = $1",
);

pub(crate) async fn retire_application(
    source: impl Source,
    id: ApplicationId,
    at: Timestamp,
) -> Result<u64> {
    RETIRE_APPLICATION.bind(&id).bind(&at).execute(source).await
}

/// A wrapped signing key.
#[derive(FromRow)]
pub(crate) struct SigningKeyRow {
    pub(crate) signing_key_enc: Vec<u8>,
    pub(crate) signing_kek: String,
}

const FIND_SIGNING_KEY: Sql = Sql::new(
    "applications.find_signing_key",
    "SELECT signing_key_enc, signing_kek
     FROM applications.applications
     WHERE id = $1 AND deleted_at IS NULL",
)
.returning::<SigningKeyRow>();

pub(crate) async fn find_signing_key(
    source: impl Source,
    id: ApplicationId,
) -> Result<Option<SigningKeyRow>> {
    FIND_SIGNING_KEY.bind(&id).optional(source).await
}

const PUT_TOKEN: Sql = Sql::new(
    "applications.put_token",
    "INSERT INTO applications.bot_tokens (application_id, token_sha256, created_at)
     VALUES ($1, $2, $3)
     ON CONFLICT (application_id)
     DO UPDATE SET token_sha256 = excluded.token_sha256, created_at = excluded.created_at",
);

/// The application's only token; the one before is void.
pub(crate) async fn put_token(
    tx: &Tx,
    id: ApplicationId,
    sha256: &[u8],
    at: Timestamp,
) -> Result<()> {
    PUT_TOKEN
        .bind(&id)
        .bind(&sha256)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

const DELETE_TOKEN: Sql = Sql::new(
    "applications.delete_token",
    "DELETE FROM applications.bot_tokens WHERE application_id = $1",
);

pub(crate) async fn delete_token(tx: &Tx, id: ApplicationId) -> Result<u64> {
    DELETE_TOKEN.bind(&id).execute(tx).await
}

/// Whom a token stands for.
#[derive(FromRow)]
pub(crate) struct IdentityRow {
    pub(crate) id: ApplicationId,
    pub(crate) intents: i64,
}

const RESOLVE_TOKEN: Sql = Sql::new(
    "applications.resolve_token",
    "SELECT a.id, a.intents
     FROM applications.bot_tokens t
     JOIN applications.applications a ON a.id = t.application_id
     WHERE t.token_sha256 = $1 AND a.deleted_at IS NULL",
)
.returning::<IdentityRow>();

/// By the unique key of token_sha256.
pub(crate) async fn resolve_token(
    source: impl Source,
    sha256: &[u8],
) -> Result<Option<IdentityRow>> {
    RESOLVE_TOKEN.bind(&sha256).optional(source).await
}

const PUT_INSTALL: Sql = Sql::new(
    "applications.put_install",
    "INSERT INTO applications.installs AS i
       (application_id, community_id, permissions, installer_id, installed_at)
     SELECT a.id, $2, $3, $4, $5
     FROM applications.applications a
     WHERE a.id = $1 AND a.deleted_at IS NULL
     FOR SHARE OF a
     ON CONFLICT (application_id, community_id) DO UPDATE SET permissions = excluded.permissions
     RETURNING i.application_id, i.community_id, i.permissions, i.installer_id, i.installed_at",
)
.returning::<InstallRow>();

/// None when the application was deleted meanwhile. The share lock makes a deletion wait, so that it
/// sees this install.
pub(crate) async fn put_install(tx: &Tx, row: &InstallRow) -> Result<Option<InstallRow>> {
    PUT_INSTALL
        .bind(&row.application_id)
        .bind(&row.community_id)
        .bind(&row.permissions)
        .bind(&row.installer_id)
        .bind(&row.installed_at)
        .optional(tx)
        .await
}

const FIND_INSTALL: Sql = Sql::new(
    "applications.find_install",
    "SELECT application_id, community_id, permissions, installer_id, installed_at
     FROM applications.installs
     WHERE application_id = $1 AND community_id = $2",
)
.returning::<InstallRow>();

pub(crate) async fn find_install(
    source: impl Source,
    application: ApplicationId,
    community: CommunityId,
) -> Result<Option<InstallRow>> {
    FIND_INSTALL
        .bind(&application)
        .bind(&community)
        .optional(source)
        .await
}

const LIST_INSTALLS: Sql = Sql::new(
    "applications.list_installs",
    "SELECT community_id
     FROM applications.installs
     WHERE application_id = $1
     ORDER BY community_id
     LIMIT $2",
);

/// By the primary key.
pub(crate) async fn list_installs(
    source: impl Source,
    application: ApplicationId,
    limit: i64,
) -> Result<Vec<CommunityId>> {
    LIST_INSTALLS
        .bind(&application)
        .bind(&limit)
        .scalars(source)
        .await
}

const DELETE_INSTALL: Sql = Sql::new(
    "applications.delete_install",
    "DELETE FROM applications.installs WHERE application_id = $1 AND community_id = $2",
);

pub(crate) async fn delete_install(
    source: impl Source,
    application: ApplicationId,
    community: CommunityId,
) -> Result<u64> {
    DELETE_INSTALL
        .bind(&application)
        .bind(&community)
        .execute(source)
        .await
}

const DELETE_INSTALLS_OF_COMMUNITY: Sql = Sql::new(
    "applications.delete_installs_of_community",
    "DELETE FROM applications.installs WHERE community_id = $1",
);

/// By index installs_community.
pub(crate) async fn delete_installs_of_community(tx: &Tx, community: CommunityId) -> Result<u64> {
    DELETE_INSTALLS_OF_COMMUNITY
        .bind(&community)
        .execute(tx)
        .await
}
