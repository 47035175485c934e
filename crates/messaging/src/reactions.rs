//! Reactions: an emoji that somebody hangs on a message.
//!
//! A reaction is a change of the channel like any other, but it leaves the message's own number
//! alone: an edit does not lose against somebody who reacts meanwhile.

use async_trait::async_trait;
use contracts::communities::Member;
use contracts::identity::User;
use kernel::perm::Chat;
use kernel::{AnyId, Caller, ChannelId, MessageId, UserId};

use crate::Messaging;
use crate::change::{Change, Desk};
use crate::emoji::Emoji;
use crate::error::Error;
use crate::happening::{Happening, Named, NamedEmoji, Reacted};
use crate::places::Place;
use crate::sql;

/// Most different emoji of a message.
pub(crate) const MAX_EMOJI: i64 = 20;
/// Communities that are asked for an emoji in a private channel.
const MAX_COMMUNITIES: usize = 200;

/// Hangs an emoji on a message.
struct React {
    message: MessageId,
    emoji: String,
    /// Whether an emoji that is not there yet may come.
    may_add: bool,
}

#[async_trait]
impl Change for React {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (user, now) = (desk.planned.actor, desk.planned.at);
        let at = (desk.planned.channel, self.message);
        let found = sql::find_reaction(desk.tx, at, &self.emoji, user, now).await?;
        let found = found.ok_or(Error::UnknownMessage)?;
        if found.own {
            return Ok(());
        }
        if !found.known && !self.may_add {
            return Err(Error::MissingPermission);
        }
        if !found.known && found.emoji >= MAX_EMOJI {
            return Err(Error::TooManyReactions);
        }
        sql::insert_reaction(desk.tx, at, &self.emoji, user, desk.next_ev()).await?;
        desk.happened(Happening::Reacted(Reacted {
            message_id: self.message,
            user_id: user,
            emoji: self.emoji.clone(),
            author_id: Some(found.author_id),
        }))
    }
}

/// Takes somebody's emoji from a message.
struct Unreact {
    message: MessageId,
    emoji: String,
    user: UserId,
}

#[async_trait]
impl Change for Unreact {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let at = (desk.planned.channel, self.message);
        if !sql::delete_reaction(desk.tx, at, &self.emoji, self.user).await? {
            return Ok(());
        }
        desk.happened(Happening::Unreacted(Reacted {
            message_id: self.message,
            user_id: self.user,
            emoji: self.emoji.clone(),
            author_id: None,
        }))
    }
}

/// Takes everybody's reactions from a message, or those with one emoji.
struct Clear {
    message: MessageId,
    emoji: Option<String>,
}

#[async_trait]
impl Change for Clear {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (at, emoji) = ((desk.planned.channel, self.message), self.emoji.as_deref());
        if sql::clear_reactions(desk.tx, at, emoji).await? == 0 {
            return Ok(());
        }
        let message_id = self.message;
        desk.happened(match self.emoji.clone() {
            None => Happening::ReactionsCleared(Named { message_id }),
            Some(emoji) => Happening::EmojiCleared(NamedEmoji { message_id, emoji }),
        })
    }
}

impl Messaging {
    /// Hangs an emoji on a message; once is enough.
    pub async fn react(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
        emoji: &str,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        self.may_write_in(caller.user, &place).await?;
        let asked = Emoji::read(emoji).ok_or(Error::UnknownEmoji)?;
        let may_add = place.rights.has(Chat::ADD_REACTIONS);
        let emoji = match self.find_given(channel, message, &asked).await? {
            Some(given) => given,
            None if may_add => self.known_emoji(caller.user, &place, asked).await?.key(),
            None => {
                self.row(channel, message).await?;
                return Err(Error::MissingPermission);
            }
        };
        let change = React {
            message,
            emoji,
            may_add,
        };
        let mut alter = self.plan(caller.user, &place, change)?;
        if let Some(member) = &mut alter.audience.member {
            let cards = self.cards(&[caller.user]).await?;
            *member = with_card(member.clone(), cards.get(caller.user));
        }
        self.writers.alter(alter).await.map(drop)
    }

