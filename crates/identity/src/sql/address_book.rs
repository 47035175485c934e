//! Statements on address books: contacts in `relationships`, `phone_keys`, `phone_lookups`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::UserId;

// $5: most contacts. One's own row of a pair may hold a bond besides, a block included.
const PUT: Sql = Sql::new(
    "identity.upsert_contact",
    "INSERT INTO identity.relationships AS r (user_id, other_id, kind, name, since, contact_since)
     SELECT $1, u.id, 'contact', $3, $4, $4
       FROM identity.users u
      WHERE u.id = $2
        AND u.state = 'active'
        AND u.kind <> 'system'
        AND (SELECT count(*)
               FROM identity.relationships c
              WHERE c.user_id = $1
                AND c.other_id <> $2
                AND c.contact_since IS NOT NULL) < $5
     ON CONFLICT (user_id, other_id) DO UPDATE
        SET name = excluded.name, contact_since = coalesce(r.contact_since, excluded.contact_since)
     RETURNING contact_since",
);

/// Puts somebody into a user's address book, or renames the entry; since when they are in it. None
/// when there is nobody to put in, or the book is full.
pub(crate) async fn put(
    tx: &Tx,
    user: UserId,
    other: UserId,
    name: Option<&str>,
    at: Timestamp,
    most: i64,
) -> Result<Option<Timestamp>> {
    PUT.bind(&user)
        .bind(&other)
        .bind(&name)
        .bind(&at)
        .bind(&most)
        .optional_scalar(tx)
        .await
}

// What is left of the row is the bond, if there is one.
const REMOVE: Sql = Sql::new(
    "identity.remove_contact",
    "WITH kept AS (
       UPDATE identity.relationships
          SET contact_since = NULL, name = NULL
        WHERE user_id = $1
          AND other_id = $2
          AND kind <> 'contact'
          AND contact_since IS NOT NULL
       RETURNING 1),
     gone AS (
       DELETE FROM identity.relationships
        WHERE user_id = $1
          AND other_id = $2
          AND kind = 'contact'
       RETURNING 1)
     SELECT EXISTS (SELECT 1 FROM kept) OR EXISTS (SELECT 1 FROM gone)",
);

/// Takes somebody out of a user's address book; false when they were not in it.
pub(crate) async fn remove(tx: &Tx, user: UserId, other: UserId) -> Result<bool> {
    REMOVE.bind(&user).bind(&other).scalar(tx).await
}

/// An entry of an address book.
#[derive(FromRow)]
pub(crate) struct Entry {
    pub(crate) other_id: UserId,
    pub(crate) name: Option<String>,
    pub(crate) contact_since: Timestamp,
}

// By the primary key.
const LIST: Sql = Sql::new(
    "identity.list_contacts_after",
    "SELECT other_id, name, contact_since
       FROM identity.relationships
      WHERE user_id = $1
        AND contact_since IS NOT NULL
        AND other_id > $2
      ORDER BY other_id
      LIMIT $3",
)
.returning::<Entry>();

/// A page of a user's address book, by the other's id.
pub(crate) async fn list_after(
    db: &Db,
    user: UserId,
    after: i64,
    limit: i64,
) -> Result<Vec<Entry>> {
    LIST.bind(&user).bind(&after).bind(&limit).all(db).await
}

// Counted and judged at once, per UTC day: many requests together spend no more.
const SPEND: Sql = Sql::new(
    "identity.spend_phone_lookups",
    "INSERT INTO identity.phone_lookups AS l (user_id, day, numbers)
     SELECT $1, $2, $3::int
      WHERE $3::int <= $4::int
     ON CONFLICT (user_id) DO UPDATE
        SET day = excluded.day,
            numbers = excluded.numbers + CASE WHEN l.day = excluded.day THEN l.numbers ELSE 0 END
      WHERE l.day <> excluded.day
         OR l.numbers + excluded.numbers <= $4::int",
);

/// Takes `numbers` look-ups from a user's `most` of the day; false, and none taken, when there are
/// not so many left.
pub(crate) async fn spend_lookups(
    db: &Db,
    user: UserId,
    day: Date,
    numbers: i32,
    most: i32,
) -> Result<bool> {
    Ok(SPEND
        .bind(&user)
        .bind(&day)
        .bind(&numbers)
        .bind(&most)
        .execute(db)
        .await?
        == 1)
}

