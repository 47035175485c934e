//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use kernel::Failure;
use runtime::Job;

use crate::Communities;
use crate::sql::{channels, invites};

/// Rows one step removes.
const STEP: i64 = 1_000;
/// How long a deleted channel can still be looked at in the database.
const DELETED_STAYS: Duration = Duration::from_secs(30 * 86_400);
/// How often public communities are put in order by their members.
const RECOUNT: Duration = Duration::from_secs(600);
/// How often images of deleted emoji are removed.
const IMAGES: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn jobs(this: &Arc<Communities>) -> Vec<Job> {
    let purge = Arc::clone(this);
    let recount = Arc::clone(this);
    let images = Arc::clone(this);
    vec![
        Job::new("communities.purge", HOUR, move || {
            let this = Arc::clone(&purge);
            async move { this.purge().await }
        }),
        Job::new("communities.remove_images", IMAGES, move || {
            let this = Arc::clone(&images);
            async move { this.remove_images().await }
        }),
        Job::new("communities.recount_public", RECOUNT, move || {
            let this = Arc::clone(&recount);
            async move { this.recount_public().await }
        }),
    ]
}

impl Communities {
    /// Removes invites nobody can use any more, channels deleted long ago and old statistics.
    pub async fn purge(&self) -> std::result::Result<String, Failure> {
        let now = self.clock.now();
        let invites = invites::purge_invites(&self.db, now, STEP).await?;
        let channels = channels::purge_channels(&self.db, now - DELETED_STAYS, STEP).await?;
        let statistics = self.purge_statistics(STEP).await?;
        Ok(format!(
            "removed {invites} invites, {channels} channels and {statistics} rows of statistics"
        ))
    }
}
