//! Slow and silent peers over real sockets, beside normal ones.

use std::time::Duration;

use futures::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::app::router;
use crate::socket::{DEADLINE, Server, patient, quick, read_response, read_to_end};

const GET: &[u8] = b"GET /v1/public HTTP/1.1\r\nhost: x\r\n\r\n";
const PEERS: usize = 50;

/// Normal requests on fresh connections, all of which must be answered.
async fn normal(server: &Server) {
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(GET).await.unwrap();
        assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_silent_sockets_are_closed_and_others_served() {
    let server = Server::start(router(), quick()).await;
    let begun = Instant::now();
    let silent = join_all((0..PEERS).map(|_| async {
        let mut stream = server.connect().await;
        read_to_end(&mut stream).await
    }));
    let (answers, ()) = tokio::join!(silent, normal(&server));
    assert!(answers.iter().all(String::is_empty));
    assert!(begun.elapsed() >= quick().first_byte_timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_slow_heads_are_closed_and_others_served() {
    let server = Server::start(router(), quick()).await;
    let starts: [&[u8]; 4] = [
        b"G",
        b"GET /v1/public HTTP/1.1\r\n",
        b"PRI * HTTP/2",
        b"PRI",
    ];
    let slow = join_all((0..PEERS).map(|n| {
        let (server, first) = (&server, starts[n % starts.len()]);
        async move {
            let mut stream = server.connect().await;
            stream.write_all(first).await.unwrap();
            let (mut reader, mut writer) = stream.split();
            // Another header field every 50 ms, for ever: each read succeeds, the whole does not.
            let drip = async {
                let mut every = tokio::time::interval(Duration::from_millis(50));
                while first.ends_with(b"\r\n") {
                    every.tick().await;
                    if writer.write_all(b"x: y\r\n").await.is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            let mut buffer = [0; 1024];
            let end = async {
                use tokio::io::AsyncReadExt;
                while matches!(reader.read(&mut buffer).await, Ok(1..)) {}
            };
            tokio::select! {
                () = end => {}
                () = drip => {}
                () = tokio::time::sleep(DEADLINE) => panic!("a slow head stays open"),
            }
        }
    }));
    tokio::join!(slow, normal(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_slow_bodies_are_answered_408_and_closed() {
    let server = Server::start(router(), quick()).await;
    let head = b"POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
        content-length: 1000\r\n\r\n{";
    let slow = join_all((0..PEERS).map(|_| async {
        let mut stream = server.connect().await;
        stream.write_all(head).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let drip = async {
            let mut every = tokio::time::interval(Duration::from_millis(50));
            loop {
                every.tick().await;
                if writer.write_all(b" ").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let read = async {
            use tokio::io::AsyncReadExt;
            let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(n @ 1..) = reader.read(&mut buffer).await {
                all.extend_from_slice(&buffer[..n]);
            }
            String::from_utf8_lossy(&all).into_owned()
        };
        tokio::select! {
            text = read => text,
            () = drip => String::new(),
            () = tokio::time::sleep(DEADLINE) => panic!("a slow body stays open"),
        }
    }));
    let (answers, ()) = tokio::join!(slow, normal(&server));
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("BODY_TIMEOUT"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_but_steady_upload_earns_its_time() {
    let options = web_kit::ServeOptions {
        body_bytes_per_second: 20,
        ..quick()
    };
    let server = Server::start(router(), options).await;
    let mut stream = server.connect().await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(89));
    let head = format!(
        "POST /v1/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    for piece in body.as_bytes().chunks(10) {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(begun.elapsed() > 2 * quick().body_timeout);
    assert!(read_to_end(&mut stream).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p1_peers_that_do_not_read_are_closed_and_others_served() {
    let server = Server::start(router(), quick()).await;
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /v1/large HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        stuck.push(stream);
    }
    normal(&server).await;
    // The server gives up on all of them: draining would otherwise wait for ever.
    let begun = Instant::now();
    assert_eq!(server.stop().await, runtime::Drain::Drained);
    assert!(begun.elapsed() < DEADLINE);
    for stream in &mut stuck {
        let got = read_to_end(stream).await;
        assert!(got.len() < 32 * 1024 * 1024, "{}", got.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_connection_is_closed_when_nothing_comes() {
    let server = Server::start(router(), quick()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(GET).await.unwrap();
        assert!(read_response(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patient_server_keeps_idle_connections() {
    let server = Server::start(router(), patient()).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    read_response(&mut stream).await;
    let closed = tokio::time::timeout(Duration::from_millis(700), stream.readable()).await;
    assert!(
        closed.is_err(),
        "the short bounds of these tests are what closes"
    );
}
