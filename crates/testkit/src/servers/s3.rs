//! A real server of S3's protocol on loopback: moto, which keeps everything in memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use infra::objects::s3::Bucket;
use nix::sys::signal::Signal;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Scratch, Server, free_port, unprivileged};

/// `make test` makes an environment with the program and names it; else it is on the path.
fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("MEYDAN_TEST_MOTO") {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("moto_server"));
    let found = found.into_iter().find(|file| file.exists());
    found.context("moto_server is missing: run `make test`, or name it in MEYDAN_TEST_MOTO")
}

/// A server of S3's protocol. It takes any signature.
#[derive(Debug)]
pub struct S3Server {
    _server: Server,
    _scratch: Scratch,
    port: u16,
    buckets: AtomicU32,
}

impl S3Server {
    /// Starts one.
    pub async fn start() -> Result<Self> {
        let scratch = Scratch::new("s3")?;
        let port = free_port()?;
        let mut command = unprivileged(program()?);
        command
            .env("HOME", scratch.path())
            .args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let log = scratch.path().join("log");
        let mut server = Server::spawn(command, log, Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if server.has_ended()? || Instant::now() > deadline {
                bail!("moto_server did not start:\n{}", server.tail());
            }
            sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(S3Server {
            _server: server,
            _scratch: scratch,
            port,
            buckets: AtomicU32::new(0),
        })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new bucket of its own.
    pub async fn bucket(&self) -> Result<Bucket> {
        let number = self.buckets.fetch_add(1, Ordering::Relaxed);
        let name = format!("bucket-{number}");
        let made = self.request(&format!("PUT /{name}")).await?;
        ensure!(made.contains(" 200 "), "the bucket was not made: {made}");
        Ok(Bucket {
            endpoint: Some(self.url()),
            region: "us-east-1".to_owned(),
            name,
            access_key_id: "test".to_owned(),
            secret_access_key: SecretString::from("test"),
        })
    }

    /// Sends a request without a body, as anybody could, and gives the whole answer.
    pub async fn request(&self, line: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        let request = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n",
            self.port
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        String::from_utf8(answer).context("an answer that is no text")
    }
}
