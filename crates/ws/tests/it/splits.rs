//! The same bytes decode to the same events however they are cut into reads.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use ws::{Limits, Role};

use crate::bodies::{self, decode_in_cuts};
use crate::builders::raw;

const LIMITS: Limits = Limits {
    frame_bytes: 200,
    message_bytes: 260,
    fragments: 5,
};

/// First bytes that are mostly good in a row, and payloads that are mostly text.
pub(crate) fn frames() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let first = prop_oneof![
        6 => Just(0x81u8),
        4 => Just(0x01),
        5 => Just(0x00),
        5 => Just(0x80),
        2 => Just(0x82),
        1 => Just(0x02),
        2 => Just(0x89),
        1 => Just(0x8A),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        6 => "[a-zığüşöç€😀]{0,12}".prop_map(String::into_bytes),
        // Cuts of characters that the next frame may or may not finish.
        2 => prop_oneof![
            Just(b"\xF0\x9F".to_vec()),
            Just(b"\x98\x80".to_vec()),
            Just(b"\xE2".to_vec()),
            Just(b"\x82\xAC".to_vec()),
        ],
        1 => vec(any::<u8>(), 0..20),
        1 => (100usize..300).prop_map(|length| vec![b'x'; length]),
        1 => (900u16..5100, "[a-z]{0,8}").prop_map(|(code, reason)| {
            [&code.to_be_bytes(), reason.as_bytes()].concat()
        }),
    ];
    vec((first, payload), 0..12)
}

/// A stream of such frames with up to three bytes changed, and perhaps cut off.
pub(crate) fn mutated_stream() -> impl Strategy<Value = (Role, Vec<u8>)> {
    let role = prop_oneof![Just(Role::Server), Just(Role::Client)];
    let changes = vec((any::<Index>(), any::<u8>()), 0..=3);
    let cut = prop::option::weighted(0.3, any::<Index>());
    (role, frames(), changes, cut).prop_map(|(role, frames, changes, cut)| {
        let mut bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, payload)| raw(role, *first, payload))
            .collect();
        if !bytes.is_empty() {
            for (index, value) in changes {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        }
        (role, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn p6_random_splits_give_the_same_events(
        (role, input) in mutated_stream(),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let whole = decode_in_cuts(role, LIMITS, &input, &[]);
        let mut cuts: Vec<usize> =
            cuts.iter().map(|index| index.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&decode_in_cuts(role, LIMITS, &input, &cuts), &whole);
        let single: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&decode_in_cuts(role, LIMITS, &input, &single), &whole);
    }

    #[test]
    fn p5_random_bytes_break_no_invariant(input in vec(any::<u8>(), 0..600)) {
        bodies::frames(&input);
        let _ = bodies::handshake(&input);
    }
}
