//! Opening this computer's data: the lock of the data directory, the private PostgreSQL, the root
//! secret; or finding the node that holds the lock through `run/node.json`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use db::data_dir::{DataDir, DataDirError, Node};
use db::private::{Options, PrivatePostgres};
use secrecy::{ExposeSecret as _, SecretString};

use super::exit::{Exit, Fail, chain};
use crate::config::Config;

/// A root secret made here has this many random bytes.
const ROOT_KEY_BYTES: usize = 32;
/// The superuser of the private server.
const SUPERUSER: &str = "meydan";
/// The login of the pool, and the role whose rights it has: those of all contexts.
const LOGIN: &str = "meydan_login";
const APP_ROLE: &str = "meydan_app";

/// Access to the database, for as long as this value lives.
pub(crate) struct Local {
    /// The pool's way.
    pub(crate) database: db::Settings,
    /// The way for migrations and LISTEN.
    pub(crate) direct: db::Settings,
    /// The password of the pool's login, where this computer keeps it.
    login: Option<SecretString>,
    /// What this process started itself.
    pub(crate) owned: Owned,
}

/// What this process holds, and gives back at its end.
#[derive(Default)]
pub(crate) struct Owned {
    pub(crate) postgres: Option<Arc<PrivatePostgres>>,
    /// Held until the end: a second manager of one directory would stop our server.
    pub(crate) data_dir: Option<DataDir>,
}

impl Local {
    /// Opens the database for a command: yours, the private one, or the one a node already runs.
    pub(crate) async fn open(config: &Config) -> Result<Self, Fail> {
        if config.database.url.is_some() {
            return Ok(Self::yours(config));
        }
        match DataDir::open(&config.storage.data_dir) {
            Ok(data_dir) => Self::own(config, data_dir).await,
            Err(DataDirError::Locked { .. }) => Self::of_running_node(config),
            Err(error) => Err(data_dir_fail(config, &error)),
        }
    }

    /// Opens it for a node, which must hold the lock whatever the database is.
    pub(crate) async fn open_for_node(config: &Config) -> Result<Self, Fail> {
        let data_dir = DataDir::open(&config.storage.data_dir)
            .map_err(|error| data_dir_fail(config, &error))?;
        if config.database.url.is_some() {
            let mut local = Self::yours(config);
            local.owned.data_dir = Some(data_dir);
            return Ok(local);
        }
        Self::own(config, data_dir).await
    }

    /// A database that somebody else runs.
    pub(crate) fn yours(config: &Config) -> Self {
        let url = config
            .database
            .url
            .as_ref()
            .map(crate::config::Secret::to_secret_string);
        let url = url.unwrap_or_default();
        let direct = config.database.direct_url.as_ref();
        let direct = direct.map_or_else(|| url.clone(), crate::config::Secret::to_secret_string);
        Self {
            database: settings(config, url),
            direct: settings(config, direct),
            login: None,
            owned: Owned::default(),
        }
    }

    async fn own(config: &Config, data_dir: DataDir) -> Result<Self, Fail> {
        root_secret_first(config)?;
        let options = Options {
            pg_bin: config.database.pg_bin.clone(),
            pg_user: config.database.pg_user.clone(),
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            ..Options::default()
        };
        let postgres = PrivatePostgres::start(&data_dir, options)
            .await
            .map_err(|error| {
                Fail::caused(Exit::Missing, "starting the private PostgreSQL", &error)
                    .hint("meydan doctor --only db")
            })?;
        let node = Node {
            pid: std::process::id(),
            socket: Some(postgres.socket_dir().to_owned()),
            version: super::version::VERSION.to_owned(),
        };
        if let Err(error) = data_dir.write_node(&node) {
            tracing::warn!(
                error = chain(&error),
                "other commands cannot find this node"
            );
        }
        let password = login_password(data_dir.path())?;
        Ok(Self {
            database: settings(config, postgres.url(LOGIN, &password)),
            direct: settings(config, postgres.settings().url),
            login: Some(password),
            owned: Owned {
                postgres: Some(Arc::new(postgres)),
                data_dir: Some(data_dir),
            },
        })
    }

    /// Uses the private PostgreSQL of the node that holds the lock.
    fn of_running_node(config: &Config) -> Result<Self, Fail> {
        let root = &config.storage.data_dir;
        let node = DataDir::read_node(root).map_err(|error| {
            Fail::caused(
                Exit::Conflict,
                "looking for the node that runs here",
                &error,
            )
        })?;
        let Some(socket) = node.and_then(|node| node.socket) else {
            let message = format!(
                "{} is in use, and its owner has no database",
                root.display()
            );
            return Err(Fail::new(Exit::Conflict, message).hint("wait until it is ready"));
        };
        let path = root.join("secrets").join("pg.password");
        let superuser = std::fs::read_to_string(&path).map_err(|error| {
            Fail::caused(
                Exit::Missing,
                &format!("reading {}", path.display()),
                &error,
            )
        })?;
        let password = login_password(root)?;
        let url = |user: &str, password: &str| {
            let host = quoted(&socket.to_string_lossy());
            let password = quoted(password.trim());
            SecretString::from(format!(
                "host={host} port=5432 user={user} password={password} dbname=postgres"
            ))
        };
        Ok(Self {
            database: settings(config, url(LOGIN, password.expose_secret())),
            direct: settings(config, url(SUPERUSER, &superuser)),
            login: Some(password),
            owned: Owned::default(),
        })
    }

