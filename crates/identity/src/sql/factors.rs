//! Statements on `totp`, `recovery_codes`, PINs and the waits of lost ones.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::UserId;

const LOCK: Sql = Sql::new(
    "identity.lock_user",
    "SELECT id
       FROM identity.users
      WHERE id = $1
        AND state <> 'erased'
        FOR UPDATE",
);

/// Makes changes of one user's factors wait for each other; false when there is no such user.
pub(crate) async fn lock(tx: &Tx, user: UserId) -> Result<bool> {
    let found: Option<UserId> = LOCK.bind(&user).optional_scalar(tx).await?;
    Ok(found.is_some())
}

// FOR SHARE: whoever disables the account meanwhile waits, and then finds the device.
const MAY_LOG_IN: Sql = Sql::new(
    "identity.lock_user_who_may_log_in",
    "SELECT id
       FROM identity.users
      WHERE id = $1
        AND state IN ('active', 'deleting')
        FOR SHARE",
);

/// Whether a user may still log in, at the end of a login of two requests.
pub(crate) async fn may_log_in(tx: &Tx, user: UserId) -> Result<bool> {
    let found: Option<UserId> = MAY_LOG_IN.bind(&user).optional_scalar(tx).await?;
    Ok(found.is_some())
}

/// The secret of an authenticator app, as it is stored.
#[derive(FromRow)]
pub(crate) struct Totp {
    pub(crate) seed_enc: Vec<u8>,
    pub(crate) key_id: String,
    pub(crate) confirmed_at: Option<Timestamp>,
}

const UPSERT_TOTP: Sql = Sql::new(
    "identity.upsert_totp",
    "INSERT INTO identity.totp AS t (user_id, seed_enc, key_id, created_at)
     VALUES ($1, $2, $3, $4)
     ON CONFLICT (user_id) DO UPDATE
        SET seed_enc = excluded.seed_enc,
            key_id = excluded.key_id,
            last_step = 0,
            created_at = excluded.created_at
      WHERE t.confirmed_at IS NULL",
);

/// Stores the secret of an authenticator app that is not confirmed yet, in place of an earlier
/// one; false when the user has a confirmed one.
pub(crate) async fn upsert_totp(
    tx: &Tx,
    user: UserId,
    seed_enc: &[u8],
    key_id: &str,
    at: Timestamp,
) -> Result<bool> {
    let stored = UPSERT_TOTP
        .bind(&user)
        .bind(&seed_enc)
        .bind(&key_id)
        .bind(&at);
    Ok(stored.execute(tx).await? == 1)
}

const FIND_TOTP: Sql = Sql::new(
    "identity.find_totp",
    "SELECT seed_enc, key_id, confirmed_at
       FROM identity.totp
      WHERE user_id = $1",
)
.returning::<Totp>();

/// The authenticator app of a user, confirmed or not.
pub(crate) async fn find_totp(db: &Db, user: UserId) -> Result<Option<Totp>> {
    FIND_TOTP.bind(&user).optional(db).await
}

// The secret is compared too: another one may have taken its place since the code was judged.
const CONFIRM_TOTP: Sql = Sql::new(
    "identity.confirm_totp",
    "UPDATE identity.totp
        SET confirmed_at = $4, last_step = $3
      WHERE user_id = $1
        AND seed_enc = $2
        AND confirmed_at IS NULL
        AND last_step < $3",
);

/// Turns an authenticator app on; the step of its first code counts as used.
pub(crate) async fn confirm_totp(
    tx: &Tx,
    user: UserId,
    seed_enc: &[u8],
    step: i64,
    at: Timestamp,
) -> Result<bool> {
    let confirmed = CONFIRM_TOTP
        .bind(&user)
        .bind(&seed_enc)
        .bind(&step)
        .bind(&at);
    Ok(confirmed.execute(tx).await? == 1)
}

const USE_STEP: Sql = Sql::new(
    "identity.use_totp_step",
    "UPDATE identity.totp
        SET last_step = $2
      WHERE user_id = $1
        AND confirmed_at IS NOT NULL
        AND last_step < $2",
);

