//! Every rule of the protocol, one row each.

use ws::{CloseCode, Decoder, Event, Limits, Role, Violation};

use crate::bodies::Seen;
use crate::builders::{decode, raw, stream};

const CONT: u8 = 0x00;
const TEXT: u8 = 0x01;
const BINARY: u8 = 0x02;
const LAST_CONT: u8 = 0x80;
const LAST_TEXT: u8 = 0x81;
const LAST_BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn as_server(input: Vec<u8>) -> (Vec<Seen>, Result<(), Violation>) {
    decode(Role::Server, Limits::DEFAULT, input)
}

#[track_caller]
fn refused(input: Vec<u8>, violation: Violation, code: u16) {
    let (_, verdict) = as_server(input);
    assert_eq!(verdict, Err(violation));
    assert_eq!(violation.close_code().get(), code, "{violation}");
}

/// A violation in front of which a good message comes, to show that it is still delivered.
#[track_caller]
fn refused_after_a_message(bad: &[u8], violation: Violation, code: u16) {
    let mut input = stream(&[(LAST_TEXT, b"before")]);
    input.extend(bad);
    let (events, verdict) = as_server(input);
    assert_eq!(events, [text("before")]);
    assert_eq!(verdict, Err(violation));
    assert_eq!(violation.close_code().get(), code, "{violation}");
}

#[test]
fn client_frame_without_mask_is_1002() {
    refused_after_a_message(
        &raw(Role::Client, LAST_TEXT, b"hi"),
        Violation::Unmasked,
        1002,
    );
}

#[test]
fn server_frame_with_mask_is_1002() {
    let input = raw(Role::Server, LAST_TEXT, b"hi");
    let (events, verdict) = decode(Role::Client, Limits::DEFAULT, input);
    assert_eq!((events.len(), verdict), (0, Err(Violation::Masked)));
    assert_eq!(Violation::Masked.close_code(), CloseCode::PROTOCOL);
}

#[test]
fn each_reserved_bit_is_1002() {
    for bit in [0x40, 0x20, 0x10] {
        for opcode in [LAST_TEXT, LAST_BINARY, CLOSE, PING, PONG] {
            let frame = raw(Role::Server, opcode | bit, b"");
            refused_after_a_message(&frame, Violation::ReservedBit, 1002);
        }
    }
}

#[test]
fn each_reserved_opcode_is_1002() {
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        for fin in [0, 0x80] {
            let frame = raw(Role::Server, fin | opcode, b"");
            refused_after_a_message(&frame, Violation::ReservedOpcode, 1002);
        }
    }
}

#[test]
fn fragmented_control_frame_is_1002() {
    for first in [CLOSE, PING, PONG] {
        let frame = raw(Role::Server, first & 0x7F, b"");
        refused_after_a_message(&frame, Violation::FragmentedControl, 1002);
    }
}

#[test]
fn control_frame_over_125_bytes_is_1002() {
    for first in [CLOSE, PING, PONG] {
        let frame = raw(Role::Server, first, &[b'x'; 126]);
        refused_after_a_message(&frame, Violation::LongControl, 1002);
        let frame = raw(Role::Server, first, &[b'x'; 70_000]);
        refused_after_a_message(&frame, Violation::LongControl, 1002);
    }
    let longest = [b'x'; 125];
    let (events, verdict) = as_server(stream(&[(PING, &longest), (PONG, &longest)]));
    assert_eq!(
        events,
        [Seen::Ping(longest.to_vec()), Seen::Pong(longest.to_vec())]
    );
    assert_eq!(verdict, Ok(()));
}

#[test]
fn continuation_without_start_is_1002() {
    for first in [CONT, LAST_CONT] {
        let frame = raw(Role::Server, first, b"x");
        refused_after_a_message(&frame, Violation::ContinuationWithoutStart, 1002);
    }
    // The message before is over, so it is no start for the next one.
    let input = stream(&[(TEXT, b"a"), (LAST_CONT, b"b"), (LAST_CONT, b"c")]);
    refused(input, Violation::ContinuationWithoutStart, 1002);
}

