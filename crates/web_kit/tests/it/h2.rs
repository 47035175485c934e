//! HTTP/2, frame by frame: ordinary use, idle and half-open connections, floods.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::router;
use crate::socket::{DEADLINE, Server, patient, quick};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn start() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// HPACK of GET, http, a path and an authority: indexed names, plain values.
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x44, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x41, 1, b'x']);
    block
}

/// The frames that came until the server closed.
struct Seen(Vec<(u8, Vec<u8>)>);

impl Seen {
    fn goaway(&self) -> Option<u32> {
        let (_, payload) = self.0.iter().rev().find(|(kind, _)| *kind == GOAWAY)?;
        Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()))
    }

    fn count(&self, wanted: u8) -> usize {
        self.0.iter().filter(|(kind, _)| *kind == wanted).count()
    }
}

/// Writes all it can and reads until the end.
async fn exchange(server: &Server, bytes: Vec<u8>) -> Seen {
    let mut stream = server.connect().await;
    let (mut reader, mut writer) = stream.split();
    let mut all = Vec::new();
    let write = async {
        let _cut_short = writer.write_all(&bytes).await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(n @ 1..) = reader.read(&mut buffer).await {
            all.extend_from_slice(&buffer[..n]);
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
        () = tokio::time::sleep(DEADLINE) => panic!("the server keeps the connection"),
    }
    let (mut frames, mut rest) = (Vec::new(), all.as_slice());
    while rest.len() >= 9 {
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let Some(payload) = rest.get(9..9 + length) else {
            break;
        };
        frames.push((rest[3], payload.to_vec()));
        rest = &rest[9 + length..];
    }
    Seen(frames)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_is_answered_and_the_idle_connection_closed() {
    let server = Server::start(router(), quick()).await;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &get("/v1/public"));
    let seen = exchange(&server, [start(), request].concat()).await;
    assert_eq!(seen.count(HEADERS), 1);
    let body = seen
        .0
        .iter()
        .any(|(kind, payload)| *kind == 0 && payload.starts_with(b"{\"hello\""));
    assert!(body, "no body came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_without_a_request_is_closed() {
    let server = Server::start(router(), quick()).await;
    assert_eq!(exchange(&server, start()).await.count(HEADERS), 0);
    let unfinished = frame(HEADERS, END_STREAM, 1, &get("/v1/public"));
    let seen = exchange(&server, [start(), unfinished].concat()).await;
    assert_eq!(seen.count(HEADERS), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_rapid_reset_ends_in_goaway() {
    let server = Server::start(router(), patient()).await;
    let mut flood = start();
    for n in 0..10_000 {
        let stream = 2 * n + 1;
        flood.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &get("/v1/public"),
        ));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let seen = exchange(&server, flood).await;
    // A close with unread bytes can destroy the frame on its way; the close itself is certain.
    assert!(
        seen.goaway().is_none_or(|code| code == ENHANCE_YOUR_CALM),
        "{:?}",
        seen.goaway()
    );
    assert!(seen.count(HEADERS) < 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_endless_header_block_is_cut() {
    let server = Server::start(router(), patient()).await;
    let mut flood = start();
    flood.extend(frame(HEADERS, END_STREAM, 1, &get("/v1/public")));
    // Literal fields without indexing: 0x00, name, value.
    let field = [&[0, 1, b'a', 100][..], &[b'x'; 100]].concat();
    let block = field.repeat(150);
    for _ in 0..1_000 {
        flood.extend(frame(CONTINUATION, 0, 1, &block));
    }
    let seen = exchange(&server, flood).await;
    assert_eq!(seen.count(HEADERS), 0);
    assert!(
        seen.goaway().is_none_or(|code| code != 0),
        "{:?}",
        seen.goaway()
    );
}
