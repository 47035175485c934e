//! What may not stand in Rust code.

use std::collections::BTreeMap;

use super::Finding;
use crate::source::{Source, tokens};
use crate::workspace::File;

/// Macros of unfinished or forgotten code.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];
const LONG_FUNCTION: &str = "clippy::too_many_lines";
const LONG_FUNCTIONS: &str = "crates/xtask/long-functions.txt";

pub(super) fn check(file: &File) -> Vec<Finding> {
    let Some(source) = &file.source else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    findings.extend(allow_attributes(file, source));
    findings.extend(unfinished(file, source));
    findings.extend(ignored_tests(file, source));
    findings.extend(numbered_todos(file, source));
    findings.extend(anyhow_in_the_product(file, source));
    findings
}

fn allow_attributes(file: &File, source: &Source) -> Vec<Finding> {
    if file.is_generated() {
        return Vec::new();
    }
    let message = "write #[expect(lint, reason = \"…\")]";
    let places = ["#[allow(", "#![allow("].map(|needle| source.lines_with(needle));
    at(file, places.concat(), "allow", message)
}

fn unfinished(file: &File, source: &Source) -> Vec<Finding> {
    let places: Vec<usize> = source
        .tokens()
        .windows(2)
        .filter_map(|pair| match pair {
            [name, mark] if mark.text == "!" && mark.offset == name.offset + name.text.len() => {
                let name_and_mark = format!("{}!", name.text);
                UNFINISHED
                    .contains(&&*name_and_mark)
                    .then(|| source.line_at(name.offset))
            }
            _ => None,
        })
        .collect();
    at(file, places, "unfinished", "finish it or leave it out")
}

fn ignored_tests(file: &File, source: &Source) -> Vec<Finding> {
    at(
        file,
        source.lines_with("#[ignore"),
        "ignored-test",
        "a test runs or is deleted",
    )
}

fn numbered_todos(file: &File, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for comment in &source.comments {
        for (index, line) in comment.text.lines().enumerate() {
            let words = tokens(line);
            let todo = words
                .iter()
                .any(|word| matches!(word.text, "TODO" | "FIXME" | "XXX"));
            let numbered = words.windows(2).any(|pair| {
                matches!(pair, [hash, number] if hash.text == "#"
                    && number.text.bytes().all(|byte| byte.is_ascii_digit()))
            });
            if todo && !numbered {
                let message = "carries the number of its issue: TODO(#12)";
                findings.push(Finding::new(
                    &file.path,
                    comment.line + index,
                    "todo",
                    message,
                ));
            }
        }
    }
    findings
}

/// In the binary, `anyhow` ends where the command line ends; the rest has typed errors.
fn anyhow_in_the_product(file: &File, source: &Source) -> Vec<Finding> {
    let inside = file.inside().unwrap_or_default();
    let product = file.crate_name() == Some("meydan") && inside.starts_with("src/");
    let program = ["src/main.rs", "src/cli.rs"].contains(&inside) || inside.starts_with("src/cli/");
    if !product || program {
        return Vec::new();
    }
    let words = source.tokens();
    let places = words
        .iter()
        .filter(|word| word.text == "anyhow" && !source.in_tests(word.offset))
        .map(|word| source.line_at(word.offset));
    at(
        file,
        places.collect(),
        "anyhow",
        "only in main and cli; here the error has a type",
    )
}

fn at(file: &File, lines: Vec<usize>, rule: &'static str, message: &str) -> Vec<Finding> {
    lines
        .into_iter()
        .map(|line| Finding::new(&file.path, line, rule, message))
        .collect()
}

