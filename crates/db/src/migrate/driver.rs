//! How one file is applied: fenced, with a short lock time-out and retries.

use std::fmt;
use std::time::Duration;

use refinery_core::Migration;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use tokio::time::sleep;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::MigrateError;
use super::lease::Lease;
use crate::connect::{Direct, Settings};
use crate::error::Error;

/// Nobody's readers may queue behind us for longer than this.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '3s'";
/// How often a lock is tried for.
const TRIES: u32 = 10;
/// First line of a file that cannot run in a transaction.
const CONCURRENT: &str = "-- concurrent";

/// Applies files of one schema as its owner.
pub(super) struct Driver<'c> {
    settings: &'c Settings,
    client: &'c Client,
    lease: &'c Lease,
    schema: &'c str,
}

/// What stopped a file.
#[derive(Debug)]
pub(super) enum Stopped {
    Server(tokio_postgres::Error),
    Fenced,
    SecondConnection(Error),
    BadConcurrent(&'static str),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stopped::Server(_) => f.write_str("the server refused it"),
            Stopped::Fenced => f.write_str("another process took over the migration"),
            Stopped::SecondConnection(_) => f.write_str("no second connection to renew the lease"),
            Stopped::BadConcurrent(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Stopped::Server(error) => Some(error),
            Stopped::SecondConnection(error) => Some(error),
            Stopped::Fenced | Stopped::BadConcurrent(_) => None,
        }
    }
}

impl From<tokio_postgres::Error> for Stopped {
    fn from(error: tokio_postgres::Error) -> Self {
        Stopped::Server(error)
    }
}

impl<'c> Driver<'c> {
    pub(super) fn new(
        settings: &'c Settings,
        client: &'c Client,
        lease: &'c Lease,
        schema: &'c str,
    ) -> Self {
        Driver {
            settings,
            client,
            lease,
            schema,
        }
    }

    /// Several texts in one transaction, tried again while locks are not to be had.
    async fn in_transaction(&self, texts: &[&str]) -> Result<(), Stopped> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.transaction_once(texts).await {
                Ok(()) => return Ok(()),
                Err(stopped) => {
                    // Without the answer to this the connection is gone, and the first error says why.
                    let _rolled_back = self.client.batch_execute("ROLLBACK").await;
                    let again = matches!(&stopped, Stopped::Server(error) if worth_a_retry(error));
                    if !again || tries >= TRIES {
                        return Err(stopped);
                    }
                }
            }
            sleep(Duration::from_millis(200).saturating_mul(tries)).await;
        }
    }

    async fn transaction_once(&self, texts: &[&str]) -> Result<(), Stopped> {
        self.client.batch_execute("BEGIN").await?;
        self.client.batch_execute(LOCK_TIMEOUT).await?;
        if !self.lease.renew(self.client).await? {
            return Err(Stopped::Fenced);
        }
        self.client
            .batch_execute(&format!("SET LOCAL ROLE {}_owner", self.schema))
            .await?;
        for text in texts {
            self.client.batch_execute(text).await?;
        }
        self.client.batch_execute("COMMIT").await?;
        Ok(())
    }

    /// One statement outside of a transaction; a second connection renews the lease meanwhile.
    async fn concurrently(&self, text: &str) -> Result<(), Stopped> {
        if !text.contains("IF NOT EXISTS") && !text.contains("IF EXISTS") {
            return Err(Stopped::BadConcurrent(
                "a concurrent file must be repeatable: IF NOT EXISTS or IF EXISTS",
            ));
        }
        if !self.lease.renew(self.client).await? {
            return Err(Stopped::Fenced);
        }
        self.drop_invalid_indexes().await?;
        let second = Direct::open(self.settings)
            .await
            .map_err(Stopped::SecondConnection)?;
        let renewing = async {
            loop {
                sleep(Lease::renewal_pause()).await;
                match self.lease.renew(second.client()).await {
                    Ok(true) => {}
                    Ok(false) => return Stopped::Fenced,
                    Err(error) => return Stopped::Server(error),
                }
            }
        };
        tokio::select! {
            done = self.client.batch_execute(text) => Ok(done?),
            stopped = renewing => Err(stopped),
        }
    }

    /// A concurrent index whose making was interrupted stays behind, invalid, and would satisfy
    /// IF NOT EXISTS.
    async fn drop_invalid_indexes(&self) -> Result<(), tokio_postgres::Error> {
        let rows = self
            .client
            .query_typed(
                "SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', n.nspname, c.relname)
                FROM pg_catalog.pg_index i
                JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
                JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND NOT i.indisvalid",
                &[(&self.schema, postgres_types::Type::TEXT)],
            )
            .await?;
        for row in rows {
            let text: String = row.try_get(0)?;
            self.client.batch_execute(&text).await?;
        }
        Ok(())
    }
}

