//! A server on a free port, and a client that writes bytes.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use runtime::{Drain, Lifecycle, spawn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use web_kit::{ServeOptions, serve};

/// When something has not happened by then, it will not.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) lifecycle: Lifecycle,
}

/// Bounds so short that tests see each of them.
pub(crate) fn quick() -> ServeOptions {
    ServeOptions {
        first_byte_timeout: Duration::from_millis(400),
        header_timeout: Duration::from_millis(400),
        body_timeout: Duration::from_millis(600),
        write_timeout: Duration::from_millis(800),
        idle_timeout: Duration::from_millis(600),
        drain_grace: Duration::ZERO,
        ..ServeOptions::default()
    }
}

/// Bounds that no test reaches by waiting.
pub(crate) fn patient() -> ServeOptions {
    ServeOptions {
        drain_grace: Duration::ZERO,
        ..ServeOptions::default()
    }
}

impl Server {
    pub(crate) async fn start(router: Router, options: ServeOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lifecycle = Lifecycle::new();
        let life = lifecycle.clone();
        drop(spawn(
            &lifecycle,
            "http",
            serve(listener, router, options, life),
        ));
        Self { address, lifecycle }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Writes `bytes` and reads until the server closes or the deadline passes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may answer and close before all is written.
        let _cut_short = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    }

    pub(crate) async fn stop(&self) -> Drain {
        self.lifecycle.shutdown(DEADLINE).await
    }
}

/// Reads until the other side closes, by an end or a reset.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let reading = async {
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => all.extend_from_slice(&buffer[..n]),
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("the server keeps the connection");
    String::from_utf8_lossy(&all).into_owned()
}

/// Reads one response head and the JSON line behind it, from a connection that stays open.
pub(crate) async fn read_response(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        loop {
            let n = stream.read(&mut buffer).await.unwrap();
            assert!(n > 0, "closed after {:?}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&all);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head
                    .lines()
                    .find_map(|line| {
                        line.to_ascii_lowercase()
                            .strip_prefix("content-length: ")?
                            .parse()
                            .ok()
                    })
                    .unwrap_or(0);
                if body.len() >= length {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(DEADLINE, reading)
        .await
        .expect("no response");
    String::from_utf8_lossy(&all).into_owned()
}
