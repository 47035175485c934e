//! Partitions: made ahead, dropped when old.

use db::{Db, FromRow, Sql, Tx};
use jiff::civil::Date;

// One process at a time; the others skip their turn.
pub(super) const LOCK_PARTITIONS: Sql = Sql::new(
    "messaging.lock_partitions",
    "SELECT pg_try_advisory_xact_lock(hashtext('messaging.partitions'))",
);

/// Takes the right to change partitions until the end of the transaction.
pub(crate) async fn lock_partitions(tx: &Tx) -> db::Result<bool> {
    LOCK_PARTITIONS.scalar(tx).await
}

// Attaching and dropping wait for readers and writers, and everybody who comes later waits behind
// them: better to give up and come again with the next run.
pub(super) const LIMIT_LOCK_WAIT: Sql = Sql::new(
    "messaging.limit_lock_wait",
    "SELECT set_config('lock_timeout', '1000', true)",
);

/// Limits waiting for locks to a second.
pub(crate) async fn limit_lock_wait(tx: &Tx) -> db::Result<()> {
    LIMIT_LOCK_WAIT.scalar::<String>(tx).await.map(drop)
}

pub(super) const MAKE_PARTITIONS: Sql = Sql::new(
    "messaging.make_partitions",
    "SELECT messaging.make_partitions($1::date)",
);

/// Makes what `today` needs ahead and returns how many there were to make.
pub(crate) async fn make_partitions(tx: &Tx, today: Date) -> db::Result<i32> {
    MAKE_PARTITIONS.bind(&today).scalar(tx).await
}

pub(super) const DROP_PARTITIONS: Sql = Sql::new(
    "messaging.drop_partitions",
    "SELECT messaging.drop_partitions($1, $2::date)",
);

/// Drops the daily partitions of `parent` from before `oldest` and returns how many there were.
pub(crate) async fn drop_partitions(tx: &Tx, parent: &str, oldest: Date) -> db::Result<i32> {
    DROP_PARTITIONS.bind(&parent).bind(&oldest).scalar(tx).await
}

/// How many rows fell into a DEFAULT partition, counted up to 1,000.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct DefaultRows {
    pub(crate) parent: String,
    pub(crate) found: i64,
}

pub(super) const COUNT_DEFAULT_ROWS: Sql = Sql::new(
    "messaging.count_default_rows",
    "SELECT 'messages' AS parent, count(*) AS found
FROM (SELECT FROM messaging.messages_default LIMIT 1000) a
UNION ALL
SELECT 'message_nonces', count(*)
FROM (SELECT FROM messaging.message_nonces_default LIMIT 1000) b
UNION ALL
SELECT 'channel_events', count(*)
FROM (SELECT FROM messaging.channel_events_default LIMIT 1000) c",
)
.returning::<DefaultRows>();

/// Counts the rows no partition was made for.
pub(crate) async fn count_default_rows(db: &Db) -> db::Result<Vec<DefaultRows>> {
    COUNT_DEFAULT_ROWS.all(db).await
}
