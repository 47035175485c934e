//! Statements on `consents` and `consent_texts`.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

/// A text to be stored.
pub(crate) struct NewText<'a> {
    pub(crate) purpose: &'a str,
    pub(crate) version: &'a str,
    pub(crate) hash: &'a [u8],
    pub(crate) tr: &'a str,
    pub(crate) en: &'a str,
    pub(crate) by: UserId,
    pub(crate) at: Timestamp,
}

// Later than every other text of the purpose, also on a clock that stands still.
const PUBLISH: Sql = Sql::new(
    "identity.publish_consent_text",
    "INSERT INTO identity.consent_texts (purpose, version, hash, tr, en, published_by, published_at)
     SELECT $1, $2, $3, $4, $5, $6,
            greatest($7, (SELECT max(t.published_at) + interval '1 microsecond'
                            FROM identity.consent_texts t
                           WHERE t.purpose = $1))
     ON CONFLICT (purpose, version) DO NOTHING",
);

/// Stores a text; false when there is one of this version.
pub(crate) async fn publish(tx: &Tx, new: &NewText<'_>) -> Result<bool> {
    Ok(PUBLISH
        .bind(&new.purpose)
        .bind(&new.version)
        .bind(&new.hash)
        .bind(&new.tr)
        .bind(&new.en)
        .bind(&new.by)
        .bind(&new.at)
        .execute(tx)
        .await?
        == 1)
}

/// A current text.
#[derive(FromRow)]
pub(crate) struct TextRow {
    pub(crate) purpose: String,
    pub(crate) version: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) tr: String,
    pub(crate) en: String,
    pub(crate) published_at: Timestamp,
}

// By the index on (purpose, published_at).
const LIST_CURRENT: Sql = Sql::new(
    "identity.list_consent_texts",
    "SELECT DISTINCT ON (purpose) purpose, version, hash, tr, en, published_at
       FROM identity.consent_texts
      ORDER BY purpose, published_at DESC",
)
.returning::<TextRow>();

/// The newest text of every purpose.
pub(crate) async fn list_current(db: &Db) -> Result<Vec<TextRow>> {
    LIST_CURRENT.all(db).await
}

// By the index on (purpose, published_at).
const CURRENT_VERSION: Sql = Sql::new(
    "identity.find_current_text_version",
    "SELECT version
       FROM identity.consent_texts
      WHERE purpose = $1
      ORDER BY published_at DESC
      LIMIT 1",
);

/// The version of the newest text of a purpose.
pub(crate) async fn current_version(tx: &Tx, purpose: &str) -> Result<Option<String>> {
    CURRENT_VERSION.bind(&purpose).optional_scalar(tx).await
}

const ANY_OUTDATED: Sql = Sql::new(
    "identity.has_outdated_consent",
    "SELECT EXISTS (SELECT 1
                      FROM unnest($1::text[], $2::text[]) AS g (purpose, version)
                      JOIN LATERAL (SELECT t.version
                                      FROM identity.consent_texts t
                                     WHERE t.purpose = g.purpose
                                     ORDER BY t.published_at DESC
                                     LIMIT 1) c ON c.version <> g.version)",
);

/// Whether one of the versions is not the current one of its purpose.
pub(crate) async fn any_outdated(db: &Db, purposes: &[&str], versions: &[&str]) -> Result<bool> {
    ANY_OUTDATED
        .bind(&purposes)
        .bind(&versions)
        .scalar(db)
        .await
}

const LOCK_USER: Sql = Sql::new(
    "identity.lock_consenting_user",
    "SELECT id
       FROM identity.users
      WHERE id = $1
        FOR NO KEY UPDATE",
);

/// Makes other changes of the same user's consents wait.
pub(crate) async fn lock_user(tx: &Tx, user: UserId) -> Result<()> {
    let _: Option<UserId> = LOCK_USER.bind(&user).optional_scalar(tx).await?;
    Ok(())
}

