//! Statements: a name, a text, and typed values bound one after the other.

use futures::future::BoxFuture;
use postgres_types::{FromSqlOwned, ToSql, Type};

use crate::Result;
use crate::error::Error;
use crate::value::{FromRow, Row, Value};

/// A statement, kept as a constant. The name labels metrics and the log of slow statements.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    name: &'static str,
    text: &'static str,
    columns: Option<&'static [(&'static str, Type)]>,
}

impl Sql {
    /// A statement by the name `context.verb_noun`.
    #[must_use]
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Sql {
            name,
            text,
            columns: None,
        }
    }

    /// Says which struct its rows become; the test that prepares every statement compares them.
    #[must_use]
    pub const fn returning<T: FromRow>(self) -> Self {
        Sql {
            name: self.name,
            text: self.text,
            columns: Some(T::COLUMNS),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Its text.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// The columns it promises, if it returns structs.
    #[must_use]
    pub const fn columns(&self) -> Option<&'static [(&'static str, Type)]> {
        self.columns
    }

    /// Whether it can be sent again when its connection broke: a plain SELECT without locks.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let text = self.text.trim_start();
        text.get(..6)
            .is_some_and(|word| word.eq_ignore_ascii_case("select"))
            && !text.contains("FOR UPDATE")
            && !text.contains("FOR NO KEY UPDATE")
            && !text.contains("FOR SHARE")
            && !text.contains("FOR KEY SHARE")
    }

    /// Binds `$1`.
    #[must_use]
    pub fn bind<V: Value>(self, value: &V) -> Bound<'_> {
        Bound {
            sql: self,
            values: Vec::with_capacity(4),
        }
        .bind(value)
    }

    /// No values: see [`Bound::all`].
    pub async fn all<T: FromRow>(self, source: impl Source) -> Result<Vec<T>> {
        self.bare().all(source).await
    }

    /// No values: see [`Bound::one`].
    pub async fn one<T: FromRow>(self, source: impl Source) -> Result<T> {
        self.bare().one(source).await
    }

    /// No values: see [`Bound::optional`].
    pub async fn optional<T: FromRow>(self, source: impl Source) -> Result<Option<T>> {
        self.bare().optional(source).await
    }

    /// No values: see [`Bound::execute`].
    pub async fn execute(self, source: impl Source) -> Result<u64> {
        self.bare().execute(source).await
    }

    /// No values: see [`Bound::scalar`].
    pub async fn scalar<V: FromSqlOwned>(self, source: impl Source) -> Result<V> {
        self.bare().scalar(source).await
    }

    /// No values: see [`Bound::optional_scalar`].
    pub async fn optional_scalar<V: FromSqlOwned>(self, source: impl Source) -> Result<Option<V>> {
        self.bare().optional_scalar(source).await
    }

    /// No values: see [`Bound::scalars`].
    pub async fn scalars<V: FromSqlOwned>(self, source: impl Source) -> Result<Vec<V>> {
        self.bare().scalars(source).await
    }

    fn bare(self) -> Bound<'static> {
        Bound {
            sql: self,
            values: Vec::new(),
        }
    }
}

/// A statement with the values bound so far.
pub struct Bound<'v> {
    pub(crate) sql: Sql,
    pub(crate) values: Vec<(&'v (dyn ToSql + Sync), Type)>,
}

impl<'v> Bound<'v> {
    /// Binds the next `$n`.
    #[must_use]
    pub fn bind<V: Value>(mut self, value: &'v V) -> Self {
        self.values.push((value, V::TYPE));
        self
    }

    /// Every row as a struct.
    pub async fn all<T: FromRow>(self, source: impl Source) -> Result<Vec<T>> {
        source.rows(&self).await?.iter().map(T::from_row).collect()
    }

    /// The only row; none or several is an error.
    pub async fn one<T: FromRow>(self, source: impl Source) -> Result<T> {
        let rows = source.rows(&self).await?;
        T::from_row(self.only(&rows)?)
    }

    /// The only row or none; several is an error.
    pub async fn optional<T: FromRow>(self, source: impl Source) -> Result<Option<T>> {
        let rows = source.rows(&self).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        T::from_row(self.only(&rows)?).map(Some)
    }

    /// The number of affected rows.
    pub async fn execute(self, source: impl Source) -> Result<u64> {
        source.affected(&self).await
    }

    /// The first column of the only row.
    pub async fn scalar<V: FromSqlOwned>(self, source: impl Source) -> Result<V> {
        let rows = source.rows(&self).await?;
        self.only(&rows)?.first()
    }

    /// The first column of the only row, or none without a row. A NULL needs `V = Option<…>`.
    pub async fn optional_scalar<V: FromSqlOwned>(self, source: impl Source) -> Result<Option<V>> {
        let rows = source.rows(&self).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        self.only(&rows)?.first().map(Some)
    }

    /// The first column of every row.
    pub async fn scalars<V: FromSqlOwned>(self, source: impl Source) -> Result<Vec<V>> {
        source.rows(&self).await?.iter().map(Row::first).collect()
    }

    fn only<'r>(&self, rows: &'r [Row]) -> Result<&'r Row> {
        match rows {
            [row] => Ok(row),
            _ => Err(Error::NotOne {
                statement: self.sql.name.into(),
                found: rows.len(),
            }),
        }
    }
}

/// Where a statement runs: `&Db` lends a connection for one statement, `&Tx` is a transaction.
pub trait Source: Send + Sync {
    /// Runs it and returns the rows.
    fn rows<'a>(&'a self, statement: &'a Bound<'_>) -> BoxFuture<'a, Result<Vec<Row>>>;

    /// Runs it and returns the number of affected rows.
    fn affected<'a>(&'a self, statement: &'a Bound<'_>) -> BoxFuture<'a, Result<u64>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_selects_are_reads() {
        assert!(Sql::new("t.a", "SELECT 1").is_read());
        assert!(Sql::new("t.b", "\n  select id FROM t.x").is_read());
        assert!(!Sql::new("t.c", "SELECT 1 FROM t.x FOR UPDATE").is_read());
        assert!(!Sql::new("t.d", "WITH a AS (DELETE FROM t.x RETURNING id) SELECT 1").is_read());
        assert!(!Sql::new("t.e", "INSERT INTO t.x SELECT 1").is_read());
        assert!(!Sql::new("t.f", "").is_read());
    }
}
