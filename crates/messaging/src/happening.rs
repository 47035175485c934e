//! What changes do, as it stands among a channel's events for clients that catch up. Pure.
//!
//! The stored form names things and never holds their text, so that a deletion leaves nothing
//! behind in it.

use jiff::Timestamp;
use kernel::{MessageId, UserId};
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
    /// Somebody hung an emoji on a message.
    Reacted(Reacted),
    /// A message lost somebody's emoji.
    Unreacted(Reacted),
    /// A message lost all reactions.
    ReactionsCleared(Named),
    /// A message lost all reactions with one emoji.
    EmojiCleared(NamedEmoji),
    /// A pin came or went.
    PinsMoved(PinsMoved),
    /// Many messages are gone.
    DeletedMany(NamedMany),
    /// Later messages stay for another time.
    TtlSet(TtlSet),
    /// Somebody chose an answer of a poll.
    VoteCame(Voted),
    /// Somebody chose an answer no more.
    VoteWent(Voted),
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

/// Messages, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedMany {
    pub(crate) message_ids: Vec<MessageId>,
}

/// How a channel's pins stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PinsMoved {
    /// When the newest came; none without any.
    pub(crate) last_pin_at: Option<Timestamp>,
}

/// How long later messages stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TtlSet {
    /// Seconds; 0 = for good.
    pub(crate) message_ttl: i32,
}

/// Somebody's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Voted {
    pub(crate) message_id: MessageId,
    pub(crate) user_id: UserId,
    pub(crate) answer_id: i16,
}

/// Somebody's reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reacted {
    pub(crate) message_id: MessageId,
    pub(crate) user_id: UserId,
    pub(crate) emoji: String,
    /// Who wrote the message; told where a reaction comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) author_id: Option<UserId>,
}

/// An emoji of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedEmoji {
    pub(crate) message_id: MessageId,
    pub(crate) emoji: String,
}

impl Happening {
    /// The stored number of the kind; none for what is not stored here.
    pub(crate) fn kind(&self) -> Option<i16> {
        match self {
            Happening::Said(_) => None,
            Happening::Updated(_) => Some(1),
            Happening::Deleted(_) => Some(2),
            Happening::Reacted(_) => Some(3),
            Happening::Unreacted(_) => Some(4),
            Happening::ReactionsCleared(_) => Some(5),
            Happening::EmojiCleared(_) => Some(6),
            Happening::PinsMoved(_) => Some(7),
            Happening::DeletedMany(_) => Some(8),
            Happening::VoteCame(_) => Some(9),
            Happening::VoteWent(_) => Some(10),
            Happening::TtlSet(_) => Some(11),
        }
    }

    /// Reads the stored form; none for a kind that a newer release made.
    pub(crate) fn read(kind: i16, payload: Value) -> Result<Option<Self>, serde_json::Error> {
        Ok(Some(match kind {
            1 => Happening::Updated(serde_json::from_value(payload)?),
            2 => Happening::Deleted(serde_json::from_value(payload)?),
            3 => Happening::Reacted(serde_json::from_value(payload)?),
            4 => Happening::Unreacted(serde_json::from_value(payload)?),
            5 => Happening::ReactionsCleared(serde_json::from_value(payload)?),
            6 => Happening::EmojiCleared(serde_json::from_value(payload)?),
            7 => Happening::PinsMoved(serde_json::from_value(payload)?),
            8 => Happening::DeletedMany(serde_json::from_value(payload)?),
            9 => Happening::VoteCame(serde_json::from_value(payload)?),
            10 => Happening::VoteWent(serde_json::from_value(payload)?),
            11 => Happening::TtlSet(serde_json::from_value(payload)?),
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
        let reacted = Reacted {
            message_id: MessageId::new(7),
            user_id: UserId::new(8),
            emoji: "🔥".to_owned(),
            author_id: None,
        };
        let emoji = NamedEmoji {
            message_id: MessageId::new(7),
            emoji: "gul:9".to_owned(),
        };
        let voted = Voted {
            message_id: MessageId::new(7),
            user_id: UserId::new(8),
            answer_id: 2,
        };
        let all = [
            Happening::VoteCame(voted),
            Happening::VoteWent(voted),
            Happening::TtlSet(TtlSet { message_ttl: 60 }),
            Happening::Updated(named),
            Happening::Deleted(named),
            Happening::Reacted(reacted.clone()),
            Happening::Unreacted(reacted),
            Happening::ReactionsCleared(named),
            Happening::EmojiCleared(emoji),
            Happening::PinsMoved(PinsMoved {
                last_pin_at: Some("2026-11-20T07:00:00Z".parse().unwrap()),
            }),
            Happening::DeletedMany(NamedMany {
                message_ids: vec![MessageId::new(7), MessageId::new(8)],
            }),
        ];
        assert_eq!(all.len(), kinds().len());
        for what in all {
            let payload = serde_json::to_value(&what).unwrap();
            let kind = what.kind().unwrap();
            assert_eq!(Happening::read(kind, payload).unwrap(), Some(what));
        }
        assert_eq!(Happening::read(i16::MAX, Value::Null).unwrap(), None);
        assert!(Happening::read(1, Value::Null).is_err());
    }
}
