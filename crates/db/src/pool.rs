//! The pool, and statements that run on a connection of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, Runtime, Timeouts};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::Result;
use crate::connect::{Connector, Settings};
use crate::error::Error;
use crate::sql::{Bound, Source};
use crate::tx::Tx;
use crate::value::Row;

/// A statement slower than this is logged.
const SLOW: Duration = Duration::from_millis(200);
/// How long a connection that was given up in the middle may take to become clean again.
const CLEANUP_LIMIT: Duration = Duration::from_secs(1);

/// A database: a pool of connections, shared by cloning.
#[derive(Clone)]
pub struct Db {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pool: Pool,
    connector: Connector,
    pub(crate) settings: Settings,
    /// Clean-ups of abandoned connections; at most one per connection of the pool.
    cleanups: TaskTracker,
    /// Wake-ups of the relays, by schema.
    wakes: Mutex<HashMap<String, Arc<Notify>>>,
    /// Schemas whose outbox has grown since other processes were last told.
    grown: Mutex<Vec<String>>,
    announced: Notify,
}

impl Db {
    /// Prepares the pool. Nothing is connected yet; [`Db::ping`] tries.
    pub fn connect(settings: &Settings) -> Result<Self> {
        let config = settings.config()?;
        let connector = Connector::of(&config)?;
        let pool = Pool::builder(connector.manager(config))
            .max_size(settings.max_connections.max(1))
            .timeouts(Timeouts {
                wait: Some(settings.wait_timeout),
                create: Some(settings.connect_timeout),
                recycle: Some(settings.connect_timeout),
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Settings(error.to_string()))?;
        Ok(Db {
            inner: Arc::new(Inner {
                pool,
                connector,
                settings: settings.clone(),
                cleanups: TaskTracker::new(),
                wakes: Mutex::new(HashMap::new()),
                grown: Mutex::new(Vec::new()),
                announced: Notify::new(),
            }),
        })
    }

    /// Begins a transaction. `BEGIN` itself leaves together with the first statement.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx::new(self.lend().await?))
    }

    /// Makes sure that the database answers.
    pub async fn ping(&self) -> Result<()> {
        let one: i32 = crate::Sql::new("db.ping", "SELECT 1").scalar(self).await?;
        debug_assert_eq!(one, 1);
        Ok(())
    }

    /// Refuses further work and closes idle connections; those at work close when they are done.
    pub fn close(&self) {
        self.inner.pool.close();
        self.inner.cleanups.close();
    }

    /// Open connections, those of them that are free, and callers that wait.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let status = self.inner.pool.status();
        Usage {
            open: status.size,
            free: status.available,
            waiting: status.waiting,
        }
    }

    /// The wake-up of one context's relay in this process: notify it after a commit that wrote
    /// events.
    #[must_use]
    pub fn outbox_wake(&self, schema: &str) -> Arc<Notify> {
        let mut wakes = self
            .inner
            .wakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(wakes.entry(schema.to_owned()).or_default())
    }

    /// Says that the outbox of `schema` has grown: wakes its relay here, and by and by those of
    /// other processes. A commit does it by itself for [`crate::outbox::append`].
    pub fn announce(&self, schema: &str) {
        self.outbox_wake(schema).notify_one();
        let mut grown = self
            .inner
            .grown
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !grown.iter().any(|known| known == schema) {
            grown.push(schema.to_owned());
        }
        self.inner.announced.notify_one();
    }

    pub(crate) fn announced(&self) -> &Notify {
        &self.inner.announced
    }

    pub(crate) fn take_announced(&self) -> Vec<String> {
        std::mem::take(
            &mut *self
                .inner
                .grown
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Wakes the relay of `schema`, if this process has one.
    pub(crate) fn wake(&self, schema: &str) {
        let wakes = self
            .inner
            .wakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = wakes.get(schema) {
            wake.notify_one();
        }
    }

    /// Wakes every relay of this process.
    pub(crate) fn wake_all(&self) {
        let wakes = self
            .inner
            .wakes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for wake in wakes.values() {
            wake.notify_one();
        }
    }

    /// The settings it was made with.
    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    async fn lend(&self) -> Result<Lent> {
        let began = Instant::now();
        let taken = self.inner.pool.get().await;
        metrics::histogram!("meydan_db_pool_wait_seconds").record(began.elapsed().as_secs_f64());
        self.publish_usage();
        let object = taken.map_err(Error::from_pool)?;
        Ok(Lent {
            object: Some(object),
            db: self.clone(),
            state: State::Clean,
        })
    }

    fn publish_usage(&self) {
        let usage = self.usage();
        let gauge = |state: &'static str, count: usize| {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            metrics::gauge!("meydan_db_pool_connections", "state" => state).set(f64::from(count));
        };
        gauge("open", usage.open);
        gauge("free", usage.free);
        gauge("waiting", usage.waiting);
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// How much of a pool is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Connections that exist.
    pub open: usize,
    /// Connections nobody uses.
    pub free: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

/// What a lent connection would bring back into the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing open: it can be lent again.
    Clean,
    /// A statement or transaction is not known to have ended.
    Open,
    /// It is of no use any more.
    Broken,
}

/// A connection of the pool. Dropped in the middle of something, it is cleaned up in the
/// background, or closed when that does not work within a second.
pub(crate) struct Lent {
    object: Option<Object>,
    pub(crate) db: Db,
    pub(crate) state: State,
}

impl Lent {
    pub(crate) fn client(&self) -> Result<&tokio_postgres::Client> {
        match &self.object {
            Some(object) => Ok(object),
            None => Err(Error::unavailable("using a returned connection")),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        match self.state {
            State::Clean => drop(object),
            State::Broken => drop(Object::take(object)),
            State::Open => clean_up(&self.db, object),
        }
    }
}

/// Ends whatever is open on a connection and gives it back; closes it when that takes too long.
///
/// It starts from a destructor, so nobody waits for it; the pool bounds the number of these tasks.
fn clean_up(db: &Db, object: Object) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        drop(Object::take(object));
        return;
    };
    metrics::counter!("meydan_db_abandoned_total").increment(1);
    let cleaning = {
        let connector = db.inner.connector.clone();
        async move {
            // Without a transaction this is a harmless notice of the server.
            let rolled_back =
                tokio::time::timeout(CLEANUP_LIMIT, object.batch_execute("ROLLBACK")).await;
            if matches!(rolled_back, Ok(Ok(()))) {
                return;
            }
            let token = object.cancel_token();
            drop(Object::take(object));
            let _gone = tokio::time::timeout(CLEANUP_LIMIT, connector.cancel(&token)).await;
        }
    };
    drop(runtime.spawn(db.inner.cleanups.track_future(cleaning)));
}

