//! What connected clients are told: records for the fanout, each `d` encoded once.

mod reactions;
mod records;

use std::sync::Arc;

use bytes::Bytes;
use contracts::communities::Member;
use contracts::messaging::{Draft, Message, PrivateChannel, ReadState};
use infra::fanout::{Body, Control, Dispatch, Fanout, Record, Topic, Version};
use kernel::perm::Chat;
use kernel::{ChannelId, CommunityId, MessageId, UserId};
use serde::Serialize;

use crate::error::Error;
use crate::happening::{Happened, Happening};
use crate::places::Place;
use crate::sql::MovedReceipt;
use crate::unread::Badge;

pub(crate) use records::{ChannelPins, ChannelTtl};

/// Gateway intents, as bit positions.
mod intent {
    pub(super) const GUILDS: u8 = 0;
    pub(super) const GUILD_MESSAGES: u8 = 9;
    pub(super) const GUILD_MESSAGE_TYPING: u8 = 11;
    pub(super) const DIRECT_MESSAGES: u8 = 12;
    pub(super) const DIRECT_MESSAGE_TYPING: u8 = 14;
    pub(super) const GUILD_REACTIONS: u8 = 10;
    pub(super) const DIRECT_REACTIONS: u8 = 13;
    pub(super) const GUILD_POLLS: u8 = 24;
    pub(super) const DIRECT_POLLS: u8 = 25;
    /// Ours: receipts of others.
    pub(super) const RECEIPTS: u8 = 40;
    /// Ours: how the user stands in channels.
    pub(super) const READ_STATES: u8 = 47;
}

/// The event of a message that was not there before.
pub(crate) const CREATED: &str = "MESSAGE_CREATE";

/// Who is told of what happens in a channel, and with what beside it.
#[derive(Debug, Clone)]
pub(crate) struct Audience {
    pub(crate) topic: Topic,
    pub(crate) channel: ChannelId,
    pub(crate) community: Option<CommunityId>,
    pub(crate) epoch: i32,
    /// Who acts.
    pub(crate) actor: UserId,
    /// The same as a member.
    pub(crate) member: Option<Member>,
    /// Everybody in a private channel.
    pub(crate) private_members: Vec<UserId>,
}

impl Audience {
    pub(crate) fn of(place: &Place, actor: UserId) -> Self {
        Audience {
            topic: place.topic(),
            channel: place.channel,
            community: place.community(),
            epoch: place.epoch(),
            actor,
            member: place.member(),
            private_members: place.private_members().to_vec(),
        }
    }

    fn record(&self, dispatch: Dispatch, version: Version) -> Record {
        Record {
            body: Body::Dispatch(dispatch),
            community: self.community,
            channel: Some(self.channel),
            version,
            epoch: self.epoch,
            ephemeral: false,
        }
    }

    /// The record of what a change did. `shows` are the messages it made or changed, which get
    /// their numbers.
    pub(crate) fn happened(
        &self,
        happened: &Happened,
        shows: &mut [Message],
    ) -> Result<Record, Error> {
        let ev = happened.ev;
        match &happened.what {
            Happening::Said(said) => {
                let message = numbered(shows, said.message_id, ev)?;
                message.seq = said.seq;
                self.message(CREATED, message)
            }
            Happening::Updated(named) => {
                self.message("MESSAGE_UPDATE", numbered(shows, named.message_id, ev)?)
            }
            Happening::Deleted(named) => self.deleted(named.message_id, ev),
            Happening::Reacted(reacted) => self.reacted("MESSAGE_REACTION_ADD", reacted, ev),
            Happening::Unreacted(reacted) => self.reacted("MESSAGE_REACTION_REMOVE", reacted, ev),
            Happening::ReactionsCleared(named) => self.reactions_cleared(named.message_id, ev),
            Happening::EmojiCleared(named) => self.emoji_cleared(named, ev),
            Happening::VoteCame(voted) => self.voted("MESSAGE_POLL_VOTE_ADD", *voted, ev),
            Happening::VoteWent(voted) => self.voted("MESSAGE_POLL_VOTE_REMOVE", *voted, ev),
            Happening::TtlSet(set) => self.ttl_set(*set, ev),
            Happening::PinsMoved(moved) => self.pins_moved(*moved, ev),
            Happening::DeletedMany(named) => self.deleted_many(&named.message_ids, ev),
        }
    }

    /// The record of a message that was made or changed.
    pub(crate) fn message(
        &self,
        name: &'static str,
        message: &mut Message,
    ) -> Result<Record, Error> {
        message.guild_id = self.community;
        message.member = self
            .member
            .clone()
            .filter(|_| message.author.id == self.actor);
        let reactions = message.reactions.take();
        let poll = message.poll.clone();
        if let Some(poll) = &mut message.poll {
            poll.results.answer_counts = Vec::new();
        }
        if name == CREATED {
            message.reactions = Some(Vec::new());
        }
        let record = self.encode(name, message);
        message.guild_id = None;
        message.member = None;
        message.reactions = reactions;
        message.poll = poll;
        record
    }

    fn encode(&self, name: &'static str, message: &Message) -> Result<Record, Error> {
        let data = Bytes::from(serde_json::to_vec(message)?);
        let mut full_for: Vec<UserId> = message.mentions.iter().map(|user| user.id).collect();
        // In private channels everybody may read everything.
        let redacted = if self.community.is_some() {
            Some(Bytes::from(serde_json::to_vec(
                &message.clone().without_content(),
            )?))
        } else {
            full_for.extend(&self.private_members);
            None
        };
        full_for.sort_unstable();
        full_for.dedup();
        let dispatch = Dispatch {
            name: name.into(),
            intent: Some(self.intent(intent::GUILD_MESSAGES, intent::DIRECT_MESSAGES)),
            needs: Chat::NONE,
            author: Some(message.author.id),
            except: None,
            full_for,
            data,
            redacted,
        };
        Ok(self.record(dispatch, Version::Ev(message.ev)))
    }

