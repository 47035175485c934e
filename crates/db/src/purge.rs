//! Periodic work on the tables that every context has: keys and marks that are too old go.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kernel::Failure;

use crate::{Db, Result, inbox, once};

/// How often it is done.
const EVERY: Duration = Duration::from_secs(3_600);
/// How long the inbox remembers an event. The bus brings none that late.
pub const INBOX_DAYS: i32 = 7;
/// Steps of 5,000 rows in one run; what is left waits for the next one.
const MAX_STEPS: u32 = 200;

/// Does the work once; gives a short status for people.
pub type PurgeFn =
    Arc<dyn Fn() -> BoxFuture<'static, std::result::Result<String, Failure>> + Send + Sync>;

/// Periodic work, in the parts that a job of `runtime` is made of.
#[derive(Clone)]
pub struct PurgeJob {
    /// `db.what`, unique in the process.
    pub name: &'static str,
    /// The pause between two runs.
    pub every: Duration,
    /// The work.
    pub run: PurgeFn,
}

impl fmt::Debug for PurgeJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurgeJob")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What is to be done every hour for these contexts: forget idempotency keys after 24 hours and
/// inbox marks after [`INBOX_DAYS`]. Several nodes may do it at once.
#[must_use]
pub fn purge_jobs(db: &Db, schemas: &[&'static str]) -> Vec<PurgeJob> {
    vec![
        job(db, schemas, "db.forget_keys", |db, schema| async move {
            once::purge(&db, schema).await
        }),
        job(db, schemas, "db.forget_marks", |db, schema| async move {
            inbox::purge(&db, schema, INBOX_DAYS).await
        }),
    ]
}

fn job<F, Fut>(db: &Db, schemas: &[&'static str], name: &'static str, step: F) -> PurgeJob
where
    F: Fn(Db, &'static str) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<u64>> + Send + 'static,
{
    let (db, schemas) = (db.clone(), schemas.to_vec());
    let run: PurgeFn = Arc::new(move || {
        let (db, schemas, step) = (db.clone(), schemas.clone(), step.clone());
        async move { all(&db, &schemas, step).await }.boxed()
    });
    PurgeJob {
        name,
        every: EVERY,
        run,
    }
}

/// One context that fails does not keep the others from it.
async fn all<F, Fut>(
    db: &Db,
    schemas: &[&'static str],
    step: F,
) -> std::result::Result<String, Failure>
where
    F: Fn(Db, &'static str) -> Fut,
    Fut: Future<Output = Result<u64>>,
{
    let mut gone: u64 = 0;
    let mut failed = None;
    for schema in schemas {
        for _ in 0..MAX_STEPS {
            match step(db.clone(), schema).await {
                Ok(0) => break,
                Ok(rows) => gone = gone.saturating_add(rows),
                Err(error) => {
                    failed = failed.or(Some(error));
                    break;
                }
            }
        }
    }
    match failed {
        None => Ok(format!("removed {gone}")),
        Some(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    #[tokio::test]
    async fn a_run_has_an_end_even_when_rows_have_not() {
        let nowhere = Db::connect(&crate::Settings::new("postgres://nobody@127.0.0.1/none"));
        let steps = AtomicU32::new(0);
        let endless = |_: Db, _: &'static str| {
            steps.fetch_add(1, SeqCst);
            std::future::ready(Ok(5_000))
        };
        let status = all(&nowhere.unwrap(), &["a", "b"], endless).await;
        assert_eq!(status.unwrap(), "removed 2000000");
        assert_eq!(steps.load(SeqCst), 2 * MAX_STEPS);
    }
}