    /// Brings the schema up to date and makes the login of the pool.
    ///
    /// A node works under a role that row-level security holds for; the private server's superuser
    /// is for migrations only. With a database of yours the roles are yours as well.
    pub(crate) async fn migrate(&self) -> Result<Vec<db::Step>, Fail> {
        let steps = super::migrate::apply(&self.direct).await?;
        if let Some(password) = &self.login {
            db::ensure_login(&self.direct, LOGIN, Some(password), APP_ROLE)
                .await
                .map_err(|error| super::migrate::fail(&error))?;
        }
        Ok(steps)
    }

    /// Stops what was started, and gives the lock back.
    pub(crate) async fn close(self) -> Result<(), Fail> {
        self.owned.close().await
    }
}

impl Owned {
    pub(crate) async fn close(self) -> Result<(), Fail> {
        if let Some(postgres) = self.postgres {
            postgres.stop().await.map_err(|error| {
                Fail::caused(Exit::Failure, "stopping the private PostgreSQL", &error)
            })?;
        }
        Ok(())
    }
}

fn settings(config: &Config, url: SecretString) -> db::Settings {
    let database = &config.database;
    db::Settings {
        url,
        max_connections: database.max_connections,
        connect_timeout: database.connect_timeout,
        wait_timeout: database.wait_timeout,
        statement_timeout: database.statement_timeout,
        application_name: "meydan".to_owned(),
    }
}

fn data_dir_fail(config: &Config, error: &DataDirError) -> Fail {
    match error {
        DataDirError::Locked { .. } => Fail::new(Exit::Conflict, chain(error))
            .hint("stop the other one, or use another directory with --data DIR"),
        DataDirError::Foreign { .. } => {
            Fail::new(Exit::Missing, chain(error)).hint("meydan up --data ./meydan-data")
        }
        DataDirError::Io { .. } => {
            let shown = config.storage.data_dir.display();
            Fail::new(Exit::Missing, chain(error)).hint(format!(
                "make {shown} writable for this user, or use --data DIR"
            ))
        }
    }
}

/// A value of a connection string of keywords.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn login_password(data_dir: &Path) -> Result<SecretString, Fail> {
    kept_secret(
        &data_dir.join("secrets").join("app.password"),
        &kernel::SystemRng,
    )
}

pub(crate) fn root_key_path(data_dir: &Path) -> PathBuf {
    data_dir.join("secrets").join("root.key")
}

/// The root secret: the setting, else the one kept in the data directory, made when absent.
pub(crate) fn root_secret(config: &Config, rng: &dyn kernel::Rng) -> Result<SecretString, Fail> {
    if let Some(secret) = &config.auth.jwt.secret {
        return Ok(secret.to_secret_string());
    }
    let path = root_key_path(&config.storage.data_dir);
    kept_secret(&path, rng)
}

/// Makes the root secret before the private database that it protects: if it is missing later it was
/// lost, and a new one could open nothing of what is stored.
fn root_secret_first(config: &Config) -> Result<(), Fail> {
    let (root, path) = (
        &config.storage.data_dir,
        root_key_path(&config.storage.data_dir),
    );
    let given = config.auth.jwt.secret.is_some();
    if !given && root.join("pg").exists() && !path.exists() {
        let message = format!(
            "{} is missing, and keys in the database beside it cannot be opened without it",
            path.display()
        );
        return Err(Fail::new(Exit::Failure, message)
            .hint("restore it from a backup, or set auth.jwt.secret to what it held"));
    }
    root_secret(config, &kernel::SystemRng).map(drop)
}

fn kept_secret(path: &Path, rng: &dyn kernel::Rng) -> Result<SecretString, Fail> {
    let attempted = format!("keeping a secret in {}", path.display());
    let failed = |error: std::io::Error| Fail::caused(Exit::Failure, &attempted, &error);
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= ROOT_KEY_BYTES => {
            Ok(SecretString::from(text.trim().to_owned()))
        }
        // Replacing a damaged secret would silently make every stored key unreadable.
        Ok(_) => Err(
            Fail::new(Exit::Failure, format!("{} is damaged", path.display()))
                .hint("restore it from a backup"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = kernel::rng::token::<ROOT_KEY_BYTES>(rng);
            write_private(path, &secret).map_err(failed)?;
            Ok(SecretString::from(secret))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only this user can read; after a crash it is whole or absent.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("meydan-local-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_root_secret_is_made_once_and_kept_private() {
        let folder = Folder::new("root");
        let path = folder.0.join("root.key");
        let rng = kernel::SystemRng;
        let first = kept_secret(&path, &rng).unwrap();
        let second = kept_secret(&path, &rng).unwrap();
        assert_eq!(first.expose_secret(), second.expose_secret());
        assert!(first.expose_secret().len() >= ROOT_KEY_BYTES);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn connection_strings_quote_what_they_must() {
        assert_eq!(quoted(r"/a b/it's\x"), r"'/a b/it\'s\\x'");
    }

    #[test]
    fn a_damaged_root_secret_is_never_replaced() {
        let folder = Folder::new("damaged");
        let path = folder.0.join("root.key");
        std::fs::write(&path, "short").unwrap();
        let fail = kept_secret(&path, &kernel::SystemRng).unwrap_err();
        assert!(fail.message.contains("damaged"), "{fail}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short");
    }
}
