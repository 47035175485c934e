//! From rows to the dialect's objects.

use std::collections::HashMap;

use contracts::messaging::{Message, MessageReference, PollCount, Reaction};
use kernel::{ChannelId, CommunityId, MessageId, UserId};

use crate::Messaging;
use crate::attachments;
use crate::emoji;
use crate::error::Error;
use crate::model::{self, Body};
use crate::sql::{self, HungRow, MessageRow};
use crate::users::Cards;
use crate::webhooks::author_of;

/// A row whose body was read.
struct Read {
    row: MessageRow,
    body: Body,
}

impl Messaging {
    /// Shows messages of one channel to a reader as the dialect does, each reply with what it
    /// answers, each message with what hangs on it.
    pub(crate) async fn show(
        &self,
        reader: UserId,
        channel: ChannelId,
        community: Option<CommunityId>,
        rows: Vec<MessageRow>,
    ) -> Result<Vec<Message>, Error> {
        let ids: Vec<MessageId> = rows.iter().map(|row| row.id).collect();
        let mut hung: HashMap<MessageId, Vec<HungRow>> = HashMap::new();
        if !ids.is_empty() {
            for row in sql::list_hung(&self.db, reader, channel, &ids).await? {
                hung.entry(row.message_id).or_default().push(row);
            }
        }
        let replies = rows.iter().filter(|row| row.kind == model::REPLY);
        let answered: Vec<MessageId> = replies.filter_map(|row| row.reply_to).collect();
        let answered = if answered.is_empty() {
            Vec::new()
        } else {
            sql::find_messages(&self.db, channel, &answered, self.clock.now()).await?
        };
        let rows = read_all(rows)?;
        let answered = read_all(answered)?;
        let ids: Vec<UserId> = rows.iter().chain(&answered).flat_map(users_of).collect();
        let cards = self.cards(&ids).await?;
        let sent = rows
            .iter()
            .chain(&answered)
            .flat_map(|read| &read.body.files);
        let files = self.files(sent.map(|file| file.id).collect()).await?;
        let shown = |mut read: Read| {
            let sent = std::mem::take(&mut read.body.files);
            let mut message = object(read.row, read.body, community, &cards);
            attachments::show(&mut message, &sent, &files);
            message
        };
        let answered: HashMap<MessageId, Message> = answered
            .into_iter()
            .map(|read| (read.row.id, shown(read)))
            .collect();
        Ok(rows
            .into_iter()
            .map(|read| {
                let reply_to = read.row.reply_to;
                let mut message = shown(read);
                let hung = hung.remove(&message.id).unwrap_or_default();
                hang(&mut message, hung);
                if let (Some(to), model::REPLY) = (reply_to, message.kind) {
                    message.referenced_message = Some(answered.get(&to).cloned().map(Box::new));
                }
                message
            })
            .collect())
    }

    /// Shows one message to a reader.
    pub(crate) async fn show_one(
        &self,
        reader: UserId,
        channel: ChannelId,
        community: Option<CommunityId>,
        row: MessageRow,
    ) -> Result<Message, Error> {
        let shown = self.show(reader, channel, community, vec![row]).await?;
        shown.into_iter().next().ok_or(Error::UnknownMessage)
    }
}

/// Adds what hangs on a message.
fn hang(message: &mut Message, rows: Vec<HungRow>) {
    let (mut reactions, mut counts) = (Vec::new(), Vec::new());
    for row in rows {
        match row.kind {
            1 => reactions.push(Reaction {
                me: row.own,
                ..Reaction::new(emoji::shown(&row.name), row.n)
            }),
            3 => counts.extend(row.name.parse().ok().map(|id| PollCount {
                id,
                count: row.n,
                me_voted: row.own,
            })),
            _ => message.pinned = true,
        }
    }
    message.reactions = Some(reactions);
    if let Some(poll) = &mut message.poll {
        poll.results.answer_counts = counts;
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
pub(crate) fn object(
    row: MessageRow,
    body: Body,
    community: Option<CommunityId>,
    cards: &Cards,
) -> Message {
    let message_reference = match &body.forwarded {
        Some(forwarded) => Some(MessageReference {
            kind: 1,
            message_id: forwarded.message_id,
            channel_id: Some(forwarded.channel_id),
            guild_id: forwarded.guild_id,
            fail_if_not_exists: true,
        }),
        None => row.reply_to.map(|message_id| MessageReference {
            kind: 0,
            message_id,
            channel_id: Some(row.channel_id),
            guild_id: community,
            fail_if_not_exists: true,
        }),
    };
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
        embeds: {
            let mut embeds = body.embeds;
            embeds.extend(body.previews);
            embeds.truncate(model::MAX_EMBEDS);
            embeds
        },
        components: body.components,
        reactions: None,
        pinned: false,
        kind: row.kind,
        flags: row.flags,
        nonce: None,
        message_reference,
        referenced_message: None,
        expires_at: row.expires_at,
        poll: body.poll.map(|poll| poll.shown(Vec::new())),
        message_snapshots: body.forwarded.map(|forwarded| vec![forwarded.snapshot]),
        seq: row.seq,
        ev: row.ev,
    }
}
