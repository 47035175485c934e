//! Statements on `users` and `credentials`.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

use crate::model::{Account, Factors, Kind};
use crate::rules::Identifier;

/// An account to be stored.
pub(crate) struct NewUser<'a> {
    pub(crate) id: UserId,
    pub(crate) kind: &'a str,
    pub(crate) email: Option<&'a str>,
    pub(crate) email_key: Option<&'a str>,
    pub(crate) username: &'a str,
    pub(crate) display_name: &'a str,
    pub(crate) locale: &'a str,
    pub(crate) email_verified_at: Option<Timestamp>,
    pub(crate) at: Timestamp,
}

const INSERT: Sql = Sql::new(
    "identity.insert_user",
    "INSERT INTO identity.users
            (id, kind, email, email_key, username, display_name, locale, email_verified_at,
             created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
);

/// Stores an account. A taken e-mail address or username is a violated constraint.
pub(crate) async fn insert(tx: &Tx, new: &NewUser<'_>) -> Result<()> {
    INSERT
        .bind(&new.id)
        .bind(&new.kind)
        .bind(&new.email)
        .bind(&new.email_key)
        .bind(&new.username)
        .bind(&new.display_name)
        .bind(&new.locale)
        .bind(&new.email_verified_at)
        .bind(&new.at)
        .execute(tx)
        .await
        .map(drop)
}

const FIND: Sql = Sql::new(
    "identity.find_user",
    "SELECT id, kind, phone_number, email, username, display_name, profile_picture_url, avatar,
            about, locale, state, version, phone_verified_at, email_verified_at
       FROM identity.users
      WHERE id = $1
        AND state <> 'erased'",
)
.returning::<Account>();

/// An account that was not erased.
pub(crate) async fn find(source: impl Source, user: UserId) -> Result<Option<Account>> {
    FIND.bind(&user).optional(source).await
}

const LIST: Sql = Sql::new(
    "identity.list_users",
    "SELECT id, kind, phone_number, email, username, display_name, profile_picture_url, avatar,
            about, locale, state, version, phone_verified_at, email_verified_at
       FROM identity.users
      WHERE id = ANY ($1)
        AND state <> 'erased'",
)
.returning::<Account>();

/// Those of the accounts that were not erased, in no order.
pub(crate) async fn list(db: &Db, users: &[UserId]) -> Result<Vec<Account>> {
    LIST.bind(&users).all(db).await
}

/// What a login is checked against.
#[derive(FromRow)]
pub(crate) struct Login {
    pub(crate) id: UserId,
    #[row(via = "String")]
    pub(crate) kind: Kind,
    pub(crate) state: String,
    pub(crate) phc: Option<String>,
    /// Whether everybody knows the password.
    pub(crate) known_password: bool,
}

const LOGIN_BY_EMAIL: Sql = Sql::new(
    "identity.find_login_by_email",
    "SELECT u.id, u.kind, u.state, c.phc, coalesce(d.known_password, false) AS known_password
       FROM identity.users u
       LEFT JOIN identity.credentials c ON c.user_id = u.id AND c.kind = 'password'
       LEFT JOIN identity.demo_people d ON d.user_id = u.id
      WHERE u.email_key = $1",
)
.returning::<Login>();

const LOGIN_BY_PHONE: Sql = Sql::new(
    "identity.find_login_by_phone",
    "SELECT u.id, u.kind, u.state, c.phc, coalesce(d.known_password, false) AS known_password
       FROM identity.users u
       LEFT JOIN identity.credentials c ON c.user_id = u.id AND c.kind = 'password'
       LEFT JOIN identity.demo_people d ON d.user_id = u.id
      WHERE u.phone_number = $1",
)
.returning::<Login>();

const LOGIN_BY_USERNAME: Sql = Sql::new(
    "identity.find_login_by_username",
    "SELECT u.id, u.kind, u.state, c.phc, coalesce(d.known_password, false) AS known_password
       FROM identity.users u
       LEFT JOIN identity.credentials c ON c.user_id = u.id AND c.kind = 'password'
       LEFT JOIN identity.demo_people d ON d.user_id = u.id
      WHERE u.username = $1",
)
.returning::<Login>();

/// The account that goes by a name, with its password hash.
pub(crate) async fn find_login(db: &Db, name: &Identifier) -> Result<Option<Login>> {
    match name {
        Identifier::Email(key) => LOGIN_BY_EMAIL.bind(key).optional(db).await,
        Identifier::Phone(number) => LOGIN_BY_PHONE.bind(number).optional(db).await,
        Identifier::Username(name) => LOGIN_BY_USERNAME.bind(name).optional(db).await,
    }
}

const FIND_BY_EMAIL: Sql = Sql::new(
    "identity.find_user_by_email",
    "SELECT id
       FROM identity.users
      WHERE email_key = $1",
);

/// The account with an e-mail address.
pub(crate) async fn find_by_email(tx: &Tx, key: &str) -> Result<Option<UserId>> {
    FIND_BY_EMAIL.bind(&key).optional_scalar(tx).await
}

const HAS_USERNAME: Sql = Sql::new(
    "identity.has_username",
    "SELECT EXISTS (SELECT 1
                      FROM identity.users
                     WHERE username = $1)",
);

/// Whether a username is in use.
pub(crate) async fn has_username(tx: &Tx, name: &str) -> Result<bool> {
    HAS_USERNAME.bind(&name).scalar(tx).await
}

/// What changes in a profile; `None` stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Change<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) display_name: Option<&'a str>,
    /// `Some(None)` empties it.
    pub(crate) about: Option<Option<&'a str>>,
    pub(crate) locale: Option<&'a str>,
    /// Hash and address; `Some(None)` takes it away.
    pub(crate) picture: Option<Option<(&'a str, &'a str)>>,
}

