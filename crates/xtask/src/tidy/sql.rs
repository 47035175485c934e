//! Where SQL stands, that each statement is listed for its test, and that its tables are qualified.

use std::collections::BTreeMap;

use super::Finding;
use crate::source::{Source, Token, tokens};
use crate::workspace::File;

const VERBS: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let Some(source) = &file.source else {
        return Vec::new();
    };
    if file.is_test() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for string in &source.strings {
        if source.in_tests(string.offset) || !is_statement(&string.text) {
            continue;
        }
        if !may_hold_sql(file) {
            let message = "SQL stands in sql.rs";
            findings.push(Finding::new(&file.path, string.line, "sql-place", message));
        } else if is_sql_file(file) {
            findings.extend(unqualified(&string.text).into_iter().map(|(line, table)| {
                let message = format!("{table} is not schema-qualified");
                Finding::new(&file.path, string.line + line - 1, "sql-schema", message)
            }));
        }
    }
    findings
}

fn may_hold_sql(file: &File) -> bool {
    // db has the mechanics, whose schema is an argument; testkit makes databases.
    is_sql_file(file) || matches!(file.crate_name(), Some("db" | "testkit") | None)
}

fn is_sql_file(file: &File) -> bool {
    file.inside()
        .is_some_and(|inside| inside.ends_with("/sql.rs") || inside.contains("/sql/"))
}

fn is_statement(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\\');
    VERBS.iter().any(|verb| {
        // `DELETE /path` is a route.
        text.strip_prefix(verb).is_some_and(|rest| {
            rest.starts_with(char::is_whitespace) && !rest.trim_start().starts_with('/')
        })
    })
}

/// Tables without a schema, with the line inside the statement.
fn unqualified(statement: &str) -> Vec<(usize, String)> {
    let words = tokens(statement);
    let local = local_names(&words);
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if !names_a_table(&words, index) {
            continue;
        }
        let mut next = index + 1;
        while words
            .get(next)
            .is_some_and(|word| matches!(word.text, "ONLY" | "LATERAL"))
        {
            next += 1;
        }
        let Some(table) = words.get(next) else {
            continue;
        };
        let after = words.get(next + 1).map_or("", |word| word.text);
        let is_name = table
            .text
            .starts_with(|c: char| c.is_alphabetic() || c == '_');
        // A dot qualifies it; a bracket makes it a function, except after INTO.
        let fine = after == "." || (after == "(" && word.text != "INTO");
        if is_name && !fine && !local.contains(&table.text) {
            let line = crate::source::line_at(statement, table.offset);
            found.push((line, table.text.to_owned()));
        }
    }
    found
}

/// Whether the word at `index` is one after which a table comes.
fn names_a_table(words: &[Token<'_>], index: usize) -> bool {
    let text = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |word| word.text);
    let before = text(index.checked_sub(1));
    match text(Some(index)) {
        "JOIN" | "INTO" | "USING" if text(Some(index + 1)) != "(" => true,
        // IS DISTINCT FROM, and EXTRACT(epoch FROM …), whose bracket opens two words before.
        "FROM" => before != "DISTINCT" && text(index.checked_sub(2)) != "(",
        // ON CONFLICT DO UPDATE, FOR UPDATE, FOR NO KEY UPDATE, ON UPDATE.
        "UPDATE" => !matches!(before, "DO" | "FOR" | "KEY" | "ON"),
        _ => false,
    }
}

/// Names the statement makes itself: `name AS (`, `name (columns) AS [NOT] MATERIALIZED (`.
fn local_names<'a>(words: &[Token<'a>]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let opens = words.get(index + 1..).unwrap_or_default().iter();
        let mut opens = opens.skip_while(|word| matches!(word.text, "NOT" | "MATERIALIZED"));
        if word.text != "AS" || opens.next().is_none_or(|open| open.text != "(") {
            continue;
        }
        let before = words.get(..index).unwrap_or_default();
        let name = match before.last() {
            Some(close) if close.text == ")" => {
                let open = before.iter().rposition(|word| word.text == "(");
                open.and_then(|open| open.checked_sub(1))
                    .and_then(|name| before.get(name))
            }
            last => last,
        };
        names.extend(name.map(|name| name.text));
    }
    names
}

/// Every `const NAME: Sql` of a crate stands in one of its lists `ALL`.
pub(super) fn check_listed(files: &[File]) -> Vec<Finding> {
    let mut listed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut statements = Vec::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let (Some(source), Some(name)) = (&file.source, file.crate_name()) else {
            continue;
        };
        let tokens = source.tokens();
        listed.entry(name).or_default().extend(lists(&tokens));
        statements.extend(
            constants(source, &tokens)
                .into_iter()
                .map(|token| (name, file, source, token)),
        );
    }
    let mut findings = Vec::new();
    for (crate_name, file, source, token) in statements {
        let in_list = listed
            .get(crate_name)
            .is_some_and(|names| names.contains(&token.text));
        if !in_list {
            let line = source.line_at(token.offset);
            let message = format!("{} is missing in ALL, so no test prepares it", token.text);
            findings.push(Finding::new(&file.path, line, "sql-listed", message));
        }
    }
    findings
}

