//! The same verdict as tungstenite on upgrade requests.
//!
//! We differ on purpose in three places, which the pools below leave out and `handshake.rs` tests:
//! 1. A list may be spread over several lines, and `Upgrade` may be a list; tungstenite reads the
//!    first line only and wants `Upgrade` to be one token.
//! 2. A second `Sec-WebSocket-Version` or `Sec-WebSocket-Key` is refused (RFC 6455 section 11.3);
//!    tungstenite reads the first.
//! 3. tokens of `Connection` are parted by commas; tungstenite parts them at spaces too. And
//!    tungstenite takes HTTP/2, which has no upgrade.

use proptest::prelude::*;
use proptest::sample::select;
use tungstenite::handshake::server::create_response;
use tungstenite::http::{Request, Version};
use ws::handshake::{HttpVersion, accept};

fn line(
    name: &'static str,
    good: &'static [&'static str],
    bad: &'static [&'static str],
) -> impl Strategy<Value = Option<(&'static str, String)>> {
    prop_oneof![
        12 => select(good).prop_map(move |value| Some((name, value.to_owned()))),
        1 => select(bad).prop_map(move |value| Some((name, value.to_owned()))),
        1 => Just(None),
    ]
}

fn key() -> impl Strategy<Value = Option<(&'static str, String)>> {
    let name = "Sec-WebSocket-Key";
    prop_oneof![
        8 => any::<[u8; 16]>()
            .prop_map(move |random| Some((name, ws::handshake::client_key(random)))),
        4 => "[A-Za-z0-9+/]{22}==".prop_map(move |key| Some((name, key))),
        2 => "[A-Za-z0-9+/=_-]{0,30}".prop_map(move |key| Some((name, key))),
        1 => Just(None),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn p6_same_verdict_on_upgrade_requests(
        method in prop_oneof![12 => Just("GET"), 1 => Just("POST"), 1 => Just("HEAD")],
        version in prop_oneof![12 => Just(Version::HTTP_11), 1 => Just(Version::HTTP_10)],
        upgrade in line("Upgrade", &["websocket", "WebSocket"], &["", "h2c", "websockets"]),
        connection in line(
            "connection",
            &["Upgrade", "keep-alive, upgrade", "UPGRADE,x"],
            &["", "close", "upgrades"],
        ),
        number in line("Sec-WebSocket-Version", &["13"], &["", "8", "13, 8", "1"]),
        key in key(),
        other in line("Origin", &["https://example.org"], &["null"]),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<_> =
            [upgrade, connection, number, key, other].into_iter().flatten().collect();
        if !lines.is_empty() {
            let by = shuffle.index(lines.len());
            lines.rotate_left(by);
        }
        let mut request = Request::builder().method(method).uri("/gateway").version(version);
        for (name, value) in &lines {
            request = request.header(*name, value);
        }
        let theirs = create_response(&request.body(()).unwrap()).ok().map(|response| {
            response.headers()["Sec-WebSocket-Accept"].to_str().unwrap().to_owned()
        });
        let version =
            if version == Version::HTTP_11 { HttpVersion::Http11 } else { HttpVersion::Other };
        let headers = lines.iter().map(|(name, value)| (*name, value.as_bytes()));
        let ours = accept(method, version, headers).ok().map(|accepted| accepted.accept);
        prop_assert_eq!(ours, theirs);
    }
}
