//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use kernel::Failure;
use runtime::Job;

use crate::Audit;

/// How long an event waits for its place in the chain.
const SEAL_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn jobs(this: &Arc<Audit>) -> Vec<Job> {
    let this = Arc::clone(this);
    vec![Job::new("audit.seal", SEAL_EVERY, move || {
        let this = Arc::clone(&this);
        async move {
            let sealed = this.seal().await.map_err(Failure::from)?;
            Ok(format!("sealed {sealed} entries"))
        }
    })]
}
