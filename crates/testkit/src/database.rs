//! One PostgreSQL per test run, one database per test.
//!
//! The first test process starts the server under a file lock; the others find it. A keeper (a
//! small shell program, the server's parent) ends the server and removes the folder when no test
//! process has used it for a minute: every test process holds a shared lock on the file `users`,
//! which the kernel gives up even when the process is killed. If the keeper dies, the server
//! dies with it.
//!
//! `MEYDAN_TEST_PG=/folder` names the socket folder of a running server instead (superuser
//! `meydan`, trust).

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use db::private::Programs;
use db::{Db, Migrations, Settings, Sql};
use nix::unistd::geteuid;
use tokio::time::{Instant, sleep};

use crate::servers::{make_cluster, says_ready, short_temp};

const KEEPER: &str = include_str!("keeper.sh");
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server waits for the next test.
const IDLE: Duration = Duration::from_secs(60);
const PORT: u16 = 5432;

/// A database of its own for one test, made from a template that holds the migrations.
pub struct TestDb {
    cluster: Cluster,
    name: String,
    schemas: Vec<&'static str>,
    pools: Mutex<Vec<Db>>,
}

impl TestDb {
    /// Makes a database with these migrations applied. It is dropped with the value.
    pub async fn new(migrations: &[Migrations]) -> Result<Self> {
        let cluster = Cluster::find().await?;
        let template = cluster.template(migrations).await?;
        let name = unique_name();
        let create = format!("CREATE DATABASE {name} TEMPLATE {template}");
        db::prepare::script(&cluster.admin("postgres"), &create).await?;
        Ok(TestDb {
            cluster,
            name,
            schemas: migrations.iter().map(|m| m.schema).collect(),
            pools: Mutex::new(Vec::new()),
        })
    }

    /// An empty database without any migration, for tests of migrations.
    pub async fn empty() -> Result<Self> {
        let cluster = Cluster::find().await?;
        let name = unique_name();
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        db::prepare::script(&cluster.admin("postgres"), &create).await?;
        Ok(TestDb {
            cluster,
            name,
            schemas: Vec::new(),
            pools: Mutex::new(Vec::new()),
        })
    }

    /// A pool as a login that has the rights of `<schema>_app` and no others.
    pub fn app(&self, schema: &str) -> Result<Db> {
        self.pool(&self.app_settings(schema)?)
    }

    /// A pool as superuser.
    pub fn admin(&self) -> Result<Db> {
        self.pool(&self.settings())
    }

    /// Settings of the superuser.
    pub fn settings(&self) -> Settings {
        self.cluster.admin(&self.name)
    }

    /// Settings of [`TestDb::app`].
    pub fn app_settings(&self, schema: &str) -> Result<Settings> {
        ensure!(
            self.schemas.contains(&schema),
            "no migrations of schema {schema:?} were given to TestDb::new"
        );
        Ok(self.cluster.settings(&login_of(schema), &self.name))
    }

    /// The URL of the superuser.
    pub fn url(&self) -> String {
        self.cluster.url("meydan", &self.name)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder with the server's socket, and its port.
    pub fn socket(&self) -> (&Path, u16) {
        (&self.cluster.socket, PORT)
    }

    /// Runs a script as superuser.
    pub async fn script(&self, text: &str) -> Result<()> {
        Ok(db::prepare::script(&self.settings(), text).await?)
    }

    fn pool(&self, settings: &Settings) -> Result<Db> {
        let pool = Db::connect(settings)?;
        self.pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(pool.clone());
        Ok(pool)
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        for pool in self
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            pool.close();
        }
        let settings = self.cluster.admin("postgres");
        let text = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A destructor cannot wait for async work of the runtime it may be called on.
        let _dropped =
            std::thread::scope(|scope| scope.spawn(|| drop_now(&settings, &text)).join());
    }
}

fn drop_now(settings: &Settings, text: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(db::prepare::script(settings, text))?)
}

