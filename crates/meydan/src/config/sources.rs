//! The one place that looks at the environment and at configuration files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::origin::Origin;
use super::problem::{Code, Problem};

/// A file of settings is small; more is a mistake.
const FILE_BYTES: u64 = 1024 * 1024;

/// Where settings are looked for.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    variables: Vec<(String, OsString)>,
    working_dir: PathBuf,
    system_dir: PathBuf,
}

impl Sources {
    /// The process's own environment and working directory.
    pub(crate) fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value)))
            .collect();
        Self {
            variables,
            // Paths stay relative, so that messages show them as people typed them.
            working_dir: PathBuf::new(),
            system_dir: PathBuf::from("/etc/meydan"),
        }
    }

    #[cfg(test)]
    pub(crate) fn of_test(folder: &Path, variables: &[(&str, &str)]) -> Self {
        Self {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
                .collect(),
            working_dir: folder.join("work"),
            system_dir: folder.join("etc"),
        }
    }

    pub(crate) fn variables(&self) -> &[(String, OsString)] {
        &self.variables
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.variables
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.to_str())
            .map(str::to_owned)
    }

    /// Whether a compose set-up says that this runs in a container.
    pub(crate) fn in_docker(&self) -> bool {
        self.variable("RUNNING_IN_DOCKER").as_deref() == Some("true")
    }

    /// The configuration files in rising order of precedence; they need not exist.
    pub(crate) fn config_files(&self, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
        let mut files = vec![self.system_dir.join("meydan.toml")];
        let folder = self.system_dir.join("conf.d");
        match std::fs::read_dir(&folder) {
            Ok(entries) => {
                let mut parts: Vec<PathBuf> = entries
                    .filter_map(Result::ok)
                    .map(|entry| entry.path())
                    .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
                    .collect();
                parts.sort();
                files.extend(parts);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let place = Origin::Place {
                    text: folder.display().to_string(),
                };
                let message = format!("the folder cannot be read: {error}");
                problems.push(Problem::new(place, Code::Unreadable, message));
            }
        }
        files.push(PathBuf::from("meydan.toml"));
        files
    }

    /// The text of a file; `None` when there is none.
    pub(crate) fn read(&self, path: &Path) -> std::io::Result<Option<String>> {
        let path = self.resolve(path);
        match std::fs::metadata(&path) {
            Ok(about) if about.is_dir() => Err(std::io::Error::other("it is a folder")),
            Ok(about) if about.len() > FILE_BYTES => {
                Err(std::io::Error::other("it is larger than 1 MiB"))
            }
            Ok(_) => std::fs::read_to_string(&path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        self.resolve(path).is_file()
    }

    /// Where a path of the configuration is on disk.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.working_dir.join(path)
    }
}