// Later than the user's other consents of the purpose, also on a clock that stands still.
const GRANT: Sql = Sql::new(
    "identity.grant_consent",
    "INSERT INTO identity.consents (user_id, purpose, text_version, text_hash, granted_at)
     SELECT $1, t.purpose, t.version, t.hash,
            greatest($4, (SELECT max(c.granted_at) + interval '1 microsecond'
                            FROM identity.consents c
                           WHERE c.user_id = $1
                             AND c.purpose = $2))
       FROM identity.consent_texts t
      WHERE t.purpose = $2
        AND t.version = $3
     ON CONFLICT (user_id, purpose) WHERE withdrawn_at IS NULL DO NOTHING",
);

/// Stores that a user agrees to a text; false when they do already.
pub(crate) async fn grant(
    tx: &Tx,
    user: UserId,
    (purpose, version): (&str, &str),
    at: Timestamp,
) -> Result<bool> {
    Ok(GRANT
        .bind(&user)
        .bind(&purpose)
        .bind(&version)
        .bind(&at)
        .execute(tx)
        .await?
        == 1)
}

const WITHDRAW: Sql = Sql::new(
    "identity.withdraw_consent",
    "UPDATE identity.consents
        SET withdrawn_at = greatest($3, granted_at)
      WHERE user_id = $1
        AND purpose = $2
        AND withdrawn_at IS NULL",
);

/// Ends a consent; false when there was none.
pub(crate) async fn withdraw(tx: &Tx, user: UserId, purpose: &str, at: Timestamp) -> Result<bool> {
    let done = WITHDRAW.bind(&user).bind(&purpose).bind(&at).execute(tx);
    Ok(done.await? == 1)
}

const WITHDRAW_OTHERS: Sql = Sql::new(
    "identity.withdraw_other_versions",
    "UPDATE identity.consents
        SET withdrawn_at = greatest($4, granted_at)
      WHERE user_id = $1
        AND purpose = $2
        AND text_version <> $3
        AND withdrawn_at IS NULL",
);

/// Ends the consent to another version, whose place a new one takes.
pub(crate) async fn withdraw_others(
    tx: &Tx,
    user: UserId,
    (purpose, version): (&str, &str),
    at: Timestamp,
) -> Result<()> {
    WITHDRAW_OTHERS
        .bind(&user)
        .bind(&purpose)
        .bind(&version)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

/// What a user said last about a purpose.
#[derive(FromRow)]
pub(crate) struct LastRow {
    pub(crate) purpose: String,
    pub(crate) text_version: String,
    pub(crate) outdated: bool,
    pub(crate) granted_at: Timestamp,
    pub(crate) withdrawn_at: Option<Timestamp>,
}

// By primary key.
const LIST_LAST: Sql = Sql::new(
    "identity.list_consents",
    "SELECT DISTINCT ON (c.purpose) c.purpose, c.text_version,
            coalesce(c.text_version <> (SELECT t.version
                                          FROM identity.consent_texts t
                                         WHERE t.purpose = c.purpose
                                         ORDER BY t.published_at DESC
                                         LIMIT 1), false) AS outdated,
            c.granted_at, c.withdrawn_at
       FROM identity.consents c
      WHERE c.user_id = $1
      ORDER BY c.purpose, c.granted_at DESC",
)
.returning::<LastRow>();

/// The last consent of a user for each purpose.
pub(crate) async fn list_last(source: impl Source, user: UserId) -> Result<Vec<LastRow>> {
    LIST_LAST.bind(&user).all(source).await
}

pub(crate) const ALL: &[&Sql] = &[
    &PUBLISH,
    &LIST_CURRENT,
    &CURRENT_VERSION,
    &ANY_OUTDATED,
    &LOCK_USER,
    &GRANT,
    &WITHDRAW,
    &WITHDRAW_OTHERS,
    &LIST_LAST,
];