/// Prepares every statement as its context's login and fails with the list of what is wrong.
///
/// The context is the part of the statement's name before the dot.
pub async fn prepare_all(database: &TestDb, statements: &'static [&'static Sql]) -> Result<()> {
    ensure!(!statements.is_empty(), "no statements given");
    let mut problems = Vec::new();
    let mut schemas: Vec<&str> = Vec::new();
    for sql in statements {
        let (schema, _) = sql
            .name()
            .split_once('.')
            .with_context(|| format!("{} is not named context.verb_noun", sql.name()))?;
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
    }
    for schema in schemas {
        let prefix = format!("{schema}.");
        let own: Vec<&Sql> = statements
            .iter()
            .copied()
            .filter(|sql| sql.name().starts_with(&prefix))
            .collect();
        problems.extend(db::prepare::check(&database.app_settings(schema)?, &own).await?);
    }
    ensure!(
        problems.is_empty(),
        "statements with problems:\n{}",
        problems.join("\n")
    );
    Ok(())
}

/// The server of this test run.
#[derive(Debug, Clone)]
struct Cluster {
    /// Folder for locks.
    home: PathBuf,
    /// Folder of the socket.
    socket: PathBuf,
}

impl Cluster {
    async fn find() -> Result<Self> {
        static FOUND: tokio::sync::OnceCell<(Cluster, Option<File>)> =
            tokio::sync::OnceCell::const_new();
        let (cluster, _held) = FOUND.get_or_try_init(find_or_start).await?;
        Ok(cluster.clone())
    }

    fn url(&self, user: &str, database: &str) -> String {
        let host = self
            .socket
            .to_string_lossy()
            .replace('%', "%25")
            .replace('/', "%2F");
        format!("postgres://{user}@{host}:{PORT}/{database}")
    }

    fn settings(&self, user: &str, database: &str) -> Settings {
        Settings::new(self.url(user, database))
    }

    fn admin(&self, database: &str) -> Settings {
        self.settings("meydan", database)
    }

    /// The template with these migrations, made on first use.
    async fn template(&self, migrations: &[Migrations]) -> Result<String> {
        let name = format!("template_{:016x}", fingerprint(migrations));
        // One process makes templates at a time: roles belong to the whole server.
        let _lock = lock(&self.home.join("templates")).await?;
        let admin = Db::connect(&self.admin("postgres"))?;
        let ready = Sql::new(
            "test.template",
            "SELECT datistemplate FROM pg_database WHERE datname = $1",
        )
        .bind(&name)
        .optional_scalar::<bool>(&admin)
        .await?;
        if ready == Some(true) {
            return Ok(name);
        }
        let fresh = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        db::prepare::script(&self.admin("postgres"), &fresh).await?;
        let create = format!("CREATE DATABASE {name} TEMPLATE template0");
        db::prepare::script(&self.admin("postgres"), &create).await?;
        let settings = self.admin(&name);
        db::migrate(&settings, migrations)
            .await
            .context("migrating the template")?;
        for migrations in migrations {
            let role = format!("{}_app", migrations.schema);
            db::ensure_login(&settings, &login_of(migrations.schema), None, &role).await?;
        }
        let done = format!("ALTER DATABASE {name} IS_TEMPLATE true");
        db::prepare::script(&self.admin("postgres"), &done).await?;
        Ok(name)
    }
}

fn login_of(schema: &str) -> String {
    format!("test_{schema}")
}

fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "t_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

fn fingerprint(migrations: &[Migrations]) -> u64 {
    let mut hasher = DefaultHasher::new();
    db::migrate_fingerprint().hash(&mut hasher);
    for one in migrations {
        one.schema.hash(&mut hasher);
        one.files.hash(&mut hasher);
    }
    hasher.finish()
}

/// Takes an exclusive lock without blocking the runtime; follows the file if it was replaced.
async fn lock(path: &Path) -> Result<File> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let file = File::options().create(true).append(true).open(path)?;
        match file.try_lock() {
            // The keeper may have removed the folder while we waited: then our file is nobody's.
            Ok(()) if same_file(&file, path) => return Ok(file),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        ensure!(Instant::now() < deadline, "{} stays locked", path.display());
        sleep(Duration::from_millis(10)).await;
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.ino() == theirs.ino() && ours.dev() == theirs.dev(),
        _ => false,
    }
}

async fn find_or_start() -> Result<(Cluster, Option<File>)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch of the test run, not a setting"
    )]
    let named = std::env::var("MEYDAN_TEST_PG");
    if let Ok(folder) = named {
        let socket = PathBuf::from(folder);
        return Ok((
            Cluster {
                home: socket.clone(),
                socket,
            },
            None,
        ));
    }
    let (cluster, users) = find_or_start_in(home_folder()?, IDLE).await?;
    Ok((cluster, Some(users)))
}

