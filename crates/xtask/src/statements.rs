//! Statements that no test has run.
//!
//! Every test process notes the names of statements that succeeded in a folder (`db`'s
//! `notes.rs`); here they are compared with the names in the code. A test that prepares a
//! statement shows its columns; types of values and NULLs show only when it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::Context as _;

use crate::Outcome;
use crate::source::{Source, Token};
use crate::workspace::{self, File};

/// What `db` looks for; the value is the folder.
pub(crate) const VARIABLE: &str = "MEYDAN_TEST_STATEMENTS";

/// Where a statement is written down.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    path: String,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// An empty folder for the notes of a new run.
pub(crate) fn empty(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("empty {}", folder.display()));
        }
        Ok(()) | Err(_) => {}
    }
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

pub(crate) fn run(folder: &Path) -> anyhow::Result<Outcome> {
    let ran = noted(folder)?;
    let written = written(&workspace::files()?);
    anyhow::ensure!(!written.is_empty(), "the code holds no statement at all");
    if ran.is_empty() {
        println!(
            "no test has noted a statement in {}: were tests run with {VARIABLE} set?",
            folder.display()
        );
        return Ok(Outcome::Bad);
    }
    let missing = missing(&written, &ran);
    for (name, place) in &missing {
        println!("{place}: statement {name} was run by no test");
    }
    println!(
        "statements: {} in the code, {} run by no test",
        written.len(),
        missing.len()
    );
    Ok(Outcome::of_findings(missing.len()))
}

/// The names that test processes have noted.
fn noted(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        names.extend(text.lines().map(str::to_owned));
    }
    Ok(names)
}

fn missing<'a>(
    written: &'a BTreeMap<String, Place>,
    ran: &BTreeSet<String>,
) -> Vec<(&'a str, &'a Place)> {
    written
        .iter()
        .filter(|(name, _)| !ran.contains(*name))
        .map(|(name, place)| (name.as_str(), place))
        .collect()
}

/// The statements of the product by name: `Sql::new("name", …)` anywhere outside of tests, and in
/// `db` also `statement(schema, "name", …)`, which stand in every context's schema.
fn written(files: &[File]) -> BTreeMap<String, Place> {
    let mut found = BTreeMap::new();
    for file in files.iter().filter(|file| is_product(file)) {
        let Some(source) = &file.source else {
            continue;
        };
        let tokens = source.tokens();
        for (index, token) in tokens.iter().enumerate() {
            if source.in_tests(token.offset) {
                continue;
            }
            let after = tokens.get(index + 1..).unwrap_or_default();
            let before = index.checked_sub(1).and_then(|at| tokens.get(at));
            let named = match token.text {
                "Sql" => of_constant(source, after),
                "statement" if file.crate_name() == Some("db") => {
                    of_mechanics(source, before, after)
                }
                _ => None,
            };
            if let Some(name) = named {
                let line = source.line_at(token.offset);
                let path = file.path.clone();
                found.entry(name).or_insert(Place { path, line });
            }
        }
    }
    found
}

/// Test code and the tools have statements of their own.
fn is_product(file: &File) -> bool {
    let is_tool = matches!(file.crate_name(), Some("testkit" | "xtask" | "bench"));
    file.crate_name().is_some() && !is_tool && !file.is_test()
}

