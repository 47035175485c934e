//! A server of our own for one run: started with limits wide enough to measure behind, stopped and
//! removed at the end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use kernel::{SystemRng, rng};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::clock::Deadline;
use crate::http::{Client, Target};

/// The first start makes a database.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// A drain takes as long as the settings below say, and a little more.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Settings that would otherwise be measured instead of the server.
const SETTINGS: &[(&str, &str)] = &[
    ("MEYDAN_ENV", "dev"),
    (
        "MEYDAN_AUTH__LIMITS__REGISTRATION_ADDRESS_PER_HOUR",
        "100000",
    ),
    ("MEYDAN_AUTH__LIMITS__LOGIN_ADDRESS_PER_MINUTE", "100000"),
    ("MEYDAN_AUTH__LIMITS__LOGIN_ACCOUNT_PER_HOUR", "100000"),
    ("MEYDAN_AUTH__LIMITS__REFRESH_DEVICE_PER_MINUTE", "100000"),
    ("MEYDAN_AUTH__OTP__ADDRESS_PER_HOUR", "100000"),
    ("MEYDAN_AUTH__OTP__COUNTRY_PER_DAY", "1000000"),
    ("MEYDAN_GRPC__ENABLED", "false"),
    ("MEYDAN_REALTIME__DRAIN_SECONDS", "0"),
    ("MEYDAN_HTTP__DRAIN_GRACE", "0s"),
    ("MEYDAN_HTTP__DRAIN_DEADLINE", "10s"),
    ("MEYDAN_LOG__LEVEL", "warn"),
];

/// A running server and its folder; both end with it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    pub(crate) url: String,
}

impl Server {
    /// Starts `program up` on a free port and waits until it is ready.
    pub(crate) fn start(program: &Path) -> anyhow::Result<Server> {
        let folder =
            std::env::temp_dir().join(format!("meydan-bench-{}", rng::token::<9>(&SystemRng)));
        fs::create_dir(&folder).with_context(|| format!("making {}", folder.display()))?;
        let url = format!("http://127.0.0.1:{}", free_port()?);
        let port = url.rsplit(':').next().unwrap_or_default().to_owned();
        let log = File::create(folder.join("server.log"))?;
        let mut command = Command::new(program);
        command
            .args(["up", "--listen", "127.0.0.1", "--port", &port, "--data"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // Settings of whoever runs the generator must not change what is measured.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MEYDAN_") {
                command.env_remove(name);
            }
        }
        for (name, value) in SETTINGS {
            command.env(name, value);
        }
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut server = Server { child, folder, url };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<i32> {
        i32::try_from(self.child.id()).ok()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Deadline::after(READY_WITHIN);
        let mut client = Client::new(Target::parse(&self.url)?, None);
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended ({status})\n{}", self.log_tail());
            }
            if client
                .call("GET", "/readyz", None, None)
                .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            if deadline.passed() {
                bail!("the server was not ready in time\n{}", self.log_tail());
            }
            std::thread::park_timeout(POLL);
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(20);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        if let Some(pid) = self.pid() {
            kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        }
        let deadline = Deadline::after(STOP_WITHIN);
        while self.child.try_wait()?.is_none() {
            if deadline.passed() {
                self.child.kill()?;
                self.child.wait()?;
                bail!("the server did not stop on SIGTERM");
            }
            std::thread::park_timeout(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The results are printed by now; a server that does not stop is killed inside `stop`, and
        // a folder that stays behind is only untidy.
        drop(self.stop());
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}