#[test]
fn new_message_inside_a_message_is_1002() {
    for start in [TEXT, BINARY] {
        for first in [TEXT, BINARY, LAST_TEXT, LAST_BINARY] {
            let input = stream(&[(start, b"a"), (first, b"b")]);
            refused(input, Violation::DataInsideMessage, 1002);
        }
    }
}

#[test]
fn length_not_in_shortest_form_is_1002() {
    for length in [0u16, 1, 125] {
        let mut frame = vec![LAST_TEXT, 0x80 | 126];
        frame.extend(length.to_be_bytes());
        refused_after_a_message(&frame, Violation::LengthNotShortest, 1002);
    }
    for length in [0u64, 125, 126, 65_535] {
        let mut frame = vec![LAST_TEXT, 0x80 | 127];
        frame.extend(length.to_be_bytes());
        refused_after_a_message(&frame, Violation::LengthNotShortest, 1002);
    }
}

#[test]
fn shortest_form_is_taken_at_each_edge() {
    let limits = Limits {
        frame_bytes: 70_000,
        message_bytes: 70_000,
        fragments: 1,
    };
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        for role in [Role::Server, Role::Client] {
            let payload = vec![7; length];
            let (events, verdict) = decode(role, limits, raw(role, LAST_BINARY, &payload));
            assert_eq!(verdict, Ok(()), "{length}");
            assert!(events == [Seen::Binary(payload)], "{length}");
        }
    }
}

#[test]
fn length_with_its_top_bit_set_is_1002() {
    for length in [1u64 << 63, u64::MAX] {
        let mut frame = vec![LAST_BINARY, 0x80 | 127];
        frame.extend(length.to_be_bytes());
        refused_after_a_message(&frame, Violation::LengthTopBit, 1002);
    }
}

#[test]
fn close_payload_of_one_byte_is_1002() {
    refused_after_a_message(
        &raw(Role::Server, CLOSE, &[3]),
        Violation::ClosePayload,
        1002,
    );
}

#[test]
fn close_code_that_is_not_allowed_is_1002() {
    let not_allowed = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535u16,
    ];
    for code in not_allowed {
        let frame = raw(Role::Server, CLOSE, &code.to_be_bytes());
        refused_after_a_message(&frame, Violation::CloseCode, 1002);
    }
    for code in (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999u16])
    {
        let (events, verdict) = as_server(stream(&[(CLOSE, &code.to_be_bytes())]));
        let code = CloseCode::new(code).unwrap();
        assert_eq!(
            (events, verdict),
            (vec![Seen::Close(Some((code, String::new())))], Ok(()))
        );
    }
}

#[test]
fn close_is_read_with_and_without_a_reason() {
    let (events, _) = as_server(stream(&[(CLOSE, b"")]));
    assert_eq!(events, [Seen::Close(None)]);
    let (events, _) = as_server(stream(&[(CLOSE, b"\x03\xE8ho\xC5\x9F\xC3\xA7a kal")]));
    assert_eq!(
        events,
        [Seen::Close(Some((
            CloseCode::NORMAL,
            "hoşça kal".to_owned()
        )))]
    );
}

#[test]
fn nothing_is_read_after_a_close() {
    let input = stream(&[(CLOSE, b""), (LAST_TEXT, b"late"), (0x7F, b"garbage")]);
    assert_eq!(as_server(input), (vec![Seen::Close(None)], Ok(())));
    let input = stream(&[(TEXT, b"half"), (CLOSE, b""), (LAST_CONT, b"late")]);
    assert_eq!(as_server(input), (vec![Seen::Close(None)], Ok(())));
}

