//! Statements on `platform_roles` and `consents`.

use db::{Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

const LIST_ROLES: Sql = Sql::new(
    "identity.list_roles",
    "SELECT role
       FROM identity.platform_roles
      WHERE user_id = $1
      ORDER BY role",
);

/// The platform roles of a user.
pub(crate) async fn list_roles(source: impl Source, user: UserId) -> Result<Vec<String>> {
    LIST_ROLES.bind(&user).scalars(source).await
}

// By the index on role.
const HAS_ADMIN: Sql = Sql::new(
    "identity.has_admin",
    "SELECT EXISTS (SELECT 1
                      FROM identity.platform_roles r
                      JOIN identity.users u ON u.id = r.user_id
                     WHERE r.role = 'superadmin'
                       AND u.state = 'active')",
);

/// Whether anybody administers the platform.
pub(crate) async fn has_admin(source: impl Source) -> Result<bool> {
    HAS_ADMIN.scalar(source).await
}

const LOCK_ADMINS: Sql = Sql::new(
    "identity.lock_admins",
    "SELECT 1
       FROM pg_advisory_xact_lock(hashtextextended('identity.platform_roles', 0))",
);

/// Waits until nobody else makes administrators; until the end of the transaction.
pub(crate) async fn lock_admins(tx: &Tx) -> Result<()> {
    LOCK_ADMINS.scalar::<i32>(tx).await.map(drop)
}

const GRANT_ROLE: Sql = Sql::new(
    "identity.grant_role",
    "WITH granted AS (
       INSERT INTO identity.platform_roles (user_id, role, granted_at)
       VALUES ($1, $2, $3)
       ON CONFLICT (user_id, role) DO NOTHING
       RETURNING user_id)
     UPDATE identity.users u
        SET perm_version = u.perm_version + 1, version = u.version + 1, updated_at = $3
       FROM granted g
      WHERE u.id = g.user_id",
);

/// Gives a role; false when the user had it.
pub(crate) async fn grant_role(tx: &Tx, user: UserId, role: &str, at: Timestamp) -> Result<bool> {
    Ok(GRANT_ROLE
        .bind(&user)
        .bind(&role)
        .bind(&at)
        .execute(tx)
        .await?
        == 1)
}

const INSERT_CONSENTS: Sql = Sql::new(
    "identity.insert_consents",
    "INSERT INTO identity.consents (user_id, purpose, text_version, text_hash, granted_at)
     SELECT $1, c.purpose, c.text_version, t.hash, $4
       FROM unnest($2::text[], $3::text[]) AS c (purpose, text_version)
       LEFT JOIN identity.consent_texts t ON t.purpose = c.purpose AND t.version = c.text_version",
);

/// Stores consents given at sign-up.
pub(crate) async fn insert_consents(
    tx: &Tx,
    user: UserId,
    purposes: &[&str],
    versions: &[&str],
    at: Timestamp,
) -> Result<()> {
    INSERT_CONSENTS
        .bind(&user)
        .bind(&purposes)
        .bind(&versions)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

pub(crate) const ALL: &[&Sql] = &[
    &LIST_ROLES,
    &HAS_ADMIN,
    &LOCK_ADMINS,
    &GRANT_ROLE,
    &INSERT_CONSENTS,
];
