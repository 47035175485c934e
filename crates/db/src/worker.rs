//! The worker number of this process: leased, so that two processes never make the same id.
//!
//! Invariants
//! 1. The slot is valid for less time than the lease, measured from before the request.
//! 2. A number is given out again only some time after its lease ended, as ids may run ahead of
//!    the clock by a few seconds.
//! 3. A renewal carries the fence; who lost the number takes a new one and never goes on with it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kernel::{SharedClock, WorkerSlot};
use tokio_util::sync::CancellationToken;

use crate::mechanics::{backoff, random_below};
use crate::{Db, Error, FromRow, Result, Sql};

/// How long a number is ours without renewal.
const LEASE: Duration = Duration::from_secs(30);
/// The part of it that we do not use: clocks of two machines drift, answers take time.
const MARGIN: Duration = Duration::from_secs(5);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// Tries to take a number while others take theirs.
const TRIES: u32 = 24;

const TAKE: Sql = Sql::new(
    "worker.take",
    "WITH free AS (
        SELECT n::smallint AS number
        FROM generate_series(0, 1023) AS n
        LEFT JOIN meydan.workers AS w ON w.number = n
        WHERE w.number IS NULL OR w.expires_at < clock_timestamp() - interval '10 seconds'
        ORDER BY (n + $2) % 1024
        LIMIT 1
    )
    INSERT INTO meydan.workers AS held (number, holder, fence, expires_at)
    SELECT number, $1, 1, clock_timestamp() + make_interval(secs => $3) FROM free
    ON CONFLICT (number) DO UPDATE
    SET holder = EXCLUDED.holder, fence = held.fence + 1, expires_at = EXCLUDED.expires_at
    WHERE held.expires_at < clock_timestamp() - interval '10 seconds'
    RETURNING number, fence",
)
.returning::<Taken>();

const RENEW: Sql = Sql::new(
    "worker.renew",
    "UPDATE meydan.workers
    SET expires_at = clock_timestamp() + make_interval(secs => $3)
    WHERE number = $1 AND fence = $2 AND expires_at > clock_timestamp()",
);

const RELEASE: Sql = Sql::new(
    "worker.release",
    "UPDATE meydan.workers
    SET expires_at = clock_timestamp()
    WHERE number = $1 AND fence = $2 AND expires_at > clock_timestamp()",
);

/// The statements, for the test that prepares them.
#[doc(hidden)]
pub static STATEMENTS: &[&Sql] = &[&TAKE, &RENEW, &RELEASE];

#[derive(Debug, Clone, Copy, FromRow)]
struct Taken {
    number: i16,
    fence: i64,
}

/// Keeps a worker number.
pub struct Keeper {
    db: Db,
    clock: SharedClock,
    slot: Arc<WorkerSlot>,
    taken: Taken,
}

/// Leases a number. Ids can be made at once; run the keeper, or they stop after 25 s.
pub async fn lease(db: &Db, clock: SharedClock) -> Result<(Arc<WorkerSlot>, Keeper)> {
    let slot = WorkerSlot::empty();
    let taken = take(db, &clock, &slot).await?;
    let keeper = Keeper {
        db: db.clone(),
        clock,
        slot: Arc::clone(&slot),
        taken,
    };
    Ok((slot, keeper))
}

impl Keeper {
    /// The number at present.
    #[must_use]
    pub fn number(&self) -> u16 {
        u16::try_from(self.taken.number).unwrap_or(0)
    }

    /// Renews until `end` is cancelled, then gives the number back. Cancel it last of all: work
    /// that drains still makes ids.
    pub async fn run(mut self, end: CancellationToken) {
        let mut failures = 0;
        loop {
            let wait = match failures {
                0 => RENEWAL,
                _ => backoff(Duration::from_millis(500), Duration::from_secs(5), failures),
            };
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            match self.renew().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(
                        attempt = failures,
                        error = %crate::error::chain(&error),
                        "the worker number cannot be renewed; ids stop when it lapses"
                    );
                }
            }
        }
        self.release().await;
    }

    /// Renews once; takes a new number when this one was lost.
    pub async fn renew(&mut self) -> Result<()> {
        let before = self.clock.now();
        let renewed = RENEW
            .bind(&self.taken.number)
            .bind(&self.taken.fence)
            .bind(&LEASE.as_secs_f64())
            .execute(&self.db)
            .await?;
        if renewed == 1 {
            self.slot.renew(self.number(), valid_until(before));
            return Ok(());
        }
        self.slot.lapse();
        tracing::warn!(
            worker.number = self.taken.number,
            "the worker number was lost; taking another"
        );
        self.taken = take(&self.db, &self.clock, &self.slot).await?;
        Ok(())
    }

    /// Gives the number back.
    pub async fn release(self) {
        self.slot.lapse();
        let released = RELEASE
            .bind(&self.taken.number)
            .bind(&self.taken.fence)
            .execute(&self.db)
            .await;
        if let Err(error) = released {
            tracing::debug!(error = %error, "the worker number was not given back; it will expire");
        }
    }
}

async fn take(db: &Db, clock: &SharedClock, slot: &WorkerSlot) -> Result<Taken> {
    let holder = format!("pid {}", std::process::id());
    for attempt in 0..TRIES {
        let before = clock.now();
        // From a random place, so that many processes that start at once seldom meet.
        let start = i32::try_from(random_below(1024)).unwrap_or(0);
        let taken: Option<Taken> = TAKE
            .bind(&holder)
            .bind(&start)
            .bind(&LEASE.as_secs_f64())
            .optional(db)
            .await?;
        if let Some(taken) = taken {
            let number = u16::try_from(taken.number).unwrap_or(u16::MAX);
            slot.renew(number, valid_until(before));
            return Ok(taken);
        }
        tokio::time::sleep(backoff(
            Duration::from_millis(5),
            Duration::from_millis(100),
            attempt,
        ))
        .await;
    }
    Err(Error::unavailable(
        "leasing a worker number: all 1024 are taken",
    ))
}

fn valid_until(before: Timestamp) -> Timestamp {
    before + (LEASE - MARGIN)
}
