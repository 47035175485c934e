//! Statements on `otp_challenges` and `otp_targets`: codes that were sent, and the budgets of
//! numbers, addresses and countries.
//!
//! A budget is a row of `otp_targets` under an HMAC. Its figures are of one day in UTC; the first
//! statement of the next day begins them anew.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{AnyId, UserId};

/// The present moment, as budgets see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) today: Date,
}

/// Whose budget a code is sent from, and how much of it there is.
pub(crate) struct Budget<'a> {
    pub(crate) key: &'a [u8],
    /// The last one must not have been sent after this.
    pub(crate) rested_since: Timestamp,
    pub(crate) hour_ago: Timestamp,
    pub(crate) per_hour: i64,
    pub(crate) per_day: i32,
}

/// A challenge to be stored.
pub(crate) struct NewChallenge<'a> {
    pub(crate) id: AnyId,
    pub(crate) handle_hash: &'a [u8],
    pub(crate) channel: &'a str,
    pub(crate) purpose: &'a str,
    pub(crate) user: Option<UserId>,
    pub(crate) target_hmac: &'a [u8],
    pub(crate) target_enc: &'a [u8],
    pub(crate) key_id: &'a str,
    pub(crate) code_mac: Option<&'a [u8]>,
    pub(crate) locale: &'a str,
    pub(crate) expires_at: Timestamp,
    pub(crate) ip: String,
}

// The budget and the challenge in one statement: of parallel wishes one has a row. Those of an
// hour are counted by the index on (target_hmac, created_at); the pause between two of them lets
// the count see all earlier ones.
const INSERT: Sql = Sql::new(
    "identity.insert_otp_challenge",
    "WITH budget AS (
       INSERT INTO identity.otp_targets AS t (target_hmac, day, sends, last_send_at)
       VALUES ($1, $2, 1, $3)
       ON CONFLICT (target_hmac) DO UPDATE
          SET day = greatest(t.day, $2),
              sends = CASE WHEN t.day < $2 THEN 1 ELSE t.sends + 1 END,
              failures = CASE WHEN t.day < $2 THEN 0 ELSE t.failures END,
              last_send_at = $3
        WHERE (t.last_send_at IS NULL OR t.last_send_at <= $4)
          AND (t.day < $2 OR t.sends < $5)
          AND (SELECT count(*)
                 FROM identity.otp_challenges c
                WHERE c.target_hmac = $6
                  AND c.created_at > $7) < $8
       RETURNING target_hmac)
     INSERT INTO identity.otp_challenges
            (id, handle_hash, channel, purpose, user_id, target_hmac, target_enc, key_id, code_mac,
             locale, expires_at, ip, created_at)
     SELECT $9, $10, $11, $12, $13, $6, $14, $15, $16, $17, $18, $19::text::inet, $3
       FROM budget",
);

/// Takes a code from the budget and stores its challenge; false when the budget forbids it.
pub(crate) async fn insert(
    tx: &Tx,
    moment: Moment,
    budget: &Budget<'_>,
    new: &NewChallenge<'_>,
) -> Result<bool> {
    let stored = INSERT
        .bind(&budget.key)
        .bind(&moment.today)
        .bind(&moment.now)
        .bind(&budget.rested_since)
        .bind(&budget.per_day)
        .bind(&new.target_hmac)
        .bind(&budget.hour_ago)
        .bind(&budget.per_hour)
        .bind(&new.id)
        .bind(&new.handle_hash)
        .bind(&new.channel)
        .bind(&new.purpose)
        .bind(&new.user)
        .bind(&new.target_enc)
        .bind(&new.key_id)
        .bind(&new.code_mac)
        .bind(&new.locale)
        .bind(&new.expires_at)
        .bind(&new.ip)
        .execute(tx)
        .await?;
    Ok(stored == 1)
}

/// Why a budget gives no code.
#[derive(FromRow)]
pub(crate) struct Spent {
    pub(crate) day: Date,
    pub(crate) sends: i32,
    pub(crate) last_send_at: Option<Timestamp>,
    /// The first code of the last hour.
    pub(crate) first_at: Option<Timestamp>,
}

