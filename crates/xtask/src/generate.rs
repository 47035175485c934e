//! What is made from something else: pages from what is compiled into the binary, code from
//! `proto/`.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::Outcome;
use crate::protobuf;
use crate::workspace;

/// Where each page lies, and the command whose output it is.
const PAGES: &[(&str, &[&str])] = &[
    ("docs/api/openapi.json", &["openapi"]),
    ("docs/config.md", &["config", "docs"]),
    ("docs/config.schema.json", &["config", "schema"]),
    ("docs/meydan.sample.toml", &["config", "sample"]),
    ("docs/errors.md", &["problems"]),
    ("docs/metrics.md", &["metrics"]),
    ("docs/security/limits.md", &["limits"]),
];

pub(crate) fn write() -> anyhow::Result<Outcome> {
    // First the code: the binary is built from it.
    for (path, fresh) in protobuf::files()? {
        put(&path, &fresh)?;
    }
    let meydan = workspace::build_meydan("debug")?;
    for (path, arguments) in PAGES {
        put(path, &print(&meydan, arguments)?)?;
    }
    Ok(Outcome::Good)
}

fn put(path: &str, fresh: &[u8]) -> anyhow::Result<()> {
    let file = workspace::root().join(path);
    if std::fs::read(&file).is_ok_and(|present| present == fresh) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("create {folder:?}"))?;
    }
    std::fs::write(&file, fresh).with_context(|| format!("write {path}"))?;
    println!("{path}: written");
    Ok(())
}

pub(crate) fn check() -> anyhow::Result<Outcome> {
    let meydan = workspace::build_meydan("debug")?;
    let mut stale = 0;
    let code = protobuf::files()?;
    let count = PAGES.len() + code.len();
    for (path, fresh) in code {
        let present = std::fs::read(workspace::root().join(&path)).unwrap_or_default();
        stale += report(&path, &present, &fresh);
    }
    for (path, arguments) in PAGES {
        let fresh = print(&meydan, arguments)?;
        let present = std::fs::read(workspace::root().join(path)).unwrap_or_default();
        stale += report(path, &present, &fresh);
    }
    println!("gen: {count} files, {stale} stale");
    Ok(Outcome::of_findings(stale))
}

/// Says where a file is stale; counts it.
fn report(path: &str, present: &[u8], fresh: &[u8]) -> usize {
    let [present, fresh] = [present, fresh].map(String::from_utf8_lossy);
    let Some(line) = first_difference(&present, &fresh) else {
        return 0;
    };
    println!("{path}:{line}: generated: stale; run `cargo xtask gen`");
    1
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