/// The literal behind `Sql`, if what follows is `::new("…"`.
fn of_constant(source: &Source, after: &[Token<'_>]) -> Option<String> {
    let texts: Vec<&str> = after.iter().take(5).map(|token| token.text).collect();
    if texts != [":", ":", "new", "(", "\""] {
        return None;
    }
    string_from(source, after.first()?.offset)
}

/// The first literal of a call `statement(…, "…"`, which the definition of the function is not.
fn of_mechanics(
    source: &Source,
    before: Option<&Token<'_>>,
    after: &[Token<'_>],
) -> Option<String> {
    let open = after.first().filter(|token| token.text == "(")?;
    if before.is_some_and(|token| matches!(token.text, "fn" | ".")) {
        return None;
    }
    string_from(source, open.offset)
}

fn string_from(source: &Source, offset: usize) -> Option<String> {
    let string = source.strings.iter().find(|piece| piece.offset > offset)?;
    Some(string.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, text: &str) -> Vec<(String, usize)> {
        written(&[File::new(path, text)])
            .into_iter()
            .map(|(name, place)| (name, place.line))
            .collect()
    }

    #[test]
    fn statements_are_found_wherever_they_are_written() {
        let text = "pub(crate) const A: Sql = Sql::new(\"m.a\", \"SELECT 'x'\");\n\
                    const B: db::Sql = db::Sql::new(\n    // Sql::new(\"m.no\", \"\")\n    \"m.b\",\n    \"SELECT 1\",\n)\n.returning::<R>();\n\
                    fn f() { crate::Sql::new(\"m.c\", \"SELECT 2\").execute(db) }\n\
                    const ALL: &[&Sql] = &[&A, &B];\nlet made = Sql::new(name, text);";
        let expected = [("m.a", 1), ("m.b", 2), ("m.c", 8)];
        let expected: Vec<(String, usize)> = expected
            .into_iter()
            .map(|(name, line)| (name.to_owned(), line))
            .collect();
        assert_eq!(names("crates/market/src/sql/offers.rs", text), expected);
        assert_eq!(names("crates/market/src/sql.rs", text), expected);
        for path in [
            "crates/market/tests/it/offers.rs",
            "crates/market/src/sql/tests.rs",
            "crates/testkit/src/database.rs",
            "crates/bench/src/seed.rs",
            "docs/x.rs",
        ] {
            assert!(names(path, text).is_empty(), "{path}");
        }
        let foot = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{text}\n}}");
        assert!(names("crates/market/src/sql.rs", &foot).is_empty());
    }

    #[test]
    fn mechanics_are_found_in_db_alone() {
        let text = "let sql = statement(\n    &self.schema,\n    \"outbox.delete\",\n    \"DELETE\",\n)?;\n\
                    pub(crate) fn statement(schema: &str, name: &'static str) -> Sql { a(\"no\") }\n\
                    let x = bound.statement(\"no\");";
        assert_eq!(
            names("crates/db/src/outbox.rs", text),
            [("outbox.delete".to_owned(), 1)]
        );
        assert!(names("crates/market/src/sql.rs", text).is_empty());
    }

    #[test]
    fn the_statements_of_this_repository_are_found() {
        let written = written(&workspace::files().unwrap());
        for name in [
            "db.ping",
            "outbox.append",
            "wakeup.notify",
            "worker.take",
            "idempotency_keys.purge",
        ] {
            assert!(written.contains_key(name), "{name}");
        }
        // A constant that was written in a form unknown here would be missing without a word.
        let listed: usize = workspace::files()
            .unwrap()
            .iter()
            .filter(|file| is_product(file))
            .filter_map(|file| file.source.as_ref())
            .map(|source| source.code.matches(": Sql = ").count())
            .sum();
        assert!(written.len() >= listed, "{} of {listed}", written.len());
    }

    #[test]
    fn what_no_test_has_noted_is_missing() {
        let folder = std::env::temp_dir().join(format!("xtask-notes-{}", std::process::id()));
        empty(&folder).unwrap();
        assert!(noted(&folder).unwrap().is_empty());
        std::fs::write(folder.join("1.txt"), "m.a\nm.b\n").unwrap();
        std::fs::write(folder.join("2.txt"), "m.b\nm.d").unwrap();
        let ran = noted(&folder).unwrap();
        let text =
            "const A: Sql = Sql::new(\"m.a\", \"\");\nconst C: Sql = Sql::new(\"m.c\", \"\");";
        let written = written(&[File::new("crates/market/src/sql.rs", text)]);
        let missing: Vec<String> = missing(&written, &ran)
            .into_iter()
            .map(|(name, place)| format!("{place} {name}"))
            .collect();
        assert_eq!(missing, ["crates/market/src/sql.rs:2 m.c"]);
        // A new run begins with nothing.
        empty(&folder).unwrap();
        assert!(noted(&folder).unwrap().is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(noted(&folder).is_err());
    }
}
