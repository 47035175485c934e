//! Statements for the operator's commands: whom there is, and what of them.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

/// An account with platform roles.
#[derive(FromRow)]
pub(crate) struct Holder {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) state: String,
    pub(crate) roles: Vec<String>,
    pub(crate) devices: i64,
    pub(crate) last_seen_at: Option<Timestamp>,
}

// By the primary key of platform_roles; few have a role.
const HOLDERS: Sql = Sql::new(
    "identity.list_role_holders",
    "SELECT u.id, u.username, u.email, u.state,
            array_agg(r.role ORDER BY r.role) AS roles,
            (SELECT count(*)
               FROM identity.user_devices d
              WHERE d.user_id = u.id
                AND d.revoked_at IS NULL
                AND d.expires_at > now()) AS devices,
            (SELECT max(greatest(d.last_login_at, d.rotated_at, d.last_seen_at))
               FROM identity.user_devices d
              WHERE d.user_id = u.id) AS last_seen_at
       FROM identity.platform_roles r
       JOIN identity.users u ON u.id = r.user_id
      GROUP BY u.id
      ORDER BY u.id
      LIMIT $1",
)
.returning::<Holder>();

/// Accounts with a platform role, the oldest first.
pub(crate) async fn holders(db: &Db, limit: i64) -> Result<Vec<Holder>> {
    HOLDERS.bind(&limit).all(db).await
}

const FIND: Sql = Sql::new(
    "identity.find_user_by_any_name",
    "SELECT id
       FROM identity.users
      WHERE kind = 'user'
        AND state <> 'erased'
        AND (id = $1 OR email_key = $2 OR phone_number = $2 OR username = $2)
      ORDER BY id = $1 DESC
      LIMIT 1",
);

/// The person that an id, an e-mail address, a number or a username means.
pub(crate) async fn find(db: &Db, id: Option<UserId>, name: &str) -> Result<Option<UserId>> {
    FIND.bind(&id).bind(&name).optional_scalar(db).await
}

// The last administrator stays: checked by the statement that deletes, under the lock of
// `people::lock_admins`.
const REVOKE_ROLE: Sql = Sql::new(
    "identity.revoke_role",
    "WITH gone AS (
       DELETE FROM identity.platform_roles r
        WHERE r.user_id = $1
          AND r.role = $2
          AND (r.role <> 'superadmin'
               OR EXISTS (SELECT 1
                            FROM identity.platform_roles o
                            JOIN identity.users u ON u.id = o.user_id
                           WHERE o.role = 'superadmin'
                             AND o.user_id <> $1
                             AND u.state = 'active'))
       RETURNING r.user_id)
     UPDATE identity.users u
        SET perm_version = u.perm_version + 1, version = u.version + 1, updated_at = $3
       FROM gone g
      WHERE u.id = g.user_id",
);

/// Takes a role back; false when the user does not have it or nobody else administers.
pub(crate) async fn revoke_role(tx: &Tx, user: UserId, role: &str, at: Timestamp) -> Result<bool> {
    Ok(REVOKE_ROLE
        .bind(&user)
        .bind(&role)
        .bind(&at)
        .execute(tx)
        .await?
        == 1)
}

pub(crate) const ALL: &[&Sql] = &[&HOLDERS, &FIND, &REVOKE_ROLE];
