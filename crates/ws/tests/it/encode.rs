//! What is encoded decodes to itself, and heads have their exact bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use ws::encode::{self, CONTROL_MAX, append_masked_fragment, append_masked_frame, head};
use ws::{CloseCode, Limits, Opcode, Role};

use crate::bodies::{Seen, append_event};
use crate::builders::{KEY, decode, raw};

#[test]
fn heads_have_2_4_or_10_bytes() {
    assert_eq!(&*head(Opcode::Text, 0), [0x81, 0]);
    assert_eq!(&*head(Opcode::Text, 125), [0x81, 125]);
    assert_eq!(&*head(Opcode::Binary, 126), [0x82, 126, 0, 126]);
    assert_eq!(&*head(Opcode::Binary, 65_535), [0x82, 126, 0xFF, 0xFF]);
    assert_eq!(
        &*head(Opcode::Text, 65_536),
        [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]
    );
    assert_eq!(&*head(Opcode::Text, 5).unfinished(), [0x01, 5]);
    assert_eq!(&*head(Opcode::Continuation, 5).unfinished(), [0x00, 5]);
    assert_eq!(&*head(Opcode::Continuation, 5), [0x80, 5]);
}

#[test]
fn masked_heads_have_4_bytes_more() {
    assert_eq!(
        &*head(Opcode::Text, 3).masked([1, 2, 3, 4]),
        [0x81, 0x83, 1, 2, 3, 4]
    );
    let long = head(Opcode::Text, 65_536).masked([1, 2, 3, 4]);
    assert_eq!(&*long, [0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]);
    assert_eq!(long.len(), encode::HEAD_MAX);
}

#[test]
fn the_examples_of_the_rfc_are_met() {
    let mut out = Vec::new();
    encode::append_frame(&mut out, Opcode::Text, b"Hello");
    assert_eq!(out, b"\x81\x05Hello");
    out.clear();
    append_masked_frame(&mut out, Opcode::Text, b"Hello", [0x37, 0xFA, 0x21, 0x3D]);
    assert_eq!(out, b"\x81\x85\x37\xFA\x21\x3D\x7F\x9F\x4D\x51\x58");
    assert_eq!(&*encode::ping(b"Hello").unwrap(), b"\x89\x05Hello");
    assert_eq!(&*encode::pong(b"Hello").unwrap(), b"\x8A\x05Hello");
}

#[test]
fn ping_and_pong_end_at_125_bytes() {
    for make in [encode::ping, encode::pong] {
        assert_eq!(make(&[7; CONTROL_MAX]).unwrap().payload(), [7; CONTROL_MAX]);
        assert_eq!(make(&[7; CONTROL_MAX + 1]), None);
    }
}

#[test]
fn a_long_reason_is_cut_before_the_character_that_does_not_fit() {
    let fits = "x".repeat(123);
    assert_eq!(
        &encode::close(CloseCode::NORMAL, &fits).payload()[2..],
        fits.as_bytes()
    );
    let long = format!("{}ş and more", "x".repeat(122));
    let frame = encode::close(CloseCode::POLICY, &long);
    assert_eq!(
        frame.payload(),
        [&1008u16.to_be_bytes()[..], &[b'x'; 122]].concat()
    );
    assert_eq!(frame.len(), 126);
    assert_eq!(&*encode::close_without_code(), [0x88, 0]);
}

fn event() -> impl Strategy<Value = Seen> {
    let control = || vec(any::<u8>(), 0..=CONTROL_MAX);
    prop_oneof![
        any::<String>().prop_map(Seen::Text),
        vec(any::<u8>(), 0..400).prop_map(Seen::Binary),
        (65_000usize..66_000).prop_map(|length| Seen::Binary(vec![9; length])),
        control().prop_map(Seen::Ping),
        control().prop_map(Seen::Pong),
    ]
}

fn close() -> impl Strategy<Value = Seen> {
    let code = any::<u16>().prop_filter_map("not a close code", CloseCode::new);
    prop::option::of((code, "\\PC{0,30}")).prop_map(Seen::Close)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn p6_encoded_events_decode_to_themselves(
        events in vec(event(), 0..8),
        close in close(),
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
    ) {
        let events: Vec<Seen> = events.into_iter().chain([close]).collect();
        let mut bytes = Vec::new();
        for event in &events {
            append_event(&mut bytes, role, event);
        }
        let limits = Limits { frame_bytes: 66_000, message_bytes: 66_000, fragments: 1 };
        prop_assert_eq!(decode(role, limits, bytes), (events, Ok(())));
    }

    #[test]
    fn p6_fragments_decode_to_their_message(
        parts in vec("[a-zşğ😀]{0,20}", 1..=32),
        key in any::<[u8; 4]>(),
    ) {
        let mut bytes = Vec::new();
        let mut opcode = Opcode::Text;
        let (last, before) = parts.split_last().unwrap();
        for part in before {
            append_masked_fragment(&mut bytes, opcode, part.as_bytes(), key);
            opcode = Opcode::Continuation;
        }
        append_masked_frame(&mut bytes, opcode, last.as_bytes(), key);
        let message = Seen::Text(parts.concat());
        prop_assert_eq!(decode(Role::Server, Limits::DEFAULT, bytes), (vec![message], Ok(())));
    }

    #[test]
    fn p6_frames_equal_those_made_by_hand(payload in vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        encode::append_frame(&mut out, Opcode::Binary, &payload);
        prop_assert_eq!(&out, &raw(Role::Client, 0x82, &payload));
        out.clear();
        append_masked_frame(&mut out, Opcode::Binary, &payload, KEY);
        prop_assert_eq!(&out, &raw(Role::Server, 0x82, &payload));
    }
}