    fn deleted(&self, id: MessageId, ev: i64) -> Result<Record, Error> {
        let gone = Gone {
            id,
            channel_id: self.channel,
            guild_id: self.community,
        };
        let intent = self.intent(intent::GUILD_MESSAGES, intent::DIRECT_MESSAGES);
        Ok(self.record(
            plain("MESSAGE_DELETE", Some(intent), &gone)?,
            Version::Ev(ev),
        ))
    }

    /// The record of somebody who begins to type.
    pub(crate) fn typing(
        &self,
        user: &contracts::identity::User,
        seconds: i64,
    ) -> Result<Record, Error> {
        let member = self.member.clone().map(|member| Member {
            user: Some(user.clone()),
            ..member
        });
        let typing = Typing {
            channel_id: self.channel,
            guild_id: self.community,
            user_id: user.id,
            timestamp: seconds,
            member,
        };
        let intent = self.intent(intent::GUILD_MESSAGE_TYPING, intent::DIRECT_MESSAGE_TYPING);
        let mut record = self.record(plain("TYPING_START", Some(intent), &typing)?, Version::None);
        record.ephemeral = true;
        Ok(record)
    }

    fn intent(&self, community: u8, private: u8) -> u8 {
        if self.community.is_some() {
            community
        } else {
            private
        }
    }
}

/// The record of how a user stands in a channel, for the user's own sessions.
pub(crate) fn read_state(state: &ReadState) -> Result<Record, serde_json::Error> {
    let body = plain("MESSAGE_ACK", Some(intent::READ_STATES), state)?;
    Ok(alone(body, Some(state.channel_id)))
}

/// The record of what a user has begun to write, for the user's own sessions.
pub(crate) fn draft(draft: &Draft) -> Result<Record, serde_json::Error> {
    let body = plain("DRAFT_UPDATE", Some(intent::READ_STATES), draft)?;
    Ok(alone(body, Some(draft.channel_id)))
}

/// The record of a user's badge, for the user's own sessions.
pub(crate) fn badge(badge: Badge) -> Result<Record, serde_json::Error> {
    let body = plain("BADGE_UPDATE", Some(intent::READ_STATES), &badge)?;
    Ok(alone(body, None))
}

/// The record of how far a member has got; without `read_seq` for those who may not see it.
pub(crate) fn receipt(
    moved: &MovedReceipt,
    read_seq: Option<i64>,
) -> Result<Record, serde_json::Error> {
    let shown = Moved {
        channel_id: moved.channel_id,
        guild_id: moved.community_id,
        user_id: moved.user_id,
        delivered_seq: moved.delivered_seq,
        read_seq,
    };
    let body = Dispatch {
        // Their own devices hear of it by the state of the channel.
        except: Some(moved.user_id),
        ..plain("RECEIPT_UPDATE", Some(intent::RECEIPTS), &shown)?
    };
    Ok(alone(body, Some(moved.channel_id)))
}

/// A record outside of the order of its channel.
fn alone(dispatch: Dispatch, channel: Option<ChannelId>) -> Record {
    Record {
        body: Body::Dispatch(dispatch),
        community: None,
        channel,
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    }
}

/// Tells a user's sessions to follow a private channel, and then shows it to them.
pub(crate) fn opened(channel: &PrivateChannel) -> Result<[Record; 2], serde_json::Error> {
    let record = |body| Record {
        body,
        community: None,
        channel: Some(channel.id),
        version: Version::None,
        epoch: 0,
        ephemeral: false,
    };
    let shown = plain("CHANNEL_CREATE", Some(intent::DIRECT_MESSAGES), channel)?;
    Ok([
        record(Body::Control(Control::Follow(channel.id))),
        record(Body::Dispatch(shown)),
    ])
}

/// Publishes; what gets lost is healed by the receivers.
pub(crate) async fn publish(fanout: &dyn Fanout, topic: Topic, record: Record) {
    if let Err(error) = fanout.publish(topic, Arc::new(record)).await {
        metrics::counter!("meydan_messaging_fanout_failures_total").increment(1);
        tracing::warn!(%error, "cannot publish to the fanout");
    }
}

/// Finds a message that is shown, and gives it its number.
fn numbered(shows: &mut [Message], id: MessageId, ev: i64) -> Result<&mut Message, Error> {
    let found = shows.iter_mut().find(|message| message.id == id);
    let message = found.ok_or(Error::UnknownMessage)?;
    message.ev = ev;
    Ok(message)
}

fn plain<T: Serialize>(
    name: &'static str,
    intent: Option<u8>,
    data: &T,
) -> Result<Dispatch, serde_json::Error> {
    Ok(Dispatch {
        name: name.into(),
        intent,
        needs: Chat::NONE,
        author: None,
        except: None,
        full_for: Vec::new(),
        data: Bytes::from(serde_json::to_vec(data)?),
        redacted: None,
    })
}

#[derive(Serialize)]
struct Gone {
    id: MessageId,
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
}

#[derive(Serialize)]
struct Moved {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
    user_id: UserId,
    delivered_seq: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_seq: Option<i64>,
}

#[derive(Serialize)]
struct Typing {
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<CommunityId>,
    user_id: UserId,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<Member>,
}
