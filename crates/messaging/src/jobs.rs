//! Periodic work: partitions are made ahead, old ones dropped, stray rows reported.

use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use jiff::tz::TimeZone;
use kernel::Failure;
use runtime::Job;

use crate::Messaging;
use crate::error::Error;
use crate::sql;

/// How often: a missing partition must be made long before it is needed.
const EVERY: Duration = Duration::from_secs(3_600);
/// How often claims of files are looked at that were not settled at once.
const SETTLE_EVERY: Duration = Duration::from_secs(600);
/// Days of changes that are kept, so that clients can catch up.
pub(crate) const EVENT_DAYS: u32 = 7;

/// How often polls that have ended, and messages whose time has come or is over, are looked for.
const OFTEN: Duration = Duration::from_secs(5);
/// How often links are looked at: somebody waits for it.
const SOON: Duration = Duration::from_secs(1);

/// The jobs of this context.
pub(crate) fn jobs(messaging: &Arc<Messaging>) -> Vec<Job> {
    let settle = Arc::clone(messaging);
    let (keep, polls) = (Arc::clone(messaging), Arc::clone(messaging));
    let previews = Arc::clone(messaging);
    let (scheduled, expiry) = (Arc::clone(messaging), Arc::clone(messaging));
    vec![
        Job::new("messaging.partitions", EVERY, move || {
            let messaging = Arc::clone(&keep);
            async move { messaging.keep_partitions().await.map_err(Failure::from) }
        }),
        Job::new("messaging.settle_files", SETTLE_EVERY, move || {
            let messaging = Arc::clone(&settle);
            async move { messaging.settle_old_claims().await.map_err(Failure::from) }
        }),
        Job::new("messaging.polls", OFTEN, move || {
            let messaging = Arc::clone(&polls);
            async move { messaging.end_due_polls().await.map_err(Failure::from) }
        }),
        Job::new("messaging.scheduled", OFTEN, move || {
            let messaging = Arc::clone(&scheduled);
            async move { messaging.send_scheduled().await.map_err(Failure::from) }
        }),
        Job::new("messaging.previews", SOON, move || {
            let messaging = Arc::clone(&previews);
            async move { messaging.preview_links().await.map_err(Failure::from) }
        }),
        Job::new("messaging.expiry", OFTEN, move || {
            let messaging = Arc::clone(&expiry);
            async move { messaging.expire_messages().await.map_err(Failure::from) }
        }),
    ]
}

impl Messaging {
    /// Makes partitions ahead, drops those of old nonces and changes, and looks for rows that fell
    /// into a default partition.
    pub async fn keep_partitions(&self) -> Result<String, Error> {
        let strays = self.report_strays().await?;
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let tx = self.db.begin().await?;
        if !sql::lock_partitions(&tx).await? {
            tx.rollback().await?;
            return Ok("another node is at it".to_owned());
        }
        sql::limit_lock_wait(&tx).await?;
        let made = sql::make_partitions(&tx, today).await?;
        // Two days of nonces: today's and yesterday's.
        let nonces =
            sql::drop_partitions(&tx, "message_nonces", today.saturating_sub(1.day())).await?;
        let events = sql::drop_partitions(
            &tx,
            "channel_events",
            today.saturating_sub(i64::from(EVENT_DAYS).days()),
        )
        .await?;
        tx.commit().await?;
        Ok(format!(
            "made {made}, dropped {nonces} + {events}, strays {strays}"
        ))
    }

    /// Counts rows in default partitions: each blocks the making of the right one.
    async fn report_strays(&self) -> Result<i64, Error> {
        let mut all = 0_i64;
        for rows in sql::count_default_rows(&self.db).await? {
            let count = u32::try_from(rows.found).unwrap_or(u32::MAX);
            metrics::gauge!("meydan_messaging_default_rows", "table" => rows.parent.clone())
                .set(f64::from(count));
            if rows.found > 0 {
                tracing::error!(
                    table = rows.parent,
                    rows = rows.found,
                    "rows fell into a default partition; move them, then the right one can be made"
                );
            }
            all = all.saturating_add(rows.found);
        }
        Ok(all)
    }
}
