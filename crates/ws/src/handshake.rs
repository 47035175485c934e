//! The opening handshake: judging an upgrade request, and checking its answer.
//!
//! The HTTP layer above parses; here only its result is judged.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The only version of the protocol there is.
pub const VERSION: &str = "13";

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// The version of HTTP in which a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http11,
    /// Any other. HTTP/2 would need extended CONNECT (RFC 8441), which is never announced.
    Other,
}

/// A request that may be upgraded: answer 101 with [`Accept::headers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
}

impl Accept {
    /// Gives the headers of the 101 response.
    pub fn headers(&self) -> [(&'static str, &str); 3] {
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Accept", &self.accept),
        ]
    }
}

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The method is not GET.
    Method,
    /// The request is not HTTP/1.1.
    HttpVersion,
    /// `Upgrade` does not name `websocket`.
    Upgrade,
    /// `Connection` does not name `upgrade`.
    Connection,
    /// `Sec-WebSocket-Version` is missing, repeated or not 13.
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated or not 16 bytes in base64.
    Key,
}

impl Refusal {
    /// Gives the status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 426,
            Self::Method | Self::HttpVersion | Self::Upgrade | Self::Connection | Self::Key => 400,
        }
    }

    /// Gives a short public text.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Method => "method is not GET",
            Self::HttpVersion => "request is not HTTP/1.1",
            Self::Upgrade => "Upgrade does not name websocket",
            Self::Connection => "Connection does not name upgrade",
            Self::Version => "Sec-WebSocket-Version is not 13",
            Self::Key => "Sec-WebSocket-Key is not 16 bytes in base64",
        }
    }

    /// Gives the headers that the response needs: a 426 names what would be accepted.
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Version => &[
                ("Connection", "Upgrade"),
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", VERSION),
            ],
            Self::Method | Self::HttpVersion | Self::Upgrade | Self::Connection | Self::Key => &[],
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Refusal {}

/// Judges an upgrade request.
///
/// Header names are compared in any case, and a list may be spread over several lines. Offered
/// extensions and subprotocols are ignored: none is ever chosen.
///
/// # Errors
/// The first [`Refusal`] in the order of its variants.
pub fn accept<'h>(
    method: &str,
    version: HttpVersion,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<Accept, Refusal> {
    if method != "GET" {
        return Err(Refusal::Method);
    }
    if version != HttpVersion::Http11 {
        return Err(Refusal::HttpVersion);
    }
    let seen = Seen::read(headers);
    if !seen.upgrade {
        return Err(Refusal::Upgrade);
    }
    if !seen.connection {
        return Err(Refusal::Connection);
    }
    if seen.version != Field::Once(VERSION.as_bytes()) {
        return Err(Refusal::Version);
    }
    match seen.key {
        Field::Once(key) if is_key(key) => Ok(Accept {
            accept: accept_value(key),
        }),
        Field::Once(_) | Field::Absent | Field::Repeated => Err(Refusal::Key),
    }
}

/// Gives the `Sec-WebSocket-Accept` that belongs to a key.
pub fn accept_value(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Makes a client's `Sec-WebSocket-Key` from 16 random bytes.
pub fn client_key(random: [u8; KEY_BYTES]) -> String {
    STANDARD.encode(random)
}

/// Why a client does not take a server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRefusal {
    /// The status is not 101.
    Status(u16),
    /// `Upgrade` does not name `websocket`.
    Upgrade,
    /// `Connection` does not name `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` does not belong to the key.
    Accept,
    /// The server chose an extension or a subprotocol, and none was offered.
    NotOffered,
}

impl fmt::Display for AnswerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status is {status}, not 101"),
            Self::Upgrade => f.write_str("Upgrade does not name websocket"),
            Self::Connection => f.write_str("Connection does not name upgrade"),
            Self::Accept => f.write_str("Sec-WebSocket-Accept does not belong to the key"),
            Self::NotOffered => f.write_str("an extension or subprotocol was not offered"),
        }
    }
}

impl std::error::Error for AnswerRefusal {}

/// Checks a server's answer to a request with this key and without extensions or subprotocols.
///
/// # Errors
/// The first [`AnswerRefusal`] in the order of its variants.
pub fn check_answer<'h>(
    key: &str,
    status: u16,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
) -> Result<(), AnswerRefusal> {
    if status != 101 {
        return Err(AnswerRefusal::Status(status));
    }
    let seen = Seen::read(headers);
    if !seen.upgrade {
        return Err(AnswerRefusal::Upgrade);
    }
    if !seen.connection {
        return Err(AnswerRefusal::Connection);
    }
    if seen.accept != Field::Once(accept_value(key.as_bytes()).as_bytes()) {
        return Err(AnswerRefusal::Accept);
    }
    if seen.extensions != Field::Absent || seen.protocol != Field::Absent {
        return Err(AnswerRefusal::NotOffered);
    }
    Ok(())
}

/// A header that may stand once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Field<'h> {
    #[default]
    Absent,
    Once(&'h [u8]),
    Repeated,
}

impl<'h> Field<'h> {
    fn add(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Absent => Self::Once(value.trim_ascii()),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

/// The headers that matter, for both sides.
#[derive(Default)]
struct Seen<'h> {
    upgrade: bool,
    connection: bool,
    version: Field<'h>,
    key: Field<'h>,
    accept: Field<'h>,
    extensions: Field<'h>,
    protocol: Field<'h>,
}

impl<'h> Seen<'h> {
    fn read(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            if is("upgrade") {
                seen.upgrade |= lists(value, b"websocket");
            } else if is("connection") {
                seen.connection |= lists(value, b"upgrade");
            } else if is("sec-websocket-version") {
                seen.version.add(value);
            } else if is("sec-websocket-key") {
                seen.key.add(value);
            } else if is("sec-websocket-accept") {
                seen.accept.add(value);
            } else if is("sec-websocket-extensions") {
                seen.extensions.add(value);
            } else if is("sec-websocket-protocol") {
                seen.protocol.add(value);
            }
        }
        seen
    }
}

fn lists(value: &[u8], token: &[u8]) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

fn is_key(key: &[u8]) -> bool {
    // Without their padding 24 characters would be 18 bytes, and so much room is asked for.
    let mut decoded = [0; 18];
    STANDARD.decode_slice(key, &mut decoded) == Ok(KEY_BYTES)
}
