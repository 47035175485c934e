//! Every rule of the handshake, one row each.

use ws::handshake::{
    AnswerRefusal, HttpVersion, Refusal, accept, accept_value, check_answer, client_key,
};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const GOOD: [(&str, &str); 4] = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
];

fn judge(headers: &[(&str, &str)]) -> Result<String, Refusal> {
    let headers = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()));
    accept("GET", HttpVersion::Http11, headers).map(|accepted| accepted.accept)
}

/// The good request with the lines of one header replaced.
fn judge_with(name: &str, values: &[&str]) -> Result<String, Refusal> {
    let mut headers: Vec<(&str, &str)> = GOOD
        .into_iter()
        .filter(|(other, _)| *other != name)
        .collect();
    headers.extend(values.iter().map(|value| (name, *value)));
    judge(&headers)
}

fn accepted() -> Result<String, Refusal> {
    Ok(ACCEPT.to_owned())
}

#[test]
fn the_example_of_the_rfc_is_accepted() {
    assert_eq!(judge(&GOOD), accepted());
    assert_eq!(accept_value(KEY.as_bytes()), ACCEPT);
}

#[test]
fn only_get_over_http_1_1_is_accepted() {
    let headers = || GOOD.iter().map(|(name, value)| (*name, value.as_bytes()));
    for method in ["POST", "CONNECT", "get", ""] {
        assert_eq!(
            accept(method, HttpVersion::Http11, headers()),
            Err(Refusal::Method)
        );
    }
    assert_eq!(
        accept("GET", HttpVersion::Other, headers()),
        Err(Refusal::HttpVersion)
    );
}

#[test]
fn upgrade_names_websocket_in_any_case() {
    for good in [
        "websocket",
        "WebSocket",
        " websocket ",
        "h2c, websocket",
        "h2c,websocket",
    ] {
        assert_eq!(judge_with("Upgrade", &[good]), accepted(), "{good}");
    }
    assert_eq!(judge_with("Upgrade", &["h2c", "websocket"]), accepted());
    for bad in ["", "h2c", "websockets", "web socket", "websocket/13"] {
        assert_eq!(
            judge_with("Upgrade", &[bad]),
            Err(Refusal::Upgrade),
            "{bad}"
        );
    }
    assert_eq!(judge_with("Upgrade", &[]), Err(Refusal::Upgrade));
}

#[test]
fn connection_is_a_list_of_tokens_in_any_case() {
    for good in [
        "Upgrade",
        "upgrade",
        "keep-alive, Upgrade",
        "UPGRADE,keep-alive",
        ", upgrade",
    ] {
        assert_eq!(judge_with("Connection", &[good]), accepted(), "{good}");
    }
    assert_eq!(
        judge_with("Connection", &["keep-alive", "Upgrade"]),
        accepted()
    );
    for bad in ["", "close", "upgraded", "keep-alive"] {
        assert_eq!(
            judge_with("Connection", &[bad]),
            Err(Refusal::Connection),
            "{bad}"
        );
    }
    assert_eq!(judge_with("Connection", &[]), Err(Refusal::Connection));
}

#[test]
fn any_version_but_13_is_426_and_13_is_named() {
    let rows: [&[&str]; 7] = [
        &[],
        &["8"],
        &["0"],
        &["14"],
        &["13, 8"],
        &["013"],
        &["13", "13"],
    ];
    for values in rows {
        assert_eq!(
            judge_with("Sec-WebSocket-Version", values),
            Err(Refusal::Version)
        );
    }
    assert_eq!(Refusal::Version.status(), 426);
    assert!(
        Refusal::Version
            .headers()
            .contains(&("Sec-WebSocket-Version", "13"))
    );
    assert!(
        Refusal::Version
            .headers()
            .contains(&("Upgrade", "websocket"))
    );
    assert_eq!(judge_with("Sec-WebSocket-Version", &[" 13 "]), accepted());
}

#[test]
fn the_other_refusals_are_400() {
    use Refusal::{Connection, HttpVersion, Key, Method, Upgrade};
    for refusal in [Method, HttpVersion, Upgrade, Connection, Key] {
        assert_eq!(
            (refusal.status(), refusal.headers().len()),
            (400, 0),
            "{refusal}"
        );
    }
}

#[test]
fn the_key_is_16_bytes_in_base64_and_stands_once() {
    let bad = [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",       // without padding
        "dGhlIHNhbXBsZSBub25jZQ==  x",  // something behind it
        "dGhlIHNhbXBsZSBub25j",         // 15 bytes
        "dGhlIHNhbXBsZSBub25jZXg=",     // 17 bytes
        "dGhlIHNhbXBsZSBub25jZXgh",     // 18 bytes
        "dGhlIHNhbXBsZSBub25jZR==",     // bits behind the last byte
        "dGhlIHNhbXBsZSBub2_jZQ==",     // the alphabet for addresses
        "dGhlIHNhbXBsZSB\u{fffd}5jZ==", // not ASCII
    ];
    for key in bad {
        assert_eq!(
            judge_with("Sec-WebSocket-Key", &[key]),
            Err(Refusal::Key),
            "{key}"
        );
    }
    assert_eq!(judge_with("Sec-WebSocket-Key", &[]), Err(Refusal::Key));
    assert_eq!(
        judge_with("Sec-WebSocket-Key", &[KEY, KEY]),
        Err(Refusal::Key)
    );
}

#[test]
fn names_are_compared_in_any_case_and_offers_are_ignored() {
    let lower: Vec<(String, &str)> = GOOD
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), *value))
        .collect();
    let mut headers: Vec<(&str, &str)> = lower
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    headers.push((
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits",
    ));
    headers.push(("sec-websocket-protocol", "chat"));
    assert_eq!(judge(&headers), accepted());
}

fn answer(headers: &[(&str, &str)]) -> Result<(), AnswerRefusal> {
    check_answer(
        KEY,
        101,
        headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes())),
    )
}

#[test]
fn a_client_takes_the_answer_of_the_server() {
    let key = client_key(*b"the sample nonce");
    assert_eq!(key, KEY);
    let headers = GOOD.iter().map(|(name, value)| (*name, value.as_bytes()));
    let accepted = accept("GET", HttpVersion::Http11, headers).unwrap();
    assert_eq!(answer(&accepted.headers()), Ok(()));
}

#[test]
fn a_client_refuses_any_other_answer() {
    let upgrade = ("upgrade", "websocket");
    let connection = ("connection", "upgrade");
    let accept = ("sec-websocket-accept", ACCEPT);
    assert_eq!(check_answer(KEY, 200, []), Err(AnswerRefusal::Status(200)));
    assert_eq!(answer(&[connection, accept]), Err(AnswerRefusal::Upgrade));
    assert_eq!(answer(&[upgrade, accept]), Err(AnswerRefusal::Connection));
    assert_eq!(answer(&[upgrade, connection]), Err(AnswerRefusal::Accept));
    let wrong = ("sec-websocket-accept", KEY);
    assert_eq!(
        answer(&[upgrade, connection, wrong]),
        Err(AnswerRefusal::Accept)
    );
    for name in ["Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"] {
        let headers = [upgrade, connection, accept, (name, "permessage-deflate")];
        assert_eq!(answer(&headers), Err(AnswerRefusal::NotOffered));
    }
}
