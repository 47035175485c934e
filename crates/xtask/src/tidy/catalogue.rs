//! The ids at the front of test names, against the test catalogue.

use std::collections::BTreeSet;

use super::Finding;
use crate::Outcome;
use crate::workspace::{self, File};

const CATALOGUE: &str = "crates/xtask/test-catalogue.txt";

/// `cargo xtask tests`: the ids nobody has written a test for.
pub(crate) fn list_missing() -> anyhow::Result<Outcome> {
    let files = workspace::files()?;
    let tested: BTreeSet<String> = named_tests(&files)
        .into_iter()
        .map(|test| test.id)
        .collect();
    let mut missing = 0;
    for line in rows(&files) {
        let id = line.split(' ').next().unwrap_or_default();
        if !tested.contains(id) {
            println!("{line}");
            missing += 1;
        }
    }
    println!("{missing} ids without a test, {} with one", tested.len());
    Ok(Outcome::Good)
}

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let known: BTreeSet<&str> = rows(files)
        .filter_map(|line| line.split(' ').next())
        .collect();
    let letters: BTreeSet<char> = known.iter().filter_map(|id| id.chars().next()).collect();
    named_tests(files)
        .into_iter()
        .filter(|test| test.id.starts_with(|letter| letters.contains(&letter)))
        .filter(|test| !known.contains(test.id.as_str()))
        .map(|test| {
            let message = format!("{} is not in {CATALOGUE}", test.id);
            Finding::new(test.path, test.line, "test-id", message)
        })
        .collect()
}

fn rows(files: &[File]) -> impl Iterator<Item = &str> {
    let catalogue = files.iter().find(|file| file.path == CATALOGUE);
    let lines = catalogue.into_iter().flat_map(|file| file.text.lines());
    lines.filter(|line| !line.starts_with('#') && !line.is_empty())
}

struct NamedTest<'a> {
    path: &'a str,
    line: usize,
    id: String,
}

/// Functions in test code whose name begins like `s6_`.
fn named_tests(files: &[File]) -> Vec<NamedTest<'_>> {
    let mut tests = Vec::new();
    for file in files {
        let Some(source) = &file.source else { continue };
        for pair in source.tokens().windows(2) {
            let [keyword, name] = pair else { continue };
            let is_test = file.is_test() || source.in_tests(name.offset);
            if keyword.text == "fn"
                && is_test
                && let Some(id) = id(name.text)
            {
                let line = source.line_at(name.offset);
                tests.push(NamedTest {
                    path: &file.path,
                    line,
                    id,
                });
            }
        }
    }
    tests
}

fn id(name: &str) -> Option<String> {
    let (id, _) = name.split_once('_')?;
    let mut characters = id.chars();
    let letter = characters.next().filter(char::is_ascii_lowercase)?;
    let number = characters.as_str();
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then(|| format!("{}{number}", letter.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let catalogue = File::new(CATALOGUE, "# ids\nS5 C identity\nS6 C identity\n");
        let files = [
            catalogue,
            File::new("crates/identity/tests/it/refresh.rs", text),
        ];
        check(&files)
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn ids_are_known() {
        assert!(lines("#[test]\nfn s6_one_refresh_wins() {}").is_empty());
        assert_eq!(lines("#[test]\nfn s99_nobody_knows() {}"), [2]);
    }

    #[test]
    fn other_names_are_no_ids() {
        let text = "fn h2_is_spoken() {}\nfn s_() {}\nfn sixth() {}\nfn s6() {}\nfn utf8_is() {}";
        assert!(lines(text).is_empty());
        let outside = File::new("crates/identity/src/model.rs", "fn s99_x() {}");
        assert_eq!(
            check(&[File::new(CATALOGUE, "S5 C identity\n"), outside]),
            []
        );
    }
}
