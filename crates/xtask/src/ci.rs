//! Everything a change must pass, one line per step.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::Outcome;
use crate::server::now;
use crate::statements;
use crate::workspace;

/// Clippy only warns of a ban whose path leads nowhere, and does not fail by it.
const DEAD_BAN: &str = "does not refer to a reachable";

/// How much of a failed step's output is shown; the rest stays in its log.
const TAIL_LINES: usize = 300;

/// Tests that ran, as their runners counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

struct Step {
    name: &'static str,
    command: Command,
    /// A text whose presence in the output fails the step although the command succeeds.
    forbidden: Option<&'static str>,
}

pub(crate) fn run() -> anyhow::Result<Outcome> {
    let metadata = workspace::metadata()?;
    let logs = metadata.target_directory.join("xtask");
    std::fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
    let notes = logs.join("statements");
    statements::empty(&notes)?;
    let mut total = Count::default();
    for step in steps(&notes) {
        total = add(total, run_step(step, &logs)?);
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(Outcome::of_findings(total.failed))
}

fn steps(notes: &Path) -> Vec<Step> {
    let mut steps = vec![
        step("fmt", workspace::cargo(["fmt", "--all", "--check"])),
        Step {
            forbidden: Some(DEAD_BAN),
            ..step("clippy", clippy())
        },
        // Whole-system tests start this binary.
        step(
            "build",
            workspace::cargo(["build", "--locked", "-p", "meydan"]),
        ),
    ];
    steps.extend(test_steps(notes));
    let mut compare = xtask(&["statements"]);
    compare.arg(notes);
    steps.push(step("sql", compare));
    steps.push(step("tidy", xtask(&["tidy"])));
    steps.push(step("doc", doc()));
    steps.push(step("gen", xtask(&["gen", "--check"])));
    if is_installed("deny") {
        steps.push(step(
            "deny",
            workspace::cargo(["deny", "--locked", "check"]),
        ));
    } else {
        println!("deny      not installed; licences, bans and advisories were not checked");
    }
    steps
}

fn step(name: &'static str, command: Command) -> Step {
    Step {
        name,
        command,
        forbidden: None,
    }
}

fn clippy() -> Command {
    workspace::cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])
}

fn test_steps(notes: &Path) -> Vec<Step> {
    let arguments: &[&[&str]] = if is_installed("nextest") {
        // nextest runs no examples of the documentation.
        &[
            &[
                "nextest",
                "run",
                "--workspace",
                "--locked",
                "--no-fail-fast",
            ],
            &["test", "--doc", "--workspace", "--locked", "--no-fail-fast"],
        ]
    } else {
        &[&["test", "--workspace", "--locked", "--no-fail-fast"]]
    };
    let command = |arguments: &&[&str]| {
        let mut command = workspace::cargo(arguments.iter());
        // A tool that is missing fails a test here, and is skipped elsewhere.
        command.env("MEYDAN_TEST_STRICT", "1");
        // Which statements ran; `sql` compares.
        command.env(statements::VARIABLE, notes);
        command
    };
    let names = ["test", "doctest"];
    arguments
        .iter()
        .map(command)
        .zip(names)
        .map(|(command, name)| step(name, command))
        .collect()
}

