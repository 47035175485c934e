//! Runs the shell blocks of the documentation, so that no documented command is wrong.
//!
//! The blocks marked `sh` of one page run in order in one bash, in an empty folder, against a demo
//! server whose address is in `BASE`. A block marked `sh norun` is left out.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::Outcome;
use crate::server::{Contents, Server, TemporaryFolder};
use crate::workspace::{self, File};

/// Written to standard error before each block, to tell which one failed.
const MARK: &str = "doc-commands: block at line ";

pub(crate) fn run() -> anyhow::Result<Outcome> {
    let mut pages = Vec::new();
    for file in workspace::files()? {
        let blocks = if is_page(&file) {
            blocks(&file.text)
        } else {
            Vec::new()
        };
        if !blocks.is_empty() {
            pages.push((file.path, blocks));
        }
    }
    if pages.is_empty() {
        println!("doc-commands: 0 pages with shell blocks");
        return Ok(Outcome::Good);
    }
    let meydan = workspace::build_meydan("debug")?;
    let folder = TemporaryFolder::new("docs")?;
    let mut server = Server::start(&meydan, folder.path(), Contents::Demo)?;
    server.wait_until_ready()?;
    let mut failed = 0;
    for (path, blocks) in &pages {
        match run_page(blocks, &meydan, &server.url())? {
            Ok(()) => println!("{path}: {} blocks ok", blocks.len()),
            Err(Failed { line, output }) => {
                println!("{path}:{line}: doc-commands: the block failed\n{output}");
                failed += 1;
            }
        }
    }
    server.stop()?;
    println!("doc-commands: {} pages, {failed} failed", pages.len());
    Ok(Outcome::of_findings(failed))
}

fn is_page(file: &File) -> bool {
    file.path == "README.md" || (file.path.starts_with("docs/") && file.path.ends_with(".md"))
}

#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// Of its first command.
    line: usize,
    commands: String,
}

struct Failed {
    line: usize,
    output: String,
}

/// The blocks to run, in order.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Option<Block>)> = None;
    for (index, line) in page.lines().enumerate() {
        let trimmed = line.trim_start();
        match &mut open {
            None => {
                let Some(info) = trimmed.strip_prefix("```") else {
                    continue;
                };
                let runs = info.split_whitespace().next() == Some("sh")
                    && !info.split_whitespace().any(|word| word == "norun");
                let block = Block {
                    line: index + 2,
                    commands: String::new(),
                };
                let indent = line.get(..line.len() - trimmed.len()).unwrap_or_default();
                open = Some((indent, runs.then_some(block)));
            }
            Some((_, block)) if trimmed == "```" => {
                blocks.extend(block.take());
                open = None;
            }
            Some((indent, Some(block))) => {
                block
                    .commands
                    .push_str(line.strip_prefix(*indent).unwrap_or(line));
                block.commands.push('\n');
            }
            Some((_, None)) => {}
        }
    }
    blocks
}

fn run_page(blocks: &[Block], meydan: &Path, url: &str) -> anyhow::Result<Result<(), Failed>> {
    let folder = TemporaryFolder::new("page")?;
    let mut script = String::from("set -euo pipefail\nexec 2>&1\n");
    for block in blocks {
        script.push_str(&format!("echo '{MARK}{}'\n{}", block.line, block.commands));
    }
    let programs = meydan.parent().unwrap_or(meydan).to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(programs).chain(std::env::split_paths(&path));
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", &script])
        .current_dir(folder.path())
        .env(
            "PATH",
            std::env::join_paths(path).context("put the binary's folder into PATH")?,
        )
        .env("BASE", url)
        .env("MEYDAN_SERVER", url)
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .context("start bash")?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let (_, last) = text.rsplit_once(MARK).unwrap_or(("", &text));
    let (line, output) = last.split_once('\n').unwrap_or((last, ""));
    Ok(Err(Failed {
        line: line.parse().unwrap_or(1),
        output: output.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(line: usize, commands: &str) -> Block {
        Block {
            line,
            commands: commands.to_owned(),
        }
    }

    #[test]
    fn only_marked_blocks_run() {
        let page = "# Title\n```sh\na\nb\n```\n```sh norun\nc\n```\n```toml\nd\n```\n```\ne\n```\n";
        assert_eq!(blocks(page), [block(3, "a\nb\n")]);
        let list = "1. first:\n   ```sh\n   a\n     b\n   ```\n";
        assert_eq!(blocks(list), [block(3, "a\n  b\n")]);
        assert_eq!(blocks("```sh\nnever closed\n"), []);
    }

    #[test]
    fn blocks_of_a_page_share_a_shell_and_the_failed_one_is_named() {
        let run = |blocks: &[Block]| {
            run_page(blocks, Path::new("/bin/true"), "http://127.0.0.1:1").unwrap()
        };
        let good = [
            block(3, "a=$BASE; echo x > file\n"),
            block(9, "test -n \"$a\"; cat file\n"),
        ];
        assert!(run(&good).is_ok());
        let bad = [
            block(3, "true\n"),
            block(9, "echo before\nfalse | true\n"),
            block(12, "true\n"),
        ];
        let failed = run(&bad).err().unwrap();
        assert_eq!((failed.line, failed.output.as_str()), (9, "before\n"));
        assert!(run(&[block(1, "echo $unset_name\n")]).is_err());
    }
}
