//! What a peer can do wrong, and the close code for it.

use std::fmt;

use crate::CloseCode;

/// A rule of the protocol, or a limit of ours, that the peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A client sent a frame without a mask.
    Unmasked,
    /// A server sent a frame with a mask.
    Masked,
    /// An RSV bit is set although no extension was agreed.
    ReservedBit,
    /// The opcode is one of 3–7 or 11–15.
    ReservedOpcode,
    /// A close, ping or pong frame is not the last of its message.
    FragmentedControl,
    /// A close, ping or pong frame says more than 125 bytes.
    LongControl,
    /// A continuation came while no message was open.
    ContinuationWithoutStart,
    /// A text or binary frame came before the open message ended.
    DataInsideMessage,
    /// The length would have fitted into fewer bytes.
    LengthNotShortest,
    /// The top bit of an eight byte length is set.
    LengthTopBit,
    /// A close frame has a payload of one byte.
    ClosePayload,
    /// The close code is not allowed in a frame.
    CloseCode,
    /// A text message is not UTF-8.
    TextUtf8,
    /// The reason of a close frame is not UTF-8.
    CloseReasonUtf8,
    /// A frame is longer than [`crate::Limits::frame_bytes`].
    FrameTooBig,
    /// A message is longer than [`crate::Limits::message_bytes`].
    MessageTooBig,
    /// A message has more frames than [`crate::Limits::fragments`].
    TooManyFragments,
}

impl Violation {
    /// Gives the code for the close frame that answers it.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Unmasked
            | Self::Masked
            | Self::ReservedBit
            | Self::ReservedOpcode
            | Self::FragmentedControl
            | Self::LongControl
            | Self::ContinuationWithoutStart
            | Self::DataInsideMessage
            | Self::LengthNotShortest
            | Self::LengthTopBit
            | Self::ClosePayload
            | Self::CloseCode => CloseCode::PROTOCOL,
            Self::TextUtf8 | Self::CloseReasonUtf8 => CloseCode::INVALID_DATA,
            Self::FrameTooBig | Self::MessageTooBig | Self::TooManyFragments => CloseCode::TOO_BIG,
        }
    }

    /// Gives a short public text, fit for the reason of the close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unmasked => "client frame without mask",
            Self::Masked => "server frame with mask",
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::FragmentedControl => "fragmented control frame",
            Self::LongControl => "control frame over 125 bytes",
            Self::ContinuationWithoutStart => "continuation without a message",
            Self::DataInsideMessage => "new message inside a message",
            Self::LengthNotShortest => "length not in its shortest form",
            Self::LengthTopBit => "length with its top bit set",
            Self::ClosePayload => "close payload of one byte",
            Self::CloseCode => "close code not allowed",
            Self::TextUtf8 => "text is not UTF-8",
            Self::CloseReasonUtf8 => "close reason is not UTF-8",
            Self::FrameTooBig => "frame too big",
            Self::MessageTooBig => "message too big",
            Self::TooManyFragments => "too many fragments",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Violation {}
