//! A real mail server on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use infra::mail::Letter;
use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Scratch, Server, free_port, unprivileged};

/// What a mail server asks of its callers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SmtpRules {
    /// `user:password`; without one nobody has to say who they are.
    pub login: Option<&'static str>,
    /// STARTTLS, by a certificate for `localhost` that is made for this server alone.
    pub tls: bool,
}

/// A mail server. It refuses `nobody@…` for good and `later@…` for now.
#[derive(Debug)]
pub struct SmtpServer {
    _server: Server,
    scratch: Scratch,
    port: u16,
}

/// A letter as it arrived, read by another implementation than the one that wrote it.
#[derive(Debug, Clone, Deserialize)]
pub struct Arrived {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Names and decoded values.
    pub headers: Vec<(String, String)>,
    /// The decoded text.
    pub text: String,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Whether the sender had to log in, and did.
    pub login: bool,
}

impl Arrived {
    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = self
            .headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The letter it was made of. SMTP ends a text with a line end and has its own kind of them.
    pub fn letter(&self) -> Letter {
        Letter {
            to: self.to.join(", "),
            subject: self.header("subject").join("\n"),
            text: self
                .text
                .replace("\r\n", "\n")
                .trim_end_matches('\n')
                .to_owned(),
        }
    }
}

impl SmtpServer {
    /// Starts one.
    pub async fn start(rules: SmtpRules) -> Result<Self> {
        let scratch = Scratch::new("smtp")?;
        let folder = scratch.path();
        fs::write(folder.join("smtp.py"), include_str!("smtp.py"))?;
        let port = free_port()?;
        // Where the system's Python lacks the package, `make test` names one that has it.
        let python = std::env::var_os("MEYDAN_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = unprivileged(PathBuf::from(python));
        command
            .arg(folder.join("smtp.py"))
            .args(["--port", &port.to_string(), "--box"])
            .arg(folder.join("box"));
        if let Some(login) = rules.login {
            command.args(["--login", login]);
        }
        if rules.tls {
            make_certificate(folder)?;
            command.arg("--certificate").arg(folder.join("cert.pem"));
            command.arg("--key").arg(folder.join("key.pem"));
        }
        let mut server = Server::spawn(command, folder.join("log"), Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if server.has_ended()? || Instant::now() > deadline {
                bail!(
                    "the mail server did not start; is the Python package aiosmtpd installed?\n{}",
                    server.tail()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(SmtpServer {
            _server: server,
            scratch,
            port,
        })
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.scratch.path().join("cert.pem"))?)
    }

    /// The letters that arrived, the oldest first.
    pub fn arrived(&self) -> Result<Vec<Arrived>> {
        let path = self.scratch.path().join("box");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let lines = fs::read_to_string(path)?;
        lines
            .lines()
            .map(|line| serde_json::from_str(line).context("reading a letter that arrived"))
            .collect()
    }
}

/// A key and a certificate for `localhost`, good for a day.
fn make_certificate(folder: &Path) -> Result<()> {
    fs::write(
        folder.join("openssl.cnf"),
        "[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=leaf\n[name]\nCN=localhost\n\
         [leaf]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
    )?;
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "1", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-config"])
        .arg(folder.join("openssl.cnf"))
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .stdin(Stdio::null())
        .output()
        .context("running openssl; is it installed?")?;
    ensure!(
        made.status.success(),
        "openssl failed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(())
}
