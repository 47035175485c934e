//! Statements on `user_devices` and `spent_refresh`.
//!
//! Times of devices are judged by the database's clock: every node then agrees on who is live.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, DeviceId, EventId, UserId};

use crate::model::Device;

/// What a device is known by, and how long.
pub(crate) struct Secret<'a> {
    pub(crate) kind: &'a str,
    pub(crate) hash: Vec<u8>,
    /// The numbers of the refresh token, from which it can be made again.
    pub(crate) current: Option<Current<'a>>,
    pub(crate) expires_at: Timestamp,
    pub(crate) absolute_expires_at: Timestamp,
}

/// The numbers of a refresh token.
#[derive(Clone, Copy)]
pub(crate) struct Current<'a> {
    pub(crate) jti: AnyId,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) kid: &'a str,
}

/// A device to be stored.
pub(crate) struct NewDevice<'a> {
    pub(crate) id: DeviceId,
    pub(crate) user: UserId,
    pub(crate) secret: &'a Secret<'a>,
    pub(crate) device_name: Option<&'a str>,
    pub(crate) device_type: Option<&'a str>,
    pub(crate) push_notification_token: Option<&'a str>,
    pub(crate) amr: &'a [&'a str],
    pub(crate) auth_time: Timestamp,
    pub(crate) act: Option<UserId>,
    pub(crate) ip: String,
    pub(crate) user_agent: Option<&'a str>,
}

// The lock on the account makes whoever disables it meanwhile wait, and then find this device; an
// account that was disabled before gets none, however the login was proved.
const INSERT: Sql = Sql::new(
    "identity.insert_device",
    "WITH u AS (
       SELECT id
         FROM identity.users
        WHERE id = $2
          AND state IN ('active', 'deleting')
          FOR SHARE)
     INSERT INTO identity.user_devices
            (id, user_id, kind, refresh_token_hash, cur_jti, cur_iat, cur_exp, cur_kid,
             expires_at, absolute_expires_at, device_name, device_type,
             push_notification_token, amr, auth_time, act_user_id, ip, user_agent, last_login_at)
     SELECT $1, u.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
            $17::text::inet, $18, $15
       FROM u",
);

/// Stores a new device; false when the account may not log in. Called by `devices::insert_device`
/// and by nobody else.
pub(crate) async fn insert(tx: &Tx, new: &NewDevice<'_>) -> Result<bool> {
    let current = new.secret.current;
    INSERT
        .bind(&new.id)
        .bind(&new.user)
        .bind(&new.secret.kind)
        .bind(&new.secret.hash)
        .bind(&current.map(|current| current.jti))
        .bind(&current.map(|current| current.iat))
        .bind(&current.map(|current| current.exp))
        .bind(&current.map(|current| current.kid))
        .bind(&new.secret.expires_at)
        .bind(&new.secret.absolute_expires_at)
        .bind(&new.device_name)
        .bind(&new.device_type)
        .bind(&new.push_notification_token)
        .bind(&new.amr)
        .bind(&new.auth_time)
        .bind(&new.act)
        .bind(&new.ip)
        .bind(&new.user_agent)
        .execute(tx)
        .await
        .map(|rows| rows == 1)
}

/// The refresh token that takes the place of another.
pub(crate) struct Successor<'a> {
    pub(crate) hash: Vec<u8>,
    pub(crate) attempt_id: Option<&'a str>,
    pub(crate) jti: AnyId,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) kid: &'a str,
}

/// The device whose token was exchanged.
#[derive(FromRow)]
pub(crate) struct Rotated {
    pub(crate) id: DeviceId,
    pub(crate) user_id: UserId,
    pub(crate) generation: i32,
}

