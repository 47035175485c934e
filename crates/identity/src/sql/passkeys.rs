//! Statements on `passkeys`.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, UserId};

/// A passkey to be stored.
pub(crate) struct NewPasskey<'a> {
    pub(crate) id: AnyId,
    pub(crate) user: UserId,
    pub(crate) cred_id: &'a [u8],
    pub(crate) public_key: &'a [u8],
    pub(crate) sign_count: i64,
    pub(crate) transports: &'a [String],
    pub(crate) aaguid: Option<&'a [u8]>,
    pub(crate) backup_eligible: bool,
    pub(crate) backup_state: bool,
    pub(crate) name: &'a str,
    pub(crate) at: Timestamp,
}

const INSERT: Sql = Sql::new(
    "identity.insert_passkey",
    "INSERT INTO identity.passkeys
            (id, user_id, cred_id, public_key, sign_count, transports, aaguid, backup_eligible,
             backup_state, name, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     ON CONFLICT (cred_id) DO NOTHING",
);

/// Stores a passkey; false when somebody has registered it before.
pub(crate) async fn insert(tx: &Tx, new: &NewPasskey<'_>) -> Result<bool> {
    let stored = INSERT
        .bind(&new.id)
        .bind(&new.user)
        .bind(&new.cred_id)
        .bind(&new.public_key)
        .bind(&new.sign_count)
        .bind(&new.transports)
        .bind(&new.aaguid)
        .bind(&new.backup_eligible)
        .bind(&new.backup_state)
        .bind(&new.name)
        .bind(&new.at);
    Ok(stored.execute(tx).await? == 1)
}

/// A passkey in the list of its user.
#[derive(FromRow)]
pub(crate) struct ListedPasskey {
    pub(crate) id: AnyId,
    pub(crate) cred_id: Vec<u8>,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
}

// By the index on user_id; a user has few, so there are no pages.
const LIST: Sql = Sql::new(
    "identity.list_passkeys",
    "SELECT id, cred_id, name, created_at, last_used_at
       FROM identity.passkeys
      WHERE user_id = $1
      ORDER BY id",
)
.returning::<ListedPasskey>();

/// The passkeys of a user, the oldest first.
pub(crate) async fn list(source: impl Source, user: UserId) -> Result<Vec<ListedPasskey>> {
    LIST.bind(&user).all(source).await
}

/// What an answer of an authenticator is checked against.
#[derive(FromRow)]
pub(crate) struct StoredPasskey {
    pub(crate) id: AnyId,
    pub(crate) user_id: UserId,
    pub(crate) public_key: Vec<u8>,
}

const FIND: Sql = Sql::new(
    "identity.find_passkey",
    "SELECT id, user_id, public_key
       FROM identity.passkeys
      WHERE cred_id = $1",
)
.returning::<StoredPasskey>();

/// The passkey with a credential id.
pub(crate) async fn find(db: &Db, cred_id: &[u8]) -> Result<Option<StoredPasskey>> {
    FIND.bind(&cred_id).optional(db).await
}

/// What an authenticator said of itself in an answer.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) sign_count: i64,
    pub(crate) backup_eligible: bool,
    pub(crate) backup_state: bool,
}

// The count of before is read under the row's lock, so that two uses at once see each other.
const USE: Sql = Sql::new(
    "identity.use_passkey",
    "WITH before AS (SELECT id, sign_count
                       FROM identity.passkeys
                      WHERE id = $1
                        AND user_id = $2
                        FOR UPDATE)
     UPDATE identity.passkeys p
        SET sign_count = greatest(before.sign_count, $3),
            backup_eligible = p.backup_eligible OR $4,
            backup_state = $5,
            last_used_at = $6
       FROM before
      WHERE p.id = before.id
     RETURNING before.sign_count",
);

/// Notes a use of a passkey: its count before; none when it was removed.
pub(crate) async fn note_use(
    tx: &Tx,
    user: UserId,
    passkey: AnyId,
    used: &Used,
    at: Timestamp,
) -> Result<Option<i64>> {
    USE.bind(&passkey)
        .bind(&user)
        .bind(&used.sign_count)
        .bind(&used.backup_eligible)
        .bind(&used.backup_state)
        .bind(&at)
        .optional_scalar(tx)
        .await
}

const RENAME: Sql = Sql::new(
    "identity.rename_passkey",
    "UPDATE identity.passkeys
        SET name = $3
      WHERE user_id = $1
        AND id = $2
     RETURNING id, cred_id, name, created_at, last_used_at",
)
.returning::<ListedPasskey>();

/// Gives a passkey another name; none when it is not the user's.
pub(crate) async fn rename(
    db: &Db,
    user: UserId,
    passkey: AnyId,
    name: &str,
) -> Result<Option<ListedPasskey>> {
    RENAME
        .bind(&user)
        .bind(&passkey)
        .bind(&name)
        .optional(db)
        .await
}

const DELETE: Sql = Sql::new(
    "identity.delete_passkey",
    "DELETE FROM identity.passkeys
      WHERE user_id = $1
        AND id = $2",
);

/// Removes a passkey; false when it is not the user's.
pub(crate) async fn delete(tx: &Tx, user: UserId, passkey: AnyId) -> Result<bool> {
    Ok(DELETE.bind(&user).bind(&passkey).execute(tx).await? == 1)
}

pub(crate) const ALL: &[&Sql] = &[&INSERT, &LIST, &FIND, &USE, &RENAME, &DELETE];
