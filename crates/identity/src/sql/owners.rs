//! Statements on the numbers and addresses of `users`.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

use crate::model::Kind;

/// Whom a number or address belongs to.
#[derive(FromRow)]
pub(crate) struct Owner {
    pub(crate) id: UserId,
    #[row(via = "String")]
    pub(crate) kind: Kind,
    pub(crate) state: String,
    pub(crate) locale: String,
    /// Whether it was proved.
    pub(crate) verified: bool,
}

impl Owner {
    /// Whether the account may be logged in to.
    pub(crate) fn may_log_in(&self) -> bool {
        self.kind == Kind::User && matches!(self.state.as_str(), "active" | "deleting")
    }
}

const BY_PHONE: Sql = Sql::new(
    "identity.find_owner_of_phone",
    "SELECT id, kind, state, locale, phone_verified_at IS NOT NULL AS verified
       FROM identity.users
      WHERE phone_number = $1",
)
.returning::<Owner>();

/// Whom a number belongs to.
pub(crate) async fn by_phone(source: impl Source, number: &str) -> Result<Option<Owner>> {
    BY_PHONE.bind(&number).optional(source).await
}

const BY_EMAIL: Sql = Sql::new(
    "identity.find_owner_of_email",
    "SELECT id, kind, state, locale, email_verified_at IS NOT NULL AS verified
       FROM identity.users
      WHERE email_key = $1",
)
.returning::<Owner>();

/// Whom an address belongs to.
pub(crate) async fn by_email(source: impl Source, key: &str) -> Result<Option<Owner>> {
    BY_EMAIL.bind(&key).optional(source).await
}

const INSERT_BY_PHONE: Sql = Sql::new(
    "identity.insert_user_by_phone",
    "INSERT INTO identity.users
            (id, phone_number, phone_verified_at, username, display_name, locale, created_at,
             updated_at)
     VALUES ($1, $2, $3, $4, $4, $5, $3, $3)
     ON CONFLICT (phone_number) DO NOTHING",
);

/// Stores the account of a number that was proved; false when the number has one.
pub(crate) async fn insert_by_phone(
    tx: &Tx,
    id: UserId,
    number: &str,
    username: &str,
    locale: &str,
    at: Timestamp,
) -> Result<bool> {
    let stored = INSERT_BY_PHONE
        .bind(&id)
        .bind(&number)
        .bind(&at)
        .bind(&username)
        .bind(&locale)
        .execute(tx)
        .await?;
    Ok(stored == 1)
}

pub(crate) const ALL: &[&Sql] = &[&BY_PHONE, &BY_EMAIL, &INSERT_BY_PHONE];