/// Uses the code of a step up; false when it or a later one was used.
pub(crate) async fn use_step(tx: &Tx, user: UserId, step: i64) -> Result<bool> {
    Ok(USE_STEP.bind(&user).bind(&step).execute(tx).await? == 1)
}

const DELETE_TOTP: Sql = Sql::new(
    "identity.delete_totp",
    "DELETE FROM identity.totp
      WHERE user_id = $1",
);

/// Removes an authenticator app, confirmed or not; false when there was none.
pub(crate) async fn delete_totp(tx: &Tx, user: UserId) -> Result<bool> {
    Ok(DELETE_TOTP.bind(&user).execute(tx).await? == 1)
}

const DELETE_CODES: Sql = Sql::new(
    "identity.delete_recovery_codes",
    "DELETE FROM identity.recovery_codes
      WHERE user_id = $1",
);

/// Removes the recovery codes of a user, used ones too.
pub(crate) async fn delete_codes(tx: &Tx, user: UserId) -> Result<u64> {
    DELETE_CODES.bind(&user).execute(tx).await
}

const INSERT_CODES: Sql = Sql::new(
    "identity.insert_recovery_codes",
    "INSERT INTO identity.recovery_codes (user_id, idx, phc)
     SELECT $1, (position - 1)::smallint, phc
       FROM unnest($2::text[]) WITH ORDINALITY AS code (phc, position)",
);

/// Stores recovery codes, numbered from 0.
pub(crate) async fn insert_codes(tx: &Tx, user: UserId, phcs: &[String]) -> Result<()> {
    INSERT_CODES
        .bind(&user)
        .bind(&phcs)
        .execute(tx)
        .await
        .map(drop)
}

const FIND_CODE: Sql = Sql::new(
    "identity.find_recovery_code",
    "SELECT phc
       FROM identity.recovery_codes
      WHERE user_id = $1
        AND idx = $2
        AND used_at IS NULL",
);

/// The hash of an unused recovery code by its number.
pub(crate) async fn find_code(db: &Db, user: UserId, idx: i16) -> Result<Option<String>> {
    FIND_CODE.bind(&user).bind(&idx).optional_scalar(db).await
}

// The hash is compared too: a new set may have taken the old one's place meanwhile.
const USE_CODE: Sql = Sql::new(
    "identity.use_recovery_code",
    "UPDATE identity.recovery_codes
        SET used_at = $4
      WHERE user_id = $1
        AND idx = $2
        AND phc = $3
        AND used_at IS NULL",
);

/// Uses a recovery code up; false when it was used or replaced.
pub(crate) async fn use_code(
    tx: &Tx,
    user: UserId,
    idx: i16,
    phc: &str,
    at: Timestamp,
) -> Result<bool> {
    let used = USE_CODE.bind(&user).bind(&idx).bind(&phc).bind(&at);
    Ok(used.execute(tx).await? == 1)
}

const UPSERT_PIN: Sql = Sql::new(
    "identity.upsert_pin",
    "INSERT INTO identity.credentials (user_id, kind, phc, created_at, updated_at)
     VALUES ($1, 'pin', $2, $3, $3)
     ON CONFLICT (user_id, kind) DO UPDATE
        SET phc = excluded.phc, updated_at = excluded.updated_at",
);

/// Sets the hash of a PIN.
pub(crate) async fn upsert_pin(tx: &Tx, user: UserId, phc: &str, at: Timestamp) -> Result<()> {
    UPSERT_PIN
        .bind(&user)
        .bind(&phc)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

const FIND_PIN: Sql = Sql::new(
    "identity.find_pin",
    "SELECT phc
       FROM identity.credentials
      WHERE user_id = $1
        AND kind = 'pin'",
);

/// The hash of a user's PIN.
pub(crate) async fn find_pin(db: &Db, user: UserId) -> Result<Option<String>> {
    FIND_PIN.bind(&user).optional_scalar(db).await
}

const HAS_PIN_HASH: Sql = Sql::new(
    "identity.has_pin_hash",
    "SELECT EXISTS (SELECT 1
                      FROM identity.credentials
                     WHERE user_id = $1
                       AND kind = 'pin'
                       AND phc = $2)",
);

