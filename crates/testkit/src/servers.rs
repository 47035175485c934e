//! Real servers for tests: loopback or Unix sockets only, private folders, ended by pid.
//!
//! As root, programs that refuse root run in a user namespace of their own.

mod s3;
mod smtp;

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use db::private::Programs;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tokio::time::{Instant, sleep};

pub use s3::S3Server;
pub use smtp::{Arrived, SmtpRules, SmtpServer};

/// How long a server may take to become ready, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A private folder, removed with its content when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes a new folder with a short name: socket paths end at 107 bytes.
    pub fn new(label: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = short_temp().join(format!("mt-{label}-{}-{number}", std::process::id()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making {}", path.display()))?;
        Ok(Scratch(path))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A file that a server writes at this very moment may make it fail; the system's
        // cleaner of the temporary folder takes the rest.
        let _removed = fs::remove_dir_all(&self.0);
    }
}

/// The temporary folder, unless its name is so long that sockets in it would not work.
pub(crate) fn short_temp() -> PathBuf {
    let temp = std::env::temp_dir();
    if temp.as_os_str().len() > 40 {
        PathBuf::from("/tmp")
    } else {
        temp
    }
}

/// A port on loopback that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A command that runs `program` as somebody it accepts, with an empty environment.
pub fn unprivileged(program: impl AsRef<Path>) -> Command {
    let program = program.as_ref();
    let mut command = if geteuid().is_root() {
        let mut command = Command::new("unshare");
        command
            .args(["-U", "--map-user=1000", "--map-group=1000", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC");
    command
}

/// A running server and its log.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    stop: Signal,
}

impl Server {
    /// Starts a command in a process group of its own, with its output in `log`.
    pub fn spawn(mut command: Command, log: PathBuf, stop: Signal) -> Result<Self> {
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {command:?}; is its package installed?"))?;
        Ok(Server { child, log, stop })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines it wrote.
    pub fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(20))
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until it has ended by itself, and gives its exit code; none after a signal.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<i32>> {
        ensure!(
            self.wait_ended(limit)?,
            "process {} does not end",
            self.pid()
        );
        Ok(self.child.wait()?.code())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            signal,
        )?)
    }

    /// Ends it and waits until it is gone.
    pub fn end(&mut self) -> Result<()> {
        if self.has_ended()? {
            return Ok(());
        }
        self.signal(self.stop)?;
        if !self.wait_ended(Duration::from_secs(5))? {
            self.signal(Signal::SIGKILL)?;
            ensure!(
                self.wait_ended(Duration::from_secs(5))?,
                "process {} stays",
                self.pid()
            );
        }
        Ok(())
    }

    /// Kills it the hard way.
    pub fn kill_hard(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        ensure!(
            self.wait_ended(Duration::from_secs(5))?,
            "process {} stays",
            self.pid()
        );
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "called from a destructor, outside of async"
    )]
    fn wait_ended(&mut self, limit: Duration) -> Result<bool> {
        let steps = limit.as_millis() / 5;
        for _ in 0..steps {
            if self.has_ended()? {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.has_ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.end();
    }
}

/// Asks again and again until the answer is yes; fails with `what` after the deadline.
pub async fn eventually<F, Fut>(what: &str, limit: Duration, mut ask: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + limit;
    while !ask().await {
        ensure!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// A PostgreSQL of one test, on loopback and on a Unix socket; for tests that stop or break it.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    programs: Programs,
    extra: Vec<String>,
    port: u16,
    scratch: Scratch,
}

impl Postgres {
    /// Makes a cluster and starts it. `extra` are settings, `name=value`.
    pub async fn start(extra: &[&str]) -> Result<Self> {
        let programs = Programs::find(None, None)?;
        let scratch = Scratch::new("pg")?;
        make_cluster(&programs, &scratch.path().join("pg"))?;
        let port = free_port()?;
        let extra: Vec<String> = extra.iter().map(|&setting| setting.to_owned()).collect();
        let server = launch(&programs, scratch.path(), port, &extra)?;
        let mut postgres = Postgres {
            server,
            programs,
            extra,
            port,
            scratch,
        };
        postgres.ready().await?;
        Ok(postgres)
    }

    /// Starts it again on the same port after [`Postgres::stop`] or [`Postgres::kill`].
    pub async fn start_again(&mut self) -> Result<()> {
        self.server = launch(&self.programs, self.scratch.path(), self.port, &self.extra)?;
        self.ready().await
    }

    /// Stops it in order.
    pub fn stop(&mut self) -> Result<()> {
        self.server.end()
    }

    /// Kills it the hard way.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill_hard()
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL over TCP for its superuser.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://meydan@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    async fn ready(&mut self) -> Result<()> {
        let pidfile = self.scratch.path().join("pg/postmaster.pid");
        let deadline = Instant::now() + PATIENCE;
        while !says_ready(&pidfile) {
            if self.server.has_ended()? || Instant::now() > deadline {
                bail!("PostgreSQL did not start:\n{}", self.server.tail());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

/// Line 8 of `postmaster.pid`.
pub(crate) fn says_ready(pidfile: &Path) -> bool {
    fs::read_to_string(pidfile)
        .ok()
        .and_then(|text| text.lines().nth(7).map(|line| line.trim() == "ready"))
        .unwrap_or(false)
}

/// `initdb` without syncing: nothing in a test must survive the machine.
pub(crate) fn make_cluster(programs: &Programs, data: &Path) -> Result<()> {
    let output = unprivileged(programs.program("initdb"))
        .args([
            "-N",
            "-U",
            "meydan",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-D",
        ])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .context("running initdb; is the package postgresql installed?")?;
    ensure!(
        output.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn launch(programs: &Programs, folder: &Path, port: u16, extra: &[String]) -> Result<Server> {
    let mut command = unprivileged("setpriv");
    command
        .args(["--pdeathsig", "INT"])
        .arg(programs.program("postgres"));
    command.arg("-D").arg(folder.join("pg"));
    for setting in [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("unix_socket_directories={}", folder.display()),
        "fsync=off".to_owned(),
    ]
    .iter()
    .chain(extra)
    {
        command.arg("-c").arg(setting);
    }
    Server::spawn(command, folder.join("log"), Signal::SIGINT)
}

/// A PgBouncer in transaction mode in front of one database server on a Unix socket.
#[derive(Debug)]
pub struct PgBouncer {
    _server: Server,
    scratch: Scratch,
    port: u16,
}

impl PgBouncer {
    /// Starts it in front of the server whose socket is in `socket_dir`, with `pool_size`
    /// connections per user and database. Every user of `users` may log in.
    pub async fn start(
        socket_dir: &Path,
        port: u16,
        pool_size: usize,
        users: &[&str],
    ) -> Result<Self> {
        let scratch = Scratch::new("pgb")?;
        let listen = free_port()?;
        let list: String = users
            .iter()
            .map(|user| format!("\"{user}\" \"\"\n"))
            .collect();
        fs::write(scratch.path().join("users"), list)?;
        fs::write(
            scratch.path().join("pgb.ini"),
            format!(
                "[databases]\n* = host={socket} port={port}\n[pgbouncer]\npool_mode=transaction\n\
                 default_pool_size={pool_size}\nmax_client_conn=500\nauth_type=trust\n\
                 auth_file={folder}/users\nlisten_addr=127.0.0.1\nlisten_port={listen}\n\
                 unix_socket_dir={folder}\n",
                socket = socket_dir.display(),
                folder = scratch.path().display(),
            ),
        )?;
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .context("pgbouncer is missing: install the package pgbouncer")?;
        let mut command = unprivileged(program);
        command.arg(scratch.path().join("pgb.ini"));
        let mut server = Server::spawn(command, scratch.path().join("log"), Signal::SIGINT)?;
        let deadline = Instant::now() + PATIENCE;
        while tokio::net::TcpStream::connect(("127.0.0.1", listen))
            .await
            .is_err()
        {
            if server.has_ended()? || Instant::now() > deadline {
                bail!("PgBouncer did not start:\n{}", server.tail());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(PgBouncer {
            _server: server,
            scratch,
            port: listen,
        })
    }

    /// A URL through it.
    pub fn url(&self, user: &str, database: &str) -> String {
        format!(
            "postgres://{user}@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
}
