//! Making the row to store and the object to show out of what was sent.

use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{MessageId, RoleId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::forwards::HAS_SNAPSHOT;
use crate::live::Audience;
use crate::log::{Later, NewRow};
use crate::marks::Marks;
use crate::mentions::{self, AllowedMentions, Mentions};
use crate::model::{self, Body, NewMessage};
use crate::places::Place;
use crate::sql::MessageRow;
use crate::users::Cards;
use crate::view;
use crate::writer::Append;

/// Text and body of a message to be shown, with the cards of whom it names.
pub(crate) struct Composed {
    body: Body,
    cards: Cards,
    marks: Marks,
}

impl Messaging {
    /// Works out what the message shows and whom it names.
    pub(crate) async fn compose(
        &self,
        author: UserId,
        place: &Place,
        new: &NewMessage,
        answered: Option<&Message>,
    ) -> Result<Composed, Error> {
        let replied = answered.map(|message| message.author.id);
        let allowed = new.allowed.as_ref();
        let (found, cards) = self
            .find_mentions(author, place, &new.content, allowed, replied)
            .await?;
        let poll = match &new.poll {
            Some(poll) => Some(self.prepare_poll(author, place, poll).await?),
            None => None,
        };
        let body = Body {
            embeds: new.embeds.iter().cloned().map(rich).collect(),
            components: new.components.clone(),
            mentions: found.users,
            mention_roles: found.roles,
            mention_everyone: found.everyone,
            tts: new.tts && place.rights.has(Chat::SEND_TTS),
            voice: new.voice.clone(),
            forwarded: new.forwarded.clone(),
            files: new.files.clone(),
            poll,
            previews: Vec::new(),
        };
        let marks = self.marks(author, place, &body, &cards).await?;
        Ok(Composed { body, cards, marks })
    }

    /// Finds what a text mentions: what the sender allows, may mention, and what exists.
    pub(crate) async fn find_mentions(
        &self,
        author: UserId,
        place: &Place,
        content: &str,
        allowed: Option<&AllowedMentions>,
        replied: Option<UserId>,
    ) -> Result<(Mentions, Cards), Error> {
        let mut found = mentions::allow(mentions::find(content), allowed);
        if let Some(replied) = replied
            && allowed.is_none_or(AllowedMentions::mentions_replied)
            && !found.users.contains(&replied)
        {
            found.users.push(replied);
        }
        let may_all = place.community().is_some() && place.rights.has(Chat::MENTION_EVERYONE);
        found.everyone &= may_all;
        if !found.roles.is_empty() {
            found.roles = self.mentionable_roles(author, place, found.roles).await?;
        }
        let mut ids = found.users.clone();
        ids.push(author);
        let cards = self.cards(&ids).await?;
        found.users.retain(|user| cards.known(*user).is_some());
        Ok((found, cards))
    }

    /// Keeps the roles that exist and that the author may mention.
    async fn mentionable_roles(
        &self,
        author: UserId,
        place: &Place,
        roles: Vec<RoleId>,
    ) -> Result<Vec<RoleId>, Error> {
        let Some(community) = place.community() else {
            return Ok(Vec::new());
        };
        let mut snapshots = self.communities.snapshots(&[community], author).await?;
        if snapshots.is_empty() {
            // A webhook is no member; its owner sees every role.
            let compiled = self.communities.compiled(community).await?;
            let owner = compiled.map_or(author, |compiled| compiled.owner);
            snapshots = self.communities.snapshots(&[community], owner).await?;
        }
        let may_all = place.rights.has(Chat::MENTION_EVERYONE);
        let known: Vec<RoleId> = snapshots
            .into_iter()
            .flat_map(|snapshot| snapshot.guild.roles)
            // The everyone role has its own word.
            .filter(|role| role.id.get() != community.get() && (role.mentionable || may_all))
            .map(|role| role.id)
            .collect();
        Ok(roles
            .into_iter()
            .filter(|role| known.contains(role))
            .collect())
    }

    /// Makes the item for the writer.
    pub(crate) fn prepare(
        &self,
        author: UserId,
        place: &Place,
        new: &NewMessage,
        answered: Option<Message>,
        Composed { body, cards, marks }: Composed,
    ) -> Result<Append, Error> {
        let id: MessageId = self.ids.next()?;
        let reply_to = answered.as_ref().map(|message| message.id);
        let row = NewRow {
            channel: place.channel,
            id,
            author,
            nonce: new.once.clone(),
            kind: if reply_to.is_some() {
                model::REPLY
            } else {
                model::PLAIN
            },
            flags: match new.forwarded {
                Some(_) => new.flags | HAS_SNAPSHOT,
                None => new.flags,
            },
            reply_to,
            content: Some(new.content.clone()).filter(|content| !content.is_empty()),
            body: body.stored()?,
            expires_at: new.expires_at(self.clock.now()),
            marks,
            later: Later {
                poll_ends_at: body.poll.as_ref().map(|poll| poll.ends_at),
                links: match place.rights.has(Chat::EMBED_LINKS) {
                    true => self.links_of(&new.content, new.flags),
                    false => Vec::new(),
                },
            },
        };
        let mut message = view::object(unnumbered(&row), body, place.community(), &cards);
        message.reactions = Some(Vec::new());
        message.nonce = new.nonce.as_ref().map(|nonce| nonce.shown.clone());
        message.referenced_message = answered.map(|answered| Some(Box::new(answered)));
        Ok(Append {
            row,
            message,
            audience: Audience::of(place, author),
        })
    }

    /// Makes the message by which the system tells of a change: its row, and as it is shown.
    pub(crate) async fn said(
        &self,
        author: UserId,
        place: &Place,
        kind: i16,
        about: Option<MessageId>,
        body: Body,
    ) -> Result<(NewRow, Message), Error> {
        let cards = self.cards(&[author]).await?;
        let row = NewRow {
            channel: place.channel,
            id: self.ids.next()?,
            author,
            nonce: None,
            kind,
            flags: 0,
            reply_to: about,
            content: None,
            body: body.stored()?,
            expires_at: None,
            marks: self.marks(author, place, &body, &cards).await?,
            later: Later::default(),
        };
        let mut message = view::object(unnumbered(&row), body, place.community(), &cards);
        message.reactions = Some(Vec::new());
        Ok((row, message))
    }
}

/// The row of a message that is not stored yet, without its body.
fn unnumbered(row: &NewRow) -> MessageRow {
    MessageRow {
        channel_id: row.channel,
        id: row.id,
        seq: 0,
        ev: 0,
        author_id: row.author,
        kind: row.kind,
        flags: row.flags,
        reply_to: row.reply_to,
        content: row.content.clone(),
        body: None,
        edited_at: None,
        expires_at: row.expires_at,
    }
}

/// An embed of a sender is always a rich one.
pub(crate) fn rich(mut embed: serde_json::Value) -> serde_json::Value {
    if let Some(map) = embed.as_object_mut() {
        map.insert("type".to_owned(), "rich".into());
    }
    embed
}
