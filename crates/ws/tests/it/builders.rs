//! Frames by hand, so that the tests can also build wrong ones.

use ws::{Decoder, Limits, Role, Violation, apply_mask};

use crate::bodies::Seen;

/// The key of every masked test frame.
pub(crate) const KEY: [u8; 4] = [0x12, 0x00, 0xFE, 0x81];

/// A frame with any first byte, masked when a server is to read it, its length in shortest form.
pub(crate) fn raw(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if role == Role::Server { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(mask_bit | u8::try_from(length).unwrap()),
        length @ 126..=0xFFFF => {
            frame.push(mask_bit | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(mask_bit | 127);
            frame.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    let start = frame.len();
    if role == Role::Server {
        frame.extend(KEY);
        frame.extend(payload);
        apply_mask(&mut frame[start + KEY.len()..], KEY);
    } else {
        frame.extend(payload);
    }
    frame
}

/// Frames one after the other, as a server reads them.
pub(crate) fn stream(frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames
        .iter()
        .flat_map(|(first, payload)| raw(Role::Server, *first, payload))
        .collect()
}

/// The events of an input up to its end or its violation.
pub(crate) fn decode(
    role: Role,
    limits: Limits,
    mut input: Vec<u8>,
) -> (Vec<Seen>, Result<(), Violation>) {
    let mut decoder = Decoder::new(role, limits);
    let mut rest = input.as_mut_slice();
    let mut events = Vec::new();
    loop {
        match decoder.decode(&mut rest) {
            Ok(Some(event)) => events.push(Seen::from(event)),
            Ok(None) => return (events, Ok(())),
            Err(violation) => return (events, Err(violation)),
        }
    }
}
