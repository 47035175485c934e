//! Finding PostgreSQL's programs and starting them as a user they accept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest major version we run.
const OLDEST: u32 = 15;

/// A folder with `postgres`, `initdb` and the rest of one major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The folder.
    pub bin: PathBuf,
    /// Its major version.
    pub major: u32,
    /// The whole version, `15.20`.
    pub version: String,
}

/// Why no programs were found.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// None anywhere.
    #[error(
        "no PostgreSQL programs of version {wanted} found (install the package postgresql, or set database.pg_bin); looked in {looked}"
    )]
    Missing {
        /// `15 or newer`, or one major version that the data needs.
        wanted: String,
        /// Folders.
        looked: String,
    },
}

impl Programs {
    /// Searches the named folder alone, or all the usual places; takes the newest version, or
    /// exactly `major` when data of that version exists.
    pub fn find(named: Option<&Path>, major: Option<u32>) -> Result<Self, ProgramsError> {
        let folders = match named {
            Some(folder) => vec![folder.to_owned()],
            None => usual_places(),
        };
        let mut found: Vec<Programs> = folders
            .iter()
            .filter_map(|folder| Self::at(folder))
            .filter(|programs| match major {
                Some(major) => programs.major == major,
                None => programs.major >= OLDEST,
            })
            .collect();
        found.sort_by_key(|programs| programs.major);
        found.pop().ok_or_else(|| ProgramsError::Missing {
            wanted: major.map_or_else(|| format!("{OLDEST} or newer"), |major| major.to_string()),
            looked: folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    /// The path of one program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    fn at(folder: &Path) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(folder.join("postgres"))
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = version_of(&text)?;
        let major = version.split('.').next()?.parse().ok()?;
        Some(Programs {
            bin: folder.to_owned(),
            major,
            version: version.to_owned(),
        })
    }
}

/// `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`; also `17beta1`, `18devel`.
fn version_of(text: &str) -> Option<&str> {
    let word = text.split_whitespace().nth(2)?;
    let end = word
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(word.len());
    word.get(..end).filter(|version| !version.is_empty())
}

fn usual_places() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config")
        .arg("--bindir")
        .stdin(Stdio::null())
        .output()
        && output.status.success()
    {
        folders.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    for (parent, prefix, tail) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/opt/homebrew/opt", "postgresql", "bin"),
        ("/usr/local/opt", "postgresql", "bin"),
    ] {
        folders.extend(children(Path::new(parent), prefix).map(|child| child.join(tail)));
    }
    folders
}

fn children(parent: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_print() {
        assert_eq!(
            version_of("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"),
            Some("15.20")
        );
        assert_eq!(version_of("postgres (PostgreSQL) 18devel"), Some("18"));
        assert_eq!(version_of("postgres (PostgreSQL) 17beta1\n"), Some("17"));
        assert_eq!(version_of("nonsense"), None);
        assert_eq!(version_of("a b c"), None);
    }

    #[test]
    fn a_folder_without_programs_is_named() {
        let error = Programs::find(Some(Path::new("/nonexistent")), None).unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
