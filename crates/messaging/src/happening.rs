//! What changes do, as it stands among a channel's events for clients that catch up. Pure.
//!
//! The stored form names things and never holds their text, so that a deletion leaves nothing
//! behind in it.

use kernel::MessageId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened, with its number in the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happened {
    pub(crate) ev: i64,
    pub(crate) what: Happening,
}

/// One thing that can happen in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Happening {
    /// A change said something in the channel. Not stored here: the message itself is.
    Said(Said),
    /// A message shows something else now.
    Updated(Named),
    /// A message is gone.
    Deleted(Named),
}

/// A message that a change left in the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    pub(crate) message_id: MessageId,
    pub(crate) seq: i64,
}

/// A message, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) message_id: MessageId,
}

impl Happening {
    /// The stored number of the kind; none for what is not stored here.
    pub(crate) fn kind(&self) -> Option<i16> {
        match self {
            Happening::Said(_) => None,
            Happening::Updated(_) => Some(1),
            Happening::Deleted(_) => Some(2),
        }
    }

    /// Reads the stored form; none for a kind that a newer release made.
    pub(crate) fn read(kind: i16, payload: Value) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match kind {
            1 => Happening::Updated(serde_json::from_value(payload)?),
            2 => Happening::Deleted(serde_json::from_value(payload)?),
            _ => return Ok(None),
        }))
    }
}

/// The numbers of all kinds that this build can read.
pub(crate) fn kinds() -> Vec<i16> {
    let is_known = |kind: &i16| !matches!(Happening::read(*kind, Value::Null), Ok(None));
    (i16::MIN..i16::MAX).filter(is_known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back() {
        let named = Named {
            message_id: MessageId::new(7),
        };
        for what in [Happening::Updated(named), Happening::Deleted(named)] {
            let payload = serde_json::to_value(&what).unwrap();
            let kind = what.kind().unwrap();
            assert_eq!(Happening::read(kind, payload).unwrap(), Some(what));
        }
        assert_eq!(Happening::read(i16::MAX, Value::Null).unwrap(), None);
        assert!(Happening::read(1, Value::Null).is_err());
    }
}
