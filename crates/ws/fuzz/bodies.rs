//! What the fuzz targets do with an input, and what must hold for every input.
//!
//! The same file is compiled into the fuzz targets and into the crate's tests, where the stored
//! corpus is replayed. Each function panics when an invariant of `ws` is broken.

use std::borrow::Cow;

use ws::encode::{self, HEAD_MAX};
use ws::handshake::{self, HttpVersion, Refusal};
use ws::{CloseCode, Decoder, Event, Limits, Opcode, Role, Violation};

/// Small enough for a fuzzer to reach the edges.
pub(crate) const LIMITS: Limits = Limits {
    frame_bytes: 300,
    message_bytes: 400,
    fragments: 4,
};

/// An event without a borrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(CloseCode, String)>),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.into_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.into_owned()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => {
                Self::Close(close.map(|close| (close.code, close.reason.to_owned())))
            }
        }
    }
}

/// What came out of a whole input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Seen>,
    pub(crate) violation: Option<Violation>,
    /// How many bytes of an unfinished frame were left.
    pub(crate) left: usize,
    pub(crate) message_in_progress: bool,
}

/// Decodes an input that comes in the given cuts, as a socket loop does.
pub(crate) fn decode_in_cuts(role: Role, limits: Limits, input: &[u8], cuts: &[usize]) -> Outcome {
    let mut decoder = Decoder::new(role, limits);
    let mut carry: Vec<u8> = Vec::new();
    let mut events = Vec::new();
    let mut violation = None;
    let mut from = 0;
    for to in cuts.iter().copied().chain([input.len()]) {
        carry.extend_from_slice(&input[from..to]);
        from = to;
        let mut rest = carry.as_mut_slice();
        loop {
            let before = rest.to_vec();
            match decoder.decode(&mut rest) {
                Ok(Some(event)) => events.push(Seen::from(event)),
                Ok(None) => {
                    assert!(before.ends_with(rest), "the unfinished frame was touched");
                    assert!(rest.len() < limits.frame_bytes.max(encode::CONTROL_MAX) + HEAD_MAX);
                    break;
                }
                Err(found) => {
                    assert_eq!(
                        decoder.decode(&mut rest),
                        Err(found),
                        "a violation is final"
                    );
                    violation = Some(found);
                    break;
                }
            }
        }
        carry = if violation.is_some() {
            Vec::new()
        } else {
            rest.to_vec()
        };
        if violation.is_some() {
            break;
        }
    }
    if matches!(events.last(), Some(Seen::Close(_))) {
        let mut more = *b"anything";
        let mut rest = more.as_mut_slice();
        assert_eq!(
            decoder.decode(&mut rest),
            Ok(None),
            "nothing comes after a close"
        );
        assert!(rest.is_empty(), "what comes after a close is swallowed");
    }
    Outcome {
        events,
        violation,
        left: carry.len(),
        message_in_progress: decoder.message_in_progress(),
    }
}

/// Appends the frame of an event as the other side of `role` would send it.
pub(crate) fn append_event(out: &mut Vec<u8>, role: Role, event: &Seen) {
    let close;
    let (opcode, payload) = match event {
        Seen::Text(text) => (Opcode::Text, text.as_bytes()),
        Seen::Binary(bytes) => (Opcode::Binary, bytes.as_slice()),
        Seen::Ping(payload) => (Opcode::Ping, payload.as_slice()),
        Seen::Pong(payload) => (Opcode::Pong, payload.as_slice()),
        Seen::Close(said) => {
            close = match said {
                Some((code, reason)) => encode::close(*code, reason),
                None => encode::close_without_code(),
            };
            (Opcode::Close, close.payload())
        }
    };
    match role {
        Role::Client => encode::append_frame(out, opcode, payload),
        Role::Server => encode::append_masked_frame(out, opcode, payload, [0xA5, 0x5A, 0, 0xFF]),
    }
}

/// Decodes `data` after its first byte, whose low bit chooses the role and the rest the cuts.
///
/// Must hold: the same outcome however the input is cut, and the events encoded again decode to
/// themselves.
pub(crate) fn frames(data: &[u8]) -> Option<Outcome> {
    let (first, input) = data.split_first()?;
    let role = if first & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let whole = decode_in_cuts(role, LIMITS, input, &[]);

    let stride = usize::from(first >> 1) + 1;
    let cuts: Vec<usize> = (0..input.len()).step_by(stride).collect();
    assert_eq!(
        decode_in_cuts(role, LIMITS, input, &cuts),
        whole,
        "cut every {stride} bytes"
    );

    let mut again = Vec::new();
    for event in &whole.events {
        append_event(&mut again, role, event);
    }
    // A message that came in fragments may be longer than one frame may be.
    let wide = Limits {
        frame_bytes: LIMITS.message_bytes,
        ..LIMITS
    };
    let decoded = decode_in_cuts(role, wide, &again, &[]);
    assert_eq!(decoded.events, whole.events, "encoded again");
    assert_eq!((decoded.violation, decoded.left), (None, 0));
    Some(whole)
}

/// Judges a request of the form `METHOD VERSION`, then a line `name:value` per header.
///
/// Must hold: the order of the headers does not matter, and a client takes the answer.
pub(crate) fn handshake(data: &[u8]) -> Result<String, Refusal> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let request = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let (method, version) = request.split_once(' ').unwrap_or((&request, ""));
    let version = if version == "HTTP/1.1" {
        HttpVersion::Http11
    } else {
        HttpVersion::Other
    };
    let headers: Vec<(Cow<'_, str>, &[u8])> = lines
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((String::from_utf8_lossy(&line[..colon]), &line[colon + 1..]))
        })
        .collect();
    let pairs = || headers.iter().map(|(name, value)| (&**name, *value));

    let verdict = handshake::accept(method, version, pairs());
    assert_eq!(
        handshake::accept(method, version, pairs().rev()),
        verdict,
        "headers reversed"
    );
    match verdict {
        Ok(accepted) => {
            let key = pairs()
                .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
                .map(|(_, value)| String::from_utf8_lossy(value.trim_ascii()).into_owned())
                .expect("accepted without a key");
            let answer = accepted
                .headers()
                .map(|(name, value)| (name, value.as_bytes()));
            assert_eq!(handshake::check_answer(&key, 101, answer), Ok(()));
            Ok(accepted.accept)
        }
        Err(refusal) => {
            assert!(matches!(refusal.status(), 400 | 426));
            Err(refusal)
        }
    }
}
