//! Error codes: one spelling, one owner, every row in its crate's list.

use std::collections::BTreeMap;

use super::Finding;
use crate::source::{Source, Token};
use crate::workspace::File;

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut owners: BTreeMap<&str, String> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let Some(source) = &file.source else { continue };
        let tokens = source.tokens();
        for row in rows(source, &tokens) {
            let line = source.line_at(row.offset);
            let mut report = |message| {
                findings.push(Finding::new(&file.path, line, "error-code", message));
            };
            if !is_upper_snake(row.code) {
                report(format!("{} is not UPPER_SNAKE_CASE", row.code));
            }
            if row.name.is_some_and(|name| name != row.code) {
                report(format!("the constant of {} has another name", row.code));
            }
            if let Some(owner) = owners.get(row.code) {
                report(format!("{} is taken by {owner}", row.code));
            }
            if row.name.is_some_and(|name| !is_listed(&tokens, name)) {
                report(format!("{} is missing in ERRORS of this file", row.code));
            }
            owners.insert(row.code, format!("{}:{line}", file.path));
        }
    }
    findings
}

struct Row<'a> {
    offset: usize,
    /// The name of the constant, unless the row stands in a table.
    name: Option<&'a str>,
    code: &'a str,
}

/// Every `ErrorRow { code: "…", … }`, and every line of an `error_rows! { NAME, …; }` table.
fn rows<'a>(source: &'a Source, tokens: &[Token<'a>]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (index, window) in tokens.windows(5).enumerate() {
        let texts: Vec<&str> = window.iter().map(|token| token.text).collect();
        let Some(first) = window
            .first()
            .filter(|first| !source.in_tests(first.offset))
        else {
            continue;
        };
        match texts.as_slice() {
            ["ErrorRow", "{", "code", ":", "\""] => {
                let quote = window.last().map_or(0, |quote| quote.offset);
                let code = source
                    .strings
                    .iter()
                    .find(|string| string.offset == quote + 1);
                let before = index
                    .checked_sub(5)
                    .and_then(|start| tokens.get(start..index));
                let name = before.and_then(constant_name);
                let row = |code| Row {
                    offset: first.offset,
                    name,
                    code,
                };
                rows.extend(code.map(|code| row(&code.text)));
            }
            ["error_rows", "!", "{", ..] => rows.extend(table(tokens.get(index + 3..))),
            _ => {}
        }
    }
    rows
}

/// The first word of each line of a table; it is the name and the code. The macro makes the list.
fn table<'a>(tokens: Option<&[Token<'a>]>) -> Vec<Row<'a>> {
    let tokens = tokens.unwrap_or_default();
    let end = tokens
        .iter()
        .position(|token| token.text == "}")
        .unwrap_or(tokens.len());
    let lines = tokens
        .get(..end)
        .unwrap_or_default()
        .split(|token| token.text == ";");
    let row = |token: &Token<'a>| Row {
        offset: token.offset,
        name: None,
        code: token.text,
    };
    lines.filter_map(|line| line.first().map(row)).collect()
}

/// The name in `const NAME: ErrorRow =`, whatever path leads to the type.
fn constant_name<'a>(before: &[Token<'a>]) -> Option<&'a str> {
    match before {
        [keyword, name, colon, _kind, equals]
            if [keyword.text, colon.text, equals.text] == ["const", ":", "="] =>
        {
            Some(name.text)
        }
        _ => None,
    }
}

/// Whether the file has no list, or one that names the constant.
fn is_listed(tokens: &[Token<'_>], name: &str) -> bool {
    let list = tokens.windows(2).position(
        |pair| matches!(pair, [keyword, list] if keyword.text == "const" && list.text == "ERRORS"),
    );
    let Some(list) = list else { return true };
    let rest = tokens.get(list..).unwrap_or_default().iter();
    rest.take_while(|token| token.text != ";")
        .any(|token| token.text == name)
}

fn is_upper_snake(code: &str) -> bool {
    code.starts_with(|first: char| first.is_ascii_uppercase())
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, code: &str) -> String {
        format!("pub const {name}: ErrorRow = ErrorRow {{ code: \"{code}\", dialect: 0 }};\n")
    }

    fn count(files: &[(&str, String)]) -> usize {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File::new(*path, text.clone()))
            .collect();
        check(&files).len()
    }

    #[test]
    fn codes_are_unique_over_all_crates() {
        let (a, b) = ("crates/a/src/error.rs", "crates/b/src/error.rs");
        assert_eq!(
            count(&[(a, row("GONE", "GONE")), (b, row("LATE", "LATE"))]),
            0
        );
        assert_eq!(
            count(&[(a, row("GONE", "GONE")), (b, row("GONE", "GONE"))]),
            1
        );
        assert_eq!(
            count(&[
                (a, row("GONE", "GONE")),
                ("crates/b/tests/it/x.rs", row("GONE", "GONE"))
            ]),
            0
        );
    }

    #[test]
    fn a_code_is_upper_snake_and_its_constants_name() {
        let path = "crates/a/src/error.rs";
        assert_eq!(count(&[(path, row("Gone", "Gone"))]), 1);
        assert_eq!(count(&[(path, row("GONE", "LEFT"))]), 1);
        assert_eq!(count(&[(path, row("GONE_2", "GONE_2"))]), 0);
    }

    #[test]
    fn every_row_is_in_the_list() {
        let path = "crates/a/src/error.rs";
        let rows = row("GONE", "GONE") + &row("LATE", "LATE");
        let list = |names: &str| format!("{rows}pub const ERRORS: &[&ErrorRow] = &[{names}];");
        assert_eq!(count(&[(path, list("&GONE, &LATE"))]), 0);
        assert_eq!(count(&[(path, list("&GONE"))]), 1);
    }

    #[test]
    fn a_table_of_rows_is_read_too() {
        let made = "macro_rules! error_rows { ($($name:ident;)*) => { $(pub const $name: ErrorRow = \
                    ErrorRow { code: stringify!($name), en: \"x\" };)* } }\n";
        let table = |rows: &str| format!("{made}error_rows! {{\n {rows}\n}}");
        let (a, b) = ("crates/a/src/error.rs", "crates/b/src/error.rs");
        let two =
            table("GONE, NotFound, 0, \"gone; {0}\", \"yok\";\n LATE, Invalid, 0, \"a\", \"b\";");
        assert_eq!(count(&[(a, two.clone())]), 0);
        assert_eq!(count(&[(a, two), (b, row("LATE", "LATE"))]), 1);
        assert_eq!(count(&[(a, table("Gone, NotFound;"))]), 1);
    }
}