/// The two ends of a statement.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Rows,
    Affected,
}

/// What a statement gave back.
pub(crate) enum Outcome {
    Rows(Vec<Row>),
    Affected(u64),
}

impl Outcome {
    pub(crate) fn rows(self) -> Vec<Row> {
        match self {
            Outcome::Rows(rows) => rows,
            Outcome::Affected(_) => Vec::new(),
        }
    }

    pub(crate) fn affected(self) -> u64 {
        match self {
            Outcome::Rows(_) => 0,
            Outcome::Affected(count) => count,
        }
    }
}

/// Sends one statement, unnamed and typed, in one round trip; measures it and bounds its time.
pub(crate) async fn send(
    client: &tokio_postgres::Client,
    statement: &Bound<'_>,
    end: End,
    limit: Duration,
) -> Result<Outcome> {
    let name = statement.sql.name();
    let text = statement.sql.text();
    let began = Instant::now();
    let work = async {
        match end {
            End::Rows => client
                .query_typed(text, &statement.values)
                .await
                .map(|rows| Outcome::Rows(rows.into_iter().map(Row).collect())),
            End::Affected => client
                .execute_typed(text, &statement.values)
                .await
                .map(Outcome::Affected),
        }
    };
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let result = match tokio::time::timeout(limit, work).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(error)) => Err(match Error::from_driver(name, error) {
            Error::Timeout { statement, .. } => Error::Timeout {
                statement,
                limit_ms,
            },
            other => other,
        }),
        Err(_elapsed) => Err(Error::Timeout {
            statement: name.into(),
            limit_ms,
        }),
    };
    if result.is_ok() {
        crate::notes::note(name);
    }
    measure(
        name,
        began.elapsed(),
        if result.is_ok() { "ok" } else { "error" },
    );
    result
}

fn measure(name: &'static str, took: Duration, result: &'static str) {
    metrics::histogram!("meydan_db_statement_seconds", "statement" => name, "result" => result)
        .record(took.as_secs_f64());
    if took >= SLOW {
        tracing::warn!(
            db.statement = name,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "slow statement"
        );
    }
}

impl Db {
    async fn run(&self, statement: &Bound<'_>, end: End) -> Result<Outcome> {
        match self.run_once(statement, end).await {
            // The server went away under an idle connection; a read can be asked again.
            Err(error) if error.is_unavailable() && statement.sql.is_read() => {
                self.run_once(statement, end).await
            }
            result => result,
        }
    }

    async fn run_once(&self, statement: &Bound<'_>, end: End) -> Result<Outcome> {
        let mut lent = self.lend().await?;
        lent.state = State::Open;
        let limit = self.settings().statement_timeout;
        let result = send(lent.client()?, statement, end, limit).await;
        lent.state = match &result {
            Err(error) if error.is_unavailable() => State::Broken,
            Err(Error::Timeout { .. }) => State::Open,
            Ok(_) | Err(_) => State::Clean,
        };
        result
    }
}

impl Source for &Db {
    fn rows<'a>(&'a self, statement: &'a Bound<'_>) -> BoxFuture<'a, Result<Vec<Row>>> {
        async { Ok(self.run(statement, End::Rows).await?.rows()) }.boxed()
    }

    fn affected<'a>(&'a self, statement: &'a Bound<'_>) -> BoxFuture<'a, Result<u64>> {
        async { Ok(self.run(statement, End::Affected).await?.affected()) }.boxed()
    }
}
