//! Rules over the repository that no lint can check.
//!
//! Each rule is a pure function over a path and its text (or over the packages) that returns
//! findings; `run` only collects. A finding is printed as `path:line: rule: message`.

pub(crate) mod catalogue;
mod code;
mod dependencies;
mod errors;
mod imports;
mod layout;
mod manifests;
mod migrations;
mod modules;
mod sql;
mod words;

use std::fmt;

use crate::Outcome;
use crate::workspace::{self, File, Package};

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.path, self.line, self.rule, self.message
        )
    }
}

pub(crate) fn run() -> anyhow::Result<Outcome> {
    let files = workspace::files()?;
    let findings = check(&files, &workspace::metadata()?.packages);
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(Outcome::of_findings(findings.len()))
}

fn check(files: &[File], packages: &[Package]) -> Vec<Finding> {
    let mut findings = imports::check(packages);
    findings.extend(dependencies::check(files, packages));
    for file in files {
        findings.extend(layout::check(file));
        findings.extend(code::check(file));
        findings.extend(sql::check(file));
        findings.extend(words::check(file));
        findings.extend(manifests::check(file));
        findings.extend(migrations::check(file));
    }
    findings.extend(code::long_functions(files));
    findings.extend(sql::check_listed(files));
    findings.extend(migrations::check_listed(files));
    findings.extend(errors::check(files));
    findings.extend(modules::check(files));
    findings.extend(catalogue::check(files));
    findings.sort();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let files = workspace::files().unwrap();
        let packages = workspace::metadata().unwrap().packages;
        assert!(
            files.len() > 50 && packages.len() > 10,
            "the repository was not read"
        );
        let findings: Vec<String> = check(&files, &packages)
            .iter()
            .map(Finding::to_string)
            .collect();
        assert!(
            findings.is_empty(),
            "{} findings:\n{}",
            findings.len(),
            findings.join("\n")
        );
    }

    #[test]
    fn a_finding_reads_like_a_compilers() {
        let finding = Finding::new("crates/a/src/lib.rs", 7, "lib-docs", "say what it is for");
        assert_eq!(
            finding.to_string(),
            "crates/a/src/lib.rs:7: lib-docs: say what it is for"
        );
    }
}
