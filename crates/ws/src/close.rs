//! Close codes and the payload of a close frame.

use std::fmt;

use crate::Violation;

/// A close code that may stand in a frame: 1000–1003, 1007–1014 or 3000–4999.
///
/// 1005, 1006 and 1015 say that there was no code and are never sent, so they have no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server goes down, or the browser left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// The peer sent a kind of data that is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// The peer sent text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// The peer broke a rule of the house.
    pub const POLICY: Self = Self(1008);
    /// The peer sent more than is accepted.
    pub const TOO_BIG: Self = Self(1009);
    /// The server met a condition it did not expect.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts; the client may come back after a pause.
    pub const RESTART: Self = Self(1012);
    /// The server has too much to do; the client may come back later.
    pub const TRY_LATER: Self = Self(1013);

    /// Takes a number that is allowed in a frame.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Gives the number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a peer said when it closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'b> {
    /// Why, as a number.
    pub code: CloseCode,
    /// Why, in words; often empty, at most 123 bytes.
    pub reason: &'b str,
}

/// Reads the payload of a close frame; `None` when the peer gave no code.
pub(crate) fn parse(payload: &[u8]) -> Result<Option<Close<'_>>, Violation> {
    if payload.is_empty() {
        return Ok(None);
    }
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Err(Violation::ClosePayload);
    };
    let Ok(reason) = std::str::from_utf8(reason) else {
        return Err(Violation::CloseReasonUtf8);
    };
    let Some(code) = CloseCode::new(u16::from_be_bytes(*code)) else {
        return Err(Violation::CloseCode);
    };
    Ok(Some(Close { code, reason }))
}

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn exactly_the_allowed_close_codes_have_a_value() {
        for code in 0..=u16::MAX {
            let allowed = (1000..=1003).contains(&code)
                || (1007..=1014).contains(&code)
                || (3000..=4999).contains(&code);
            assert_eq!(
                CloseCode::new(code).map(CloseCode::get),
                allowed.then_some(code)
            );
        }
    }
}
