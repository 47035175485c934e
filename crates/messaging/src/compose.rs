//! Making the row to store and the object to show out of what was sent.

use contracts::messaging::{Message, MessageReference};
use kernel::perm::Chat;
use kernel::{MessageId, RoleId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::live::Audience;
use crate::log::{Change, NewRow};
use crate::mentions::{self, AllowedMentions, Mentions};
use crate::model::{self, Body, Edit, NewMessage};
use crate::places::Place;
use crate::sql::{self, EditRow, MessageRow};
use crate::users::Cards;
use crate::writer::{After, Alter, Append};

/// Text and body of a message to be shown, with the cards of whom it names.
pub(crate) struct Composed {
    body: Body,
    cards: Cards,
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
        let body = Body {
            embeds: new.embeds.iter().cloned().map(rich).collect(),
            components: new.components.clone(),
            mentions: found.users,
            mention_roles: found.roles,
            mention_everyone: found.everyone,
            tts: new.tts && place.rights.has(Chat::SEND_TTS),
        };
        Ok(Composed { body, cards })
    }

    /// Finds what a text mentions: what the sender allows, may mention, and what exists.
    async fn find_mentions(
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
        let snapshots = self.communities.snapshots(&[community], author).await?;
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
        Composed { body, cards }: Composed,
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
            flags: new.flags,
            reply_to,
            content: Some(new.content.clone()).filter(|content| !content.is_empty()),
            body: body.stored()?,
            expires_at: None,
        };
        let message = Message {
            id,
            channel_id: place.channel,
            guild_id: None,
            author: cards.get(author),
            member: None,
            content: new.content.clone(),
            timestamp: id.made_at(),
            edited_timestamp: None,
            tts: body.tts,
            mention_everyone: body.mention_everyone,
            mentions: body.mentions.iter().map(|user| cards.get(*user)).collect(),
            mention_roles: body.mention_roles,
            attachments: Vec::new(),
            embeds: body.embeds,
            components: body.components,
            reactions: Vec::new(),
            pinned: false,
            kind: row.kind,
            flags: row.flags,
            nonce: new.nonce.as_ref().map(|nonce| nonce.shown.clone()),
            message_reference: reply_to.map(|message_id| MessageReference {
                message_id,
                channel_id: Some(place.channel),
                guild_id: place.community(),
                fail_if_not_exists: true,
            }),
            referenced_message: answered.map(|answered| Some(Box::new(answered))),
            seq: 0,
            ev: 0,
        };
        Ok(Append {
            row,
            message,
            audience: Audience::of(place),
        })
    }

    /// Works an edit into the stored message.
    pub(crate) async fn prepare_edit(
        &self,
        place: &Place,
        row: MessageRow,
        edit: &Edit,
    ) -> Result<Alter, Error> {
        let (author, expected_ev, at) = (row.author_id, row.ev, self.clock.now());
        let (channel, id) = (row.channel_id, row.id);
        let old = Body::read(row.body.clone())?;
        let content = edit
            .content
            .clone()
            .unwrap_or_else(|| row.content.clone().unwrap_or_default());
        let mut body = Body {
            embeds: match &edit.embeds {
                Some(embeds) => embeds.iter().cloned().map(rich).collect(),
                None => old.embeds.clone(),
            },
            components: edit
                .components
                .clone()
                .unwrap_or_else(|| old.components.clone()),
            ..old
        };
        if content.trim().is_empty() && body.embeds.is_empty() && body.components.is_empty() {
            return Err(Error::EmptyMessage);
        }
        if edit.content.is_some() || edit.allowed.is_some() {
            let allowed = edit.allowed.as_ref();
            let replied = self.replied_author(&row).await?;
            let (found, _) = self
                .find_mentions(author, place, &content, allowed, replied)
                .await?;
            body.mentions = found.users;
            body.mention_roles = found.roles;
            body.mention_everyone = found.everyone;
        }
        let flags = edit
            .flags
            .map_or(row.flags, |flags| edited_flags(row.flags, flags));
        let change = EditRow {
            channel,
            id,
            author,
            expected_ev,
            content: Some(content.clone()).filter(|content| !content.is_empty()),
            body: body.stored()?,
            flags,
            at,
            change: self.ids.next::<kernel::id::kind::Other>()?,
        };
        let edited = MessageRow {
            content: Some(content),
            body: Some(serde_json::to_value(&body)?),
            flags,
            edited_at: Some(at),
            ..row
        };
        let message = self.show_one(channel, place.community(), edited).await?;
        Ok(Alter {
            change: Change::Edit(change),
            after: After::Edited(Box::new(message)),
            audience: Audience::of(place),
        })
    }

    async fn replied_author(&self, row: &MessageRow) -> Result<Option<UserId>, Error> {
        let Some(to) = row.reply_to else {
            return Ok(None);
        };
        let found = sql::find_message(&self.db, row.channel_id, to, self.clock.now()).await?;
        Ok(found.map(|row| row.author_id))
    }
}

/// An embed of a sender is always a rich one.
fn rich(mut embed: serde_json::Value) -> serde_json::Value {
    if let Some(map) = embed.as_object_mut() {
        map.insert("type".to_owned(), "rich".into());
    }
    embed
}

/// Of the flags an edit changes only whether embeds are shown.
fn edited_flags(old: i32, new: i32) -> i32 {
    const NO_EMBEDS: i32 = 1 << 2;
    (old & !NO_EMBEDS) | (new & NO_EMBEDS)
}