impl AsyncTransaction for Driver<'_> {
    type Error = Stopped;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Stopped> {
        let texts: Vec<&str> = queries.collect();
        match texts.split_first() {
            Some((first, rest)) if first.trim_start().starts_with(CONCURRENT) => {
                self.concurrently(first).await?;
                self.in_transaction(rest).await?;
            }
            Some(_) | None => self.in_transaction(&texts).await?,
        }
        Ok(texts.len())
    }
}

impl AsyncQuery<Vec<Migration>> for Driver<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Stopped> {
        Ok(read_history(self.client, query).await?)
    }
}

impl AsyncMigrate for Driver<'_> {}

async fn read_history(
    client: &Client,
    query: &str,
) -> Result<Vec<Migration>, tokio_postgres::Error> {
    let rows = client.query_typed(query, &[]).await?;
    let mut applied = Vec::with_capacity(rows.len());
    for row in rows {
        let name: String = row.try_get("name")?;
        let checksum: String = row.try_get("checksum")?;
        let mut stamped = Migration::unapplied("V0__placeholder", "");
        if let Ok(migration) = &mut stamped {
            migration.set_applied();
        }
        // The stored moment is for people; the comparison uses version, name and checksum.
        let Some(moment) = stamped
            .ok()
            .and_then(|migration| migration.applied_on().copied())
        else {
            continue;
        };
        // An unreadable checksum equals none that a file can have in practice: "changed".
        let checksum = checksum.parse().unwrap_or(0);
        applied.push(Migration::applied(
            row.try_get("version")?,
            name,
            moment,
            checksum,
        ));
    }
    Ok(applied)
}

/// What a history table holds; nothing when it does not exist yet.
pub(super) async fn history(
    client: &Client,
    schema: &str,
    table: &str,
) -> Result<Vec<Migration>, MigrateError> {
    let query = format!("SELECT version, name, checksum FROM {schema}.{table} ORDER BY version");
    match read_history(client, &query).await {
        Ok(applied) => Ok(applied),
        Err(error) => match error.code() {
            Some(state)
                if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(state) =>
            {
                Ok(Vec::new())
            }
            _ => Err(Error::from_driver("reading the history of migrations", error).into()),
        },
    }
}

/// Repeatable statements in one transaction, tried again when another process does the same.
pub(super) async fn run_retrying(
    client: &Client,
    what: &'static str,
    text: &str,
) -> Result<(), Error> {
    let text = format!("BEGIN; {LOCK_TIMEOUT}; {text}; COMMIT");
    let mut tries = 0;
    loop {
        tries += 1;
        let Err(error) = client.batch_execute(&text).await else {
            return Ok(());
        };
        let _rolled_back = client.batch_execute("ROLLBACK").await;
        if tries >= TRIES || !worth_a_retry(&error) {
            return Err(Error::from_driver(what, error));
        }
        sleep(Duration::from_millis(50).saturating_mul(tries)).await;
    }
}

/// Lost against somebody else: locks, and catalogue rows that two processes changed at once.
fn worth_a_retry(error: &tokio_postgres::Error) -> bool {
    let Some(cause) = error.as_db_error() else {
        return false;
    };
    let catalogue = cause.message().contains("concurrently updated")
        || cause.message().contains("concurrently deleted")
        || cause
            .constraint()
            .is_some_and(|name| name.starts_with("pg_"));
    catalogue
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::DUPLICATE_OBJECT,
            SqlState::DUPLICATE_SCHEMA,
        ]
        .contains(cause.code())
}
