//! Reading frames, in place in the caller's buffer.

use std::borrow::Cow;

use crate::close::{self, Close};
use crate::{Opcode, Violation, apply_mask};

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7F;

/// Which end of the connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We are the server: every frame that comes in has a mask.
    Server,
    /// We are the client: no frame that comes in has a mask.
    Client,
}

/// How much a peer may send. Control frames have their own, fixed limit of 125 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest payload of one data frame.
    pub frame_bytes: usize,
    /// The longest message, all of its frames together.
    pub message_bytes: usize,
    /// The most frames of one message. Empty ones count, so that they cannot go on for ever.
    pub fragments: u32,
}

impl Limits {
    /// 16 KiB for a frame and for a message, 32 frames a message.
    pub const DEFAULT: Self = Self {
        frame_bytes: 16 * 1024,
        message_bytes: 16 * 1024,
        fragments: 32,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A whole message or a control frame.
///
/// A message of one frame borrows from the caller's buffer; one that came in fragments is owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'b> {
    /// A text message.
    Text(Cow<'b, str>),
    /// A binary message.
    Binary(Cow<'b, [u8]>),
    /// A ping; [`crate::encode::pong`] answers it. Only the newest needs an answer.
    Ping(&'b [u8]),
    /// A pong.
    Pong(&'b [u8]),
    /// The peer closes, and nothing comes after it. `None`: without a code.
    Close(Option<Close<'b>>),
}

/// Turns the bytes of one connection into events.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Boxed, because almost no message is fragmented and every idle socket has a decoder.
    message: Option<Box<Message>>,
    role: Role,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    Closed,
    Failed(Violation),
}

/// A message of which not all frames have come.
#[derive(Debug)]
struct Message {
    bytes: Vec<u8>,
    /// `bytes` up to here are known to be UTF-8; at most three bytes lie beyond.
    checked: usize,
    fragments: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Last,
    More,
}

struct FrameHead {
    opcode: Opcode,
    part: Part,
    key: Option<[u8; 4]>,
    head_bytes: usize,
    payload_bytes: usize,
}

enum Step<'b> {
    Event(Event<'b>),
    Fragment,
    NeedMore,
}

impl Decoder {
    /// Begins a connection whose handshake is done.
    pub const fn new(role: Role, limits: Limits) -> Self {
        Self {
            limits,
            message: None,
            role,
            state: State::Open,
        }
    }

    /// Takes whole frames off the front of `input` until one completes an event.
    ///
    /// `Ok(None)` means that more bytes are needed: what is left in `input` is the beginning of a
    /// frame, untouched, and has to stand in front of the next bytes. After a close frame all
    /// input is swallowed.
    ///
    /// # Errors
    /// The [`Violation`] of the peer; from then on every call gives the same one.
    pub fn decode<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Event<'b>>, Violation> {
        match self.state {
            State::Open => {}
            State::Closed => {
                *input = &mut [];
                return Ok(None);
            }
            State::Failed(violation) => return Err(violation),
        }
        loop {
            match self.step(input) {
                Ok(Step::Event(event)) => return Ok(Some(event)),
                Ok(Step::Fragment) => {}
                Ok(Step::NeedMore) => return Ok(None),
                Err(violation) => {
                    self.message = None;
                    self.state = State::Failed(violation);
                    return Err(violation);
                }
            }
        }
    }

    /// Tells whether some, but not all, frames of a message have come.
    ///
    /// The time limit of a message runs while this is true, and while the caller keeps the
    /// beginning of a frame.
    pub const fn message_in_progress(&self) -> bool {
        self.message.is_some()
    }

    fn step<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Step<'b>, Violation> {
        let Some(head) = self.read_head(input)? else {
            return Ok(Step::NeedMore);
        };
        let Some(frame_bytes) = head.head_bytes.checked_add(head.payload_bytes) else {
            return Err(Violation::FrameTooBig);
        };
        let Some(frame) = input.split_off_mut(..frame_bytes) else {
            return Ok(Step::NeedMore);
        };
        let payload = frame.get_mut(head.head_bytes..).unwrap_or_default();
        if let Some(key) = head.key {
            apply_mask(payload, key);
        }
        let payload: &'b [u8] = payload;
        let event = match (head.opcode, head.part) {
            (Opcode::Text, Part::Last) => match std::str::from_utf8(payload) {
                Ok(text) => Event::Text(Cow::Borrowed(text)),
                Err(_) => return Err(Violation::TextUtf8),
            },
            (Opcode::Binary, Part::Last) => Event::Binary(Cow::Borrowed(payload)),
            (Opcode::Text, Part::More) => return self.begin(Kind::Text, payload),
            (Opcode::Binary, Part::More) => return self.begin(Kind::Binary, payload),
            (Opcode::Continuation, part) => return self.resume(part, payload),
            (Opcode::Ping, _) => Event::Ping(payload),
            (Opcode::Pong, _) => Event::Pong(payload),
            (Opcode::Close, _) => {
                let close = close::parse(payload)?;
                self.message = None;
                self.state = State::Closed;
                *input = &mut [];
                Event::Close(close)
            }
        };
        Ok(Step::Event(event))
    }

    /// Reads a head and checks all that can be checked before the payload is there.
    ///
    /// Each byte is judged as soon as it is there, so a peer that breaks a rule and then falls
    /// silent is closed all the same.
    fn read_head(&self, input: &[u8]) -> Result<Option<FrameHead>, Violation> {
        let Some((first, rest)) = input.split_first() else {
            return Ok(None);
        };
        let (opcode, part) = self.check_first(*first)?;
        let Some((second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let short = self.check_second(*second, opcode)?;
        let Some((length, rest)) = read_length(short, rest)? else {
            return Ok(None);
        };
        let payload_bytes = self.check_size(opcode, length)?;
        let (key, rest) = match self.role {
            Role::Client => (None, rest),
            Role::Server => match rest.split_first_chunk::<4>() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        let head_bytes = input.len() - rest.len();
        Ok(Some(FrameHead {
            opcode,
            part,
            key,
            head_bytes,
            payload_bytes,
        }))
    }

    fn check_first(&self, first: u8) -> Result<(Opcode, Part), Violation> {
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBit);
        }
        let Some(opcode) = Opcode::from_bits(first & OPCODE) else {
            return Err(Violation::ReservedOpcode);
        };
        let part = if first & FIN == 0 {
            Part::More
        } else {
            Part::Last
        };
        match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong if part == Part::More => {
                Err(Violation::FragmentedControl)
            }
            Opcode::Continuation if self.message.is_none() => {
                Err(Violation::ContinuationWithoutStart)
            }
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                Err(Violation::DataInsideMessage)
            }
            Opcode::Continuation
            | Opcode::Text
            | Opcode::Binary
            | Opcode::Close
            | Opcode::Ping
            | Opcode::Pong => Ok((opcode, part)),
        }
    }

    /// Gives the seven bits of the length.
    fn check_second(&self, second: u8, opcode: Opcode) -> Result<u8, Violation> {
        match (self.role, second & MASKED != 0) {
            (Role::Server, false) => return Err(Violation::Unmasked),
            (Role::Client, true) => return Err(Violation::Masked),
            (Role::Server, true) | (Role::Client, false) => {}
        }
        let short = second & LENGTH;
        if opcode.is_control() && short > 125 {
            return Err(Violation::LongControl);
        }
        Ok(short)
    }

    fn check_size(&self, opcode: Opcode, length: u64) -> Result<usize, Violation> {
        let Ok(length) = usize::try_from(length) else {
            return Err(Violation::FrameTooBig);
        };
        if opcode.is_control() {
            return Ok(length);
        }
        if length > self.limits.frame_bytes {
            return Err(Violation::FrameTooBig);
        }
        let (so_far, fragments) = self
            .message
            .as_ref()
            .map_or((0, 0), |message| (message.bytes.len(), message.fragments));
        if length > self.limits.message_bytes.saturating_sub(so_far) {
            return Err(Violation::MessageTooBig);
        }
        if fragments >= self.limits.fragments {
            return Err(Violation::TooManyFragments);
        }
        Ok(length)
    }

    fn begin<'b>(&mut self, kind: Kind, payload: &[u8]) -> Result<Step<'b>, Violation> {
        let mut message = Message {
            bytes: Vec::new(),
            checked: 0,
            fragments: 0,
            kind,
        };
        message.append(payload)?;
        self.message = Some(Box::new(message));
        Ok(Step::Fragment)
    }

    fn resume<'b>(&mut self, part: Part, payload: &[u8]) -> Result<Step<'b>, Violation> {
        let Some(mut message) = self.message.take() else {
            return Err(Violation::ContinuationWithoutStart);
        };
        message.append(payload)?;
        match part {
            Part::Last => Ok(Step::Event(message.finish()?)),
            Part::More => {
                self.message = Some(message);
                Ok(Step::Fragment)
            }
        }
    }
}

impl Message {
    fn append(&mut self, payload: &[u8]) -> Result<(), Violation> {
        self.fragments += 1;
        self.bytes.extend_from_slice(payload);
        match self.kind {
            Kind::Binary => Ok(()),
            Kind::Text => self.check_text(),
        }
    }

    /// Refuses what can never become UTF-8; a character cut by the end of the frame may go on.
    fn check_text(&mut self) -> Result<(), Violation> {
        let unchecked = self.bytes.get(self.checked..).unwrap_or_default();
        self.checked += match std::str::from_utf8(unchecked) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(Violation::TextUtf8),
        };
        Ok(())
    }

    fn finish<'b>(self) -> Result<Event<'b>, Violation> {
        match self.kind {
            Kind::Binary => Ok(Event::Binary(Cow::Owned(self.bytes))),
            Kind::Text => match String::from_utf8(self.bytes) {
                Ok(text) => Ok(Event::Text(Cow::Owned(text))),
                Err(_) => Err(Violation::TextUtf8),
            },
        }
    }
}

/// Reads the rest of the length; `None` when its bytes are not there yet.
fn read_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    match short {
        126 => {
            let Some((bytes, rest)) = rest.split_first_chunk::<2>() else {
                return Ok(None);
            };
            match u16::from_be_bytes(*bytes) {
                0..=125 => Err(Violation::LengthNotShortest),
                length => Ok(Some((u64::from(length), rest))),
            }
        }
        127 => {
            let Some((bytes, rest)) = rest.split_first_chunk::<8>() else {
                return Ok(None);
            };
            match u64::from_be_bytes(*bytes) {
                0..=0xFFFF => Err(Violation::LengthNotShortest),
                0x8000_0000_0000_0000.. => Err(Violation::LengthTopBit),
                length => Ok(Some((length, rest))),
            }
        }
        length => Ok(Some((u64::from(length), rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;

    #[test]
    fn decoder_stays_small() {
        assert!(size_of::<Decoder>() <= 40, "{} bytes", size_of::<Decoder>());
    }
}
