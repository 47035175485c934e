//! The repository as seen by the rules: its files and its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::source::Source;

/// A file of the repository.
pub(crate) struct File {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The scanned text of a Rust file.
    pub(crate) source: Option<Source>,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        let source = path.ends_with(".rs").then(|| Source::scan(&text));
        Self { path, text, source }
    }

    /// The crate the file belongs to, if it lies in one.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// The path inside its crate.
    pub(crate) fn inside(&self) -> Option<&str> {
        self.path
            .strip_prefix("crates/")?
            .split_once('/')
            .map(|(_, inside)| inside)
    }

    /// Generated code says so in its first line.
    pub(crate) fn is_generated(&self) -> bool {
        self.text.starts_with("// @generated")
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.inside().is_some_and(|inside| {
            inside.starts_with("tests/")
                || inside.starts_with("benches/")
                || inside.ends_with("/tests.rs")
                || inside.ends_with("_tests.rs")
                || inside.contains("/tests/")
        })
    }
}

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Where it lies, when it is one of ours.
    pub(crate) path: Option<PathBuf>,
}

/// The root of the repository this tool is called in.
///
/// Cargo says it at run time. The place it was built in may be another checkout: several that share
/// a target folder take the same binary for fresh.
pub(crate) fn root() -> PathBuf {
    let called = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = called.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let root = manifest.ancestors().nth(2).map(Path::to_path_buf);
    root.unwrap_or(manifest)
}

/// A call of cargo in the root.
pub(crate) fn cargo<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs the command and gives its standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output.stdout)
}

/// The packages of the workspace; touches no network.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    let json = output(&mut cargo([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    serde_json::from_slice(&json).context("read cargo metadata")
}

/// Every text file git knows or would add.
pub(crate) fn files() -> anyhow::Result<Vec<File>> {
    let root = root();
    let mut command = Command::new("git");
    command
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&root);
    let list = String::from_utf8(output(&mut command)?).context("read the list of files")?;
    let mut files = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        // A deleted file stays listed until the deletion is added; pictures are not text.
        let Ok(bytes) = read_file(&root.join(path)) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File::new(path, text));
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
    Ok(files)
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

/// Builds the product's binary and says where it is.
pub(crate) fn build_meydan(profile: &str) -> anyhow::Result<PathBuf> {
    let cargo_profile = if profile == "debug" { "dev" } else { profile };
    let arguments = [
        "build",
        "--quiet",
        "--locked",
        "-p",
        "meydan",
        "--profile",
        cargo_profile,
    ];
    let status = cargo(arguments).status().context("start cargo build")?;
    if !status.success() {
        bail!("cargo build -p meydan failed");
    }
    Ok(metadata()?.target_directory.join(profile).join("meydan"))
}