fn constants<'a>(source: &'a Source, tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let constant = |window: &[Token<'a>]| {
        let [keyword, name, colon, kind @ ..] = window else {
            return None;
        };
        let is_sql = match kind {
            [sql, after, ..] if sql.text == "Sql" => after.text == "=",
            [db, _, _, sql, after] if db.text == "db" => sql.text == "Sql" && after.text == "=",
            _ => false,
        };
        let matches = keyword.text == "const" && colon.text == ":" && is_sql;
        (matches && !source.in_tests(name.offset)).then_some(*name)
    };
    tokens.windows(8).filter_map(constant).collect()
}

/// The words between `const ALL` (or `static STATEMENTS`) and its semicolon.
fn lists<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        if let [keyword, name] = pair
            && matches!(keyword.text, "const" | "static")
            && matches!(name.text, "ALL" | "STATEMENTS")
        {
            let rest = tokens.get(index..).unwrap_or_default().iter();
            names.extend(rest.map(|token| token.text).take_while(|text| *text != ";"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let findings = check(&File::new(path, text));
        findings
            .iter()
            .map(|finding| (finding.line, finding.rule))
            .collect()
    }

    fn tables(statement: &str) -> Vec<String> {
        unqualified(statement)
            .into_iter()
            .map(|(_, table)| table)
            .collect()
    }

    #[test]
    fn sql_stands_in_its_file() {
        let text = "\nconst A: &str = \"SELECT id FROM market.offers\";";
        assert_eq!(
            rules("crates/market/src/offers.rs", text),
            [(2, "sql-place")]
        );
        for path in [
            "crates/market/src/sql.rs",
            "crates/market/src/sql/offers.rs",
            "crates/meydan/src/cli/doctor/sql.rs",
            "crates/market/tests/it/offers.rs",
            "crates/db/src/tx.rs",
            "crates/testkit/src/database.rs",
        ] {
            assert!(rules(path, text).is_empty(), "{path}");
        }
        let tests = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{text}\n}}");
        assert!(rules("crates/market/src/offers.rs", &tests).is_empty());
        let prose = "const A: &str = \"SELECTED\"; const B: &str = \"DELETE /offers/{id}\";";
        assert!(rules("crates/market/src/offers.rs", prose).is_empty());
    }

    #[test]
    fn tables_without_schema_are_found_in_their_line() {
        let text = "const A: Sql = \"\\\n  SELECT id\n  FROM offers\";";
        assert_eq!(rules("crates/market/src/sql.rs", text), [(3, "sql-schema")]);
        assert_eq!(
            tables("SELECT 1 FROM market.offers o JOIN users u ON u.id = o.id"),
            ["users"]
        );
        assert_eq!(tables("INSERT INTO offers (id) VALUES ($1)"), ["offers"]);
        assert_eq!(tables("UPDATE offers SET id = 1"), ["offers"]);
        assert_eq!(
            tables("DELETE FROM ONLY offers USING users"),
            ["offers", "users"]
        );
    }

    #[test]
    fn what_is_no_table_is_left_alone() {
        for statement in [
            "SELECT a FROM unnest($1, $2) AS t (a, b)",
            "SELECT 1 FROM market.a JOIN LATERAL (SELECT 2) x ON true",
            "WITH gone AS (DELETE FROM market.a RETURNING id) SELECT id FROM gone",
            "WITH a (x) AS NOT MATERIALIZED (SELECT 1) SELECT x FROM a",
            "INSERT INTO market.a (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = 1",
            "SELECT 1 FROM market.a FOR NO KEY UPDATE SKIP LOCKED",
            "SELECT extract(epoch FROM at) FROM market.a WHERE x IS DISTINCT FROM y",
            "SELECT 1 FROM market.a JOIN market.b USING (id)",
        ] {
            assert!(
                tables(statement).is_empty(),
                "{statement}: {:?}",
                tables(statement)
            );
        }
    }

    #[test]
    fn every_statement_is_listed() {
        let missing = |text: &str| {
            let findings = check_listed(&[File::new("crates/market/src/sql.rs", text)]);
            findings
                .into_iter()
                .map(|finding| finding.line)
                .collect::<Vec<_>>()
        };
        let constants = "const FIND: Sql = Sql::new(\"a\", \"b\");\n\
                         pub(crate) const LIST: db::Sql = Sql::new(\"a\", \"b\").returning();\n";
        let none = missing(constants);
        assert_eq!(none, [1, 2]);
        let one = format!("{constants}pub(crate) const ALL: &[&Sql] = &[&FIND];");
        assert_eq!(missing(&one), [2]);
        let both = format!("{constants}pub(crate) const ALL: &[&Sql] = &[&FIND, &LIST];");
        assert!(missing(&both).is_empty());
        assert!(missing("const LIMIT: i64 = 1;").is_empty());
    }
}