fn doc() -> Command {
    let mut command = workspace::cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// This program again, so that each step has its own output.
fn xtask(arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|_| "xtask".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(workspace::root());
    command
}

fn is_installed(subcommand: &str) -> bool {
    let version = workspace::cargo([subcommand, "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

fn run_step(step: Step, logs: &Path) -> anyhow::Result<Count> {
    let Step {
        name,
        mut command,
        forbidden,
    } = step;
    let log = logs.join(format!("{name}.log"));
    let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    command
        .env("CARGO_TERM_COLOR", "never")
        .stdout(file.try_clone()?)
        .stderr(file);
    let started = now();
    let status = command
        .status()
        .with_context(|| format!("start {command:?}"))?;
    let seconds = started.elapsed().as_secs_f64();
    let output = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
    let outcome = if status.success() {
        Outcome::Good
    } else {
        Outcome::Bad
    };
    let count = judge(&output, outcome, forbidden);
    let verdict = if count.failed == 0 { "ok" } else { "FAILED" };
    let tests = match count {
        Count { passed: 0, .. } => String::new(),
        Count { passed, failed } => format!("  {passed} passed, {failed} failed"),
    };
    if count.failed > 0 {
        println!("{}\n(all of it: {})", tail(&output), log.display());
    }
    println!("{name:<8}  {verdict:<6}  {seconds:>6.1} s{tests}");
    Ok(count)
}

/// The end of an output, where the failures are summed up.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines
        .get(lines.len().saturating_sub(TAIL_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

/// A step that fails without a failing test counts as one failure.
fn judge(output: &str, outcome: Outcome, forbidden: Option<&str>) -> Count {
    let count = output
        .lines()
        .filter_map(summary)
        .fold(Count::default(), add);
    let is_forbidden = forbidden.is_some_and(|text| output.contains(text));
    let silent_failure = (outcome == Outcome::Bad || is_forbidden) && count.failed == 0;
    Count {
        failed: count.failed + usize::from(silent_failure),
        ..count
    }
}

fn add(one: Count, other: Count) -> Count {
    Count {
        passed: one.passed + other.passed,
        failed: one.failed + other.failed,
    }
}

/// The closing line of a runner: nextest's `Summary […] 3 tests run: 2 passed, 1 failed, 0 skipped`
/// or cargo's `test result: FAILED. 2 passed; 1 failed; …`.
fn summary(line: &str) -> Option<Count> {
    let line = line.trim_start();
    let figures = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line.strip_prefix("Summary [")?.split_once(" run: ")?.1,
    };
    let mut count = Count::default();
    // `2 passed (1 slow)` says a part of a figure again in brackets.
    for figure in figures.split([',', ';']) {
        let mut words = figure.split_whitespace();
        let (number, what) = (words.next(), words.next());
        let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        match what {
            Some("passed") => count.passed += number,
            // nextest counts a test that was ended for its slowness apart.
            Some("failed" | "timed") => count.failed += number,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: usize, failed: usize) -> Count {
        Count { passed, failed }
    }

    #[test]
    fn closing_lines_of_both_runners_are_read() {
        for (line, expected) in [
            (
                "     Summary [   0.444s] 42 tests run: 42 passed, 0 skipped",
                count(42, 0),
            ),
            (
                "     Summary [  1.2s] 9 tests run: 6 passed (1 slow), 3 failed, 0 skipped",
                count(6, 3),
            ),
            (
                "     Summary [  9s] 2 tests run: 1 passed, 1 timed out, 0 skipped",
                count(1, 1),
            ),
            (
                "     Summary [  9s] 3/8 tests run: 2 passed, 1 failed, 0 skipped",
                count(2, 1),
            ),
            (
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured",
                count(3, 0),
            ),
            (
                "test result: FAILED. 2 passed; 1 failed; 0 ignored",
                count(2, 1),
            ),
        ] {
            assert_eq!(summary(line), Some(expected), "{line}");
        }
        assert_eq!(summary("3 passed, 0 failed"), None);
    }

    #[test]
    fn the_end_of_a_long_output_is_shown() {
        let long: Vec<String> = (1..=TAIL_LINES + 1).map(|line| line.to_string()).collect();
        assert!(tail(&long.join("\n")).starts_with("2\n3\n"));
        assert_eq!(tail("1\n2"), "1\n2");
    }

    #[test]
    fn failures_are_never_lost() {
        let two = "test result: ok. 3 passed; 0 failed;\ntest result: ok. 4 passed; 0 failed;\n";
        assert_eq!(judge(two, Outcome::Good, None), count(7, 0));
        assert_eq!(
            judge(two, Outcome::Bad, None),
            count(7, 1),
            "a binary that did not compile"
        );
        assert_eq!(judge("", Outcome::Bad, None), count(0, 1));
        let failing = "test result: FAILED. 1 passed; 2 failed;\n";
        assert_eq!(judge(failing, Outcome::Bad, None), count(1, 2));
        let dead = "warning: `x::y` does not refer to a reachable function";
        assert_eq!(judge(dead, Outcome::Good, Some(DEAD_BAN)), count(0, 1));
        assert_eq!(judge("fine", Outcome::Good, Some(DEAD_BAN)), count(0, 0));
    }
}
