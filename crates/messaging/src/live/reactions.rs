//! The records of reactions and votes.

use contracts::communities::Member;
use contracts::messaging::PartialEmoji;
use infra::fanout::{Record, Version};
use kernel::{ChannelId, CommunityId, MessageId, UserId};
use serde::Serialize;

use super::{Audience, intent, plain};
use crate::emoji;
use crate::error::Error;
use crate::happening::{NamedEmoji, Reacted, Voted};

impl Audience {
    /// The record of a reaction that came or went.
    pub(super) fn reacted(
        &self,
        name: &'static str,
        reacted: &Reacted,
        ev: i64,
    ) -> Result<Record, Error> {
        let data = Given {
            user_id: reacted.user_id,
            place: self.of_message(reacted.message_id),
            member: self.member.as_ref().filter(|member| member.user.is_some()),
            emoji: emoji::shown(&reacted.emoji),
            message_author_id: reacted.author_id,
            burst: false,
            kind: 0,
        };
        self.reaction(name, &data, ev)
    }

    /// The record of all reactions of a message gone.
    pub(super) fn reactions_cleared(&self, id: MessageId, ev: i64) -> Result<Record, Error> {
        self.reaction("MESSAGE_REACTION_REMOVE_ALL", &self.of_message(id), ev)
    }

    /// The record of all reactions with one emoji gone.
    pub(super) fn emoji_cleared(&self, named: &NamedEmoji, ev: i64) -> Result<Record, Error> {
        let data = Cleared {
            place: self.of_message(named.message_id),
            emoji: emoji::shown(&named.emoji),
        };
        self.reaction("MESSAGE_REACTION_REMOVE_EMOJI", &data, ev)
    }

    /// The record of a vote that came or went.
    pub(super) fn voted(&self, name: &'static str, voted: Voted, ev: i64) -> Result<Record, Error> {
        let data = Vote {
            user_id: voted.user_id,
            place: self.of_message(voted.message_id),
            answer_id: voted.answer_id,
        };
        let intent = self.intent(intent::GUILD_POLLS, intent::DIRECT_POLLS);
        Ok(self.record(plain(name, Some(intent), &data)?, Version::Ev(ev)))
    }

    fn of_message(&self, message_id: MessageId) -> OfMessage {
        OfMessage {
            message_id,
            channel_id: self.channel,
            guild_id: self.community,
        }
    }

    fn reaction<T: Serialize>(
        &self,
        name: &'static str,
        data: &T,
        ev: i64,
    ) -> Result<Record, Error> {
        let intent = self.intent(intent::GUILD_REACTIONS, intent::DIRECT_REACTIONS);
        Ok(self.record(plain(name, Some(intent), data)?, Version::Ev(ev)))
    }
}

#[derive(Serialize)]
struct OfMessage {
    message_id: MessageId,
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
}

#[derive(Serialize)]
struct Given<'a> {
    user_id: UserId,
    #[serde(flatten)]
    place: OfMessage,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a Member>,
    emoji: PartialEmoji,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_author_id: Option<UserId>,
    /// The dialect's other kind of reaction, which does not exist here.
    burst: bool,
    #[serde(rename = "type")]
    kind: u8,
}

#[derive(Serialize)]
struct Cleared {
    #[serde(flatten)]
    place: OfMessage,
    emoji: PartialEmoji,
}

#[derive(Serialize)]
struct Vote {
    user_id: UserId,
    #[serde(flatten)]
    place: OfMessage,
    answer_id: i16,
}