    /// Takes somebody's emoji from a message; another's needs the right to manage messages.
    pub async fn unreact(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
        emoji: &str,
        user: UserId,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        if user != caller.user {
            place.needs(Chat::MANAGE_MESSAGES)?;
        }
        let emoji = self.given(channel, message, emoji).await?;
        let change = Unreact {
            message,
            emoji,
            user,
        };
        let mut alter = self.plan(caller.user, &place, change)?;
        alter.audience.member = None;
        self.writers.alter(alter).await.map(drop)
    }

    /// Takes everybody's reactions from a message, or those with one emoji.
    pub async fn clear_reactions(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
        emoji: Option<&str>,
    ) -> Result<(), Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::MANAGE_MESSAGES)?;
        let emoji = match emoji {
            Some(emoji) => Some(self.given(channel, message, emoji).await?),
            None => {
                self.row(channel, message).await?;
                None
            }
        };
        let alter = self.plan(caller.user, &place, Clear { message, emoji })?;
        self.writers.alter(alter).await.map(drop)
    }

    /// Lists who reacted with an emoji, in the order of their ids.
    pub async fn list_reactors(
        &self,
        caller: &Caller,
        (channel, message): (ChannelId, MessageId),
        emoji: &str,
        after: Option<UserId>,
        limit: u8,
    ) -> Result<Vec<User>, Error> {
        let place = self.enter(caller, channel).await?;
        place.needs(Chat::READ_HISTORY)?;
        let emoji = self.given(channel, message, emoji).await?;
        let at = (channel, message);
        let after = after.unwrap_or(UserId::new(0));
        let ids = sql::list_reactors(&self.db, at, &emoji, after, i64::from(limit)).await?;
        let cards = self.cards(&ids).await?;
        Ok(ids.into_iter().map(|user| cards.get(user)).collect())
    }

    /// The stored form of an emoji, of a message that is there.
    async fn given(
        &self,
        channel: ChannelId,
        message: MessageId,
        emoji: &str,
    ) -> Result<String, Error> {
        let asked = Emoji::read(emoji).ok_or(Error::UnknownEmoji)?;
        self.row(channel, message).await?;
        let given = self.find_given(channel, message, &asked).await?;
        Ok(given.unwrap_or_else(|| asked.key()))
    }

    /// Under which name a message has a community's emoji, and a character if it has it.
    async fn find_given(
        &self,
        channel: ChannelId,
        message: MessageId,
        emoji: &Emoji,
    ) -> Result<Option<String>, Error> {
        let ending = match emoji {
            Emoji::Unicode(_) => None,
            Emoji::Custom { id, .. } => Some(format!(":{id}")),
        };
        let (at, key) = ((channel, message), emoji.key());
        Ok(sql::find_emoji(&self.db, at, &key, ending.as_deref()).await?)
    }

    /// A character as it is, a community's emoji as it is called there: it must be of the
    /// channel's community, in a private channel of one that the user is in.
    pub(crate) async fn known_emoji(
        &self,
        user: UserId,
        place: &Place,
        emoji: Emoji,
    ) -> Result<Emoji, Error> {
        let Emoji::Custom { id, .. } = &emoji else {
            return Ok(emoji);
        };
        let communities = match place.community() {
            Some(community) => vec![community],
            None => {
                let memberships = self.communities.memberships(user).await?;
                let communities = memberships.into_iter().map(|one| one.community);
                communities.take(MAX_COMMUNITIES).collect()
            }
        };
        let snapshots = self.communities.snapshots(&communities, user).await?;
        let mut all = snapshots.iter().flat_map(|one| &one.guild.emojis);
        all.find_map(|emoji| named(emoji, *id))
            .ok_or(Error::UnknownEmoji)
    }
}

/// A community's emoji if it has this id.
fn named(emoji: &contracts::communities::Emoji, id: AnyId) -> Option<Emoji> {
    if emoji.id.cast() == id {
        Emoji::read(&format!("{}:{id}", emoji.name))
    } else {
        None
    }
}

fn with_card(member: Member, card: User) -> Member {
    Member {
        user: Some(card),
        ..member
    }
}
