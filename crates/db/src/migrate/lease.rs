//! The right to migrate: a row with a fence, so that it works through a pooler and a process
//! that lost it cannot go on.

use std::time::Duration;

use postgres_types::Type;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::MigrateError;
use crate::error::Error;

/// How long the right lasts without renewal.
const LEASE_S: i64 = 60;

/// A held right.
pub(super) struct Lease {
    pub(super) fence: i64,
}

const TAKE: &str = "INSERT INTO meydan.leases AS held (name, holder, fence, expires_at)
VALUES ('migrations', $1, 1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (name) DO UPDATE
SET holder = EXCLUDED.holder,
    fence = held.fence + 1,
    expires_at = EXCLUDED.expires_at
WHERE held.expires_at <= clock_timestamp()
RETURNING fence";

const RENEW: &str = "UPDATE meydan.leases
SET expires_at = clock_timestamp() + make_interval(secs => $2)
WHERE name = 'migrations' AND fence = $1";

const RELEASE: &str = "UPDATE meydan.leases
SET expires_at = clock_timestamp()
WHERE name = 'migrations' AND fence = $1";

impl Lease {
    /// Waits for the right, at most for `limit`.
    pub(super) async fn take(client: &Client, limit: Duration) -> Result<Self, MigrateError> {
        let holder = format!("pid {}", std::process::id());
        let seconds = Self::seconds();
        let deadline = Instant::now() + limit;
        loop {
            let rows = client
                .query_typed(TAKE, &[(&holder, Type::TEXT), (&seconds, Type::FLOAT8)])
                .await
                .map_err(|error| Error::from_driver("taking the migration lease", error))?;
            if let Some(row) = rows.first() {
                let fence = row
                    .try_get(0)
                    .map_err(|error| Error::from_driver("reading the migration lease", error))?;
                return Ok(Lease { fence });
            }
            if Instant::now() >= deadline {
                return Err(MigrateError::Locked(limit.as_secs()));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Renews it; false when another process has taken it since.
    ///
    /// Inside a transaction the row stays locked until its end, which keeps others out even
    /// when the migration takes longer than the lease.
    pub(super) async fn renew(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let seconds = Self::seconds();
        let renewed = client
            .execute_typed(
                RENEW,
                &[(&self.fence, Type::INT8), (&seconds, Type::FLOAT8)],
            )
            .await?;
        Ok(renewed == 1)
    }

    /// Gives it back, if it is still ours.
    pub(super) async fn release(self, client: &Client) -> Result<(), Error> {
        client
            .execute_typed(RELEASE, &[(&self.fence, Type::INT8)])
            .await
            .map_err(|error| Error::from_driver("releasing the migration lease", error))?;
        Ok(())
    }

    pub(super) fn renewal_pause() -> Duration {
        Duration::from_secs(20)
    }

    fn seconds() -> f64 {
        // The number is small; the conversion is exact.
        f64::from(i32::try_from(LEASE_S).unwrap_or(60))
    }
}
