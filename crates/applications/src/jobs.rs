//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use kernel::Failure;
use runtime::Job;

use crate::{Applications, sql};

/// Deletions one run finishes.
const STEP: i64 = 100;
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn jobs(this: &Arc<Applications>) -> Vec<Job> {
    let this = Arc::clone(this);
    vec![Job::new(
        "applications.finish_deletions",
        MINUTE,
        move || {
            let this = Arc::clone(&this);
            async move { this.finish_deletions().await }
        },
    )]
}

impl Applications {
    /// Takes the bots of deleted applications out where that failed before.
    pub async fn finish_deletions(&self) -> std::result::Result<String, Failure> {
        let ids = sql::list_deleted_applications(&self.db, STEP).await?;
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
