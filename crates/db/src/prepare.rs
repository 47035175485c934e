//! The check behind every crate's test of its statements. Never used while serving.

use postgres_types::Type;
use tokio_postgres::Column;

use crate::connect::{Direct, Settings};
use crate::error::{Error, chain};
use crate::{Result, Sql};

/// Prepares every statement on a direct connection and returns what is wrong, a line each.
///
/// Refused are: a text the server does not accept, a column that `returning` does not list or
/// lists with another type, and a type that the driver would have to look up (enum, domain,
/// composite, extension): that look-up names statements, which breaks behind a pooler.
pub async fn check(settings: &Settings, statements: &[&Sql]) -> Result<Vec<String>> {
    let direct = Direct::open(settings).await?;
    let mut problems = Vec::new();
    let mut names: Vec<&str> = statements.iter().map(|sql| sql.name()).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [first, second] = pair
            && first == second
        {
            problems.push(format!("{first}: two statements have this name"));
        }
    }
    for sql in statements {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's direct connection; the description of the statement is what it wants"
        )]
        let prepared = direct.client().prepare(sql.text()).await;
        match prepared {
            Ok(prepared) => problems.extend(
                column_problems(sql, prepared.columns())
                    .into_iter()
                    .map(|problem| format!("{}: {problem}", sql.name())),
            ),
            Err(error) if error.is_closed() => return Err(Error::unavailable(sql.name())),
            Err(error) => problems.push(format!("{}: {}", sql.name(), chain(&error))),
        }
    }
    Ok(problems)
}

/// Runs a script of plain statements on a direct connection, for tests and tools.
///
/// Nothing in it is bound: never build it from input.
pub async fn script(settings: &Settings, text: &str) -> Result<()> {
    let direct = Direct::open(settings).await?;
    direct
        .client()
        .batch_execute(text)
        .await
        .map_err(|error| Error::from_driver("script", error))
}

fn column_problems(sql: &Sql, columns: &[Column]) -> Vec<String> {
    let mut problems = Vec::new();
    for column in columns {
        let ty = column.type_();
        if Type::from_oid(ty.oid()).is_none() {
            problems.push(format!(
                "column {} has type {ty}, which the driver must look up; cast it",
                column.name()
            ));
        }
    }
    let Some(expected) = sql.columns() else {
        return problems;
    };
    for (name, ty) in expected {
        let mut found = columns.iter().filter(|column| column.name() == *name);
        match (found.next(), found.next()) {
            (None, _) => problems.push(format!("column {name} is missing")),
            (Some(_), Some(_)) => problems.push(format!("column {name} appears twice")),
            (Some(column), None) if column.type_() != ty => problems.push(format!(
                "column {name} is {}, the struct reads {ty}",
                column.type_()
            )),
            (Some(_), None) => {}
        }
    }
    for column in columns {
        if !expected.iter().any(|(name, _)| *name == column.name()) {
            problems.push(format!("column {} is read by nobody", column.name()));
        }
    }
    problems
}
