//! WebSocket frames and handshake (RFC 6455): bytes in, events out.
//!
//! Used by `realtime` on the server's side and by `bench` on the client's side. There is no IO, no
//! clock, no task and no HTTP parser here: the caller reads and writes the socket, and owns the
//! buffer in which frames are decoded in place.
//!
//! Invariants:
//! 1. A frame is unmasked once, when it is whole. Input that is not a whole frame is left exactly
//!    as it was, so the caller may keep it, append to it and give it again.
//! 2. The same bytes give the same events however they are cut into reads.
//! 3. A violation is found at the first byte that shows it, or at the end of that frame when it is
//!    about the payload. A frame beyond the limits is refused from its head, so what the caller
//!    has to keep between two reads never exceeds [`Limits::frame_bytes`] + [`encode::HEAD_MAX`].
//! 4. A violation is final: the decoder repeats it. After a close frame nothing more is decoded.
//! 5. Memory: a [`Decoder`] is 40 bytes; only a fragmented message allocates, at most twice
//!    [`Limits::message_bytes`], and it is freed with the message.
//! 6. Everything that `encode` makes is accepted by a [`Decoder`] of the other [`Role`].
//!
//! Deliberately absent: extensions (RSV bits are refused, offers are ignored), subprotocols, the
//! time limit of a message ([`Decoder::message_in_progress`] tells the caller when its clock has
//! to run), answers to pings (only the newest one needs one, and only the caller knows which it
//! is), and the check of `Host` and `Origin`, which belongs to the HTTP server.
//!
//! Begin reading with [`Decoder::decode`], then [`encode::head`] and [`handshake::accept`].

#![warn(missing_docs)]

mod close;
mod decode;
pub mod encode;
pub mod handshake;
mod mask;
mod opcode;
mod violation;

pub use close::{Close, CloseCode};
pub use decode::{Decoder, Event, Limits, Role};
pub use mask::apply_mask;
pub use opcode::Opcode;
pub use violation::Violation;
