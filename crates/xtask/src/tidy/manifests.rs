//! Crates lie flat, bear their folder's name and inherit what the workspace decides.

use toml_edit::{DocumentMut, Item};

use super::Finding;
use crate::workspace::File;

/// What every crate takes from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];

pub(super) fn check(file: &File) -> Vec<Finding> {
    let is_manifest = file.path.ends_with("/Cargo.toml") && file.path.starts_with("crates/");
    if !is_manifest {
        return Vec::new();
    }
    let finding = |message: String| Finding::new(&file.path, 1, "manifest", message);
    // Peers of the bench and fuzz targets are no members of the workspace.
    let inside = file.inside().unwrap_or_default();
    if inside.starts_with("peers/") || inside.starts_with("fuzz/") {
        return Vec::new();
    }
    if inside != "Cargo.toml" {
        return vec![finding("crates lie flat in crates/".to_owned())];
    }
    match file.text.parse::<DocumentMut>() {
        Ok(manifest) => {
            let folder = file.crate_name().unwrap_or_default();
            problems(&manifest, folder)
                .into_iter()
                .map(finding)
                .collect()
        }
        Err(error) => vec![finding(format!("not TOML: {}", error.message()))],
    }
}

fn problems(manifest: &DocumentMut, folder: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let package = manifest.get("package");
    let name = package
        .and_then(|package| package.get("name"))
        .and_then(Item::as_str);
    if name != Some(folder) {
        problems.push(format!("the crate's name is not its folder's, {folder}"));
    }
    for key in INHERITED {
        if !inherits(package.and_then(|package| package.get(key))) {
            problems.push(format!("package.{key} is not inherited from the workspace"));
        }
    }
    if !inherits(manifest.get("lints")) {
        problems.push("[lints] workspace = true is missing".to_owned());
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = manifest.get(section).and_then(Item::as_table_like);
        for (name, entry) in entries.into_iter().flat_map(|table| table.iter()) {
            if !inherits(Some(entry)) {
                problems.push(format!(
                    "{section}.{name} is not inherited from the workspace"
                ));
            }
        }
    }
    problems.extend(test_target_problem(manifest));
    problems
}

/// Either no integration tests, or one binary called `it` (and perhaps the long run).
fn test_target_problem(manifest: &DocumentMut) -> Option<String> {
    let tests = manifest.get("test").and_then(Item::as_array_of_tables)?;
    let autotests = manifest
        .get("package")
        .and_then(|package| package.get("autotests"));
    if autotests.and_then(Item::as_bool) != Some(false) {
        return Some("a crate with a [[test]] sets autotests = false".to_owned());
    }
    tests.iter().find_map(|test| {
        let name = test.get("name").and_then(Item::as_str).unwrap_or_default();
        let runs = test.get("test").and_then(Item::as_bool) != Some(false);
        match (name, runs) {
            ("it", true) | ("long", false) => None,
            ("long", true) => Some("the long run has test = false".to_owned()),
            _ => Some(format!("test target {name}: there is one, called it")),
        }
    })
}

fn inherits(item: Option<&Item>) -> bool {
    item.and_then(|item| item.get("workspace"))
        .and_then(Item::as_bool)
        == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[package]
name = "market"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true
autotests = false

[lints]
workspace = true

[dependencies]
kernel.workspace = true
tokio = { workspace = true, features = ["rt"] }

[[test]]
name = "it"
path = "tests/it/main.rs"
"#;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        check(&File::new(path, text))
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_good_manifest_passes() {
        assert!(check_text("crates/market/Cargo.toml", GOOD).is_empty());
        assert!(check_text("Cargo.toml", "[workspace]").is_empty());
    }

    #[test]
    fn each_deviation_is_found() {
        for (from, to, expected) in [
            ("name = \"market\"", "name = \"shop\"", "not its folder's"),
            (
                "version.workspace = true\ne",
                "version = \"0.1.0\"\ne",
                "package.version",
            ),
            ("[lints]\nworkspace = true", "", "[lints]"),
            (
                "kernel.workspace = true",
                "kernel = { path = \"../kernel\" }",
                "dependencies.kernel",
            ),
            (
                "tokio = { workspace = true,",
                "tokio = { version = \"1\",",
                "dependencies.tokio",
            ),
            ("autotests = false", "", "autotests"),
            ("name = \"it\"", "name = \"more\"", "test target more"),
            ("name = \"it\"", "name = \"long\"", "test = false"),
        ] {
            let found = check_text("crates/market/Cargo.toml", &GOOD.replacen(from, to, 1));
            assert_eq!(found.len(), 1, "{to}: {found:?}");
            assert!(found[0].contains(expected), "{found:?}");
        }
    }

    #[test]
    fn crates_lie_flat() {
        assert_eq!(check_text("crates/trade/market/Cargo.toml", GOOD).len(), 1);
        assert_eq!(check_text("crates/market/Cargo.toml", "[package").len(), 1);
        assert!(check_text("crates/ws/fuzz/Cargo.toml", "[workspace]").is_empty());
    }
}
