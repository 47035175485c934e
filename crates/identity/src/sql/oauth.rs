//! Statements on `oidc_identities`: who a user is at other providers.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;
use serde::Serialize;

use super::owners::Owner;

const FIND_OWNER: Sql = Sql::new(
    "identity.find_owner_of_identity",
    "SELECT u.id, u.kind, u.state, u.locale, true AS verified
       FROM identity.oidc_identities i
       JOIN identity.users u ON u.id = i.user_id
      WHERE i.provider = $1
        AND i.subject = $2",
)
.returning::<Owner>();

/// Whom a person of a provider is.
pub(crate) async fn find_owner(db: &Db, provider: &str, subject: &str) -> Result<Option<Owner>> {
    FIND_OWNER.bind(&provider).bind(&subject).optional(db).await
}

/// A person of a provider to be stored.
pub(crate) struct NewIdentity<'a> {
    pub(crate) provider: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) user: UserId,
    pub(crate) email: Option<&'a str>,
    pub(crate) at: Timestamp,
}

// One of each provider; the caller holds the user's row, so that two at once see each other.
const INSERT: Sql = Sql::new(
    "identity.insert_identity",
    "INSERT INTO identity.oidc_identities
            (provider, subject, user_id, email_at_link, linked_at)
     SELECT $1, $2, $3, $4, $5
      WHERE NOT EXISTS (SELECT 1
                          FROM identity.oidc_identities
                         WHERE user_id = $3
                           AND provider = $1)
     ON CONFLICT (provider, subject) DO NOTHING",
);

/// Stores who a user is at a provider; no if that person is somebody else, or the user has one
/// there already.
pub(crate) async fn insert(tx: &Tx, new: &NewIdentity<'_>) -> Result<bool> {
    let changed = INSERT
        .bind(&new.provider)
        .bind(&new.subject)
        .bind(&new.user)
        .bind(&new.email)
        .bind(&new.at)
        .execute(tx)
        .await?;
    Ok(changed == 1)
}

/// Where somebody may log in, as they see it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow, Serialize, utoipa::ToSchema)]
pub struct LinkedIdentity {
    /// The provider's name.
    pub provider: String,
    /// The address the provider named when it was linked.
    pub email_at_link: Option<String>,
    /// Since when.
    pub linked_at: Timestamp,
}

// By the index on user_id.
const LIST: Sql = Sql::new(
    "identity.list_identities",
    "SELECT provider, email_at_link, linked_at
       FROM identity.oidc_identities
      WHERE user_id = $1
      ORDER BY provider",
)
.returning::<LinkedIdentity>();

/// Where a user may log in.
pub(crate) async fn list(db: &Db, user: UserId) -> Result<Vec<LinkedIdentity>> {
    LIST.bind(&user).all(db).await
}

const DELETE: Sql = Sql::new(
    "identity.delete_identity",
    "DELETE FROM identity.oidc_identities
      WHERE user_id = $1
        AND provider = $2",
);

/// Forgets who a user is at a provider; no if there was nothing.
pub(crate) async fn delete(tx: &Tx, user: UserId, provider: &str) -> Result<bool> {
    Ok(DELETE.bind(&user).bind(&provider).execute(tx).await? > 0)
}

pub(crate) const ALL: &[&Sql] = &[&FIND_OWNER, &INSERT, &LIST, &DELETE];
