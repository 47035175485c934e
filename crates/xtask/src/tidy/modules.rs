//! No Rust file is forgotten: each is the root of a target or a module of its parent.

use std::collections::BTreeSet;

use super::Finding;
use crate::source::{Source, Token};
use crate::workspace::File;

/// Roots of targets inside a crate; everything else is somebody's module.
const ROOTS: &[&str] = &[
    "src/lib.rs",
    "src/main.rs",
    "tests/it/main.rs",
    "tests/long/main.rs",
    "build.rs",
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let sources: Vec<&File> = files.iter().filter(|file| is_module_file(file)).collect();
    let paths: BTreeSet<&str> = sources.iter().map(|file| file.path.as_str()).collect();
    let mut found = BTreeSet::new();
    for file in &sources {
        found.extend(
            children(file)
                .into_iter()
                .filter(|path| paths.contains(path.as_str())),
        );
    }
    let mut findings = Vec::new();
    for file in sources {
        let inside = file.inside().unwrap_or_default();
        let is_root = ROOTS.contains(&inside) || inside.starts_with("src/bin/");
        if !is_root && !found.contains(&file.path) {
            let message = if inside.starts_with("tests/") {
                "no mod line in tests/it/main.rs leads here: its tests never run"
            } else {
                "no mod line leads here: it is not compiled"
            };
            findings.push(Finding::new(&file.path, 1, "forgotten-file", message));
        }
    }
    findings
}

fn is_module_file(file: &File) -> bool {
    // Peers of the bench and fuzz targets are programs of their own.
    let elsewhere = ["peers/", "fuzz/", "examples/"];
    file.source.is_some()
        && file
            .inside()
            .is_some_and(|inside| !elsewhere.iter().any(|it| inside.starts_with(it)))
}

/// Where the modules declared in the file may lie.
fn children(file: &File) -> Vec<String> {
    let Some(source) = &file.source else {
        return Vec::new();
    };
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let inside = file.inside().unwrap_or_default();
    let owns_folder = ROOTS.contains(&inside) || name == "mod.rs";
    let base = if owns_folder {
        folder.to_owned()
    } else {
        file.path.trim_end_matches(".rs").to_owned()
    };
    let tokens = source.tokens();
    let declared = tokens.windows(3).filter_map(|window| match window {
        [keyword, name, end] if keyword.text == "mod" && end.text == ";" => Some(name.text),
        _ => None,
    });
    let named = paths(source, &tokens).map(|path| format!("{folder}/{path}"));
    declared
        .flat_map(|name| [format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")])
        .chain(named)
        .collect()
}

/// The files named by `#[path = "…"]`.
fn paths<'a>(source: &'a Source, tokens: &'a [Token<'a>]) -> impl Iterator<Item = &'a str> {
    let quotes = tokens.windows(3).filter_map(|window| match window {
        [name, equals, quote] if name.text == "path" && equals.text == "=" => Some(quote.offset),
        _ => None,
    });
    quotes.filter_map(|quote| {
        let string = source
            .strings
            .iter()
            .find(|string| string.offset == quote + 1)?;
        Some(string.text.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forgotten(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File::new(*path, *text))
            .collect();
        check(&files)
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn a_test_file_without_mod_line_is_found() {
        let main = "crates/a/tests/it/main.rs";
        let (offers, holds) = ("crates/a/tests/it/offers.rs", "crates/a/tests/it/holds.rs");
        let files = [(main, "mod offers;"), (offers, ""), (holds, "")];
        assert_eq!(forgotten(&files), [holds]);
        let files = [
            (main, "#[cfg(test)]\nmod holds;\nmod offers;"),
            (offers, ""),
            (holds, ""),
        ];
        assert!(forgotten(&files).is_empty());
        let files = [
            (main, "// mod holds;\nmod offers;"),
            (offers, ""),
            (holds, ""),
        ];
        assert_eq!(forgotten(&files), [holds]);
    }

    #[test]
    fn modules_lie_beside_or_below_their_parent() {
        let files = [
            ("crates/a/src/lib.rs", "pub mod sql; mod x;"),
            ("crates/a/src/sql.rs", "mod offers;"),
            ("crates/a/src/sql/offers.rs", ""),
            ("crates/a/src/x/mod.rs", "mod y;"),
            ("crates/a/src/x/y.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
        ];
        assert!(forgotten(&files).is_empty());
        let files = [
            ("crates/a/src/lib.rs", "mod inline {}"),
            ("crates/a/src/inline.rs", ""),
        ];
        assert_eq!(forgotten(&files), ["crates/a/src/inline.rs"]);
    }

    #[test]
    fn a_path_attribute_leads_to_its_file() {
        let ring = "#[cfg(test)]\n#[path = \"ring_tests.rs\"]\nmod tests;";
        let files = [
            ("crates/a/src/lib.rs", "mod ring;"),
            ("crates/a/src/ring.rs", ring),
            ("crates/a/src/ring_tests.rs", ""),
        ];
        assert!(forgotten(&files).is_empty());
    }

    #[test]
    fn a_second_test_binary_is_no_root() {
        let files = [("crates/a/tests/more.rs", "#[test]\nfn a() {}")];
        assert_eq!(forgotten(&files), ["crates/a/tests/more.rs"]);
    }
}
