//! What the tests of every context ask of its `privacy.toml`: that it knows every column, and that
//! an erasure leaves nothing behind but what it says is kept.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use contracts::PersonalData;
use contracts::privacy::{Bundle, ERASURE_DUE, MAX_EXPORT_BYTES};
use db::privacy::PrivacyFile;
use db::{Db, Sql};
use jiff::Timestamp;
use kernel::{Event, EventId, UserId};
use serde_json::Value;

use crate::TestDb;

/// Tables that `db` puts into every schema. They carry ids only.
const MECHANICS: &[&str] = &[
    "outbox",
    "inbox",
    "dead_letters",
    "idempotency_keys",
    "jobs",
    "schema_history",
    "mechanics_history",
];

/// The schema of `db` itself: leases of migrations and worker numbers.
const LEASES: &str = "meydan";

async fn columns(admin: &Db, schema: &str) -> Result<Vec<String>> {
    let columns = Sql::new(
        "testkit.columns",
        "SELECT c.relname || '.' || a.attname
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
          WHERE n.nspname = $1
            AND c.relkind IN ('r', 'p')
            AND NOT c.relispartition
            AND a.attnum > 0
            AND NOT a.attisdropped
          ORDER BY 1",
    );
    Ok(columns.bind(&schema).scalars(admin).await?)
}

fn table_of(column: &str) -> &str {
    column.split('.').next().unwrap_or_default()
}

/// Every column of the schema is declared, nothing else is, and the statements made of the file
/// prepare as the context's own login.
///
/// # Errors
///
/// With the columns that are missing or too many, or the statements that do not prepare.
pub async fn every_column_is_declared(database: &TestDb, file: &PrivacyFile) -> Result<()> {
    let privacy = file.get()?;
    let impersonal: BTreeSet<&str> = privacy.impersonal().collect();
    let stored = columns(&database.admin()?, file.schema()).await?;
    let tables: BTreeSet<&str> = stored.iter().map(|column| table_of(column)).collect();
    let stored: BTreeSet<String> = stored
        .iter()
        .filter(|column| {
            let table = table_of(column);
            !MECHANICS.contains(&table) && !impersonal.contains(table)
        })
        .cloned()
        .collect();
    let declared: BTreeSet<String> = privacy.columns().collect();
    let missing: Vec<_> = stored.difference(&declared).collect();
    ensure!(missing.is_empty(), "without a row: {missing:?}");
    let gone: Vec<_> = declared.difference(&stored).collect();
    ensure!(gone.is_empty(), "rows of nothing: {gone:?}");
    let gone: Vec<_> = impersonal.difference(&tables).collect();
    ensure!(gone.is_empty(), "tables of nothing: {gone:?}");
    let statements: Vec<&Sql> = privacy.statements().collect();
    let settings = database.app_settings(file.schema())?;
    let problems = db::prepare::check(&settings, &statements).await?;
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// Every table that says something about people has a row: an erasure of nothing proves nothing.
///
/// # Errors
///
/// With the empty tables.
pub async fn every_table_is_filled(admin: &Db, file: &PrivacyFile) -> Result<()> {
    let columns: Vec<String> = file.get()?.columns().collect();
    let tables: BTreeSet<&str> = columns.iter().map(|column| table_of(column)).collect();
    let mut empty = Vec::new();
    for table in tables {
        let text = format!("SELECT EXISTS (SELECT 1 FROM {}.{table})", file.schema());
        if !Sql::new("testkit.filled", text.leak())
            .scalar(admin)
            .await?
        {
            empty.push(table);
        }
    }
    ensure!(empty.is_empty(), "empty: {empty:?}");
    Ok(())
}

/// Looks through all columns of the schema for what tells who somebody was. The id may be where
/// the file says `keep`, and in the mechanics; addresses, numbers and names may be nowhere.
///
/// # Errors
///
/// With the columns that hold something they should not.
pub async fn nothing_is_left(
    admin: &Db,
    file: &PrivacyFile,
    id: &str,
    others: &[&str],
) -> Result<()> {
    let found = left_behind(admin, file, id, others).await?;
    ensure!(found.is_empty(), "left behind:\n{}", found.join("\n"));
    Ok(())
}

/// The same for a whole database, of which every schema with tables must have a file.
///
/// # Errors
///
/// As for [`nothing_is_left`], and with the schemas without a file.
pub async fn nothing_is_left_anywhere(
    admin: &Db,
    files: &[&PrivacyFile],
    id: &str,
    others: &[&str],
) -> Result<()> {
    let schemas = Sql::new(
        "testkit.schemas",
        "SELECT DISTINCT schemaname::text
           FROM pg_catalog.pg_tables
          WHERE schemaname NOT IN ('pg_catalog', 'information_schema', $1)",
    );
    let schemas: Vec<String> = schemas.bind(&LEASES).scalars(admin).await?;
    let without_file = |schema: &&String| files.iter().all(|file| file.schema() != **schema);
    let unknown: Vec<&String> = schemas.iter().filter(without_file).collect();
    ensure!(unknown.is_empty(), "schemas without a file: {unknown:?}");
    let mut found = Vec::new();
    for file in files {
        let columns = left_behind(admin, file, id, others).await?;
        found.extend(
            columns
                .iter()
                .map(|column| format!("{}.{column}", file.schema())),
        );
    }
    ensure!(found.is_empty(), "left behind:\n{}", found.join("\n"));
    Ok(())
}

/// The columns that hold something they should not, and what.
async fn left_behind(
    admin: &Db,
    file: &PrivacyFile,
    id: &str,
    others: &[&str],
) -> Result<Vec<String>> {
    let kept: BTreeSet<String> = file.get()?.kept().collect();
    let mut found = Vec::new();
    for column in columns(admin, file.schema()).await? {
        let may_have_id = kept.contains(&column) || MECHANICS.contains(&table_of(&column));
        let sought = others.iter().copied().chain((!may_have_id).then_some(id));
        for text in sought {
            if holds(admin, file.schema(), &column, text).await? {
                found.push(format!("{column}: {text}"));
            }
        }
    }
    Ok(found)
}

/// Whether a column holds a text, as such or as bytes.
async fn holds(admin: &Db, schema: &str, column: &str, text: &str) -> Result<bool> {
    let (table, name) = column.split_once('.').unwrap_or((column, ""));
    let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let statement = format!(
        "SELECT EXISTS (SELECT 1
                          FROM {schema}.{table} t
                         WHERE strpos(t.{name}::text, $1) > 0
                            OR strpos(t.{name}::text, $2) > 0)"
    );
    let sql = Sql::new("testkit.holds", statement.leak());
    Ok(sql.bind(&text).bind(&bytes).scalar(admin).await?)
}

