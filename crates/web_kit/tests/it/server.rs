//! Draining, capacity, running out of descriptors, upgrades.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use runtime::{Drain, Lifecycle, spawn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use web_kit::{Io, ServeOptions, Slot};

use crate::app::router;
use crate::socket::{DEADLINE, Server, patient, read_response, read_to_end};

const GET: &[u8] = b"GET /v1/public HTTP/1.1\r\nhost: x\r\n\r\n";

/// A route that answers when told to, and says when it was reached.
fn held() -> (Router, Arc<Notify>, mpsc::Receiver<()>) {
    let release = Arc::new(Notify::new());
    let (reached, seen) = mpsc::channel(16);
    let wait = Arc::clone(&release);
    let route = get(move || {
        let (wait, reached) = (Arc::clone(&wait), reached.clone());
        async move {
            reached.send(()).await.unwrap();
            wait.notified().await;
            "done"
        }
    });
    (Router::new().route("/held", route), release, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_finishes_requests_closes_idle_ones_and_refuses_new_ones() {
    let (router, release, mut seen) = held();
    let server = Server::start(router, patient()).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    seen.recv().await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    read_response(&mut idle).await;
    let stop = {
        let life = server.lifecycle.clone();
        spawn(&Lifecycle::new(), "stop", async move {
            life.shutdown(DEADLINE).await
        })
    };
    assert_eq!(read_to_end(&mut idle).await, "");
    refused(&server).await;
    assert!(!stop.is_finished(), "a request is still being answered");
    release.notify_one();
    let answer = read_to_end(&mut busy).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"),
        "{answer}"
    );
    assert!(answer.contains("connection: close"), "{answer}");
    assert_eq!(stop.await.unwrap(), Drain::Drained);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_is_finished_although_its_client_left() {
    let release = Arc::new(Notify::new());
    let (tell, mut told) = mpsc::channel(2);
    let wait = Arc::clone(&release);
    let change = move || {
        let (wait, tell) = (Arc::clone(&wait), tell.clone());
        async move {
            tell.send("stored").await.unwrap();
            wait.notified().await;
            tell.send("published").await.unwrap();
        }
    };
    let router = Router::new().route("/change", axum::routing::post(change));
    let server = Server::start(router, patient()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /change HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(told.recv().await, Some("stored"));
    drop(stream);
    // The server closes its end, too, once it has seen this one: its task is gone.
    let left = async {
        while server.lifecycle.names().contains("http.connection") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, left)
        .await
        .expect("the connection stays");
    release.notify_one();
    let published = tokio::time::timeout(DEADLINE, told.recv()).await;
    assert_eq!(published.expect("the request goes on"), Some("published"));
    let drained = server.lifecycle.shutdown(DEADLINE).await;
    assert_eq!(drained, Drain::Drained);
}

/// Waits until the port is closed.
async fn refused(server: &Server) {
    let closed = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, closed)
        .await
        .expect("the port stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_still_served_during_the_grace() {
    let options = ServeOptions {
        drain_grace: Duration::from_secs(60),
        ..patient()
    };
    let server = Server::start(router(), options).await;
    server.lifecycle.soft().cancel();
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"));
    server.lifecycle.hard().cancel();
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_token_cuts_requests() {
    let (router, _release, mut seen) = held();
    let server = Server::start(router, patient()).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    seen.recv().await.unwrap();
    assert_eq!(
        server.lifecycle.shutdown(Duration::from_millis(50)).await,
        Drain::TimedOut
    );
    assert_eq!(read_to_end(&mut busy).await, "");
    assert_eq!(server.lifecycle.names(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_above_the_limit_is_told_and_the_next_after_a_close_is_served() {
    let server = Server::start(
        router(),
        ServeOptions {
            max_connections: 2,
            ..patient()
        },
    )
    .await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(GET).await.unwrap();
        assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"));
        kept.push(stream);
    }
    let mut third = server.connect().await;
    let answer = read_to_end(&mut third).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"),
        "{answer}"
    );
    drop(kept.pop());
    let served = async {
        loop {
            let mut stream = server.connect().await;
            if stream.write_all(GET).await.is_ok() && first_byte_is_ok(&mut stream).await {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, served)
        .await
        .expect("the freed slot is not used");
}

async fn first_byte_is_ok(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 12];
    matches!(stream.read_exact(&mut buffer).await, Ok(12)) && buffer.ends_with(b"200")
}

const CHILD: &str = "MEYDAN_TEST_CHILD";

/// The limit of descriptors belongs to the process, hence the child.
#[test]
fn p2_running_out_of_descriptors_is_survived() {
    if std::env::var_os(CHILD).is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "server::p2_running_out_of_descriptors_is_survived",
            "--nocapture",
        ]);
        let output = command.env(CHILD, "1").output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::start(router(), patient()).await;
        let mut early = server.connect().await;
        early.write_all(GET).await.unwrap();
        read_response(&mut early).await;
        // Client sockets made while there were descriptors; the server has none for its side.
        let clients: Vec<_> = (0..16)
            .map(|_| tokio::net::TcpSocket::new_v4().unwrap())
            .collect();
        let mut hogs = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hogs.push(file);
            if hogs.len() > 200_000 {
                panic!("there is no limit of descriptors here");
            }
        }
        let mut waiting = Vec::new();
        for client in clients {
            waiting.push(client.connect(server.address).await.unwrap());
        }
        for stream in &mut waiting {
            stream.write_all(GET).await.unwrap();
        }
        // The old connection is served while accepting fails.
        early.write_all(GET).await.unwrap();
        assert!(read_response(&mut early).await.starts_with("HTTP/1.1 200"));
        drop(hogs);
        for stream in &mut waiting {
            assert!(read_response(stream).await.starts_with("HTTP/1.1 200"));
        }
    });
}

/// Takes the socket out as a gateway does, echoes one line, and keeps its slot meanwhile.
async fn upgrade(mut request: Request) -> impl IntoResponse {
    let slot = request.extensions().get::<Slot>().cloned();
    let upgraded = hyper::upgrade::on(&mut request);
    let lifecycle = Lifecycle::new();
    drop(spawn(&lifecycle, "socket", async move {
        let _counted = slot;
        let parts =
            hyper_util::server::conn::auto::upgrade::downcast::<Io>(upgraded.await.unwrap());
        let parts = parts.expect("the stream is not what `Io` says");
        let mut stream: TcpStream = parts.io.into_inner();
        let mut line = parts.read_buf.to_vec();
        while !line.ends_with(b"\n") {
            let mut buffer = [0; 64];
            let n = stream.read(&mut buffer).await.unwrap();
            line.extend_from_slice(&buffer[..n]);
        }
        stream.write_all(&line).await.unwrap();
    }));
    (
        StatusCode::SWITCHING_PROTOCOLS,
        [("connection", "upgrade"), ("upgrade", "echo")],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgraded_connection_gives_its_socket_and_what_was_read_too_far() {
    let router = Router::new().route("/upgrade", get(upgrade));
    let options = testkit::http::options(crate::app::clock()).unwrap();
    let server = Server::start(web_kit::stack(router, options), patient()).await;
    let mut stream = server.connect().await;
    let request =
        b"GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello ";
    stream.write_all(request).await.unwrap();
    let head = read_response(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream.write_all(b"world\n").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "hello world\n");
    assert_eq!(server.stop().await, Drain::Drained);
}