// The version is checked and raised by the same statement. $2 NULL: any version.
const UPDATE: Sql = Sql::new(
    "identity.update_user",
    "UPDATE identity.users
        SET username = coalesce($3, username),
            display_name = coalesce($4, display_name),
            about = CASE WHEN $5 THEN $6 ELSE about END,
            locale = coalesce($7, locale),
            avatar = CASE WHEN $9 THEN $10 ELSE avatar END,
            profile_picture_url = CASE WHEN $9 THEN $11 ELSE profile_picture_url END,
            version = version + 1,
            updated_at = $8
      WHERE id = $1
        AND ($2::int IS NULL OR version = $2)
        AND state <> 'erased'
     RETURNING id, kind, phone_number, email, username, display_name, profile_picture_url, avatar,
               about, locale, state, version, phone_verified_at, email_verified_at",
)
.returning::<Account>();

/// Changes a profile of the given version, or of any; none when it is another or not there.
pub(crate) async fn update(
    tx: &Tx,
    user: UserId,
    version: Option<i32>,
    change: &Change<'_>,
    at: Timestamp,
) -> Result<Option<Account>> {
    let (sets_about, about) = (change.about.is_some(), change.about.flatten());
    let (hash, url) = change.picture.flatten().unzip();
    let sets_picture = change.picture.is_some();
    UPDATE
        .bind(&user)
        .bind(&version)
        .bind(&change.username)
        .bind(&change.display_name)
        .bind(&sets_about)
        .bind(&about)
        .bind(&change.locale)
        .bind(&at)
        .bind(&sets_picture)
        .bind(&hash)
        .bind(&url)
        .optional(tx)
        .await
}

// Its names go as those of an erased person do: its owner's may be in them.
const RETIRE_BOT: Sql = Sql::new(
    "identity.retire_bot",
    "UPDATE identity.users
        SET state = 'disabled', username = 'erased_' || to_hex(id),
            display_name = 'Deleted bot', version = version + 1, updated_at = $2
      WHERE id = $1
        AND kind = 'bot'
        AND state = 'active'",
);

/// Disables a bot for good; false when it is none or was disabled before.
pub(crate) async fn retire_bot(tx: &Tx, bot: UserId, at: Timestamp) -> Result<bool> {
    Ok(RETIRE_BOT.bind(&bot).bind(&at).execute(tx).await? == 1)
}

const FACTORS: Sql = Sql::new(
    "identity.count_factors",
    "SELECT EXISTS (SELECT 1 FROM identity.credentials WHERE user_id = $1 AND kind = 'password')
              AS password,
            EXISTS (SELECT 1 FROM identity.totp WHERE user_id = $1 AND confirmed_at IS NOT NULL)
              AS totp,
            (SELECT count(*) FROM identity.passkeys WHERE user_id = $1) AS passkeys,
            (SELECT count(*) FROM identity.recovery_codes WHERE user_id = $1 AND used_at IS NULL)
              AS recovery_codes_left,
            EXISTS (SELECT 1 FROM identity.credentials WHERE user_id = $1 AND kind = 'pin')
              AS registration_lock",
)
.returning::<Factors>();

/// What can prove a login of a user.
pub(crate) async fn factors(source: impl Source, user: UserId) -> Result<Factors> {
    FACTORS.bind(&user).one(source).await
}

const FIND_PASSWORD: Sql = Sql::new(
    "identity.find_password",
    "SELECT phc
       FROM identity.credentials
      WHERE user_id = $1
        AND kind = 'password'",
);

/// The password hash of a user.
pub(crate) async fn find_password(db: &Db, user: UserId) -> Result<Option<String>> {
    FIND_PASSWORD.bind(&user).optional_scalar(db).await
}

const SET_PASSWORD: Sql = Sql::new(
    "identity.upsert_password",
    "INSERT INTO identity.credentials (user_id, kind, phc, created_at, updated_at)
     VALUES ($1, 'password', $2, $3, $3)
     ON CONFLICT (user_id, kind) DO UPDATE
        SET phc = excluded.phc, updated_at = excluded.updated_at",
);

/// Sets the password hash of a user.
pub(crate) async fn set_password(tx: &Tx, user: UserId, phc: &str, at: Timestamp) -> Result<()> {
    SET_PASSWORD
        .bind(&user)
        .bind(&phc)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

const UPGRADE_PASSWORD: Sql = Sql::new(
    "identity.upgrade_password",
    "UPDATE identity.credentials
        SET phc = $3, updated_at = $4
      WHERE user_id = $1
        AND kind = 'password'
        AND phc = $2",
);

/// Stores the same password in the live scheme, unless it was changed meanwhile.
pub(crate) async fn upgrade_password(
    tx: &Tx,
    user: UserId,
    old: &str,
    new: &str,
    at: Timestamp,
) -> Result<bool> {
    Ok(UPGRADE_PASSWORD
        .bind(&user)
        .bind(&old)
        .bind(&new)
        .bind(&at)
        .execute(tx)
        .await?
        == 1)
}

pub(crate) const ALL: &[&Sql] = &[
    &INSERT,
    &FIND,
    &LIST,
    &LOGIN_BY_EMAIL,
    &LOGIN_BY_PHONE,
    &LOGIN_BY_USERNAME,
    &FIND_BY_EMAIL,
    &HAS_USERNAME,
    &UPDATE,
    &RETIRE_BOT,
    &FACTORS,
    &FIND_PASSWORD,
    &SET_PASSWORD,
    &UPGRADE_PASSWORD,
];
