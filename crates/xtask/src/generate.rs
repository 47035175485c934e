//! Pages made from what is compiled into the binary.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::Outcome;
use crate::workspace;

/// Where each page lies, and the command whose output it is.
const PAGES: &[(&str, &[&str])] = &[
    ("docs/api/openapi.json", &["openapi"]),
    ("docs/config.md", &["config", "docs"]),
    ("docs/config.schema.json", &["config", "schema"]),
    ("docs/meydan.sample.toml", &["config", "sample"]),
    ("docs/errors.md", &["problems"]),
    ("docs/metrics.md", &["metrics"]),
];

pub(crate) fn write() -> anyhow::Result<Outcome> {
    let meydan = workspace::build_meydan("debug")?;
    for (path, arguments) in PAGES {
        let fresh = print(&meydan, arguments)?;
        let file = workspace::root().join(path);
        if std::fs::read(&file).ok().as_ref() == Some(&fresh) {
            continue;
        }
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("create {folder:?}"))?;
        }
        std::fs::write(&file, fresh).with_context(|| format!("write {path}"))?;
        println!("{path}: written");
    }
    Ok(Outcome::Good)
}

pub(crate) fn check() -> anyhow::Result<Outcome> {
    let meydan = workspace::build_meydan("debug")?;
    let mut stale = 0;
    for (path, arguments) in PAGES {
        let fresh = String::from_utf8(print(&meydan, arguments)?)
            .with_context(|| format!("read the output for {path}"))?;
        let present = std::fs::read_to_string(workspace::root().join(path)).unwrap_or_default();
        if let Some(line) = first_difference(&present, &fresh) {
            println!("{path}:{line}: generated: stale; run `cargo xtask gen`");
            stale += 1;
        }
    }
    println!("gen: {} pages, {stale} stale", PAGES.len());
    Ok(Outcome::of_findings(stale))
}

fn print(meydan: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    // The pages must not depend on who makes them.
    let mut command = Command::new(meydan);
    command
        .args(arguments)
        .current_dir("/")
        .env_clear()
        .env("NO_COLOR", "1");
    workspace::output(&mut command)
}

/// The first line in which the texts differ.
fn first_difference(present: &str, fresh: &str) -> Option<usize> {
    if present == fresh {
        return None;
    }
    let same = present
        .lines()
        .zip(fresh.lines())
        .take_while(|(one, other)| one == other);
    Some(same.count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_a_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
        assert_eq!(
            first_difference("a", "a\n"),
            Some(2),
            "the last line feed counts"
        );
    }
}
