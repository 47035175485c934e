//! The files under `deploy/` call this program: their arguments and variables must exist.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use clap::Parser as _;

use super::Cli;
use crate::config::Catalogue;

fn file(path: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.ancestors().nth(2).unwrap().join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap()
}

/// The values of a unit file by `Section.Key`; a key may occur several times.
fn unit(path: &str) -> BTreeMap<String, Vec<String>> {
    let mut section = String::new();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text(path).lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .unwrap_or_else(|| panic!("{path}: {line}"));
        values
            .entry(format!("{section}.{key}"))
            .or_default()
            .push(value.to_owned());
    }
    values
}

#[test]
fn the_unit_starts_this_program_and_lets_it_drain() {
    let unit = unit("deploy/systemd/meydan.service");
    let one = |key: &str| match unit.get(key).map(Vec::as_slice) {
        Some([value]) => value.clone(),
        other => panic!("{key}: {other:?}"),
    };
    for key in ["Service.ExecStartPre", "Service.ExecStart"] {
        let line = one(key);
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], "/usr/local/bin/meydan");
        Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    assert_eq!(one("Service.Type"), "notify");
    assert_eq!(one("Service.KillMode"), "mixed");
    let patience: u64 = one("Service.TimeoutStopSec").parse().unwrap();
    let catalogue = Catalogue::new();
    let deadline = catalogue
        .defs()
        .find(|def| def.key == "http.drain_deadline")
        .unwrap();
    let deadline: u64 = deadline
        .default
        .unwrap()
        .trim_end_matches('s')
        .parse()
        .unwrap();
    // After the deadline PostgreSQL gets its 20 s.
    assert!(
        patience >= deadline + 20,
        "{patience} s against {deadline} s"
    );
}

/// Where the tool is, the promise of the manual is measured.
#[test]
fn the_unit_is_hardened() {
    let unit = file("deploy/systemd/meydan.service");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&unit)
        .output();
    if let Ok(output) = output {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "exposure above 2.0: {said}");
    }
    let text = text("deploy/systemd/meydan.service");
    for line in [
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn the_image_runs_as_a_user_of_its_own_and_has_a_check() {
    let text = text("deploy/Dockerfile");
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    assert!(has("USER 10001:10001"));
    let check = text
        .lines()
        .find(|line| line.starts_with("HEALTHCHECK"))
        .unwrap();
    assert!(check.ends_with(r#"CMD ["meydan", "health"]"#), "{check}");
    let known = Catalogue::new().variables();
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    let variables: Vec<&str> = words.filter(|word| word.starts_with("MEYDAN_")).collect();
    assert!(!variables.is_empty());
    for variable in variables {
        assert!(
            known.iter().any(|name| name == variable),
            "{variable} sets nothing"
        );
    }
}

#[test]
fn continuous_integration_runs_what_developers_run() {
    assert!(text(".github/workflows/test.yml").contains("run: .ci/run"));
    assert!(text(".ci/run").contains("exec make test"));
    assert!(text("Makefile").contains("scripts/test.sh"));
    for script in [".ci/run", "scripts/up.sh", "scripts/test.sh"] {
        let mode = std::fs::metadata(file(script))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{script} cannot be run");
        assert!(text(script).contains("set -euo pipefail"), "{script}");
    }
}
