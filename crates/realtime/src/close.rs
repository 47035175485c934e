//! Why the server ends a connection, and which code says so to whom.

/// A reason to end a connection. What it means for the session is [`Close::keeps_session`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Close {
    /// Something on our side; come back and resume.
    TryAgain,
    /// An opcode nobody knows.
    UnknownOpcode,
    /// Not JSON, not the shape of the opcode, or too large.
    Decode,
    /// A command before IDENTIFY or RESUME.
    NotAuthenticated,
    /// The token is bad.
    BadToken,
    /// The token or device was taken back.
    Revoked,
    /// IDENTIFY or RESUME on a live session.
    AlreadyAuthenticated,
    /// RESUME from a number that was never sent.
    BadSequence,
    /// More than 120 commands in 60 seconds.
    RateLimited,
    /// No heartbeat, or no IDENTIFY in time.
    TimedOut,
    /// Shard numbers make no sense.
    BadShard,
    /// Another version of the protocol.
    BadVersion,
    /// A privileged intent the application was not granted.
    IntentNotGranted,
    /// The queue to this socket is full.
    SlowConsumer,
    /// The node is going down.
    Draining,
    /// The user has too many sockets.
    TooManySockets,
}

/// How a client reads close codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A stock library: it resumes on codes it does not know, so it gets only Discord's.
    Stock,
    /// One of ours, which asked for own codes.
    Native,
}

impl Close {
    /// The code on the wire.
    pub(crate) fn code(self, dialect: Dialect) -> u16 {
        match self {
            Close::TryAgain => 4000,
            Close::UnknownOpcode => 4001,
            Close::Decode => 4002,
            Close::NotAuthenticated => 4003,
            Close::BadToken | Close::Revoked => 4004,
            Close::AlreadyAuthenticated => 4005,
            Close::BadSequence => 4007,
            Close::RateLimited => 4008,
            Close::TimedOut => 4009,
            Close::BadShard => 4010,
            Close::BadVersion => 4012,
            Close::IntentNotGranted => 4014,
            Close::SlowConsumer if dialect == Dialect::Native => 4100,
            Close::Draining if dialect == Dialect::Native => 4101,
            Close::TooManySockets if dialect == Dialect::Native => 4105,
            Close::SlowConsumer | Close::Draining => 4000,
            Close::TooManySockets => 4004,
        }
    }

    /// The text beside the code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Close::TryAgain => "try again",
            Close::UnknownOpcode => "unknown opcode",
            Close::Decode => "the frame could not be read",
            Close::NotAuthenticated => "identify or resume first",
            Close::BadToken => "the token is not valid",
            Close::Revoked => "the token was revoked",
            Close::AlreadyAuthenticated => "already identified",
            Close::BadSequence => "this sequence number was never sent",
            Close::RateLimited => "more than 120 commands in 60 seconds",
            Close::TimedOut => "timed out",
            Close::BadShard => "the shard is not valid",
            Close::BadVersion => "only version 10 is spoken here",
            Close::IntentNotGranted => "a privileged intent was not granted to this application",
            Close::SlowConsumer => "the client reads too slowly; resume",
            Close::Draining => "the node restarts; resume",
            Close::TooManySockets => "too many sockets of this user",
        }
    }

    /// Whether a RESUME may follow.
    pub(crate) fn keeps_session(self) -> bool {
        match self {
            Close::TryAgain
            | Close::UnknownOpcode
            | Close::Decode
            | Close::RateLimited
            | Close::TimedOut
            | Close::AlreadyAuthenticated
            | Close::SlowConsumer
            | Close::Draining => true,
            Close::NotAuthenticated
            | Close::BadToken
            | Close::Revoked
            | Close::BadSequence
            | Close::BadShard
            | Close::BadVersion
            | Close::IntentNotGranted
            | Close::TooManySockets => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_clients_never_see_our_codes() {
        for close in [Close::SlowConsumer, Close::Draining, Close::TooManySockets] {
            assert!(close.code(Dialect::Stock) < 4100);
            assert!(close.code(Dialect::Native) >= 4100);
        }
        assert_eq!(Close::SlowConsumer.code(Dialect::Native), 4100);
        assert_eq!(Close::Revoked.code(Dialect::Native), 4004);
    }
}