// Commits by itself. The casts keep one type for the parameter that is stored and converted.
// $1 new hash, $2 attempt, $3 jti, $4 iat, $5 exp, $6 kid, $7 old hash.
const ROTATE: Sql = Sql::new(
    "identity.rotate_refresh",
    "WITH cur AS (
       UPDATE identity.user_devices SET refresh_token_hash=$1, generation=generation+1, rotated_at=clock_timestamp(), last_attempt_id=$2,
              cur_jti=$3, cur_iat=$4, cur_exp=$5::bigint, cur_kid=$6, expires_at=to_timestamp($5::bigint)
        WHERE refresh_token_hash=$7 AND kind='token' AND revoked_at IS NULL AND expires_at>now() AND absolute_expires_at>now()
       RETURNING id, user_id, generation),
     ins AS (INSERT INTO identity.spent_refresh (refresh_token_hash, device_id, generation) SELECT $7, id, generation-1 FROM cur)
     SELECT id, user_id, generation FROM cur",
)
.returning::<Rotated>();

/// Exchanges the refresh token with hash `old`; none when it is not a live one.
pub(crate) async fn rotate(db: &Db, old: &[u8], new: &Successor<'_>) -> Result<Option<Rotated>> {
    ROTATE
        .bind(&new.hash)
        .bind(&new.attempt_id)
        .bind(&new.jti)
        .bind(&new.iat)
        .bind(&new.exp)
        .bind(&new.kid)
        .bind(&old)
        .optional(db)
        .await
}

// Commits by itself, so the kill stays although the request fails. Without an attempt id `same`
// must be false: IS NOT DISTINCT FROM would match two NULLs and hand the live token to a thief.
// $1 old hash, $2 attempt, $3 grace in seconds, $4 event id.
const CLASSIFY: Sql = Sql::new(
    "identity.classify_spent_refresh",
    "WITH d AS (SELECT u.id, u.user_id, u.generation-s.generation AS lag, coalesce(u.last_attempt_id=$2, false) AS same, u.revoked_at, s.spent_at
                  FROM identity.spent_refresh s JOIN identity.user_devices u ON u.id=s.device_id WHERE s.refresh_token_hash=$1),
     ok AS (SELECT id FROM d WHERE lag=1 AND (spent_at > clock_timestamp()-make_interval(secs=>$3) OR (same AND spent_at > clock_timestamp()-interval '10 min'))),
     kill AS (UPDATE identity.user_devices u SET revoked_at=now(), revoke_reason='refresh_reuse' FROM d
               WHERE u.id=d.id AND u.revoked_at IS NULL AND NOT EXISTS (SELECT 1 FROM ok) RETURNING u.id, u.user_id),
     ev AS (INSERT INTO identity.outbox (event_id, type, key, actor, data) SELECT $4, 'identity.device_revoked.v1', user_id::text, user_id,
              jsonb_build_object('device_id', id::text, 'reason', 'refresh_reuse') FROM kill)
     SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM d) THEN 'unknown' WHEN EXISTS (SELECT 1 FROM kill) THEN 'reuse'
                 WHEN (SELECT revoked_at IS NOT NULL FROM d) THEN 'revoked' WHEN (SELECT same FROM d) THEN 'retry' ELSE 'race' END",
);

/// Says what a token that could not be exchanged is; on reuse revokes its device and announces it.
pub(crate) async fn classify(
    db: &Db,
    old: &[u8],
    attempt_id: Option<&str>,
    grace_s: f64,
    event: EventId,
) -> Result<String> {
    CLASSIFY
        .bind(&old)
        .bind(&attempt_id)
        .bind(&grace_s)
        .bind(&event)
        .scalar(db)
        .await
}

/// What a token answer needs of a live device.
#[derive(FromRow)]
pub(crate) struct LiveDevice {
    pub(crate) user_id: UserId,
    pub(crate) refresh_token_hash: Vec<u8>,
    pub(crate) generation: i32,
    pub(crate) last_attempt_id: Option<String>,
    pub(crate) cur_jti: Option<AnyId>,
    pub(crate) cur_iat: Option<i64>,
    pub(crate) cur_exp: Option<i64>,
    pub(crate) cur_kid: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) auth_time: Timestamp,
    pub(crate) act_user_id: Option<UserId>,
}

