//! What is known about people, as each context's `privacy.toml` says: exported and erased by it.
//!
//! The file is the one place where a context says of every column whose it is, whether an export
//! holds it and what an erasure does with it. The statements are made of it, so that neither can
//! forget a column. Names cannot be parameters; they are checked to be plain identifiers, and the
//! file is compiled in.
//!
//! The file is a subset of TOML: tables of one line per key, strings, and inline tables of strings
//! and truths.
//!
//! ```toml
//! [bans]
//! subject = "user_id"             # the columns with the person's id, or `none`
//! page = "id"                     # optional: a large table is read in steps by this column
//! row = { retention = "account", erase = "delete" }      # what columns without a word of their own do
//! [bans.columns]
//! reason = { class = "record", export = true }
//! actor_id = { class = "relation", export = false, erase = "anonymise", to = "0", refers = true }
//! ```
//!
//! A `subject` may look into another table: `a -> other.b` finds the row with the id `a` there, whose
//! `b` is the person, and `a & b -> other.c` the one with the same `a` and `b`. `about` names columns
//! in the same way: rows of somebody else that tell about the person, which an erasure treats alike
//! and no export holds. An export shows the SQL expression `shown` instead of a column that has one.
//!
//! `erase` is `delete`, `anonymise` (to the SQL expression `to`) or `keep` (with the `law`). A
//! column that `refers` to somebody else than the subject is judged by its own value, and a text
//! `of` whom another column names by that one's; a `law` says why it stays in the subject's rows.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kernel::failure::INTERNAL;
use kernel::{Event, Failure, Ids, SharedClock, UserId};
use serde_json::{Value, json};

use crate::inbox::{Consumer, TxHandler};
use crate::{Db, Error, Result, Sql, Tx, outbox};

mod parse;
#[cfg(test)]
mod tests;

pub use parse::PrivacyError;
use parse::RawTable;

/// Rows read at a time from a table with `page`.
const STEP: i64 = 1_000;

/// The file of one context, read at its first use.
#[derive(Debug)]
pub struct PrivacyFile {
    schema: &'static str,
    text: &'static str,
    read: OnceLock<std::result::Result<Privacy, PrivacyError>>,
}

impl PrivacyFile {
    /// The file of the context with this schema: `include_str!("../privacy.toml")`.
    #[must_use]
    pub const fn new(schema: &'static str, text: &'static str) -> Self {
        PrivacyFile {
            schema,
            text,
            read: OnceLock::new(),
        }
    }

    /// The schema.
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// What it says. It is an error of ours if it cannot be read; a test of the context reads it.
    pub fn get(&self) -> Result<&Privacy> {
        let read = self
            .read
            .get_or_init(|| Privacy::parse(self.schema, self.text));
        read.as_ref()
            .map_err(|error| Error::Settings(error.to_string()))
    }
}

/// Erases a user as the file says when `identity.erasure_due.v1` comes, and answers with
/// `<context>.user_erased.v1`.
pub struct Eraser {
    file: &'static PrivacyFile,
    ids: Arc<Ids>,
    clock: SharedClock,
}

impl Eraser {
    /// For a context that has nothing to do but what its file says.
    pub fn consumer(
        db: Db,
        file: &'static PrivacyFile,
        name: &'static str,
        (ids, clock): (Arc<Ids>, SharedClock),
    ) -> Consumer {
        let eraser = Eraser::new(file, ids, clock);
        Consumer::new(db, file.schema, name, Arc::new(eraser))
    }

    /// For a context that does something else before, in the same transaction.
    pub fn new(file: &'static PrivacyFile, ids: Arc<Ids>, clock: SharedClock) -> Self {
        Eraser { file, ids, clock }
    }
}

#[async_trait]
impl TxHandler for Eraser {
    async fn handle(&self, tx: &Tx, event: &Event) -> std::result::Result<(), Failure> {
        let user = subject_of(event)?;
        self.file.get()?.erase(tx, user).await?;
        let answer = Event {
            id: self.ids.next().map_err(Failure::from)?,
            kind: format!("{}.user_erased.v1", self.file.schema),
            at: self.clock.now(),
            actor: None,
            tenant: None,
            key: event.key.clone(),
            data: json!({"user_id": event.key}),
        };
        outbox::append(tx, self.file.schema, &[answer]).await?;
        Ok(())
    }
}

/// Whom an erasure is about: the event's key.
///
/// # Errors
///
/// 500 when it is no id; the event becomes a dead letter.
pub fn subject_of(event: &Event) -> std::result::Result<UserId, Failure> {
    let user = event.key.parse();
    user.map_err(|_not_an_id| INTERNAL.fail().because("an erasure of nobody"))
}

/// The statements of one context.
#[derive(Debug)]
pub struct Privacy {
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: Vec<String>,
    kept: Vec<String>,
    exported: Vec<String>,
    /// The column by which it is read in steps.
    page: Option<String>,
    export: Option<Sql>,
    erase: Vec<Sql>,
}

impl Privacy {
    /// Reads the file of the context with this schema. Each call keeps its statements for good: it
    /// is made once for each context.
    ///
    /// # Errors
    ///
    /// [`PrivacyError`] with the line that breaks a rule.
    pub fn parse(schema: &str, text: &str) -> std::result::Result<Self, PrivacyError> {
        let raw = parse::read(schema, text)?;
        let tables = raw.into_iter().map(|table| made(schema, table));
        Ok(Privacy {
            tables: tables.collect(),
        })
    }

