//! Migrations are forward-only, safe beside the previous release, and compiled in.

use super::Finding;
use crate::source::{line_at, tokens};
use crate::workspace::File;

pub(super) fn check(file: &File) -> Vec<Finding> {
    if !is_migration(file) {
        return Vec::new();
    }
    let statements = statements(&file.text);
    let made = tables_made(&statements);
    let mut findings = name(file);
    findings.extend(concurrent(file, &statements));
    for statement in &statements {
        for (rule, message) in statement.problems(&made) {
            findings.push(Finding::new(&file.path, statement.line, rule, message));
        }
    }
    findings
}

fn is_migration(file: &File) -> bool {
    file.inside()
        .is_some_and(|inside| inside.starts_with("migrations/"))
}

fn stem(file: &File) -> &str {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".sql").unwrap_or_default()
}

fn number(file: &File) -> Option<usize> {
    let (number, title) = stem(file).strip_prefix('V')?.split_once("__")?;
    let named = !title.is_empty()
        && title
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (named && number.len() == 4).then(|| number.parse().ok())?
}

fn name(file: &File) -> Vec<Finding> {
    match number(file) {
        Some(_) => Vec::new(),
        None => vec![Finding::new(
            &file.path,
            1,
            "migration-name",
            "is called V0001__name.sql",
        )],
    }
}

/// A file that begins `-- concurrent` runs outside a transaction, so it can be run again only.
fn concurrent(file: &File, statements: &[Statement]) -> Vec<Finding> {
    let marked = file.text.starts_with("-- concurrent");
    let finding = |line, message| vec![Finding::new(&file.path, line, "migration-index", message)];
    match statements {
        [only] if marked && !only.has(&["IF", "NOT", "EXISTS"]) => finding(
            only.line,
            "a concurrent statement says IF NOT EXISTS: it may run again",
        ),
        [_, second, ..] if marked => finding(
            second.line,
            "a file that begins -- concurrent has one statement",
        ),
        _ if marked => Vec::new(),
        _ => statements
            .iter()
            .find(|statement| statement.has(&["CONCURRENTLY"]))
            .map(|it| {
                finding(
                    it.line,
                    "CONCURRENTLY needs a file that begins -- concurrent",
                )
            })
            .unwrap_or_default(),
    }
}

/// One statement: its words in upper case, and the comments before and in it.
struct Statement {
    line: usize,
    words: Vec<String>,
    comments: String,
}

impl Statement {
    fn starts(&self, words: &[&str]) -> bool {
        self.words
            .iter()
            .map(String::as_str)
            .take(words.len())
            .eq(words.iter().copied())
    }

    fn has(&self, words: &[&str]) -> bool {
        self.position(words).is_some()
    }

    fn position(&self, words: &[&str]) -> Option<usize> {
        self.words
            .windows(words.len())
            .position(|window| window.iter().map(String::as_str).eq(words.iter().copied()))
    }

    /// The name after `words`, with its schema.
    fn name_after(&self, words: &[&str]) -> Option<String> {
        let start = self.position(words)? + words.len();
        let rest = self.words.get(start..)?;
        let rest: Vec<&str> = rest
            .iter()
            .map(String::as_str)
            .skip_while(|word| matches!(*word, "IF" | "NOT" | "EXISTS" | "ONLY"))
            .collect();
        match rest.as_slice() {
            [schema, ".", name, ..] => Some(format!("{schema}.{name}")),
            [name, ..] => Some((*name).to_owned()),
            [] => None,
        }
    }

    fn problems(&self, made: &[String]) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.starts(&["ALTER"]) && !self.comments.contains("-- lock:") && !self.alters(made) {
            let message = "ALTER says which lock it takes and for how long: -- lock: …";
            problems.push(("migration-lock", message.to_owned()));
        }
        problems.extend(self.index_problem(made));
        problems.extend(self.drop_problem());
        problems.extend(self.not_null_problem(made));
        problems.extend(self.schema_problem());
        problems
    }

    /// Whether it alters a table of the same file, which nobody else has seen yet.
    fn alters(&self, made: &[String]) -> bool {
        self.name_after(&["ALTER", "TABLE"])
            .is_some_and(|table| made.contains(&table))
    }

    fn index_problem(&self, made: &[String]) -> Option<(&'static str, String)> {
        let index = self.starts(&["CREATE", "INDEX"]) || self.starts(&["CREATE", "UNIQUE"]);
        if !index || self.has(&["CONCURRENTLY"]) {
            return None;
        }
        let table = self.name_after(&["ON"])?;
        let message = format!("blocks writes of {table}; build it CONCURRENTLY in its own file");
        (!made.contains(&table)).then_some(("migration-index", message))
    }

    /// What the previous release may still read stays.
    fn drop_problem(&self) -> Option<(&'static str, String)> {
        let harmless = ["CONSTRAINT", "NOT", "DEFAULT", "IDENTITY", "EXPRESSION"];
        let dropped = if self.starts(&["DROP"]) {
            self.words.get(1)
        } else if self.starts(&["ALTER", "TABLE"]) {
            let place = self.position(&["DROP"])?;
            self.words
                .get(place + 1)
                .filter(|what| !harmless.contains(&what.as_str()))
        } else {
            None
        };
        let dropped = dropped?;
        let message = format!("DROP {dropped}: the previous release may still use it");
        Some(("migration-drop", message))
    }

    fn not_null_problem(&self, made: &[String]) -> Option<(&'static str, String)> {
        let table = self.name_after(&["ALTER", "TABLE"])?;
        if made.contains(&table) {
            return None;
        }
        let text = self.words.join(" ");
        // One part per action; commas inside brackets only make more parts, never fewer.
        let bad = text.split(" , ").any(|action| {
            let adds = action.contains("ADD ") && action.contains("NOT NULL");
            let filled = action.contains("DEFAULT ") || action.contains("GENERATED ");
            (adds && !filled) || action.contains("SET NOT NULL")
        });
        let message = format!("NOT NULL without a default on {table}, which has rows");
        bad.then_some(("migration-not-null", message))
    }

    fn schema_problem(&self) -> Option<(&'static str, String)> {
        let table = self.table_made()?;
        let Some((schema, _)) = table.split_once('.') else {
            return Some(("migration-schema", format!("{table} has no schema")));
        };
        let referenced = self.name_after(&["REFERENCES"])?;
        let same = referenced
            .split_once('.')
            .is_some_and(|(other, _)| other == schema);
        let message = format!("{table} refers to {referenced}, which is not in its schema");
        (!same).then_some(("migration-schema", message))
    }

    fn table_made(&self) -> Option<String> {
        let create = self.starts(&["CREATE", "TABLE"]) || self.starts(&["CREATE", "UNLOGGED"]);
        create.then(|| self.name_after(&["TABLE"]))?
    }
}