const FIND_BUDGET: Sql = Sql::new(
    "identity.find_otp_budget",
    "SELECT t.day, t.sends, t.last_send_at,
            (SELECT min(c.created_at)
               FROM identity.otp_challenges c
              WHERE c.target_hmac = $2
                AND c.created_at > $3) AS first_at
       FROM identity.otp_targets t
      WHERE t.target_hmac = $1",
)
.returning::<Spent>();

/// What was taken from a budget.
pub(crate) async fn find_budget(
    db: &Db,
    budget: &Budget<'_>,
    target_hmac: &[u8],
) -> Result<Option<Spent>> {
    FIND_BUDGET
        .bind(&budget.key)
        .bind(&target_hmac)
        .bind(&budget.hour_ago)
        .optional(db)
        .await
}

const SPEND: Sql = Sql::new(
    "identity.spend_otp_budget",
    "INSERT INTO identity.otp_targets AS t (target_hmac, day, sends, last_send_at)
     VALUES ($1, $2, 1, $3)
     ON CONFLICT (target_hmac) DO UPDATE
        SET day = greatest(t.day, $2),
            sends = CASE WHEN t.day < $2 THEN 1 ELSE t.sends + 1 END,
            last_send_at = $3
      WHERE t.day < $2
         OR t.sends < $4",
);

/// Takes one from the daily budget of a country; false when it is used up.
pub(crate) async fn spend(tx: &Tx, moment: Moment, key: &[u8], per_day: i32) -> Result<bool> {
    let spent = SPEND
        .bind(&key)
        .bind(&moment.today)
        .bind(&moment.now)
        .bind(&per_day)
        .execute(tx)
        .await?;
    Ok(spent == 1)
}

/// A challenge before an attempt on it.
#[derive(FromRow)]
pub(crate) struct Found {
    pub(crate) id: AnyId,
    pub(crate) target_enc: Option<Vec<u8>>,
    pub(crate) key_id: Option<String>,
}

const FIND: Sql = Sql::new(
    "identity.find_otp_challenge",
    "SELECT id, target_enc, key_id
       FROM identity.otp_challenges
      WHERE handle_hash = $1
        AND purpose = $2
        AND user_id IS NOT DISTINCT FROM $3
        AND ($4::bytea IS NULL OR target_hmac = $4)",
)
.returning::<Found>();

/// The challenge with a handle, for a purpose and whoever asked for it; of one target, if given.
pub(crate) async fn find(
    db: &Db,
    handle_hash: &[u8],
    purpose: &str,
    user: Option<UserId>,
    target_hmac: Option<&[u8]>,
) -> Result<Option<Found>> {
    FIND.bind(&handle_hash)
        .bind(&purpose)
        .bind(&user)
        .bind(&target_hmac)
        .optional(db)
        .await
}

// By the index on (target_hmac, created_at).
const FIND_NEWEST: Sql = Sql::new(
    "identity.find_newest_otp_challenge",
    "SELECT id, target_enc, key_id
       FROM identity.otp_challenges
      WHERE target_hmac = $1
        AND purpose = 'login'
        AND consumed_at IS NULL
        AND expires_at > $2
      ORDER BY created_at DESC, id DESC
      LIMIT 1",
)
.returning::<Found>();

/// The newest live challenge of a login to a number.
pub(crate) async fn find_newest(
    db: &Db,
    target_hmac: &[u8],
    now: Timestamp,
) -> Result<Option<Found>> {
    FIND_NEWEST.bind(&target_hmac).bind(&now).optional(db).await
}

/// A challenge whose attempt may be judged.
#[derive(FromRow)]
pub(crate) struct Attempted {
    pub(crate) id: AnyId,
    pub(crate) channel: String,
    pub(crate) code_mac: Option<Vec<u8>>,
    pub(crate) locale: String,
    /// The budget that the attempt was counted in.
    pub(crate) budget: Vec<u8>,
}

