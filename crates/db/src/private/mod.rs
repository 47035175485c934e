//! A PostgreSQL of our own: made on the first start, run as a child, restarted when it dies.
//!
//! Invariants
//! 1. Only the holder of `run/lock` ([`crate::data_dir::DataDir`]) starts or stops it.
//! 2. `pg/` is either absent or a whole cluster: it is made beside and renamed. Nothing ever
//!    deletes or re-creates a cluster.
//! 3. A server of an earlier run is stopped and started anew, never shared.
//! 4. It is reachable through a Unix socket in a private folder only, with a random password
//!    (in a user namespace `peer` would not recognise us).
//! 5. It ends when we do, even by SIGKILL.

mod cluster;
mod identity;
mod keeper;
mod orphans;
mod programs;
mod survivors;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::connect::{Direct, Settings};
use crate::data_dir::{DataDir, DataDirError};
use crate::mechanics::backoff;
use cluster::Cluster;
use keeper::{Child, Keeper};

pub use identity::Way;
pub use programs::{Programs, ProgramsError};

/// How long a start may take; recovery after a crash on a busy machine is the long case.
const READY: Duration = Duration::from_secs(120);
/// How long a fast stop may take before it becomes an immediate one.
const STOP: Duration = Duration::from_secs(20);

/// What to run and where.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the programs are (`database.pg_bin`); else they are searched.
    pub pg_bin: Option<PathBuf>,
    /// Whom to run as when we are root and user namespaces are forbidden (`database.pg_user`).
    pub pg_user: Option<String>,
    /// `$XDG_RUNTIME_DIR`, for the socket when the data directory's name is too long.
    pub runtime_dir: Option<PathBuf>,
    /// Forces a way to run it instead of finding one.
    pub way: Option<Way>,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// No programs. Exit code 4.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// No user to run as. Exit code 4.
    #[error(
        "PostgreSQL refuses to run as root; user namespaces (unshare -U) are forbidden here; and there is no user {tried} to run it as: start meydan as an ordinary user, or allow user namespaces, or set database.pg_user to a user who can reach the data directory, for instance with --data /var/lib/meydan"
    )]
    NoUser {
        /// Names.
        tried: String,
    },
    /// The program is missing that every way needs. Exit code 4.
    #[error(
        "setpriv does not work here, by which PostgreSQL is run as somebody other than root and ended when we are killed: install util-linux 2.33 or newer, or set database.url to a server of your own"
    )]
    NoSetpriv,
    /// The user it must run as cannot reach the data. Exit code 4.
    #[error(
        "user {uid}, whom PostgreSQL must run as, may not pass {}: use a data directory that it can reach, for instance --data /var/lib/meydan", parent.display()
    )]
    Unreachable {
        /// The folder that refuses.
        parent: PathBuf,
        /// The user.
        uid: u32,
    },
    /// Servers of an earlier run did not stop.
    #[error("processes {pids:?} still work in the database's folder and do not stop")]
    Survivors {
        /// Who.
        pids: Vec<i32>,
    },
    /// `initdb` failed.
    #[error("initdb failed: {output}")]
    Initdb {
        /// What it said.
        output: String,
    },
    /// It ended or hung while starting.
    #[error("PostgreSQL did not become ready: {reason}; its last lines:\n{tail}")]
    NotReady {
        /// Why we stopped waiting.
        reason: String,
        /// Its log.
        tail: String,
    },
    /// No folder whose name is short enough for a socket.
    #[error("the path of the database's socket would be longer than 107 bytes in {}", path.display())]
    LongPath {
        /// The folder tried last.
        path: PathBuf,
    },
    /// The folder for the socket belongs to somebody else.
    #[error("{} is not a private folder of ours", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// A program could not be started.
    #[error("start {command}")]
    Spawn {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No thread.
    #[error("start a thread")]
    Thread(#[source] std::io::Error),
    /// The thread that starts the server has ended.
    #[error("the thread that starts PostgreSQL has ended")]
    KeeperGone,
    /// A file operation failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
}

impl PrivateError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        PrivateError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// A running private PostgreSQL. Dropping it stops the server as a kill of ours would.
pub struct PrivatePostgres {
    cluster: Arc<Cluster>,
    keeper: Keeper,
    child: Mutex<Child>,
    stopping: AtomicBool,
}

impl PrivatePostgres {
    /// Makes the cluster if there is none, clears away an earlier run, starts the server and
    /// waits until it answers.
    pub async fn start(data: &DataDir, options: Options) -> Result<Self, PrivateError> {
        let keeper = Keeper::start()?;
        let root = data.path().to_owned();
        let cluster = keeper
            .run(move || Cluster::prepare(&root, &options))
            .await?;
        let cluster = Arc::new(cluster);
        let child = launch(&keeper, &cluster).await?;
        Ok(PrivatePostgres {
            cluster,
            keeper,
            child: Mutex::new(child),
            stopping: AtomicBool::new(false),
        })
    }

    /// How to connect as its superuser: for migrations and as the base of other logins.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.cluster.settings()
    }

    /// A URL for another login of the same server.
    #[must_use]
    pub fn url(&self, user: &str, password: &SecretString) -> SecretString {
        self.cluster.url(user, password.expose_secret())
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.cluster.socket_dir
    }

    /// Its process at present.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.current().pid
    }

    /// Its version, `15.20`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.cluster.programs.version
    }

    /// How it is run.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.cluster.way
    }

    /// Restarts it whenever it dies, until `soft` is cancelled or [`PrivatePostgres::stop`].
    ///
    /// As process 1 of a container it also reaps what died servers leave behind.
    pub async fn supervise(&self, soft: CancellationToken) {
        tokio::select! {
            () = self.watch(soft) => {}
            never = orphans::reap(&self.keeper) => match never {},
        }
    }

    async fn watch(&self, soft: CancellationToken) {
        let mut failures: u32 = 0;
        loop {
            let child = self.current();
            let since = Instant::now();
            tokio::select! {
                () = soft.cancelled() => return,
                () = child.wait() => {}
            }
            if self.stopping.load(SeqCst) {
                return;
            }
            metrics::counter!("meydan_private_postgres_restarts_total").increment(1);
            if since.elapsed() > Duration::from_secs(60) {
                failures = 0;
            }
            tracing::error!(
                postgres.pid = child.pid,
                "PostgreSQL ended by itself; starting it again"
            );
            loop {
                if failures > 0 {
                    let wait =
                        backoff(Duration::from_millis(100), Duration::from_secs(5), failures);
                    tokio::select! {
                        () = soft.cancelled() => return,
                        () = sleep(wait) => {}
                    }
                }
                failures = failures.saturating_add(1);
                match launch(&self.keeper, &self.cluster).await {
                    Ok(child) => {
                        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = child;
                        break;
                    }
                    Err(error) => tracing::error!(
                        attempt = failures,
                        error = %crate::error::chain(&error),
                        "PostgreSQL does not start"
                    ),
                }
            }
        }
    }

    /// Stops it in order. Close the pools first: their connections are cut.
    pub async fn stop(&self) -> Result<(), PrivateError> {
        self.stopping.store(true, SeqCst);
        let child = self.current();
        // SIGTERM would wait for clients for ever.
        for (signal, patience) in [
            (Signal::SIGINT, STOP),
            (Signal::SIGQUIT, Duration::from_secs(10)),
            (Signal::SIGKILL, Duration::from_secs(10)),
        ] {
            if child.has_ended() {
                return Ok(());
            }
            signal_child(&child, signal);
            if timeout(patience, child.wait()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(
                postgres.pid = child.pid,
                "PostgreSQL does not stop; trying harder"
            );
        }
        let pids = i32::try_from(child.pid).into_iter().collect();
        Err(PrivateError::Survivors { pids })
    }

    fn current(&self) -> Child {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn signal_child(child: &Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.pid) {
        // It may have ended this instant.
        let _gone = kill(Pid::from_raw(pid), signal);
    }
}

/// Clears the way, starts the server and waits until it answers.
async fn launch(keeper: &Keeper, cluster: &Arc<Cluster>) -> Result<Child, PrivateError> {
    let child = {
        let cluster = Arc::clone(cluster);
        keeper
            .run(move || {
                survivors::clear(&cluster.pg, &cluster.socket_dir)?;
                Child::spawn(cluster.server())
            })
            .await?
    };
    match ready(&child, cluster).await {
        Ok(()) => {
            tracing::info!(
                postgres.pid = child.pid,
                postgres.version = %cluster.programs.version,
                "PostgreSQL is ready"
            );
            Ok(child)
        }
        Err(error) => {
            signal_child(&child, Signal::SIGQUIT);
            // A start that failed must not leave a server to the next try.
            let _ended = timeout(STOP, child.wait()).await;
            Err(error)
        }
    }
}

/// Ready = its pid file says so, and it answers.
async fn ready(child: &Child, cluster: &Cluster) -> Result<(), PrivateError> {
    let deadline = Instant::now() + READY;
    let not_ready = |reason: String| PrivateError::NotReady {
        reason,
        tail: child.tail(),
    };
    while !cluster.says_ready(child.pid) {
        if child.has_ended() {
            // Its last words are still on their way through the pipe.
            sleep(Duration::from_millis(50)).await;
            return Err(not_ready("it ended".to_owned()));
        }
        if Instant::now() >= deadline {
            return Err(not_ready(format!("not within {} s", READY.as_secs())));
        }
        sleep(Duration::from_millis(5)).await;
    }
    loop {
        match Direct::open(&cluster.settings()).await {
            Ok(_answers) => return Ok(()),
            Err(error) if Instant::now() >= deadline || child.has_ended() => {
                return Err(not_ready(crate::error::chain(&error)));
            }
            Err(_not_yet) => sleep(Duration::from_millis(20)).await,
        }
    }
}
