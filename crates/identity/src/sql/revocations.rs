//! Statements that end devices, and those that tell which were ended.

use db::{Db, FromRow, Result, Sql, Tx};
use jiff::Timestamp;
use kernel::{DeviceId, UserId};

const REVOKE: Sql = Sql::new(
    "identity.revoke_device",
    "UPDATE identity.user_devices
        SET revoked_at = now(), revoke_reason = $3
      WHERE user_id = $1
        AND id = $2
        AND revoked_at IS NULL
     RETURNING id",
);

/// Signs one device of a user out; none when it is not theirs or already out.
pub(crate) async fn revoke(
    tx: &Tx,
    user: UserId,
    device: DeviceId,
    reason: &str,
) -> Result<Option<DeviceId>> {
    REVOKE
        .bind(&user)
        .bind(&device)
        .bind(&reason)
        .optional_scalar(tx)
        .await
}

const REVOKE_ALL: Sql = Sql::new(
    "identity.revoke_devices",
    "UPDATE identity.user_devices
        SET revoked_at = now(), revoke_reason = $3
      WHERE user_id = $1
        AND id IS DISTINCT FROM $2
        AND revoked_at IS NULL
     RETURNING id",
);

/// Signs every device of a user out, but `except`.
pub(crate) async fn revoke_all(
    tx: &Tx,
    user: UserId,
    except: Option<DeviceId>,
    reason: &str,
) -> Result<Vec<DeviceId>> {
    REVOKE_ALL
        .bind(&user)
        .bind(&except)
        .bind(&reason)
        .scalars(tx)
        .await
}

const REVOKE_BROWSERS: Sql = Sql::new(
    "identity.revoke_browsers",
    "UPDATE identity.user_devices
        SET revoked_at = now(), revoke_reason = $2
      WHERE user_id = $1
        AND kind = 'browser'
        AND revoked_at IS NULL
     RETURNING id",
);

/// Signs the browser sessions of a user out.
pub(crate) async fn revoke_browsers(tx: &Tx, user: UserId, reason: &str) -> Result<Vec<DeviceId>> {
    REVOKE_BROWSERS.bind(&user).bind(&reason).scalars(tx).await
}

const REVOKE_SUPPORT: Sql = Sql::new(
    "identity.revoke_support_devices",
    "UPDATE identity.user_devices
        SET revoked_at = now(), revoke_reason = $2
      WHERE user_id = $1
        AND kind = 'support'
        AND revoked_at IS NULL
     RETURNING id",
);

/// Ends every login in which somebody acts as a user.
pub(crate) async fn revoke_support(tx: &Tx, user: UserId, reason: &str) -> Result<Vec<DeviceId>> {
    REVOKE_SUPPORT.bind(&user).bind(&reason).scalars(tx).await
}

/// A device on which a member of staff acted as its user.
#[derive(FromRow)]
pub(crate) struct Acted {
    pub(crate) id: DeviceId,
    pub(crate) user_id: UserId,
}

// By the index on (staff_id, id) of impersonations, then by primary key.
const REVOKE_ACTING: Sql = Sql::new(
    "identity.revoke_acting_devices",
    "UPDATE identity.user_devices
        SET revoked_at = now(), revoke_reason = $2
      WHERE id IN (SELECT i.id
                     FROM identity.impersonations i
                    WHERE i.staff_id = $1
                      AND i.started_at IS NOT NULL)
        AND act_user_id = $1
        AND revoked_at IS NULL
        AND expires_at > now()
     RETURNING id, user_id",
)
.returning::<Acted>();

/// Ends every login in which a member of staff acts as somebody.
pub(crate) async fn revoke_acting(tx: &Tx, staff: UserId, reason: &str) -> Result<Vec<Acted>> {
    REVOKE_ACTING.bind(&staff).bind(&reason).all(tx).await
}

// By the partial index on revoked_at.
const REVOKED_SINCE: Sql = Sql::new(
    "identity.list_revoked_since",
    "SELECT id
       FROM identity.user_devices
      WHERE revoked_at >= $1",
);

/// Devices signed out since a moment.
pub(crate) async fn revoked_since(db: &Db, since: Timestamp) -> Result<Vec<DeviceId>> {
    REVOKED_SINCE.bind(&since).scalars(db).await
}

pub(crate) const ALL: &[&Sql] = &[
    &REVOKE,
    &REVOKE_ALL,
    &REVOKE_BROWSERS,
    &REVOKE_SUPPORT,
    &REVOKE_ACTING,
    &REVOKED_SINCE,
];
