//! Whom PostgreSQL runs as. It refuses root.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{User, geteuid};

use super::PrivateError;

/// For `unshare`: a user namespace in which root is nobody special.
const NAMESPACE: [&str; 3] = ["-U", "--map-user=1000", "--map-group=1000"];
/// For `setpriv`: the fast stop of PostgreSQL when we die.
const WITH_US: [&str; 2] = ["--pdeathsig", "INT"];

/// How the programs are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// We are an ordinary user: as ourselves.
    Ourselves,
    /// We are root: in a user namespace in which we are not. Files stay root's on disk.
    Namespace,
    /// We are root and namespaces are forbidden: as another user, who then owns `pg/`.
    Other {
        /// User number.
        uid: u32,
        /// Group number.
        gid: u32,
    },
}

impl Way {
    /// Finds the way for this process and this cluster.
    pub(super) fn find(pg: &Path, named: Option<&str>) -> Result<Self, PrivateError> {
        let way = if !geteuid().is_root() {
            Way::Ourselves
        } else if works("unshare", &NAMESPACE) {
            Way::Namespace
        } else {
            Self::other(pg, named)?
        };
        if works("setpriv", &WITH_US) {
            Ok(way)
        } else {
            Err(PrivateError::NoSetpriv)
        }
    }

    /// The owner of an existing cluster, else the named user, else `postgres`, else `nobody`.
    pub(super) fn other(pg: &Path, named: Option<&str>) -> Result<Self, PrivateError> {
        if let Ok(metadata) = fs::metadata(pg)
            && metadata.uid() != 0
        {
            return Ok(Way::Other {
                uid: metadata.uid(),
                gid: metadata.gid(),
            });
        }
        let names = named.map_or_else(|| vec!["postgres", "nobody"], |name| vec![name]);
        for name in &names {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Way::Other {
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                });
            }
        }
        Err(PrivateError::NoUser {
            tried: names.join(", "),
        })
    }

    /// A command with an empty environment: inherited `PG*` variables would change the server.
    pub(super) fn command(&self, program: &Path, with_us: Lifetime) -> Command {
        let mut words: Vec<String> = Vec::new();
        if *self == Way::Namespace {
            words.push("unshare".to_owned());
            words.extend(NAMESPACE.map(str::to_owned));
            words.push("--".to_owned());
        }
        let mut setpriv: Vec<String> = Vec::new();
        if let Way::Other { uid, gid } = self {
            setpriv.extend([format!("--reuid={uid}"), format!("--regid={gid}")]);
            setpriv.push("--clear-groups".to_owned());
        }
        if with_us == Lifetime::Ours {
            // setpriv sets it after the change of user, which would clear it.
            setpriv.extend(WITH_US.map(str::to_owned));
        }
        if !setpriv.is_empty() {
            words.push("setpriv".to_owned());
            words.extend(setpriv);
            words.push("--".to_owned());
        }
        let mut command = match words.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", search_path())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Gives the folders to the user that the programs run as, and makes sure that it gets there.
    pub(super) fn hand_over(&self, root: &Path, folders: &[&Path]) -> Result<(), PrivateError> {
        let Way::Other { uid, gid } = self else {
            return Ok(());
        };
        // Search only: the user passes through to its own folders and sees nothing else.
        for passage in [root, &root.join("run")] {
            fs::set_permissions(passage, fs::Permissions::from_mode(0o711))
                .map_err(|source| PrivateError::io("open a way through", passage, source))?;
        }
        for folder in folders {
            give(folder, *uid, *gid)?;
            if let Some(parent) = refusing_parent(folder, *uid, *gid) {
                return Err(PrivateError::Unreachable { parent, uid: *uid });
            }
        }
        Ok(())
    }
}

/// Whether a program ends with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Our death, however it comes, stops it.
    Ours,
    /// It ends by itself.
    Its,
}

/// Where the helping programs are: what found one in a probe finds it again.
fn search_path() -> OsString {
    std::env::var_os("PATH")
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into())
}

/// Whether a helping program can start another one with these options.
fn works(program: &str, options: &[&str]) -> bool {
    Command::new(program)
        .args(options)
        .args(["--", "true"])
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn give(path: &Path, uid: u32, gid: u32) -> Result<(), PrivateError> {
    let metadata =
        fs::symlink_metadata(path).map_err(|source| PrivateError::io("look at", path, source))?;
    if metadata.is_symlink() {
        return Ok(());
    }
    if metadata.uid() != uid || metadata.gid() != gid {
        chown(path, Some(uid), Some(gid))
            .map_err(|source| PrivateError::io("give away", path, source))?;
    }
    if metadata.is_dir() {
        let entries =
            fs::read_dir(path).map_err(|source| PrivateError::io("read", path, source))?;
        for entry in entries.flatten() {
            give(&entry.path(), uid, gid)?;
        }
    }
    Ok(())
}

/// The first folder on the way to `path` that a stranger may not pass.
fn refusing_parent(path: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    parents
        .into_iter()
        .find(|parent| !may_search(parent, uid, gid))
        .map(Path::to_owned)
}

fn may_search(folder: &Path, uid: u32, gid: u32) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| {
        let bit = if metadata.uid() == uid {
            0o100
        } else if metadata.gid() == gid {
            0o010
        } else {
            0o001
        };
        metadata.mode() & bit != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_death_signal_is_set_after_the_change_of_user() {
        let way = Way::Other { uid: 7, gid: 8 };
        let command = format!(
            "{:?}",
            way.command(Path::new("/x/postgres"), Lifetime::Ours)
        );
        assert!(command.contains(
            r#""setpriv" "--reuid=7" "--regid=8" "--clear-groups" "--pdeathsig" "INT" "--" "/x/postgres""#
        ), "{command}");
        let command = format!(
            "{:?}",
            Way::Namespace.command(Path::new("/x/postgres"), Lifetime::Ours)
        );
        assert!(
            command.contains(
                r#""--map-group=1000" "--" "setpriv" "--pdeathsig" "INT" "--" "/x/postgres""#
            ),
            "{command}"
        );
        let command = Way::Ourselves.command(Path::new("/x/initdb"), Lifetime::Its);
        assert_eq!(command.get_program(), "/x/initdb");
        assert_eq!(command.get_envs().count(), 3);
    }

    #[test]
    fn a_parent_that_refuses_is_named() {
        // Nobody but root may pass a 0700 folder of root's; every system has `/`.
        assert_eq!(refusing_parent(Path::new("/x"), 65_534, 65_534), None);
        assert_eq!(
            refusing_parent(Path::new("/nonexistent/x/y"), 65_534, 65_534),
            Some(PathBuf::from("/nonexistent"))
        );
    }
}
