//! Who may import whom: the table of the architecture, and who may name which outside crate.

use super::Finding;
use crate::workspace::{Dependency, Package};

const ALL_BUT_CONTEXTS: &[&str] = &["kernel", "contracts", "infra", "db", "web_kit", "runtime"];
const FACADE: &[&str] = &["kernel", "contracts", "web_kit", "runtime"];

const CONTEXTS: &[&str] = &[
    "identity",
    "communities",
    "messaging",
    "applications",
    "realtime",
    "voice",
    "sfu",
    "stories",
    "galleries",
    "market",
    "syndication",
    "shop",
    "payments",
    "shipping",
    "reviews",
    "content",
    "notifications",
    "media",
    "search",
    "audit",
    "flags",
    "workflow",
    "insight",
    "admin",
];

/// Outside crates and who alone may depend on them; an empty list means nobody.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("tokio-postgres", &["db"], "go through db"),
    ("tokio-postgres-rustls", &["db"], "go through db"),
    ("deadpool-postgres", &["db"], "go through db"),
    ("refinery", &["db"], "go through db"),
    ("refinery-core", &["db"], "go through db"),
    ("tonic", &["rpc", "edge", "meydan"], "go through contracts"),
    ("chrono", &[], "jiff is the time crate"),
    ("uuid", &[], "identifiers are kernel::Id"),
    ("openssl", &[], "aws-lc-rs is the one TLS provider"),
    ("ring", &[], "aws-lc-rs is the one TLS provider"),
];

/// Who may use `anyhow` outside tests.
const ANYHOW: &[&str] = &["meydan", "xtask", "testkit", "bench"];

enum Allowed {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

fn allowed(name: &str) -> Option<Allowed> {
    Some(match name {
        "kernel" | "ws" | "db_derive" | "xtask" => Allowed::These(&[]),
        "contracts" | "infra" => Allowed::These(&["kernel"]),
        "db" => Allowed::These(&["kernel", "db_derive", "infra"]),
        "runtime" => Allowed::These(&["kernel"]),
        // Serving drains with the lifecycle.
        "web_kit" => Allowed::These(&["kernel", "runtime"]),
        "rpc" | "graphql" | "site" | "edge" => Allowed::These(FACADE),
        "realtime" | "bench" | "testkit" => Allowed::These(&[
            "kernel",
            "contracts",
            "infra",
            "db",
            "web_kit",
            "runtime",
            "ws",
        ]),
        "meydan" => Allowed::AllBut(&["testkit", "xtask"]),
        name if CONTEXTS.contains(&name) => Allowed::These(ALL_BUT_CONTEXTS),
        _ => return None,
    })
}

pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let path = format!("crates/{}/Cargo.toml", package.name);
    let Some(allowed) = allowed(&package.name) else {
        let message = format!("{} has no row in the table of imports", package.name);
        return vec![Finding::new(&path, 1, "imports", message)];
    };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        let refused = if dependency.path.is_some() {
            refuse_ours(&allowed, dependency)
        } else {
            refuse_outside(&package.name, dependency)
        };
        if let Some(reason) = refused {
            let message = format!(
                "{} may not import {}: {reason}",
                package.name, dependency.name
            );
            findings.push(Finding::new(&path, 1, "imports", message));
        }
    }
    findings
}

fn refuse_ours(allowed: &Allowed, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if name == "testkit" {
        let for_tests = dependency.kind.as_deref() == Some("dev");
        return (!for_tests).then(|| "it is for tests only".to_owned());
    }
    // What a crate stands on in its tests makes no arrow in the product.
    if dependency.kind.as_deref() == Some("dev") && ALL_BUT_CONTEXTS.contains(&name) {
        return None;
    }
    let refused = match allowed {
        Allowed::These(these) => !these.contains(&name),
        Allowed::AllBut(those) => those.contains(&name),
    };
    refused.then(|| "see the table in ARCHITECTURE.md".to_owned())
}

fn refuse_outside(package: &str, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if name == "anyhow" {
        let fine = ANYHOW.contains(&package) || dependency.kind.as_deref() == Some("dev");
        return (!fine).then(|| "a crate has its own error type".to_owned());
    }
    let (_, who, reason) = RESERVED.iter().find(|(reserved, _, _)| *reserved == name)?;
    (!who.contains(&package)).then(|| (*reason).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>, Option<&str>)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind, path)| Dependency {
                name: (*name).to_owned(),
                kind: kind.map(str::to_owned),
                path: path.map(Into::into),
            })
            .collect();
        Package {
            name: name.to_owned(),
            dependencies,
        }
    }

    fn ours(package_name: &str, dependency: &str) -> usize {
        check(&[package(package_name, &[(dependency, None, Some("x"))])]).len()
    }

    fn outside(package_name: &str, dependency: &str, kind: Option<&str>) -> usize {
        check(&[package(package_name, &[(dependency, kind, None)])]).len()
    }

    #[test]
    fn the_table_is_kept() {
        for (who, whom) in [
            ("infra", "kernel"),
            ("db", "infra"),
            ("db", "db_derive"),
            ("identity", "db"),
            ("realtime", "ws"),
            ("bench", "ws"),
            ("meydan", "messaging"),
            ("testkit", "runtime"),
            ("edge", "web_kit"),
            ("rpc", "contracts"),
        ] {
            assert_eq!(ours(who, whom), 0, "{who} -> {whom}");
        }
        for (who, whom) in [
            ("kernel", "infra"),
            ("infra", "db"),
            ("messaging", "communities"),
            ("messaging", "ws"),
            ("messaging", "rpc"),
            ("rpc", "identity"),
            ("rpc", "infra"),
            ("edge", "db"),
            ("testkit", "messaging"),
            ("meydan", "xtask"),
            ("xtask", "kernel"),
        ] {
            assert_eq!(ours(who, whom), 1, "{who} -> {whom}");
        }
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        assert_eq!(check(&[package("stuff", &[])]).len(), 1);
    }

    #[test]
    fn testkit_is_for_tests_only() {
        let dev = ("testkit", Some("dev"), Some("x"));
        assert_eq!(check(&[package("kernel", &[dev])]), []);
        assert_eq!(ours("meydan", "testkit"), 1);
        assert_eq!(ours("identity", "testkit"), 1);
    }

    #[test]
    fn tests_may_stand_on_more_but_not_on_other_contexts() {
        let dev = |name| check(&[package("web_kit", &[(name, Some("dev"), Some("x"))])]).len();
        assert_eq!(dev("infra"), 0);
        assert_eq!(ours("web_kit", "infra"), 1);
        assert_eq!(dev("identity"), 1);
    }

    #[test]
    fn outside_crates_have_their_owner() {
        assert_eq!(outside("db", "tokio-postgres", None), 0);
        assert_eq!(outside("identity", "tokio-postgres", None), 1);
        assert_eq!(outside("identity", "refinery-core", Some("dev")), 1);
        assert_eq!(outside("kernel", "chrono", None), 1);
        assert_eq!(outside("kernel", "uuid", Some("dev")), 1);
        assert_eq!(outside("messaging", "tonic", None), 1);
        assert_eq!(outside("messaging", "serde", None), 0);
    }

    #[test]
    fn anyhow_is_for_programs_and_tests() {
        assert_eq!(outside("meydan", "anyhow", None), 0);
        assert_eq!(outside("identity", "anyhow", Some("dev")), 0);
        assert_eq!(outside("identity", "anyhow", None), 1);
    }
}
