//! Statements behind what staff do to accounts.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, UserId};

use crate::model::State;

/// An account as staff see it: without the address and the number themselves.
#[derive(FromRow)]
pub(crate) struct PersonRow {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) display_name: String,
    #[row(via = "String")]
    pub(crate) state: State,
    pub(crate) roles: Vec<String>,
    pub(crate) has_email: bool,
    pub(crate) has_phone: bool,
    pub(crate) created_at: Timestamp,
}

// By the indexes users_username_prefix and users_display_name_prefix, whose expressions these are.
const SEARCH: Sql = Sql::new(
    "identity.search_people",
    "SELECT u.id, u.username, u.display_name, u.state,
            ARRAY(SELECT r.role
                    FROM identity.platform_roles r
                   WHERE r.user_id = u.id
                   ORDER BY r.role) AS roles,
            u.email IS NOT NULL AS has_email, u.phone_number IS NOT NULL AS has_phone,
            u.created_at
       FROM identity.users u
      WHERE (u.username COLLATE \"C\" ^@ $1
             OR lower(translate(u.display_name, 'İIıŞşĞğÜüÖöÇçÂâÎîÛû', 'iiissgguuooccaaiiuu') COLLATE \"C\")
                ^@ lower(translate($2, 'İIıŞşĞğÜüÖöÇçÂâÎîÛû', 'iiissgguuooccaaiiuu') COLLATE \"C\"))
        AND u.id < $3
        AND u.kind = 'user'
        AND u.state <> 'erased'
      ORDER BY u.id DESC
      LIMIT $4",
)
.returning::<PersonRow>();

/// People whose username begins with `username`, or whose display name begins with `name` when
/// Turkish letters are taken for their plain ones; the newest first.
pub(crate) async fn search(
    db: &Db,
    username: &str,
    name: &str,
    before: i64,
    limit: i64,
) -> Result<Vec<PersonRow>> {
    SEARCH
        .bind(&username)
        .bind(&name)
        .bind(&before)
        .bind(&limit)
        .all(db)
        .await
}

// By the unique indexes on each of the three.
const FIND: Sql = Sql::new(
    "identity.find_people",
    "SELECT u.id, u.username, u.display_name, u.state,
            ARRAY(SELECT r.role
                    FROM identity.platform_roles r
                   WHERE r.user_id = u.id
                   ORDER BY r.role) AS roles,
            u.email IS NOT NULL AS has_email, u.phone_number IS NOT NULL AS has_phone,
            u.created_at
       FROM identity.users u
      WHERE (u.email_key = $1 OR u.phone_number = $2 OR u.id = $3)
        AND u.kind = 'user'
        AND u.state <> 'erased'
      ORDER BY u.id DESC",
)
.returning::<PersonRow>();

/// The people with exactly this address, number or id.
pub(crate) async fn find(
    db: &Db,
    email_key: Option<&str>,
    phone: Option<&str>,
    id: Option<UserId>,
) -> Result<Vec<PersonRow>> {
    FIND.bind(&email_key).bind(&phone).bind(&id).all(db).await
}

const LIVE_ROLES: Sql = Sql::new(
    "identity.list_live_roles",
    "SELECT r.role
       FROM identity.platform_roles r
       JOIN identity.users u ON u.id = r.user_id
      WHERE r.user_id = $1
        AND u.state = 'active'
      ORDER BY r.role",
);

/// The roles of a user, none when the account is not active.
pub(crate) async fn live_roles(source: impl Source, user: UserId) -> Result<Vec<String>> {
    LIVE_ROLES.bind(&user).scalars(source).await
}

const STATE: Sql = Sql::new(
    "identity.find_state_of_person",
    "SELECT state
       FROM identity.users
      WHERE id = $1
        AND kind = 'user'
        AND state <> 'erased'",
);

/// The state of a person; none for bots and who is gone.
pub(crate) async fn state(source: impl Source, user: UserId) -> Result<Option<String>> {
    STATE.bind(&user).optional_scalar(source).await
}

const DISABLE: Sql = Sql::new(
    "identity.disable_person",
    "UPDATE identity.users
        SET state = 'disabled', version = version + 1, updated_at = $2
      WHERE id = $1
        AND kind = 'user'
        AND state IN ('active', 'deleting')",
);

/// Disables a person; false when they were disabled before.
pub(crate) async fn disable(tx: &Tx, user: UserId, at: Timestamp) -> Result<bool> {
    Ok(DISABLE.bind(&user).bind(&at).execute(tx).await? == 1)
}

// An erasure that was asked for before goes on.
const ENABLE: Sql = Sql::new(
    "identity.enable_person",
    "UPDATE identity.users u
        SET state = CASE WHEN EXISTS (SELECT 1
                                        FROM identity.erasures e
                                       WHERE e.user_id = u.id
                                         AND e.state IN ('waiting', 'running'))
                    THEN 'deleting' ELSE 'active' END,
            version = version + 1,
            updated_at = $2
      WHERE u.id = $1
        AND u.kind = 'user'
        AND u.state = 'disabled'
     RETURNING u.state",
);

/// Enables a person again and gives the new state; none when they were not disabled.
pub(crate) async fn enable(tx: &Tx, user: UserId, at: Timestamp) -> Result<Option<String>> {
    ENABLE.bind(&user).bind(&at).optional_scalar(tx).await
}

const SET_ROLES: Sql = Sql::new(
    "identity.replace_roles",
    "WITH taken AS (
       DELETE FROM identity.platform_roles
        WHERE user_id = $1
          AND role <> ALL ($2::text[])
       RETURNING role),
     given AS (
       INSERT INTO identity.platform_roles (user_id, role, granted_by, granted_at)
       SELECT $1, w.role, $3, $4
         FROM unnest($2::text[]) AS w (role)
       ON CONFLICT (user_id, role) DO NOTHING
       RETURNING role),
     changed AS (
       SELECT role FROM taken
       UNION ALL
       SELECT role FROM given)
     UPDATE identity.users u
        SET perm_version = u.perm_version + 1, version = u.version + 1, updated_at = $4
      WHERE u.id = $1
        AND EXISTS (SELECT 1 FROM changed)",
);

/// Gives a user these roles and no others; false when they had them.
pub(crate) async fn set_roles(
    tx: &Tx,
    user: UserId,
    roles: &[&str],
    by: UserId,
    at: Timestamp,
) -> Result<bool> {
    Ok(SET_ROLES
        .bind(&user)
        .bind(&roles)
        .bind(&by)
        .bind(&at)
        .execute(tx)
        .await?
        == 1)
}

/// Something a member of staff did.
pub(crate) struct NewAction<'a> {
    pub(crate) id: AnyId,
    pub(crate) user: UserId,
    pub(crate) staff: UserId,
    pub(crate) action: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) at: Timestamp,
}

const INSERT_ACTION: Sql = Sql::new(
    "identity.insert_staff_action",
    "INSERT INTO identity.staff_actions (id, user_id, staff_id, action, reason, at)
     VALUES ($1, $2, $3, $4, $5, $6)",
);

/// Notes what a member of staff did and why.
pub(crate) async fn insert_action(tx: &Tx, new: &NewAction<'_>) -> Result<()> {
    INSERT_ACTION
        .bind(&new.id)
        .bind(&new.user)
        .bind(&new.staff)
        .bind(&new.action)
        .bind(&new.reason)
        .bind(&new.at)
        .execute(tx)
        .await
        .map(drop)
}

pub(crate) const ALL: &[&Sql] = &[
    &SEARCH,
    &FIND,
    &LIVE_ROLES,
    &STATE,
    &DISABLE,
    &ENABLE,
    &SET_ROLES,
    &INSERT_ACTION,
];
