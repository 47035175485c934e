//! Statements on `demo_people`.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

/// Most demo people that are listed; a world has a dozen.
const MOST: i64 = 1_000;

/// A demo person as stored.
#[derive(FromRow)]
pub(crate) struct DemoRow {
    pub(crate) id: UserId,
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) has_password: bool,
    pub(crate) known_password: bool,
}

const INSERT: Sql = Sql::new(
    "identity.insert_demo_person",
    "INSERT INTO identity.demo_people (user_id)
     VALUES ($1)",
);

/// Marks an account as a demo person's.
pub(crate) async fn insert(tx: &Tx, user: UserId) -> Result<()> {
    INSERT.bind(&user).execute(tx).await.map(drop)
}

// By primary key, oldest first.
const LIST: Sql = Sql::new(
    "identity.list_demo_people",
    "SELECT u.id, u.username, u.email, d.known_password,
            EXISTS (SELECT 1
                      FROM identity.credentials c
                     WHERE c.user_id = d.user_id
                       AND c.kind = 'password') AS has_password
       FROM identity.demo_people d
       JOIN identity.users u ON u.id = d.user_id
      ORDER BY d.user_id
      LIMIT $1",
)
.returning::<DemoRow>();

/// The demo people, in the order in which they were made.
pub(crate) async fn list(db: &Db) -> Result<Vec<DemoRow>> {
    LIST.bind(&MOST).all(db).await
}

const HAS_OTHERS: Sql = Sql::new(
    "identity.has_others_than_demo_people",
    "SELECT EXISTS (SELECT 1
                      FROM identity.users u
                     WHERE u.kind = 'user'
                       AND NOT EXISTS (SELECT 1
                                         FROM identity.demo_people d
                                        WHERE d.user_id = u.id))",
);

/// Whether any person is not a demo person.
pub(crate) async fn has_others(db: &Db) -> Result<bool> {
    HAS_OTHERS.scalar(db).await
}

// Who has a password already keeps it.
const OPEN: Sql = Sql::new(
    "identity.open_demo_person",
    "WITH opened AS (
        INSERT INTO identity.credentials (user_id, kind, phc, created_at, updated_at)
        SELECT user_id, 'password', $2, $3, $3
          FROM identity.demo_people
         WHERE user_id = $1
        ON CONFLICT (user_id, kind) DO NOTHING
        RETURNING user_id)
     UPDATE identity.demo_people d
        SET known_password = true
       FROM opened o
      WHERE d.user_id = o.user_id",
);

/// Gives a demo person the known password; skips others, and who has one.
pub(crate) async fn open(tx: &Tx, user: UserId, phc: &str, at: Timestamp) -> Result<()> {
    OPEN.bind(&user)
        .bind(&phc)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

const CLOSE: Sql = Sql::new(
    "identity.close_demo_person",
    "UPDATE identity.demo_people
        SET known_password = false
      WHERE user_id = $1
        AND known_password",
);

/// Notes that a user chose a password of their own; does nothing for people who are real.
pub(crate) async fn close(tx: &Tx, user: UserId) -> Result<()> {
    CLOSE.bind(&user).execute(tx).await.map(drop)
}

pub(crate) const ALL: &[&Sql] = &[&INSERT, &LIST, &HAS_OTHERS, &OPEN, &CLOSE];
