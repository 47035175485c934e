//! A server of ours, started for a measurement or for the documentation.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How long a start and a stop may take before they count as failed.
const DEADLINE: Duration = Duration::from_secs(120);

/// A running `meydan up`; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// Whether the binary can fill itself with demo data; builds without it start empty.
fn knows_demo(meydan: &Path) -> anyhow::Result<bool> {
    let help = Command::new(meydan).args(["up", "--help"]).output();
    let help = help.with_context(|| format!("start {}", meydan.display()))?;
    Ok(String::from_utf8_lossy(&help.stdout).contains("--demo"))
}

/// What is in the database at the first start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    Nothing,
    Demo,
}

impl Server {
    /// Starts a server on a free port of loopback with its data in `folder`.
    pub(crate) fn start(meydan: &Path, folder: &Path, contents: Contents) -> anyhow::Result<Self> {
        let address = free_address()?;
        let log = folder.join("server.log");
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = Command::new(meydan);
        command.arg("up").arg("--data").arg(folder.join("data"));
        command.args([
            "--listen",
            "127.0.0.1",
            "--port",
            &address.port().to_string(),
        ]);
        if contents == Contents::Demo && knows_demo(meydan)? {
            command.arg("--demo");
        }
        // Settings of whoever runs the tool must not change what is measured or shown.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MEYDAN_") {
                command.env_remove(name);
            }
        }
        // Another server may have the usual port.
        command.env("MEYDAN_GRPC__PORT", "0");
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        command.current_dir(folder);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", meydan.display()))?;
        Ok(Self {
            child,
            address,
            log,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks `/readyz` until it says 200.
    pub(crate) fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let started = now();
        while status(self.address, "/readyz") != Some(200) {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log_tail());
            }
            if started.elapsed() > DEADLINE {
                bail!(
                    "the server is not ready after {DEADLINE:?}:\n{}",
                    self.log_tail()
                );
            }
            pause();
        }
        Ok(())
    }

    /// Ends the server as a supervisor would, and waits for it.
    pub(crate) fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let process = self.child.id().to_string();
        Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .context("send SIGTERM")?;
        let started = now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > DEADLINE {
                bail!(
                    "the server still runs {DEADLINE:?} after SIGTERM:\n{}",
                    self.log_tail()
                );
            }
            pause();
        }
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(30)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After a clean stop there is nobody left to kill.
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the tools measure real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Short against the 5 ms to which a start is measured, long against a request.
#[expect(
    clippy::disallowed_methods,
    reason = "a poll in a program without an async runtime"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// A port nobody listens on; another process may take it first, then the start fails and says so.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}

/// The status code of a GET, or nothing when nobody answers.
fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head)
        .ok()?
        .strip_prefix("HTTP/1.1 ")?
        .parse()
        .ok()
}

/// A private folder that goes away with its owner.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    pub(crate) fn new(purpose: &str) -> anyhow::Result<Self> {
        // A socket path has at most 107 bytes, so the folder lies high up.
        let output = Command::new("mktemp")
            .args(["-d", "-t", &format!("meydan-{purpose}-XXXXXX")])
            .output()
            .context("run mktemp")?;
        let path = String::from_utf8(output.stdout).context("read the answer of mktemp")?;
        if !output.status.success() || path.trim().is_empty() {
            bail!("mktemp made no folder");
        }
        Ok(Self(PathBuf::from(path.trim())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one request with the text, on a thread of its own.
    fn answer(text: &'static str) -> (SocketAddr, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let serve = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(text.as_bytes()).unwrap();
        });
        (address, serve.unwrap())
    }

    #[test]
    fn the_status_is_read_and_silence_is_none() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503)),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("", None),
        ] {
            let (address, serve) = answer(text);
            assert_eq!(status(address, "/readyz"), expected, "{text}");
            serve.join().unwrap();
        }
        assert_eq!(status(free_address().unwrap(), "/readyz"), None);
    }

    #[test]
    fn a_program_that_ends_early_is_reported_with_its_words() {
        let folder = TemporaryFolder::new("test").unwrap();
        let path = folder.path().to_owned();
        let meydan = path.join("meydan");
        std::fs::write(&meydan, "#!/bin/sh\necho no database found: $*\nexit 4\n").unwrap();
        let made = Command::new("chmod")
            .arg("+x")
            .arg(&meydan)
            .status()
            .unwrap();
        assert!(made.success());
        let mut server = Server::start(&meydan, &path, Contents::Demo).unwrap();
        let error = server.wait_until_ready().unwrap_err().to_string();
        assert!(
            error.contains("no database found: up --data") && !error.contains("--demo"),
            "{error}"
        );
        drop(folder);
        assert!(!path.exists());
    }
}