/// Compares the functions above clippy's limit with the committed list, which only shrinks.
pub(super) fn long_functions(files: &[File]) -> Vec<Finding> {
    let list = files.iter().find(|file| file.path == LONG_FUNCTIONS);
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for line in list.into_iter().flat_map(|file| file.text.lines()) {
        if let Some((path, count)) = line.split_once(' ')
            && let Ok(count) = count.trim().parse()
        {
            listed.insert(path, count);
        }
    }
    let mut findings = Vec::new();
    for file in files {
        let Some(source) = &file.source else { continue };
        let found = source.lines_with(LONG_FUNCTION);
        let allowed = listed.remove(file.path.as_str()).unwrap_or(0);
        if let Some(line) = found.get(allowed) {
            let message = format!(
                "{} functions above 70 lines, {allowed} allowed",
                found.len()
            );
            findings.push(Finding::new(&file.path, *line, "long-function", message));
        } else if found.len() < allowed {
            let message = format!("{}: lower its number to {}", file.path, found.len());
            findings.push(Finding::new(LONG_FUNCTIONS, 1, "long-function", message));
        }
    }
    findings.extend(listed.keys().map(|path| {
        Finding::new(
            LONG_FUNCTIONS,
            1,
            "long-function",
            format!("{path} is gone; delete its line"),
        )
    }));
    findings
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

    #[test]
    fn allow_is_refused_and_expect_is_not() {
        let path = "crates/a/src/x.rs";
        assert_eq!(
            rules(path, "\n#[allow(dead_code)]\nfn a() {}"),
            [(2, "allow")]
        );
        assert_eq!(rules(path, "#![allow(dead_code)]"), [(1, "allow")]);
        assert!(
            rules(
                path,
                "// @generated by a tool\n#[allow(dead_code)]\nfn a() {}"
            )
            .is_empty()
        );
        assert!(rules(path, "#[expect(dead_code, reason = \"#[allow(x)]\")]").is_empty());
    }

    #[test]
    fn unfinished_code_is_refused() {
        let path = "crates/a/src/x.rs";
        assert_eq!(rules(path, "fn a() { todo!() }"), [(1, "unfinished")]);
        assert_eq!(
            rules(path, "fn a() {\n unimplemented!(\"x\") }"),
            [(2, "unfinished")]
        );
        assert!(rules(path, "fn todo() { if todo != x {} } // todo!()").is_empty());
    }

    #[test]
    fn ignored_tests_are_refused() {
        let path = "crates/a/tests/it/x.rs";
        assert_eq!(
            rules(path, "#[test]\n#[ignore]\nfn a() {}"),
            [(2, "ignored-test")]
        );
        assert_eq!(rules(path, "#[ignore = \"slow\"]"), [(1, "ignored-test")]);
        assert!(rules(path, "#[test]\nfn ignore() {}").is_empty());
    }

    #[test]
    fn a_todo_has_an_issue() {
        let path = "crates/a/src/x.rs";
        assert_eq!(rules(path, "// TODO: later"), [(1, "todo")]);
        assert_eq!(rules(path, "/* a\n FIXME */"), [(2, "todo")]);
        assert!(rules(path, "// TODO(#12): later\nlet a = \"TODO\";").is_empty());
    }

    #[test]
    fn anyhow_stays_in_the_command_line() {
        let text = "use anyhow::Context;";
        assert_eq!(rules("crates/meydan/src/compose.rs", text), [(1, "anyhow")]);
        assert!(rules("crates/meydan/src/cli/up.rs", text).is_empty());
        assert!(rules("crates/meydan/src/main.rs", text).is_empty());
        assert!(rules("crates/meydan/tests/it/main.rs", text).is_empty());
        let tests = "fn a() {}\n#[cfg(test)]\nmod tests {\n use anyhow::Result;\n}";
        assert!(rules("crates/meydan/src/config.rs", tests).is_empty());
    }

    #[test]
    fn long_functions_are_counted_against_the_list() {
        let long = "#[expect(clippy::too_many_lines, reason = \"a table\")]\nfn a() {}\n";
        let count = |list: &str, text: &str| {
            let files = [
                File::new("crates/a/src/x.rs", text),
                File::new(LONG_FUNCTIONS, list),
            ];
            long_functions(&files).len()
        };
        assert_eq!(count("", long), 1);
        assert_eq!(count("# why\ncrates/a/src/x.rs 1\n", long), 0);
        assert_eq!(count("crates/a/src/x.rs 1\n", &long.repeat(2)), 1);
        assert_eq!(
            count("crates/a/src/x.rs 2\n", long),
            1,
            "the list must shrink"
        );
        assert_eq!(count("crates/a/src/gone.rs 1\n", ""), 1);
    }
}
