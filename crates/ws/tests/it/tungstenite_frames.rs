//! The same verdict as tungstenite, on random and mutated streams.
//!
//! We differ on purpose in four places, each checked here as narrowly as it can be said:
//! 1. We refuse a length that is not in its shortest form (1002); tungstenite takes it, also for a
//!    control frame, whose seven bits of length already say more than 125.
//! 2. We take close code 1014, which is registered; tungstenite calls it a violation.
//! 3. tungstenite looks at the size first. A frame that is too big *and* breaks a rule of its head
//!    is 1009 there and 1002 here.
//! 4. tungstenite has no limit on fragments; here it is set out of reach.
//!
//! We judge each byte at once, tungstenite a whole head or frame. So tungstenite gets zeros behind
//! the input: a frame that we refuse early is then completed and must be refused there too.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tungstenite::Message;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::{self, WebSocket, WebSocketConfig};
use ws::{CloseCode, Limits, Role, Violation};

use crate::bodies::Seen;
use crate::builders::{decode, raw};
use crate::splits::mutated_stream;

const LIMITS: Limits = Limits {
    frame_bytes: 200,
    message_bytes: 260,
    fragments: u32::MAX,
};

#[derive(Debug, PartialEq, Eq)]
enum End {
    NeedMore,
    Refused(u16),
}

/// Reads from memory and forgets what is written.
struct Mock(Cursor<Vec<u8>>);

impl Read for Mock {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Mock {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs(role: Role, input: Vec<u8>) -> (Vec<Seen>, End) {
    let config = WebSocketConfig::default()
        .max_frame_size(Some(LIMITS.frame_bytes))
        .max_message_size(Some(LIMITS.message_bytes));
    let role = match role {
        Role::Server => protocol::Role::Server,
        Role::Client => protocol::Role::Client,
    };
    let mut socket = WebSocket::from_raw_socket(Mock(Cursor::new(input)), role, Some(config));
    let mut events = Vec::new();
    loop {
        let event = match socket.read() {
            Ok(Message::Text(text)) => Seen::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Ok(Message::Ping(payload)) => Seen::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Seen::Pong(payload.to_vec()),
            Ok(Message::Close(None)) => Seen::Close(None),
            Ok(Message::Close(Some(close))) => {
                // A close code that is not allowed comes out as this frame, not as an error.
                if close.reason.as_str() == "Protocol violation" {
                    return (events, End::Refused(1002));
                }
                let code = CloseCode::new(close.code.into()).expect("allowed there, not here");
                Seen::Close(Some((code, close.reason.as_str().to_owned())))
            }
            Ok(Message::Frame(frame)) => panic!("a raw frame was read: {frame}"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return (events, End::NeedMore);
            }
            Err(Error::Protocol(_)) => return (events, End::Refused(1002)),
            Err(Error::Utf8(_)) => return (events, End::Refused(1007)),
            Err(Error::Capacity(_)) => return (events, End::Refused(1009)),
            Err(error) => panic!("{error}"),
        };
        let closed = matches!(event, Seen::Close(_));
        events.push(event);
        if closed {
            return (events, End::NeedMore);
        }
    }
}

/// Compares the two, and says what both did.
fn compare(role: Role, input: &[u8]) -> Result<(Vec<Seen>, Option<Violation>), TestCaseError> {
    let (events, verdict) = decode(role, LIMITS, input.to_vec());
    let verdict = verdict.err();
    if let Some(Seen::Close(Some((code, _)))) = events.last()
        && code.get() == 1014
    {
        let (their_events, their_end) = theirs(role, input.to_vec());
        prop_assert_eq!(&their_events, &events[..events.len() - 1]);
        prop_assert_eq!(their_end, End::Refused(1002));
        return Ok((events, verdict));
    }
    let Some(violation) = verdict else {
        prop_assert_eq!(
            theirs(role, input.to_vec()),
            (events.clone(), End::NeedMore)
        );
        return Ok((events, verdict));
    };
    let mut completed = input.to_vec();
    completed.resize(input.len() + LIMITS.frame_bytes + 14, 0);
    let (their_events, their_end) = theirs(role, completed);
    let stretched = violation == Violation::LengthNotShortest
        || violation == Violation::LongControl && their_events.len() > events.len();
    if stretched {
        prop_assert!(their_events.starts_with(&events));
        return Ok((events, verdict));
    }
    prop_assert_eq!(&their_events, &events);
    let ours = violation.close_code().get();
    let size_seen_first = ours == 1002 && their_end == End::Refused(1009);
    prop_assert!(
        their_end == End::Refused(ours) || size_seen_first,
        "{violation:?} here, {their_end:?} there"
    );
    Ok((events, verdict))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn p6_same_verdict_on_mutated_streams((role, input) in mutated_stream()) {
        compare(role, &input)?;
    }

    #[test]
    fn p6_same_verdict_on_random_bytes(
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
        input in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        compare(role, &input)?;
    }
}

#[test]
fn same_verdict_on_every_pair_of_first_bytes() {
    for role in [Role::Server, Role::Client] {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let mut input = vec![first, second];
                input.resize(400, 0);
                compare(role, &input).unwrap();
            }
        }
    }
}

#[test]
fn same_verdict_on_every_close_code() {
    for code in 0..=u16::MAX {
        compare(Role::Client, &raw(Role::Client, 0x88, &code.to_be_bytes())).unwrap();
    }
}

#[test]
fn the_comparison_reaches_both_verdicts() {
    let good = raw(Role::Server, 0x81, b"hello");
    let (events, verdict) = compare(Role::Server, &good).unwrap();
    assert_eq!(
        (events, verdict),
        (vec![Seen::Text("hello".to_owned())], None)
    );
    let (_, verdict) = compare(Role::Server, &raw(Role::Server, 0x81, b"\xFF")).unwrap();
    assert_eq!(verdict, Some(Violation::TextUtf8));
    let (_, verdict) = compare(Role::Client, &raw(Role::Client, 0x82, &[0; 201])).unwrap();
    assert_eq!(verdict, Some(Violation::FrameTooBig));
}