const FIND_LIVE: Sql = Sql::new(
    "identity.find_live_device",
    "SELECT d.user_id, d.refresh_token_hash, d.generation, d.last_attempt_id,
            d.cur_jti, d.cur_iat, d.cur_exp, d.cur_kid, d.amr, d.auth_time,
            d.act_user_id
       FROM identity.user_devices d
       JOIN identity.users u ON u.id = d.user_id
      WHERE d.id = $1
        AND d.revoked_at IS NULL
        AND d.expires_at > now()
        AND d.absolute_expires_at > now()
        AND u.state IN ('active', 'deleting')",
)
.returning::<LiveDevice>();

/// A device that may act: not revoked, not expired, its user not disabled.
pub(crate) async fn find_live(db: &Db, device: DeviceId) -> Result<Option<LiveDevice>> {
    FIND_LIVE.bind(&device).optional(db).await
}

/// A browser session that was used.
#[derive(FromRow)]
pub(crate) struct Used {
    pub(crate) id: DeviceId,
    pub(crate) user_id: UserId,
    pub(crate) amr: Vec<String>,
    pub(crate) auth_time: Timestamp,
}

// By the unique index on the hash. Each use starts the idle time anew, up to the absolute end.
const USE_COOKIE: Sql = Sql::new(
    "identity.use_cookie",
    "UPDATE identity.user_devices d
        SET last_seen_at = now(),
            expires_at = least(d.absolute_expires_at,
                               now() + make_interval(secs => CASE WHEN EXISTS (SELECT 1 FROM identity.platform_roles r WHERE r.user_id = d.user_id)
                                                             THEN $2::float8 ELSE $3::float8 END)),
            ip = $4::text::inet,
            user_agent = $5
       FROM identity.users u
      WHERE d.refresh_token_hash = $1
        AND d.kind = 'browser'
        AND d.revoked_at IS NULL
        AND d.expires_at > now()
        AND d.absolute_expires_at > now()
        AND u.id = d.user_id
        AND u.state IN ('active', 'deleting')
     RETURNING d.id, d.user_id, d.amr, d.auth_time",
)
.returning::<Used>();

/// Finds a live browser session by its cookie and prolongs it.
pub(crate) async fn use_cookie(
    db: &Db,
    hash: &[u8],
    staff_idle_s: f64,
    idle_s: f64,
    ip: &str,
    user_agent: Option<&str>,
) -> Result<Option<Used>> {
    USE_COOKIE
        .bind(&hash)
        .bind(&staff_idle_s)
        .bind(&idle_s)
        .bind(&ip)
        .bind(&user_agent)
        .optional(db)
        .await
}

/// The cookie of a browser session that has another one now.
#[derive(FromRow)]
pub(crate) struct Replaced {
    /// Its hash.
    pub(crate) hash: Vec<u8>,
    /// How many seconds the session has left.
    pub(crate) seconds_left: i64,
}

// A stolen cookie of before is worth nothing after a change of rights.
const REPLACE_COOKIE: Sql = Sql::new(
    "identity.replace_cookie",
    "WITH old AS (
       SELECT d.id, d.refresh_token_hash
         FROM identity.user_devices d
        WHERE d.id = $1
          AND d.kind = 'browser'
          AND d.revoked_at IS NULL
          FOR UPDATE)
     UPDATE identity.user_devices d
        SET refresh_token_hash = $2
       FROM old o
      WHERE d.id = o.id
     RETURNING o.refresh_token_hash AS hash,
               extract(epoch FROM d.absolute_expires_at - now())::bigint AS seconds_left",
)
.returning::<Replaced>();

/// Gives a browser session a new cookie; the one before, none when the session is over.
pub(crate) async fn replace_cookie(
    tx: &Tx,
    device: DeviceId,
    hash: &[u8],
) -> Result<Option<Replaced>> {
    REPLACE_COOKIE.bind(&device).bind(&hash).optional(tx).await
}

const PROVE: Sql = Sql::new(
    "identity.prove_device",
    "UPDATE identity.user_devices
        SET auth_time = $3,
            amr = ARRAY(SELECT DISTINCT word FROM unnest(amr || $4::text[]) AS word ORDER BY word)
      WHERE user_id = $1
        AND id = $2
        AND revoked_at IS NULL
        AND expires_at > now()
     RETURNING amr",
);

