//! Periodic work. Each job compares what is with what should be, and may run on every node.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use kernel::Failure;
use runtime::Job;

use crate::Identity;
use crate::error::Result;
use crate::keys::Keys;
use crate::sql;

/// Rows deleted by one statement.
const BATCH: i64 = 1_000;
/// Batches of one run; the next run goes on.
const MAX_BATCHES: usize = 100;
/// How long used and expired links stay, for whoever looks into a complaint.
const TOKENS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// How long the budget of a number or address stays after its last use.
const BUDGETS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The jobs of this context.
pub(crate) fn jobs(identity: &Arc<Identity>) -> Vec<Job> {
    let (rotate, purge) = (Arc::clone(identity), Arc::clone(identity));
    let phones = Arc::clone(identity);
    let (exports, erasures) = (Arc::clone(identity), Arc::clone(identity));
    vec![
        Job::new(
            "identity.rotate_keys",
            Duration::from_secs(3600),
            move || {
                let identity = Arc::clone(&rotate);
                async move { identity.rotate_keys().await.map_err(Failure::from) }
            },
        ),
        Job::new("identity.purge", Duration::from_secs(3600), move || {
            let identity = Arc::clone(&purge);
            async move { identity.purge().await.map_err(Failure::from) }
        }),
        Job::new("identity.phone_keys", Duration::from_secs(60), move || {
            let identity = Arc::clone(&phones);
            async move { identity.keep_phone_keys().await.map_err(Failure::from) }
        }),
        Job::new("identity.exports", Duration::from_secs(15), move || {
            let identity = Arc::clone(&exports);
            async move { identity.run_exports().await.map_err(Failure::from) }
        }),
        Job::new("identity.erasures", Duration::from_secs(300), move || {
            let identity = Arc::clone(&erasures);
            async move { identity.run_erasures().await.map_err(Failure::from) }
        }),
    ]
}

impl Identity {
    /// Makes and drops signing keys as their age demands.
    pub async fn rotate_keys(&self) -> Result<String> {
        let set = self.keys.rotate().await?;
        Ok(Keys::status(&set))
    }

    /// Forgets spent refresh tokens of logins that are over, old links and codes, and budgets
    /// that nobody uses.
    pub async fn purge(&self) -> Result<String> {
        let (mut spent, mut links, mut codes) = (0, 0, 0);
        let before = self.clock.now() - TOKENS_KEPT;
        let unused = self.moment().today.saturating_sub(BUDGETS_KEPT);
        for _ in 0..MAX_BATCHES {
            let tokens = sql::devices::purge_spent(&self.db, BATCH).await?;
            let old = sql::tokens::purge(&self.db, before, BATCH).await?;
            let sent = sql::otp::purge_challenges(&self.db, before, BATCH).await?;
            let budgets = sql::otp::purge_targets(&self.db, unused, BATCH).await?;
            spent += tokens;
            links += old;
            codes += sent;
            if tokens + old + sent + budgets == 0 {
                break;
            }
        }
        Ok(format!(
            "removed {spent} spent refresh tokens, {links} links and {codes} codes"
        ))
    }
}