const NOT_UTF8: [&[u8]; 9] = [
    b"\xFF",
    b"\x80",
    b"\xC0\xAF",         // "/" in two bytes
    b"\xC3\x28",         // second byte is not a continuation
    b"\xED\xA0\x80",     // surrogate
    b"\xF4\x90\x80\x80", // beyond U+10FFFF
    b"\xE2\x82",         // cut off
    b"ok \xF0\x9F\x98",  // cut off after good text
    b"\xF5\x80\x80\x80",
];

#[test]
fn text_that_is_not_utf8_is_1007() {
    for bad in NOT_UTF8 {
        refused_after_a_message(
            &raw(Role::Server, LAST_TEXT, bad),
            Violation::TextUtf8,
            1007,
        );
    }
}

#[test]
fn text_that_is_not_utf8_is_1007_wherever_it_is_cut_into_frames() {
    for bad in NOT_UTF8 {
        for cut in 0..=bad.len() {
            let (left, right) = bad.split_at(cut);
            refused(
                stream(&[(TEXT, left), (LAST_CONT, right)]),
                Violation::TextUtf8,
                1007,
            );
        }
    }
}

#[test]
fn bad_text_is_refused_before_its_message_ends() {
    refused(
        stream(&[(TEXT, b"good \xED"), (CONT, b"\xA0")]),
        Violation::TextUtf8,
        1007,
    );
}

#[test]
fn a_character_may_be_cut_by_fragments_and_pings() {
    let whole = "a ş € 😀 z";
    let mut frames: Vec<(u8, &[u8])> = Vec::new();
    for byte in whole.as_bytes().chunks(1) {
        frames.push((if frames.is_empty() { TEXT } else { CONT }, byte));
        frames.push((PING, b"between"));
    }
    frames.push((LAST_CONT, b""));
    let (mut events, verdict) = as_server(stream(&frames));
    assert_eq!(events.pop(), Some(text(whole)));
    assert!(
        events
            .iter()
            .all(|event| *event == Seen::Ping(b"between".to_vec()))
    );
    assert_eq!((events.len(), verdict), (whole.len(), Ok(())));
}

#[test]
fn binary_may_hold_any_bytes() {
    let (events, verdict) = as_server(stream(&[
        (LAST_BINARY, b"\xFF\x00"),
        (BINARY, b"\xED"),
        (LAST_CONT, b"\xA0"),
    ]));
    let expected = [
        Seen::Binary(b"\xFF\x00".to_vec()),
        Seen::Binary(b"\xED\xA0".to_vec()),
    ];
    assert_eq!((events.as_slice(), verdict), (expected.as_slice(), Ok(())));
}

#[test]
fn close_reason_that_is_not_utf8_is_1007() {
    for bad in NOT_UTF8 {
        let payload = [b"\x03\xE8", bad].concat();
        let frame = raw(Role::Server, CLOSE, &payload);
        refused_after_a_message(&frame, Violation::CloseReasonUtf8, 1007);
    }
}

#[test]
fn frame_over_the_limit_is_1009_from_its_head_alone() {
    let limit = Limits::DEFAULT.frame_bytes;
    let (events, verdict) = as_server(stream(&[(LAST_BINARY, &vec![1; limit])]));
    assert_eq!((events.len(), verdict), (1, Ok(())));
    let mut frame = raw(Role::Server, LAST_BINARY, &vec![1; limit + 1]);
    frame.truncate(4);
    refused_after_a_message(&frame, Violation::FrameTooBig, 1009);
    let mut huge = vec![LAST_BINARY, 0x80 | 127];
    huge.extend((u64::MAX >> 1).to_be_bytes());
    refused_after_a_message(&huge, Violation::FrameTooBig, 1009);
}