/// Somebody who may be found by a number.
#[derive(FromRow)]
pub(crate) struct Found {
    pub(crate) id: UserId,
    pub(crate) phone_number: String,
}

// By the index on phone_hmac, then primary keys. Who is not there, is not to be found, or is
// severed from the asker is the same: no row.
const FIND: Sql = Sql::new(
    "identity.find_by_phone_keys",
    "SELECT u.id, u.phone_number
       FROM identity.phone_keys k
       JOIN identity.users u ON u.id = k.user_id
       LEFT JOIN identity.privacy p ON p.user_id = u.id
       LEFT JOIN identity.relationships t ON t.user_id = u.id AND t.other_id = $1
       LEFT JOIN identity.relationships m ON m.user_id = $1 AND m.other_id = u.id
      WHERE k.phone_hmac = ANY ($2)
        AND u.id <> $1
        AND u.state = 'active'
        AND u.phone_number IS NOT NULL
        AND coalesce(t.kind, '') <> 'block'
        AND coalesce(m.kind, '') <> 'block'
        AND CASE coalesce(p.find_by_phone, 'contacts')
              WHEN 'everyone' THEN true
              WHEN 'contacts' THEN coalesce(t.kind = 'friend' OR t.contact_since IS NOT NULL, false)
              ELSE false
            END",
)
.returning::<Found>();

/// People with these keys whom `viewer` may find by their number.
pub(crate) async fn find(db: &Db, viewer: UserId, keys: &[Vec<u8>]) -> Result<Vec<Found>> {
    FIND.bind(&viewer).bind(&keys).all(db).await
}

const FIND_USERNAME: Sql = Sql::new(
    "identity.find_active_username",
    "SELECT id
       FROM identity.users
      WHERE username = $1
        AND state = 'active'
        AND kind <> 'system'",
);

/// The active account with a username.
pub(crate) async fn find_username(db: &Db, name: &str) -> Result<Option<UserId>> {
    FIND_USERNAME.bind(&name).optional_scalar(db).await
}

/// An account whose key is behind its number.
#[derive(FromRow)]
pub(crate) struct Behind {
    pub(crate) id: UserId,
    pub(crate) phone_number: String,
    pub(crate) updated_at: Timestamp,
}

const LIST_BEHIND: Sql = Sql::new(
    "identity.list_phone_keys_behind",
    "SELECT u.id, u.phone_number, u.updated_at
       FROM identity.users u
       LEFT JOIN identity.phone_keys k ON k.user_id = u.id
      WHERE u.phone_number IS NOT NULL
        AND (k.user_id IS NULL OR k.kept_at < u.updated_at)
      LIMIT $1",
)
.returning::<Behind>();

/// Accounts whose key may be behind their number.
pub(crate) async fn list_behind(db: &Db, limit: i64) -> Result<Vec<Behind>> {
    LIST_BEHIND.bind(&limit).all(db).await
}

// A key of a newer state stays.
const KEEP: Sql = Sql::new(
    "identity.upsert_phone_key",
    "INSERT INTO identity.phone_keys AS k (user_id, phone_hmac, kept_at)
     VALUES ($1, $2, $3)
     ON CONFLICT (user_id) DO UPDATE
        SET phone_hmac = excluded.phone_hmac, kept_at = excluded.kept_at
      WHERE k.kept_at <= excluded.kept_at",
);

/// Stores by what a user's number is found. `at`: the `updated_at` of the account with it.
pub(crate) async fn keep_key(
    source: impl db::Source,
    user: UserId,
    key: &[u8],
    at: Timestamp,
) -> Result<()> {
    KEEP.bind(&user)
        .bind(&key)
        .bind(&at)
        .execute(source)
        .await
        .map(drop)
}

const DROP_KEYS: Sql = Sql::new(
    "identity.delete_phone_keys_of_none",
    "DELETE FROM identity.phone_keys k
      USING identity.users u
      WHERE u.id = k.user_id
        AND u.phone_number IS NULL",
);

/// Forgets keys of accounts that have no number any more.
pub(crate) async fn drop_keys(db: &Db) -> Result<u64> {
    DROP_KEYS.execute(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &PUT,
    &REMOVE,
    &LIST,
    &SPEND,
    &FIND,
    &FIND_USERNAME,
    &LIST_BEHIND,
    &KEEP,
    &DROP_KEYS,
];