/// Brings `identity.erasure_due.v1` to the subscriptions that wait for it, twice: they act once.
///
/// # Errors
///
/// When no subscription waits for it, or it fails.
pub async fn erase(consumers: &[runtime::Consumer], user: UserId) -> Result<()> {
    let waits = |consumer: &&runtime::Consumer| consumer.kinds.contains(&ERASURE_DUE);
    let waiting: Vec<_> = consumers.iter().filter(waits).collect();
    ensure!(!waiting.is_empty(), "nobody waits for it");
    let event = Event {
        id: EventId::new(1),
        kind: ERASURE_DUE.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        actor: None,
        tenant: None,
        key: user.to_string(),
        data: serde_json::json!({"user_id": user}),
    };
    for consumer in waiting.repeat(2) {
        consumer.handler.handle(&event).await?;
    }
    Ok(())
}

/// The rows of one table in a user's export.
///
/// # Errors
///
/// When the export fails, or has no such file.
pub async fn exported(context: &dyn PersonalData, user: UserId, table: &str) -> Result<Vec<Value>> {
    let mut bundle = Bundle::new(MAX_EXPORT_BYTES);
    context.export(user, &mut bundle).await?;
    let name = format!("{}/{table}.json", context.context());
    let file = bundle.into_files().find(|(file, _)| *file == name);
    let (_, bytes) = file.with_context(|| format!("no {name}"))?;
    Ok(serde_json::from_slice(&bytes)?)
}