/// Notes that the user proved again who they are on a live device; how they did so far.
pub(crate) async fn prove(
    tx: &Tx,
    user: UserId,
    device: DeviceId,
    at: Timestamp,
    amr: &[&str],
) -> Result<Option<Vec<String>>> {
    PROVE
        .bind(&user)
        .bind(&device)
        .bind(&at)
        .bind(&amr)
        .optional_scalar(tx)
        .await
}

/// A device in the list of its user.
#[derive(FromRow)]
pub(crate) struct ListedDevice {
    pub(crate) id: DeviceId,
    pub(crate) kind: String,
    pub(crate) device_name: Option<String>,
    pub(crate) device_type: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) created_at: Timestamp,
}

impl ListedDevice {
    /// As its user sees it who asks from `current`.
    pub(crate) fn shown(self, current: Option<DeviceId>) -> Device {
        Device {
            id: self.id,
            current: current == Some(self.id),
            kind: self.kind,
            device_name: self.device_name,
            device_type: self.device_type,
            ip: self.ip,
            user_agent: self.user_agent,
            amr: self.amr,
            last_seen_at: self.last_seen_at,
            created_at: self.created_at,
        }
    }
}

// By the unique index that begins with user_id.
const LIST: Sql = Sql::new(
    "identity.list_devices_before",
    "SELECT id, kind, device_name, device_type, host(ip) AS ip, user_agent, amr,
            greatest(last_login_at, rotated_at, last_seen_at) AS last_seen_at, created_at
       FROM identity.user_devices
      WHERE user_id = $1
        AND id < $2
        AND revoked_at IS NULL
        AND expires_at > now()
        AND absolute_expires_at > now()
      ORDER BY id DESC
      LIMIT $3",
)
.returning::<ListedDevice>();

/// The live devices of a user, the newest first.
pub(crate) async fn list_before(
    db: &Db,
    user: UserId,
    before: i64,
    limit: i64,
) -> Result<Vec<ListedDevice>> {
    LIST.bind(&user).bind(&before).bind(&limit).all(db).await
}

// By the index on absolute_expires_at, then that on device_id.
const PURGE_SPENT: Sql = Sql::new(
    "identity.purge_spent_refresh",
    "DELETE FROM identity.spent_refresh
      WHERE refresh_token_hash IN (
            SELECT s.refresh_token_hash
              FROM identity.user_devices d
              JOIN identity.spent_refresh s ON s.device_id = d.id
             WHERE d.absolute_expires_at < now()
             LIMIT $1)",
);

/// Forgets spent tokens of logins that are over; a batch.
pub(crate) async fn purge_spent(db: &Db, limit: i64) -> Result<u64> {
    PURGE_SPENT.bind(&limit).execute(db).await
}

/// A device, and whose it is.
#[derive(FromRow)]
pub(crate) struct DeviceOfToken {
    pub(crate) id: DeviceId,
    pub(crate) user_id: UserId,
}

// Both by unique indexes. A device that was ended because somebody else might have it does not
// speak for its user any more; one that was logged out does.
const FIND_BY_TOKEN: Sql = Sql::new(
    "identity.find_device_of_token",
    "SELECT d.id, d.user_id
       FROM identity.user_devices d
      WHERE d.id = coalesce((SELECT id
                               FROM identity.user_devices
                              WHERE refresh_token_hash = $1),
                            (SELECT device_id
                               FROM identity.spent_refresh
                              WHERE refresh_token_hash = $1))
        AND d.kind <> 'support'
        AND (d.revoked_at IS NULL OR d.revoke_reason IN ('logout', 'logout_all'))",
)
.returning::<DeviceOfToken>();

/// The device that once had this refresh token or cookie; also when it is logged out or expired.
pub(crate) async fn find_by_token(db: &Db, hash: &[u8]) -> Result<Option<DeviceOfToken>> {
    FIND_BY_TOKEN.bind(&hash).optional(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &FIND_BY_TOKEN,
    &INSERT,
    &ROTATE,
    &CLASSIFY,
    &FIND_LIVE,
    &USE_COOKIE,
    &REPLACE_COOKIE,
    &PROVE,
    &LIST,
    &PURGE_SPENT,
];
