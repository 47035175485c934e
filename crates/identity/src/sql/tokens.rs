//! Statements on `one_time_tokens`: links, tickets and unfinished logins.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;
use serde_json::Value;

/// A token to be stored.
pub(crate) struct NewToken<'a> {
    pub(crate) hash: &'a [u8],
    pub(crate) purpose: &'a str,
    pub(crate) user: Option<UserId>,
    pub(crate) data: &'a Value,
    pub(crate) expires_at: Timestamp,
    pub(crate) at: Timestamp,
}

const INSERT: Sql = Sql::new(
    "identity.insert_one_time_token",
    "INSERT INTO identity.one_time_tokens
            (token_hash, purpose, user_id, data, expires_at, created_at)
     VALUES ($1, $2, $3, $4, $5, $6)",
);

/// Stores a one-time token.
pub(crate) async fn insert(tx: &Tx, new: &NewToken<'_>) -> Result<()> {
    INSERT
        .bind(&new.hash)
        .bind(&new.purpose)
        .bind(&new.user)
        .bind(new.data)
        .bind(&new.expires_at)
        .bind(&new.at)
        .execute(tx)
        .await
        .map(drop)
}

const EXISTS: Sql = Sql::new(
    "identity.has_one_time_token",
    "SELECT EXISTS (SELECT 1
                      FROM identity.one_time_tokens
                     WHERE token_hash = $1
                       AND purpose = $2
                       AND consumed_at IS NULL
                       AND expires_at > $3)",
);

/// Whether a token could be consumed: asked before dear work, decides nothing.
pub(crate) async fn exists(db: &Db, hash: &[u8], purpose: &str, now: Timestamp) -> Result<bool> {
    EXISTS
        .bind(&hash)
        .bind(&purpose)
        .bind(&now)
        .scalar(db)
        .await
}

const FIND_USER: Sql = Sql::new(
    "identity.find_user_of_one_time_token",
    "SELECT user_id
       FROM identity.one_time_tokens
      WHERE token_hash = $1
        AND purpose = $2
        AND user_id IS NOT NULL
        AND consumed_at IS NULL
        AND expires_at > $3",
);

/// Whose token it is, if it could be consumed: asked before dear work, decides nothing.
pub(crate) async fn find_user(
    db: &Db,
    hash: &[u8],
    purpose: &str,
    now: Timestamp,
) -> Result<Option<UserId>> {
    FIND_USER
        .bind(&hash)
        .bind(&purpose)
        .bind(&now)
        .optional_scalar(db)
        .await
}

/// What a token stands for.
#[derive(FromRow)]
pub(crate) struct Token {
    pub(crate) user_id: Option<UserId>,
    pub(crate) data: Value,
}

const CONSUME: Sql = Sql::new(
    "identity.consume_one_time_token",
    "UPDATE identity.one_time_tokens
        SET consumed_at = $3
      WHERE token_hash = $1
        AND purpose = $2
        AND consumed_at IS NULL
        AND expires_at > $3
     RETURNING user_id, data",
)
.returning::<Token>();

/// Uses a token up; none when it is wrong, expired or used.
pub(crate) async fn consume(
    tx: &Tx,
    hash: &[u8],
    purpose: &str,
    now: Timestamp,
) -> Result<Option<Token>> {
    CONSUME
        .bind(&hash)
        .bind(&purpose)
        .bind(&now)
        .optional(tx)
        .await
}

// Commits by itself, before the proof is looked at: parallel guesses count too.
const ATTEMPT: Sql = Sql::new(
    "identity.attempt_one_time_token",
    "UPDATE identity.one_time_tokens
        SET attempts = attempts + 1
      WHERE token_hash = $1
        AND purpose = $2
        AND consumed_at IS NULL
        AND expires_at > $3
        AND attempts < $4
     RETURNING user_id, data",
)
.returning::<Token>();

/// Counts an attempt on a token; none when it is wrong, expired, used or had `most` attempts.
pub(crate) async fn attempt(
    db: &Db,
    hash: &[u8],
    purpose: &str,
    now: Timestamp,
    most: i32,
) -> Result<Option<Token>> {
    ATTEMPT
        .bind(&hash)
        .bind(&purpose)
        .bind(&now)
        .bind(&most)
        .optional(db)
        .await
}

const VOID: Sql = Sql::new(
    "identity.void_one_time_tokens",
    "DELETE FROM identity.one_time_tokens
      WHERE user_id IS NOT DISTINCT FROM $1
        AND purpose = $2",
);

/// Voids every token of a user (or of nobody) for a purpose.
pub(crate) async fn void(tx: &Tx, user: Option<UserId>, purpose: &str) -> Result<u64> {
    VOID.bind(&user).bind(&purpose).execute(tx).await
}

// By the index on expires_at.
const PURGE: Sql = Sql::new(
    "identity.purge_one_time_tokens",
    "DELETE FROM identity.one_time_tokens
      WHERE token_hash IN (
            SELECT token_hash
              FROM identity.one_time_tokens
             WHERE expires_at < $1
             LIMIT $2)",
);

/// Forgets tokens that expired before a moment; a batch.
pub(crate) async fn purge(db: &Db, before: Timestamp, limit: i64) -> Result<u64> {
    PURGE.bind(&before).bind(&limit).execute(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &INSERT, &EXISTS, &FIND_USER, &CONSUME, &ATTEMPT, &VOID, &PURGE,
];
