//! The cluster on disk: where it is, how it is made, how its server is called.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel::SystemRng;
use nix::unistd::{geteuid, syncfs};
use secrecy::{ExposeSecret, SecretString};

use super::identity::{Lifetime, Way};
use super::{Options, PrivateError, Programs, survivors};
use crate::connect::Settings;
use crate::data_dir::write_private;

/// The longest path of a Unix socket.
const SOCKET_PATH: usize = 107;
const SOCKET_NAME: &str = "/.s.PGSQL.5432";
/// The cluster's superuser.
const SUPERUSER: &str = "meydan";

pub(super) struct Cluster {
    pub(super) pg: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) programs: Programs,
    pub(super) way: Way,
    password: SecretString,
}

impl Cluster {
    /// Finds or makes the cluster of a data directory; blocks.
    pub(super) fn prepare(root: &Path, options: &Options) -> Result<Self, PrivateError> {
        let pg = root.join("pg");
        let programs = Programs::find(options.pg_bin.as_deref(), major_of(&pg)?)?;
        let way = match &options.way {
            Some(way) => way.clone(),
            None => Way::find(&pg, options.pg_user.as_deref())?,
        };
        let socket_dir = socket_dir(root, options.runtime_dir.as_deref())?;
        let password = password(root)?;
        let cluster = Cluster {
            pg,
            socket_dir,
            programs,
            way,
            password,
        };
        cluster.remove_draft(root)?;
        if !cluster.pg.exists() {
            cluster.make(root)?;
        }
        let owned = [cluster.pg.as_path(), cluster.socket_dir.as_path()];
        if !survivors::workers(&cluster.pg).is_empty() {
            survivors::clear(&cluster.pg, &cluster.socket_dir)?;
        }
        cluster.way.hand_over(root, &owned)?;
        Ok(cluster)
    }

    pub(super) fn settings(&self) -> Settings {
        let mut settings = Settings::new("");
        settings.url = self.url(SUPERUSER, self.password.expose_secret());
        settings
    }

    pub(super) fn url(&self, user: &str, password: &str) -> SecretString {
        let host = encode(self.socket_dir.as_os_str().as_bytes());
        let (user, password) = (encode(user.as_bytes()), encode(password.as_bytes()));
        format!("postgres://{user}:{password}@{host}:5432/postgres").into()
    }

    /// The server's command.
    pub(super) fn server(&self) -> Command {
        let mut command = self
            .way
            .command(&self.programs.program("postgres"), Lifetime::Ours);
        command.arg("-D").arg(&self.pg);
        let socket_dir = self.socket_dir.display().to_string().replace('"', "\"\"");
        for setting in [
            "listen_addresses=".to_owned(),
            "port=5432".to_owned(),
            format!("unix_socket_directories=\"{socket_dir}\""),
            "unix_socket_permissions=0700".to_owned(),
            "dynamic_shared_memory_type=mmap".to_owned(),
            "jit=off".to_owned(),
            // Nothing is prepared by name, so every statement is planned each time it runs; trying
            // every order of joins cost ten times what running them did. Ours are written in the
            // order in which they are to be joined.
            "join_collapse_limit=1".to_owned(),
            "from_collapse_limit=1".to_owned(),
            "max_connections=60".to_owned(),
            "wal_level=replica".to_owned(),
            "max_slot_wal_keep_size=4GB".to_owned(),
            "logging_collector=off".to_owned(),
            "log_destination=stderr".to_owned(),
            "log_line_prefix=".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        command.current_dir("/");
        command
    }

    /// Line 8 of `postmaster.pid` says `ready`, and line 1 names this process.
    pub(super) fn says_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.pg.join("postmaster.pid")) else {
            return false;
        };
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
    }

    /// What a killed `initdb` left is thrown away; it was never in use.
    fn remove_draft(&self, root: &Path) -> Result<(), PrivateError> {
        let draft = root.join("pg.new");
        match fs::remove_dir_all(&draft) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(PrivateError::io("remove", &draft, source)),
        }
    }

    /// Beside, whole, on the disk, then renamed: `pg` is never half a cluster.
    fn make(&self, root: &Path) -> Result<(), PrivateError> {
        let draft = root.join("pg.new");
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&draft)
            .map_err(|source| PrivateError::io("make", &draft, source))?;
        let word = root.join("pg.word");
        write_private(&word, self.password.expose_secret().as_bytes())?;
        let made = self.initdb(root, &draft, &word);
        let forgotten = fs::remove_file(&word);
        made?;
        forgotten.map_err(|source| PrivateError::io("remove", &word, source))?;
        // One syncfs instead of initdb's own walk, which takes several times as long.
        let folder =
            File::open(&draft).map_err(|source| PrivateError::io("open", &draft, source))?;
        syncfs(&folder).map_err(|error| PrivateError::io("sync", &draft, error.into()))?;
        fs::rename(&draft, &self.pg)
            .map_err(|source| PrivateError::io("rename to", &self.pg, source))?;
        File::open(root)
            .and_then(|root| root.sync_all())
            .map_err(|source| PrivateError::io("sync", root, source))
    }

    fn initdb(&self, root: &Path, draft: &Path, word: &Path) -> Result<(), PrivateError> {
        self.way.hand_over(root, &[draft, word])?;
        let mut command = self
            .way
            .command(&self.programs.program("initdb"), Lifetime::Its);
        command
            .args([
                "-N",
                "-k",
                "-U",
                SUPERUSER,
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["-A", "scram-sha-256"])
            .arg(format!("--pwfile={}", word.display()))
            .arg("-D")
            .arg(draft)
            .current_dir("/");
        let output = command.output().map_err(|source| PrivateError::Spawn {
            command: format!("{command:?}"),
            source,
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(PrivateError::Initdb { output: said })
    }
}

fn major_of(pg: &Path) -> Result<Option<u32>, PrivateError> {
    let path = pg.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|error: std::num::ParseIntError| {
                PrivateError::io("read", &path, std::io::Error::other(error))
            }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PrivateError::io("read", &path, source)),
    }
}