    /// Every declared column as `table.column`, for the test that compares them with the schema.
    pub fn columns(&self) -> impl Iterator<Item = String> + '_ {
        self.of_each(|table| &table.columns)
    }

    /// Columns whose values stay after an erasure, as `table.column`.
    pub fn kept(&self) -> impl Iterator<Item = String> + '_ {
        self.of_each(|table| &table.kept)
    }

    /// Columns that an export holds, as `table.column`.
    pub fn exported(&self) -> impl Iterator<Item = String> + '_ {
        self.of_each(|table| &table.exported)
    }

    /// Tables without a subject.
    pub fn impersonal(&self) -> impl Iterator<Item = &'static str> + '_ {
        let none = |table: &&Table| table.columns.is_empty();
        self.tables.iter().filter(none).map(|table| table.name)
    }

    /// Every statement, for the test that prepares each.
    pub fn statements(&self) -> impl Iterator<Item = &Sql> {
        self.tables
            .iter()
            .flat_map(|table| table.export.iter().chain(&table.erase))
    }

    fn of_each<'a>(
        &'a self,
        names: impl Fn(&'a Table) -> &'a Vec<String> + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        self.tables.iter().flat_map(move |table| {
            let full = |column: &String| format!("{}.{column}", table.name);
            names(table).iter().map(full).collect::<Vec<_>>()
        })
    }

    /// Reads what is stored about a user: `take` gets the rows of each table, of a large one in
    /// several steps.
    pub async fn export<E: From<crate::Error>>(
        &self,
        db: &Db,
        user: UserId,
        take: &mut (dyn FnMut(&'static str, Vec<Value>) -> std::result::Result<(), E> + Send),
    ) -> std::result::Result<(), E> {
        for table in &self.tables {
            let Some(sql) = table.export else { continue };
            let Some(page) = &table.page else {
                take(table.name, sql.bind(&user).scalars(db).await?)?;
                continue;
            };
            let mut after = i64::MIN;
            loop {
                let bound = sql.bind(&user).bind(&after).bind(&STEP);
                let rows: Vec<Value> = bound.scalars(db).await?;
                let full = rows.len() == usize::try_from(STEP).unwrap_or(usize::MAX);
                let last = rows.last().and_then(|row| row.get(page)?.as_i64());
                take(table.name, rows)?;
                match last {
                    Some(last) if full => after = last,
                    Some(_) | None => break,
                }
            }
        }
        Ok(())
    }

    /// Deletes and anonymises what is stored about a user; how many rows were touched.
    pub async fn erase(&self, tx: &Tx, user: UserId) -> Result<u64> {
        let mut rows = 0;
        for table in &self.tables {
            for sql in &table.erase {
                rows += sql.bind(&user).execute(tx).await?;
            }
        }
        Ok(rows)
    }
}

fn made(schema: &str, raw: RawTable) -> Table {
    let name = &*String::leak(raw.name.clone());
    let full = format!("{schema}.{name}");
    let has = |wanted: fn(&parse::RawColumn) -> bool| -> Vec<String> {
        let columns = raw.columns.iter().filter(|column| wanted(column));
        columns.map(|column| column.name.clone()).collect()
    };
    let exported = has(|column| column.export);
    let shown = raw.columns.iter().filter(|column| column.export);
    let shown: Vec<String> = shown
        .map(|column| match &column.shown {
            Some(expression) => format!("{expression} AS {}", column.name),
            None => column.name.clone(),
        })
        .collect();
    let export = (!shown.is_empty()).then(|| {
        let columns = shown.join(", ");
        let whose = parse::any_of(raw.subjects.iter(), schema);
        let steps = match &raw.page {
            Some(page) => format!(" AND {page} > $2 ORDER BY {page} LIMIT $3"),
            None => String::new(),
        };
        let rows = format!("SELECT {columns} FROM {full} WHERE ({whose}){steps}");
        worded(
            "export",
            &full,
            format!("SELECT to_jsonb(r) FROM ({rows}) r"),
        )
    });
    Table {
        name,
        columns: has(|_| true),
        kept: has(parse::RawColumn::is_kept),
        exported,
        export,
        erase: erasures(schema, &full, &raw),
        page: raw.page,
    }
}

/// One statement for the subject's rows, and one for rows of others that name the user.
fn erasures(schema: &str, full: &str, raw: &RawTable) -> Vec<Sql> {
    let mut made = Vec::new();
    if raw.subjects.is_empty() {
        return made;
    }
    let whose = parse::any_of(raw.subjects.iter().chain(&raw.about), schema);
    let changes: Vec<String> = raw
        .columns
        .iter()
        .filter(|column| column.judged_by.is_none())
        .filter_map(|column| Some(format!("{} = {}", column.name, column.becomes()?)))
        .collect();
    if raw.deletes_rows() {
        let text = format!("DELETE FROM {full} WHERE {whose}");
        made.push(worded("erase", full, text));
    } else if !changes.is_empty() {
        let text = format!("UPDATE {full} SET {} WHERE {whose}", changes.join(", "));
        made.push(worded("erase", full, text));
    }
    for column in &raw.columns {
        if let (Some(judge), Some(to)) = (&column.judged_by, column.becomes()) {
            let name = &column.name;
            let text = format!("UPDATE {full} SET {name} = {to} WHERE {judge} = $1");
            made.push(worded("unname", &format!("{full}.{name}"), text));
        }
    }
    made
}

/// Leaks a name and a text: a few for each table, once in the life of a process.
fn worded(what: &str, full: &str, text: String) -> Sql {
    let name = format!("privacy.{what} {full}");
    Sql::new(String::leak(name), String::leak(text))
}
