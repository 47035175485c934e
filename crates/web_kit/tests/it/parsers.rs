//! What the HTTP parsers must refuse, over real sockets.

use std::fmt::Write as _;

use crate::app::router;
use crate::socket::{Server, patient};

const HOST: &str = "host: x\r\nconnection: close\r\n";

async fn status(server: &Server, request: &str) -> String {
    let answer = server.exchange(request.as_bytes()).await;
    let responses = answer.matches("HTTP/1.1 ").count();
    assert!(responses <= 1, "a second request was smuggled in: {answer}");
    answer.get(9..12).unwrap_or("closed").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_ambiguous_framing_is_refused_and_closed() {
    let server = Server::start(router(), patient()).await;
    let post = "POST /v1/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let smuggled = "GET /v1/public HTTP/1.1\r\nhost: x\r\n\r\n";
    for (name, rest) in [
        (
            "CL and TE",
            format!("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "TE and CL",
            format!("transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "two CL",
            format!("content-length: 5\r\ncontent-length: 6\r\n\r\nhello {smuggled}"),
        ),
        (
            "CL list",
            format!("content-length: 5, 6\r\n\r\nhello {smuggled}"),
        ),
        (
            "signed CL",
            format!("content-length: +5\r\n\r\nhello{smuggled}"),
        ),
        (
            "huge CL",
            format!("content-length: 99999999999999999999\r\n\r\n{smuggled}"),
        ),
        (
            "other TE",
            format!("transfer-encoding: gzip\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "TE not last",
            format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "bad chunk size",
            format!("transfer-encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n{smuggled}"),
        ),
        (
            "huge chunk size",
            format!(
                "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n{smuggled}"
            ),
        ),
        (
            "chunk without end",
            format!("transfer-encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n{smuggled}"),
        ),
        (
            "space before colon",
            format!("content-length : 5\r\n\r\nhello{smuggled}"),
        ),
        (
            "folded header",
            format!("x: a\r\n b\r\ncontent-length: 0\r\n\r\n{smuggled}"),
        ),
    ] {
        let status = status(&server, &format!("{post}{rest}")).await;
        assert_eq!(status, "400", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_heads_are_bounded() {
    let server = Server::start(router(), patient()).await;
    let get = |fields: &str| format!("GET /v1/public HTTP/1.1\r\n{HOST}{fields}\r\n");
    let long = |n: usize| format!("x-long: {}\r\n", "x".repeat(n));
    assert_eq!(status(&server, &get(&long(60 * 1024))).await, "200");
    assert_eq!(status(&server, &get(&long(64 * 1024))).await, "431");
    let many = |n: usize| {
        (0..n).fold(String::new(), |mut text, i| {
            write!(text, "x-{i}: y\r\n").unwrap();
            text
        })
    };
    // Two fields are there already.
    assert_eq!(status(&server, &get(&many(98))).await, "200");
    assert_eq!(status(&server, &get(&many(99))).await, "431");
    assert_eq!(status(&server, &get(&many(1_000))).await, "431");
    let target = format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "x".repeat(70 * 1024));
    assert!(["414", "431"].contains(&status(&server, &target).await.as_str()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_odd_characters_and_paths_are_refused() {
    let server = Server::start(router(), patient()).await;
    for (name, request) in [
        (
            "NUL in a header",
            format!("GET /v1/public HTTP/1.1\r\n{HOST}x: a\0b\r\n\r\n"),
        ),
        (
            "NUL in the path",
            format!("GET /v1/pub\0lic HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "encoded NUL",
            format!("GET /v1/public%00 HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "bare CR",
            format!("GET /v1/public HTTP/1.1\r\n{HOST}x: a\rb: c\r\n\r\n"),
        ),
        (
            "double slash and dots",
            format!("GET //.. HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "dot segments",
            format!("GET /v1/../v1/public HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "encoded dots",
            format!("GET /v1/%2e%2e/v1/public HTTP/1.1\r\n{HOST}\r\n"),
        ),
        (
            "space in the target",
            format!("GET /v1/ public HTTP/1.1\r\n{HOST}\r\n"),
        ),
        ("no version", "GET /v1/public\r\n\r\n".to_owned()),
        ("HTTP/3.7", format!("GET /v1/public HTTP/3.7\r\n{HOST}\r\n")),
        ("nonsense", "\u{1}\u{2}\u{3}\u{4}\r\n\r\n".to_owned()),
        ("TLS hello", "\u{16}\u{3}\u{1}\u{2}\0\r\n\r\n".to_owned()),
    ] {
        assert_eq!(status(&server, &request).await, "400", "{name}");
    }
    assert_eq!(
        status(&server, &format!("GET /v1/public HTTP/1.1\r\n{HOST}\r\n")).await,
        "200"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_one_plain_host_is_named() {
    let server = Server::start(router(), patient()).await;
    let get = |version: &str, fields: &str| {
        format!("GET /v1/public HTTP/{version}\r\nconnection: close\r\n{fields}\r\n")
    };
    let long = format!("host: {}\r\n", "x".repeat(263));
    for (fields, expected) in [
        ("host: x\r\n", "200"),
        ("host: 127.0.0.1:3000\r\n", "200"),
        ("host: [::1]:3000\r\n", "200"),
        ("", "400"),
        ("host:\r\n", "400"),
        ("host: x\r\nhost: x\r\n", "400"),
        ("host: user@evil\r\n", "400"),
        ("host: x/../y\r\n", "400"),
        ("host: x?y=1\r\n", "400"),
        ("host: \"><script>\r\n", "400"),
        (long.as_str(), "400"),
    ] {
        assert_eq!(
            status(&server, &get("1.1", fields)).await,
            expected,
            "{fields}"
        );
    }
    let old = server.exchange(get("1.0", "").as_bytes()).await;
    assert!(old.contains(" 200 "), "HTTP/1.0 knows no Host: {old}");
}