#[test]
fn message_over_the_limit_is_1009_from_the_head_of_the_frame() {
    let limits = Limits {
        frame_bytes: 100,
        message_bytes: 250,
        fragments: 8,
    };
    let fits: [(u8, &[u8]); 3] = [
        (TEXT, &[b'a'; 100]),
        (CONT, &[b'b'; 100]),
        (CONT, &[b'c'; 50]),
    ];
    let mut input = stream(&fits);
    let good = [input.clone(), stream(&[(LAST_CONT, b"")])].concat();
    assert_eq!(decode(Role::Server, limits, good).1, Ok(()));
    input.extend([LAST_CONT, 0x81]);
    let verdict = decode(Role::Server, limits, input).1;
    assert_eq!(verdict, Err(Violation::MessageTooBig));
    assert_eq!(Violation::MessageTooBig.close_code().get(), 1009);
    let narrow = Limits {
        message_bytes: 99,
        ..limits
    };
    let single = stream(&[(LAST_TEXT, &[b'a'; 100])]);
    assert_eq!(
        decode(Role::Server, narrow, single).1,
        Err(Violation::MessageTooBig)
    );
}

#[test]
fn more_than_32_fragments_are_1009() {
    let frames = |count: usize| -> Vec<(u8, &[u8])> {
        let mut frames: Vec<(u8, &[u8])> = vec![(CONT, b""); count];
        frames[0].0 = TEXT;
        frames[count - 1].0 = LAST_CONT;
        frames
    };
    assert_eq!(as_server(stream(&frames(32))), (vec![text("")], Ok(())));
    refused(stream(&frames(33)), Violation::TooManyFragments, 1009);
}

#[test]
fn the_count_of_fragments_begins_again_with_each_message() {
    let message = stream(&[(TEXT, b"a"), (CONT, b"b"), (LAST_CONT, b"c")]);
    let (events, verdict) = as_server(message.repeat(20));
    assert_eq!((events, verdict), (vec![text("abc"); 20], Ok(())));
}

#[test]
fn control_frames_do_not_count_as_fragments() {
    let mut input = stream(&[(TEXT, b"a")]);
    input.extend(stream(&[(PING, b"p")]).repeat(100));
    input.extend(stream(&[(LAST_CONT, b"b")]));
    let (events, verdict) = as_server(input);
    assert_eq!(
        (events.len(), events.last(), verdict),
        (101, Some(&text("ab")), Ok(()))
    );
}

#[test]
fn a_violation_is_found_at_its_first_byte() {
    let rows: [(&[u8], Violation); 6] = [
        (&[0xC1], Violation::ReservedBit),
        (&[0x83], Violation::ReservedOpcode),
        (&[0x09], Violation::FragmentedControl),
        (&[0x80], Violation::ContinuationWithoutStart),
        (&[0x81, 0x00], Violation::Unmasked),
        (&[0x89, 0xFE], Violation::LongControl),
    ];
    for (bytes, violation) in rows {
        refused_after_a_message(bytes, violation, 1002);
    }
}

#[test]
fn message_in_progress_tells_when_the_clock_runs() {
    let mut decoder = Decoder::new(Role::Server, Limits::DEFAULT);
    let mut feed = |frames: &[(u8, &[u8])]| {
        let mut input = stream(frames);
        let mut rest = input.as_mut_slice();
        while matches!(decoder.decode(&mut rest), Ok(Some(_))) {}
        decoder.message_in_progress()
    };
    assert!(!feed(&[(LAST_TEXT, b"whole")]));
    assert!(feed(&[(TEXT, b"first")]));
    assert!(feed(&[(PING, b""), (CONT, b"second")]));
    assert!(!feed(&[(LAST_CONT, b"last")]));
    assert!(feed(&[(BINARY, b"first")]));
    assert!(!feed(&[(CLOSE, b"")]));
}

#[test]
fn a_message_of_one_frame_is_not_copied() {
    let mut input = stream(&[(LAST_TEXT, b"in place")]);
    let range = input.as_ptr_range();
    let mut rest = input.as_mut_slice();
    let Ok(Some(Event::Text(text))) = Decoder::new(Role::Server, Limits::DEFAULT).decode(&mut rest)
    else {
        panic!("no text");
    };
    assert_eq!(text, "in place");
    assert!(range.contains(&text.as_ptr()));
}
