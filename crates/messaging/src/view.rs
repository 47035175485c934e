//! From rows to the dialect's objects.

use std::collections::HashMap;

use contracts::messaging::{Message, MessageReference};
use kernel::{ChannelId, CommunityId, MessageId, UserId};

use crate::Messaging;
use crate::error::Error;
use crate::model::Body;
use crate::sql::{self, MessageRow};
use crate::users::Cards;
use crate::webhooks::author_of;

/// A row whose body was read.
struct Read {
    row: MessageRow,
    body: Body,
}

impl Messaging {
    /// Shows messages of one channel as the dialect does, each reply with what it answers.
    pub(crate) async fn show(
        &self,
        channel: ChannelId,
        community: Option<CommunityId>,
        rows: Vec<MessageRow>,
    ) -> Result<Vec<Message>, Error> {
        let answered: Vec<MessageId> = rows.iter().filter_map(|row| row.reply_to).collect();
        let answered = if answered.is_empty() {
            Vec::new()
        } else {
            sql::find_messages(&self.db, channel, &answered, self.clock.now()).await?
        };
        let rows = read_all(rows)?;
        let answered = read_all(answered)?;
        let ids: Vec<UserId> = rows.iter().chain(&answered).flat_map(users_of).collect();
        let cards = self.cards(&ids).await?;
        let answered: HashMap<MessageId, Message> = answered
            .into_iter()
            .map(|read| (read.row.id, object(read, community, &cards)))
            .collect();
        Ok(rows
            .into_iter()
            .map(|read| {
                let reply_to = read.row.reply_to;
                let mut message = object(read, community, &cards);
                if let Some(to) = reply_to {
                    message.referenced_message = Some(answered.get(&to).cloned().map(Box::new));
                }
                message
            })
            .collect())
    }

    /// Shows one message.
    pub(crate) async fn show_one(
        &self,
        channel: ChannelId,
        community: Option<CommunityId>,
        row: MessageRow,
    ) -> Result<Message, Error> {
        let shown = self.show(channel, community, vec![row]).await?;
        shown.into_iter().next().ok_or(Error::UnknownMessage)
    }
}

fn read_all(rows: Vec<MessageRow>) -> Result<Vec<Read>, Error> {
    rows.into_iter()
        .map(|mut row| {
            Ok(Read {
                body: Body::read(row.body.take())?,
                row,
            })
        })
        .collect()
}

fn users_of(read: &Read) -> impl Iterator<Item = UserId> + '_ {
    read.body
        .mentions
        .iter()
        .copied()
        .chain(std::iter::once(read.row.author_id))
}

/// The object of a message, without the one it answers.
fn object(read: Read, community: Option<CommunityId>, cards: &Cards) -> Message {
    let Read { row, body } = read;
    Message {
        id: row.id,
        channel_id: row.channel_id,
        guild_id: None,
        author: author_of(row.author_id, body.voice.as_ref(), cards),
        webhook_id: body.voice.as_ref().map(|_| row.author_id.cast()),
        avatar_url: body.voice.and_then(|voice| voice.avatar_url),
        member: None,
        content: row.content.unwrap_or_default(),
        timestamp: row.id.made_at(),
        edited_timestamp: row.edited_at,
        tts: body.tts,
        mention_everyone: body.mention_everyone,
        mentions: body
            .mentions
            .into_iter()
            .map(|user| cards.get(user))
            .collect(),
        mention_roles: body.mention_roles,
        attachments: Vec::new(),
        embeds: body.embeds,
        components: body.components,
        reactions: Vec::new(),
        pinned: false,
        kind: row.kind,
        flags: row.flags,
        nonce: None,
        message_reference: row.reply_to.map(|message_id| MessageReference {
            message_id,
            channel_id: Some(row.channel_id),
            guild_id: community,
            fail_if_not_exists: true,
        }),
        referenced_message: None,
        seq: row.seq,
        ev: row.ev,
    }
}