/// The server that lives in this folder; the file is held by whoever uses it.
async fn find_or_start_in(home: PathBuf, idle: Duration) -> Result<(Cluster, File)> {
    let deadline = Instant::now() + PATIENCE;
    let (_lock, users) = loop {
        // The keeper may remove the folder between our steps; then we begin again.
        let entered = match make_private(&home) {
            Ok(()) => enter(&home).await,
            Err(error) => Err(error),
        };
        match entered {
            Ok(held) => break held,
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("{} cannot be used", home.display())));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    if keeper_is_alive(&home)? {
        if let Ok(name) = fs::read_to_string(home.join("current")) {
            let socket = home.join(name.trim());
            if says_ready(&socket.join("pg/postmaster.pid")) {
                return Ok((Cluster { home, socket }, users));
            }
        }
        bail!(
            "the test server's keeper lives but its server does not; see {}",
            home.display()
        );
    }
    let socket = start(&home, idle).await?;
    Ok((Cluster { home, socket }, users))
}

async fn enter(home: &Path) -> Result<(File, File)> {
    let starting = lock(&home.join("lock")).await?;
    let users = File::options()
        .create(true)
        .append(true)
        .open(home.join("users"))?;
    // The keeper holds it for an instant only, and not at all while we hold `lock`.
    users.lock_shared()?;
    ensure!(same_file(&users, &home.join("users")), "replaced meanwhile");
    Ok((starting, users))
}

/// `/tmp/meydan-test-<uid>-<workspace>`.
fn home_folder() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    let key = hasher.finish() >> 24;
    Ok(short_temp().join(format!("meydan-test-{}-{key:x}", geteuid())))
}

fn make_private(home: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(home) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).context(home.display().to_string()),
    }
    let metadata = fs::symlink_metadata(home)?;
    ensure!(
        metadata.is_dir() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0,
        "{} is not a private folder of ours",
        home.display()
    );
    Ok(())
}

/// The keeper holds `alive` for as long as it lives.
fn keeper_is_alive(home: &Path) -> Result<bool> {
    let alive = File::options()
        .create(true)
        .append(true)
        .open(home.join("alive"))?;
    match alive.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

async fn start(home: &Path, idle: Duration) -> Result<PathBuf> {
    let programs = Programs::find(None, None)?;
    // A new folder each time: what a dead keeper left behind is nobody's business.
    let name = format!("s{}", std::process::id());
    let folder = home.join(&name);
    let _stale = fs::remove_dir_all(&folder);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    make_cluster(&programs, &folder.join("pg"))?;
    let log = File::create(folder.join("log"))?;
    let mut keeper = Command::new("/bin/sh")
        .arg("-c")
        .arg(KEEPER)
        .arg("meydan-test-keeper")
        .arg(home)
        .arg(&name)
        .arg(programs.program("postgres"))
        .arg(idle.as_secs().to_string())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("starting the keeper of the test server")?;
    let deadline = Instant::now() + PATIENCE;
    while !says_ready(&folder.join("pg/postmaster.pid")) {
        if keeper.try_wait()?.is_some() || Instant::now() > deadline {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("the test server did not start:\n{log}");
        }
        sleep(Duration::from_millis(10)).await;
    }
    fs::write(home.join("current"), &name)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Scratch;

    /// Comes and goes around the moment at which the keeper loses its patience.
    async fn come_and_go(home: PathBuf, number: u64) -> Result<()> {
        for visit in 0..6 {
            let (cluster, users) = find_or_start_in(home.clone(), Duration::from_secs(1)).await?;
            db::prepare::script(&cluster.admin("postgres"), "SELECT 1").await?;
            drop(users);
            sleep(Duration::from_millis(900 + number * 70 + visit * 90)).await;
        }
        Ok(())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_comes_while_the_server_ends_gets_a_new_one() -> Result<()> {
        let scratch = Scratch::new("keeper")?;
        let home = scratch.path().join("home");
        let mut visitors = tokio::task::JoinSet::new();
        for number in 0..3 {
            visitors.spawn(come_and_go(home.clone(), number));
        }
        while let Some(visitor) = visitors.join_next().await {
            visitor??;
        }
        // The last server ends by itself.
        let deadline = Instant::now() + PATIENCE;
        while home.exists() {
            ensure!(Instant::now() < deadline, "the keeper did not end");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