/// Whether this is still the hash of a user's PIN.
pub(crate) async fn has_pin_hash(tx: &Tx, user: UserId, phc: &str) -> Result<bool> {
    HAS_PIN_HASH.bind(&user).bind(&phc).scalar(tx).await
}

const DELETE_PIN: Sql = Sql::new(
    "identity.delete_pin",
    "DELETE FROM identity.credentials
      WHERE user_id = $1
        AND kind = 'pin'",
);

/// Removes a PIN; false when there was none.
pub(crate) async fn delete_pin(tx: &Tx, user: UserId) -> Result<bool> {
    Ok(DELETE_PIN.bind(&user).execute(tx).await? == 1)
}

/// How the wait for a lost PIN stands.
#[derive(FromRow)]
pub(crate) struct Wait {
    /// Whether this very attempt began it.
    pub(crate) begun: bool,
    /// When it will have lasted long enough.
    pub(crate) unlocks_at: Timestamp,
    /// Whether it has.
    pub(crate) over: bool,
}

// A use of the account since it began means that its owner is there: it begins anew. Devices that
// were signed out since count too.
const AWAIT: Sql = Sql::new(
    "identity.await_registration_lock",
    "INSERT INTO identity.registration_locks AS l (user_id, began_at)
     VALUES ($1, now())
     ON CONFLICT (user_id) DO UPDATE
        SET began_at = CASE WHEN EXISTS (SELECT 1
                                           FROM identity.user_devices d
                                          WHERE d.user_id = $1
                                            AND greatest(d.created_at, d.rotated_at, d.last_seen_at) > l.began_at)
                            THEN now()
                            ELSE l.began_at
                       END
     RETURNING began_at = now() AS begun,
               began_at + make_interval(secs => $2) AS unlocks_at,
               began_at + make_interval(secs => $2) <= now() AS over",
)
.returning::<Wait>();

/// Begins the wait for a lost PIN, or looks at the one that runs.
pub(crate) async fn await_lock(tx: &Tx, user: UserId, wait_s: f64) -> Result<Wait> {
    AWAIT.bind(&user).bind(&wait_s).one(tx).await
}

const END_WAIT: Sql = Sql::new(
    "identity.end_registration_lock_wait",
    "DELETE FROM identity.registration_locks
      WHERE user_id = $1",
);

/// Ends the wait for a lost PIN.
pub(crate) async fn end_wait(tx: &Tx, user: UserId) -> Result<()> {
    END_WAIT.bind(&user).execute(tx).await.map(drop)
}

const HAS_WAY_IN: Sql = Sql::new(
    "identity.has_way_in",
    "SELECT EXISTS (SELECT 1
                      FROM identity.users
                     WHERE id = $1
                       AND (phone_number IS NOT NULL OR email_verified_at IS NOT NULL))
            OR EXISTS (SELECT 1
                         FROM identity.credentials
                        WHERE user_id = $1
                          AND kind = 'password')
            OR EXISTS (SELECT 1
                         FROM identity.passkeys
                        WHERE user_id = $1)
            OR EXISTS (SELECT 1
                         FROM identity.oidc_identities
                        WHERE user_id = $1)",
);

/// Whether a user can log in by anything at all.
pub(crate) async fn has_way_in(tx: &Tx, user: UserId) -> Result<bool> {
    HAS_WAY_IN.bind(&user).scalar(tx).await
}

pub(crate) const ALL: &[&Sql] = &[
    &LOCK,
    &MAY_LOG_IN,
    &UPSERT_TOTP,
    &FIND_TOTP,
    &CONFIRM_TOTP,
    &USE_STEP,
    &DELETE_TOTP,
    &DELETE_CODES,
    &INSERT_CODES,
    &FIND_CODE,
    &USE_CODE,
    &UPSERT_PIN,
    &FIND_PIN,
    &HAS_PIN_HASH,
    &DELETE_PIN,
    &AWAIT,
    &END_WAIT,
    &HAS_WAY_IN,
];
