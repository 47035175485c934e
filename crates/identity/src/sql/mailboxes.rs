//! Statements on where letters to people go, and on changes of their numbers and addresses.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{DeviceId, Locale, UserId};

/// Where letters to a person go.
#[derive(FromRow)]
pub(crate) struct Mailbox {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) locale: String,
    /// Whether the address was proved.
    pub(crate) verified: bool,
}

impl Mailbox {
    /// The language of the letters.
    pub(crate) fn locale(&self) -> Locale {
        Locale::from_tag(&self.locale).unwrap_or_default()
    }
}

const FIND: Sql = Sql::new(
    "identity.find_mailbox",
    "SELECT id, email, locale, email_verified_at IS NOT NULL AS verified
       FROM identity.users
      WHERE id = $1
        AND kind = 'user'
        AND state IN ('active', 'deleting')
        AND email IS NOT NULL",
)
.returning::<Mailbox>();

/// Where letters to somebody go; none for accounts that cannot log in.
pub(crate) async fn find(source: impl Source, user: UserId) -> Result<Option<Mailbox>> {
    FIND.bind(&user).optional(source).await
}

const PROVE: Sql = Sql::new(
    "identity.prove_email",
    "UPDATE identity.users
        SET email_verified_at = $2
      WHERE id = $1
        AND email_verified_at IS NULL",
);

/// Notes that somebody reads the letters to their address. A code may come back after a change of
/// it; the new one is proved then, and nothing is noted.
pub(crate) async fn prove(tx: &Tx, user: UserId, at: Timestamp) -> Result<()> {
    PROVE.bind(&user).bind(&at).execute(tx).await.map(drop)
}

/// How a person is reached.
#[derive(FromRow)]
pub(crate) struct Reach {
    pub(crate) phone_number: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) locale: String,
}

const LOCK: Sql = Sql::new(
    "identity.lock_contacts",
    "SELECT phone_number, email, locale
       FROM identity.users
      WHERE id = $1
        AND state IN ('active', 'deleting')
        FOR UPDATE",
)
.returning::<Reach>();

/// How somebody is reached until now; nobody else changes it until the end of the transaction.
pub(crate) async fn lock(tx: &Tx, user: UserId) -> Result<Option<Reach>> {
    LOCK.bind(&user).optional(tx).await
}

const SET_PHONE: Sql = Sql::new(
    "identity.set_phone",
    "UPDATE identity.users
        SET phone_number = $2, phone_verified_at = $3, version = version + 1, updated_at = $3
      WHERE id = $1
     RETURNING version",
);

/// Sets a number that was proved; the new version. One in use is a violated constraint.
pub(crate) async fn set_phone(tx: &Tx, user: UserId, number: &str, at: Timestamp) -> Result<i32> {
    SET_PHONE
        .bind(&user)
        .bind(&number)
        .bind(&at)
        .scalar(tx)
        .await
}

const SET_EMAIL: Sql = Sql::new(
    "identity.set_email",
    "UPDATE identity.users
        SET email = $2, email_key = $3, email_verified_at = $4, version = version + 1,
            updated_at = $4
      WHERE id = $1
     RETURNING version",
);

/// Sets an address that was proved; the new version. One in use is a violated constraint.
pub(crate) async fn set_email(
    tx: &Tx,
    user: UserId,
    email: &str,
    key: &str,
    at: Timestamp,
) -> Result<i32> {
    SET_EMAIL
        .bind(&user)
        .bind(&email)
        .bind(&key)
        .bind(&at)
        .scalar(tx)
        .await
}

// The neighbourhood of an address: /24, or /64 of IPv6, as in `limits.rs`.
const IS_NEWS: Sql = Sql::new(
    "identity.is_login_news",
    "SELECT EXISTS (SELECT 1
                      FROM identity.user_devices e
                     WHERE e.user_id = d.user_id
                       AND e.id < d.id)
        AND NOT EXISTS (SELECT 1
                          FROM identity.user_devices e
                         WHERE e.user_id = d.user_id
                           AND e.id < d.id
                           AND e.user_agent IS NOT DISTINCT FROM d.user_agent
                           AND network(set_masklen(e.ip, CASE family(e.ip) WHEN 4 THEN 24 ELSE 64 END))
                             = network(set_masklen(d.ip, CASE family(d.ip) WHEN 4 THEN 24 ELSE 64 END)))
       FROM identity.user_devices d
      WHERE d.id = $1
        AND d.user_id = $2
        AND d.kind <> 'support'",
);

/// Whether a login came from a program or a neighbourhood that its account did not know; the
/// first login of an account is no news.
pub(crate) async fn is_news(tx: &Tx, device: DeviceId, user: UserId) -> Result<bool> {
    let news: Option<bool> = IS_NEWS
        .bind(&device)
        .bind(&user)
        .optional_scalar(tx)
        .await?;
    Ok(news.unwrap_or(false))
}

const IS_BROWSER: Sql = Sql::new(
    "identity.is_browser_device",
    "SELECT kind = 'browser'
       FROM identity.user_devices
      WHERE id = $1",
);

/// Whether a device is a browser session.
pub(crate) async fn is_browser(tx: &Tx, device: DeviceId) -> Result<bool> {
    let browser: Option<bool> = IS_BROWSER.bind(&device).optional_scalar(tx).await?;
    Ok(browser.unwrap_or(false))
}

pub(crate) const ALL: &[&Sql] = &[
    &FIND,
    &PROVE,
    &LOCK,
    &SET_PHONE,
    &SET_EMAIL,
    &IS_NEWS,
    &IS_BROWSER,
];