/// The superuser's password, made once.
fn password(root: &Path) -> Result<SecretString, PrivateError> {
    let path = root.join("secrets/pg.password");
    match fs::read_to_string(&path) {
        Ok(text) if !text.is_empty() => return Ok(text.into()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(PrivateError::io("read", &path, source)),
    }
    let random: [u8; 32] = kernel::rng::bytes(&SystemRng);
    let made: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&path, made.as_bytes())?;
    Ok(made.into())
}

/// `run/pg`, or a short private folder when that name is too long for a socket.
fn socket_dir(root: &Path, runtime_dir: Option<&Path>) -> Result<PathBuf, PrivateError> {
    let near = root.join("run/pg");
    if fits(&near) {
        private_folder(&near)?;
        return Ok(near);
    }
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    let hash = hasher.finish();
    let far = match runtime_dir {
        Some(folder) => folder.join(format!("meydan-{hash:016x}")),
        None => std::env::temp_dir().join(format!("meydan-{}-{hash:016x}", geteuid())),
    };
    if !fits(&far) {
        return Err(PrivateError::LongPath { path: far });
    }
    private_folder(&far)?;
    Ok(far)
}

fn fits(folder: &Path) -> bool {
    folder.as_os_str().len().saturating_add(SOCKET_NAME.len()) <= SOCKET_PATH
}

/// Ours and closed to others, or refused: the temporary folder is open to everybody. One that
/// was given to the server's user stays usable for root.
fn private_folder(path: &Path) -> Result<(), PrivateError> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(PrivateError::io("make", path, source)),
    }
    let metadata =
        fs::symlink_metadata(path).map_err(|source| PrivateError::io("look at", path, source))?;
    let ours = metadata.uid() == geteuid().as_raw() || geteuid().is_root();
    if metadata.is_dir() && ours && metadata.mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(PrivateError::NotOurs {
            path: path.to_owned(),
        })
    }
}

/// Percent-encodes everything that is not plainly harmless in a URL.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_of_107_bytes_fits_and_108_do_not() {
        let folder = |length: usize| PathBuf::from(format!("/{}", "a".repeat(length - 1)));
        assert!(fits(&folder(SOCKET_PATH - SOCKET_NAME.len())));
        assert!(!fits(&folder(SOCKET_PATH - SOCKET_NAME.len() + 1)));
    }

    #[test]
    fn urls_are_safe() {
        assert_eq!(encode(b"/a b,%'/x-1_.z"), "%2Fa%20b%2C%25%27%2Fx-1_.z");
    }
}
