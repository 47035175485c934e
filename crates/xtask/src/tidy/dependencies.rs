//! Every dependency is named somewhere in the code of its crate; one that is not only costs builds.

use std::collections::BTreeSet;

use super::Finding;
use crate::workspace::{File, Package};

pub(super) fn check(files: &[File], packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let words = Words::of(&package.name, files);
        for dependency in &package.dependencies {
            let name = dependency.name.replace('-', "_");
            let advice = match dependency.kind.as_deref() {
                None if words.product.contains(name.as_str()) => continue,
                None if words.tests.contains(name.as_str()) => "only tests name it",
                Some("dev") if words.tests.contains(name.as_str()) => continue,
                Some("dev") if words.product.contains(name.as_str()) => continue,
                Some("build") => continue,
                None | Some(_) => "nothing names it",
            };
            let path = format!("crates/{}/Cargo.toml", package.name);
            let message = format!("{}: {advice}", dependency.name);
            findings.push(Finding::new(&path, 1, "unused-dependency", message));
        }
    }
    findings
}

/// What the code of a crate says, comments and strings left out.
#[derive(Default)]
struct Words<'a> {
    product: BTreeSet<&'a str>,
    tests: BTreeSet<&'a str>,
}

impl<'a> Words<'a> {
    fn of(package: &str, files: &'a [File]) -> Self {
        let mut words = Words::default();
        // Fuzz targets and peers have manifests of their own.
        let own = files.iter().filter(|file| {
            let inside = file.inside().unwrap_or_default();
            file.crate_name() == Some(package)
                && (inside.starts_with("src/") || inside.starts_with("tests/"))
        });
        for file in own {
            let Some(source) = &file.source else { continue };
            for token in source.tokens() {
                if file.is_test() || source.in_tests(token.offset) {
                    words.tests.insert(token.text);
                } else {
                    words.product.insert(token.text);
                }
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn found(kind: Option<&str>, path: &str, text: &str) -> Vec<String> {
        let package = Package {
            name: "market".to_owned(),
            dependencies: vec![Dependency {
                name: "tokio-util".to_owned(),
                kind: kind.map(str::to_owned),
                path: None,
            }],
        };
        check(&[File::new(path, text)], &[package])
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn dependencies_are_named_where_they_are_for() {
        const SRC: &str = "crates/market/src/lib.rs";
        const TEST: &str = "crates/market/tests/it/main.rs";
        let product = "use tokio_util::sync::CancellationToken;";
        let unit = "#[cfg(test)]\nmod tests {\n    use tokio_util::io;\n}";
        assert!(found(None, SRC, product).is_empty());
        for (path, text) in [(SRC, product), (SRC, unit), (TEST, product)] {
            assert!(found(Some("dev"), path, text).is_empty(), "{path} {text}");
        }
        for (path, text) in [(SRC, unit), (TEST, product)] {
            assert_eq!(found(None, path, text), ["tokio-util: only tests name it"]);
        }
    }

    #[test]
    fn what_nothing_names_is_found() {
        let unsaid = "// tokio_util\nconst NAME: &str = \"tokio_util\";";
        for kind in [None, Some("dev")] {
            for path in [
                "crates/market/src/lib.rs",
                "crates/market/fuzz/bodies.rs",
                "crates/shop/src/lib.rs",
            ] {
                let text = if path.contains("src/lib.rs") && path.contains("market") {
                    unsaid
                } else {
                    "use tokio_util::io;"
                };
                assert_eq!(found(kind, path, text), ["tokio-util: nothing names it"]);
            }
        }
    }
}
