//! Periodic work.

use std::sync::Arc;
use std::time::Duration;

use kernel::Failure;
use runtime::Job;

use crate::Audit;

/// How long an event waits for its place in the chain.
const SEAL_EVERY: Duration = Duration::from_secs(1);

/// How often all of the chain is looked at.
const VERIFY_EVERY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn jobs(this: &Arc<Audit>) -> Vec<Job> {
    let (seals, verifies) = (Arc::clone(this), Arc::clone(this));
    vec![
        Job::new("audit.seal", SEAL_EVERY, move || {
            let this = Arc::clone(&seals);
            async move {
                let sealed = this.seal().await.map_err(Failure::from)?;
                Ok(format!("sealed {sealed} entries"))
            }
        }),
        Job::new("audit.verify", VERIFY_EVERY, move || {
            let this = Arc::clone(&verifies);
            async move {
                let findings = this.verify().await.map_err(Failure::from)?;
                let count = u32::try_from(findings.len()).unwrap_or(u32::MAX);
                metrics::gauge!("meydan_audit_findings").set(f64::from(count));
                for finding in &findings {
                    let (chain, seq) = (finding.chain, finding.seq);
                    tracing::error!(
                        chain,
                        seq,
                        "the audit chain does not hold: {}",
                        finding.verdict
                    );
                }
                Ok(format!("found {count} places that do not hold"))
            }
        }),
    ]
}