// Commits by itself, before the code is looked at: parallel guesses count too. $2 NULL: the budget
// of the target itself.
const ATTEMPT: Sql = Sql::new(
    "identity.attempt_otp_challenge",
    "WITH c AS (
       UPDATE identity.otp_challenges
          SET attempts = attempts + 1
        WHERE id = $1
          AND attempts < $6
          AND consumed_at IS NULL
          AND expires_at > $4
       RETURNING id, channel, target_hmac, code_mac, locale),
     t AS (
       INSERT INTO identity.otp_targets AS o (target_hmac, day, failures)
       SELECT coalesce($2::bytea, c.target_hmac), $3, 1
         FROM c
       ON CONFLICT (target_hmac) DO UPDATE
          SET day = greatest(o.day, $3),
              sends = CASE WHEN o.day < $3 THEN 0 ELSE o.sends END,
              failures = CASE WHEN o.day < $3 THEN 1 ELSE o.failures + 1 END
        WHERE o.day < $3
           OR o.failures < $5
       RETURNING target_hmac)
     SELECT c.id, c.channel, c.code_mac, c.locale, t.target_hmac AS budget
       FROM c
      CROSS JOIN t",
)
.returning::<Attempted>();

/// Counts an attempt on a challenge; none when it has had enough, is over, or its budget is.
pub(crate) async fn attempt(
    db: &Db,
    moment: Moment,
    challenge: AnyId,
    budget: Option<&[u8]>,
    failures_per_day: i32,
    attempts: i32,
) -> Result<Option<Attempted>> {
    ATTEMPT
        .bind(&challenge)
        .bind(&budget)
        .bind(&moment.today)
        .bind(&moment.now)
        .bind(&failures_per_day)
        .bind(&attempts)
        .optional(db)
        .await
}

const CONSUME: Sql = Sql::new(
    "identity.consume_otp_challenge",
    "UPDATE identity.otp_challenges
        SET consumed_at = $2
      WHERE id = $1
        AND consumed_at IS NULL
        AND expires_at > $2",
);

/// Uses a code up; false when another request was faster.
pub(crate) async fn consume(tx: &Tx, challenge: AnyId, now: Timestamp) -> Result<bool> {
    Ok(CONSUME.bind(&challenge).bind(&now).execute(tx).await? == 1)
}

const REFUND: Sql = Sql::new(
    "identity.refund_otp_budget",
    "UPDATE identity.otp_targets
        SET failures = greatest(failures - 1, 0)
      WHERE target_hmac = $1
        AND day = $2",
);

/// Takes back the failure that an attempt was counted as: its code was right.
pub(crate) async fn refund(source: impl Source, moment: Moment, budget: &[u8]) -> Result<()> {
    REFUND
        .bind(&budget)
        .bind(&moment.today)
        .execute(source)
        .await
        .map(drop)
}

// By the index on expires_at.
const PURGE_CHALLENGES: Sql = Sql::new(
    "identity.purge_otp_challenges",
    "DELETE FROM identity.otp_challenges
      WHERE id IN (
            SELECT id
              FROM identity.otp_challenges
             WHERE expires_at < $1
             LIMIT $2)",
);

/// Forgets challenges that expired before a moment; a batch.
pub(crate) async fn purge_challenges(db: &Db, before: Timestamp, limit: i64) -> Result<u64> {
    PURGE_CHALLENGES
        .bind(&before)
        .bind(&limit)
        .execute(db)
        .await
}

// Reads the whole table, once an hour: a row is small, and there is one for each target of a month.
const PURGE_TARGETS: Sql = Sql::new(
    "identity.purge_otp_targets",
    "DELETE FROM identity.otp_targets
      WHERE target_hmac IN (
            SELECT target_hmac
              FROM identity.otp_targets
             WHERE day < $1
             LIMIT $2)",
);

/// Forgets budgets that were not used since a day; a batch.
pub(crate) async fn purge_targets(db: &Db, before: Date, limit: i64) -> Result<u64> {
    PURGE_TARGETS.bind(&before).bind(&limit).execute(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &INSERT,
    &FIND_BUDGET,
    &SPEND,
    &FIND,
    &FIND_NEWEST,
    &ATTEMPT,
    &CONSUME,
    &REFUND,
    &PURGE_CHALLENGES,
    &PURGE_TARGETS,
];
