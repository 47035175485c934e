//! Writing frames.
//!
//! A head is made from the opcode and the length alone, so a server can send one shared payload to
//! many sockets by a vectored write of head and payload. Control frames are whole, on the stack.

use std::ops::Deref;

use crate::{CloseCode, Opcode, apply_mask};

/// The longest head: two bytes, a length of eight, a mask of four.
pub const HEAD_MAX: usize = 14;

/// The longest payload of a close, ping or pong frame.
pub const CONTROL_MAX: usize = 125;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTROL_HEAD: usize = 2;

/// The bytes in front of a payload: 2, 4 or 10, and 4 more with a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; HEAD_MAX],
    length: u8,
}

impl Head {
    /// Says that more frames of the same message follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        let [first, ..] = &mut self.bytes;
        *first &= !FIN;
        self
    }

    /// Adds a masking key, as a client must; the payload is masked by [`apply_mask`].
    ///
    /// Called once, last.
    #[must_use]
    pub fn masked(mut self, key: [u8; 4]) -> Self {
        let slots = self.bytes.iter_mut().skip(usize::from(self.length));
        for (slot, byte) in slots.zip(key) {
            *slot = byte;
            self.length += 1;
        }
        let [_, second, ..] = &mut self.bytes;
        *second |= MASKED;
        self
    }
}

impl Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

/// Makes the head of a finished frame as a server sends it.
///
/// The caller promises at most [`CONTROL_MAX`] bytes for a control opcode; [`ping`], [`pong`] and
/// [`close`] keep that promise by themselves.
pub fn head(opcode: Opcode, payload_bytes: usize) -> Head {
    debug_assert!(
        !opcode.is_control() || payload_bytes <= CONTROL_MAX,
        "control frame too long"
    );
    let first = FIN | opcode.bits();
    if let Ok(short @ 0..=125) = u8::try_from(payload_bytes) {
        return Head {
            bytes: [first, short, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            length: 2,
        };
    }
    if let Ok(medium) = u16::try_from(payload_bytes) {
        let [a, b] = medium.to_be_bytes();
        return Head {
            bytes: [first, 126, a, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            length: 4,
        };
    }
    // A slice is never longer than isize::MAX, so neither the conversion nor the top bit matters.
    let [a, b, c, d, e, f, g, h] = u64::try_from(payload_bytes)
        .unwrap_or(u64::MAX >> 1)
        .to_be_bytes();
    Head {
        bytes: [first, 127, a, b, c, d, e, f, g, h, 0, 0, 0, 0],
        length: 10,
    }
}

/// Appends a whole frame as a server sends it.
pub fn append_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let head = head(opcode, payload.len());
    out.reserve(head.len() + payload.len());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
}

/// Appends a whole frame as a client sends it, masked with a key of the caller's choice.
pub fn append_masked_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    append_masked(out, head(opcode, payload.len()).masked(key), payload, key);
}

/// Appends one frame of a fragmented message as a client sends it, with more to follow.
pub fn append_masked_fragment(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    append_masked(
        out,
        head(opcode, payload.len()).unfinished().masked(key),
        payload,
        key,
    );
}

fn append_masked(out: &mut Vec<u8>, head: Head, payload: &[u8], key: [u8; 4]) {
    out.reserve(head.len() + payload.len());
    out.extend_from_slice(&head);
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(out.get_mut(start..).unwrap_or_default(), key);
}

/// A whole close, ping or pong frame as a server sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlFrame {
    bytes: [u8; CONTROL_HEAD + CONTROL_MAX],
    length: u8,
}

impl ControlFrame {
    /// Gives what follows the head, for [`append_masked_frame`].
    pub fn payload(&self) -> &[u8] {
        self.get(CONTROL_HEAD..).unwrap_or_default()
    }

    /// Cuts the payload, already known to fit, at [`CONTROL_MAX`].
    fn new(opcode: Opcode, parts: [&[u8]; 2]) -> Self {
        let mut frame = Self {
            bytes: [0; CONTROL_HEAD + CONTROL_MAX],
            length: 2,
        };
        let mut payload_bytes = 0;
        let slots = frame.bytes.iter_mut().skip(CONTROL_HEAD);
        for (slot, byte) in slots.zip(parts.into_iter().flatten()) {
            *slot = *byte;
            payload_bytes += 1;
        }
        frame.length += payload_bytes;
        let [first, second, ..] = &mut frame.bytes;
        *first = FIN | opcode.bits();
        *second = payload_bytes;
        frame
    }
}

impl Deref for ControlFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

/// Makes a ping; `None` when the payload is over [`CONTROL_MAX`].
pub fn ping(payload: &[u8]) -> Option<ControlFrame> {
    (payload.len() <= CONTROL_MAX).then(|| ControlFrame::new(Opcode::Ping, [payload, &[]]))
}

/// Makes the answer to a ping; `None` when the payload is over [`CONTROL_MAX`].
///
/// A ping that came out of a [`crate::Decoder`] always fits.
pub fn pong(payload: &[u8]) -> Option<ControlFrame> {
    (payload.len() <= CONTROL_MAX).then(|| ControlFrame::new(Opcode::Pong, [payload, &[]]))
}

/// Makes a close frame. A reason over 123 bytes is cut before the character that does not fit.
pub fn close(code: CloseCode, reason: &str) -> ControlFrame {
    let fits = reason.floor_char_boundary(CONTROL_MAX - 2);
    let reason = reason.as_bytes().get(..fits).unwrap_or_default();
    ControlFrame::new(Opcode::Close, [&code.get().to_be_bytes(), reason])
}

/// Makes a close frame that says nothing, the answer to one that said nothing.
pub fn close_without_code() -> ControlFrame {
    ControlFrame::new(Opcode::Close, [&[], &[]])
}