fn tables_made(statements: &[Statement]) -> Vec<String> {
    statements
        .iter()
        .filter_map(Statement::table_made)
        .collect()
}

/// Splits at semicolons outside strings, dollar quotes and comments.
fn statements(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let (mut code, mut comments, mut start) = (String::new(), String::new(), 0);
    let mut rest = text;
    let mut offset = 0;
    while !rest.is_empty() {
        let (length, kind) = piece(rest);
        let (taken, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match kind {
            Kind::Comment => comments.push_str(taken),
            // A string counts as one word without meaning.
            Kind::Quoted => code.push_str(" '' "),
            Kind::Code => {
                if code.trim().is_empty() {
                    start = offset;
                }
                code.push_str(taken);
            }
            Kind::End => {
                statements.extend(statement(text, start, &code, &comments));
                code.clear();
                comments.clear();
            }
        }
        offset += taken.len();
        rest = after;
    }
    statements.extend(statement(text, start, &code, &comments));
    statements
}

fn statement(text: &str, start: usize, code: &str, comments: &str) -> Option<Statement> {
    let words: Vec<String> = tokens(code)
        .iter()
        .map(|token| token.text.to_uppercase())
        .collect();
    let comments = comments.to_owned();
    (!words.is_empty()).then(|| Statement {
        line: line_at(text, start),
        words,
        comments,
    })
}

enum Kind {
    Code,
    Comment,
    Quoted,
    End,
}

fn piece(text: &str) -> (usize, Kind) {
    let up_to = |open: usize, close: &str| {
        let end = text.get(open..).and_then(|rest| rest.find(close));
        end.map_or(text.len(), |end| open + end + close.len())
    };
    if text.starts_with("--") {
        return (up_to(2, "\n"), Kind::Comment);
    }
    if text.starts_with("/*") {
        return (up_to(2, "*/"), Kind::Comment);
    }
    if text.starts_with('\'') {
        return (up_to(1, "'"), Kind::Quoted);
    }
    if let Some(tag) = dollar_tag(text) {
        return (up_to(tag.len(), tag), Kind::Quoted);
    }
    if text.starts_with(';') {
        return (1, Kind::End);
    }
    (text.chars().next().map_or(1, char::len_utf8), Kind::Code)
}

/// `$$` or `$name$` at the beginning.
fn dollar_tag(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?.split_once('$')?.0;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    is_name.then(|| text.get(..name.len() + 2))?
}

/// Every file is compiled in, and the numbers of a crate follow each other.
pub(super) fn check_listed(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut previous: Option<(&str, usize)> = None;
    for file in files.iter().filter(|file| is_migration(file)) {
        let (Some(name), Some(number)) = (file.crate_name(), number(file)) else {
            continue;
        };
        let expected = match previous {
            Some((other, last)) if other == name => last + 1,
            _ => 1,
        };
        previous = Some((name, number));
        if number != expected {
            let message = format!("number {number} where {expected} was expected");
            findings.push(Finding::new(&file.path, 1, "migration-name", message));
        }
        if !is_compiled_in(files, name, stem(file)) {
            let message = format!("{} is missing in MIGRATIONS of {name}", stem(file));
            findings.push(Finding::new(&file.path, 1, "migration-listed", message));
        }
    }
    findings
}

fn is_compiled_in(files: &[File], crate_name: &str, stem: &str) -> bool {
    let include = format!("/migrations/{stem}.sql");
    let sources = files
        .iter()
        .filter(|file| file.crate_name() == Some(crate_name));
    let mut strings = sources
        .filter(|file| {
            file.inside()
                .is_some_and(|inside| inside.starts_with("src/"))
        })
        .flat_map(|file| file.source.iter().flat_map(|source| &source.strings));
    let (mut named, mut included) = (false, false);
    strings.any(|string| {
        named |= string.text == stem;
        included |= string.text.ends_with(&include);
        named && included
    })
}

#[cfg(test)]
mod tests;
