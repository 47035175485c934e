//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use kernel::Failure;
use runtime::Job;

use crate::{Applications, sql};

/// Deletions one run finishes.
const STEP: i64 = 100;
/// How long deliveries can be looked at and sent again.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Deliveries one run removes: 14 million a day.
const PURGED: i64 = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn jobs(this: &Arc<Applications>) -> Vec<Job> {
    let (deletions, deliveries) = (Arc::clone(this), Arc::clone(this));
    vec![
        Job::new("applications.finish_deletions", MINUTE, move || {
            let this = Arc::clone(&deletions);
            async move { this.finish_deletions().await }
        }),
        Job::new("applications.purge_deliveries", MINUTE, move || {
            let this = Arc::clone(&deliveries);
            async move { this.purge_deliveries().await }
        }),
    ]
}

impl Applications {
    /// Removes deliveries of long ago, and secrets that sign no more.
    pub async fn purge_deliveries(&self) -> std::result::Result<String, Failure> {
        let now = self.clock.now();
        let gone = sql::deliveries::purge_deliveries(&self.db, now - KEPT, PURGED).await?;
        let forgotten = sql::subscriptions::forget_old_secrets(&self.db, now).await?;
        Ok(format!("removed {gone} deliveries and {forgotten} secrets"))
    }

    /// Takes the bots of deleted applications out where that failed before.
    pub async fn finish_deletions(&self) -> std::result::Result<String, Failure> {
        let ids = sql::applications::list_deleted_applications(&self.db, STEP).await?;
        let (mut done, mut left) = (0_u32, 0_u32);
        for id in ids {
            match self.finish_deletion(id).await {
                Ok(()) => done += 1,
                Err(error) => {
                    // One that cannot be finished must not stop the others.
                    left += 1;
                    tracing::warn!(application.id = id.get(), %error, "a bot stays for now");
                }
            }
        }
        Ok(format!("finished {done} deletions, {left} are left"))
    }
}
