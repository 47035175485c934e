//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use kernel::Failure;
use runtime::Job;

use crate::error::Result;
use crate::sql::RemovedRow;
use crate::{Media, sql};

/// Files of one run of each kind of work.
const STEP: i64 = 500;

pub(crate) fn jobs(this: &Arc<Media>) -> Vec<Job> {
    let work = {
        let this = Arc::clone(this);
        move || {
            let this = Arc::clone(&this);
            async move { this.catch_up().await }
        }
    };
    let clear = {
        let this = Arc::clone(this);
        move || {
            let this = Arc::clone(&this);
            async move { this.clear().await }
        }
    };
    vec![
        Job::new("media.work", Duration::from_secs(5), work),
        Job::new("media.clear", Duration::from_secs(30), clear),
    ]
}

impl Media {
    /// Does what a killed process left: uploads to be finished, images to be worked at.
    pub async fn catch_up(&self) -> std::result::Result<String, Failure> {
        let finished = self.finish_complete(STEP).await?;
        let worked = self.work_off().await?;
        let backlog = sql::count_backlog(&self.db).await?;
        for (state, count) in [("waiting", backlog.waiting), ("removed", backlog.removed)] {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("meydan_media_backlog", "state" => state).set(f64::from(count));
        }
        Ok(format!(
            "finished {finished} uploads, worked at {worked} images"
        ))
    }

    /// Lets go what nobody claimed, and removes what nobody needs.
    pub async fn clear(&self) -> std::result::Result<String, Failure> {
        let now = self.clock.now();
        let expired = sql::expire(&self.db, now, STEP).await?;
        let removed = sql::list_removed(&self.db, now, STEP).await?;
        let mut gone = 0_u32;
        for row in removed {
            match self.remove_objects(&row).await {
                Ok(()) => gone += 1,
                // One that cannot be removed must not keep the others.
                Err(error) => {
                    tracing::warn!(media.id = row.id.get(), %error, "objects stay for now");
                }
            }
        }
        Ok(format!("{expired} files expired, {gone} are gone"))
    }

    /// Removes the objects of a file, then its row: killed in between, it begins anew.
    async fn remove_objects(&self, row: &RemovedRow) -> Result<()> {
        let folder = format!("media/{}", row.folder);
        loop {
            let keys = self.objects.list(&folder).await?;
            if keys.is_empty() {
                break;
            }
            for key in keys {
                self.objects.remove(&key).await?;
            }
        }
        sql::delete_removed(&self.db, row.id).await?;
        Ok(())
    }
}
