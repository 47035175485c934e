//! What webhooks say: their messages have a name and a picture of their own and no account.
//!
//! Whoever calls has judged the webhook's token and counted its requests. A webhook may write into
//! its channel and a thread of it, mention whom it likes, and change nothing but its own messages.

use contracts::communities::{ChannelAccess, channel_kind};
use contracts::identity::User;
use contracts::messaging::{Message, Voice, WebhookAct, WebhookPlace};
use jiff::Timestamp;
use kernel::failure::INVALID_REQUEST;
use kernel::perm::{Chat, Trade};
use kernel::{ChannelId, FieldError, MessageId, UserId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Messaging;
use crate::error::Error;
use crate::model::{EditMessage, SendMessage};
use crate::places::{Home, Inside, Place};
use crate::sql;
use crate::users::Cards;

/// What a webhook may do in its channel.
const RIGHTS: Chat = Chat::from_bits(
    (1 << 10) | (1 << 11) | (1 << 12) | (1 << 14) | (1 << 15) | (1 << 16) | (1 << 17) | (1 << 38),
);
/// A reader without reactions of their own.
const NOBODY: UserId = UserId::new(0);
/// Most messages that are told at once.
pub(crate) const MAX_MESSAGES: usize = 100;

/// Who wrote a message: an account, or the voice of a webhook.
pub(crate) fn author_of(author: UserId, voice: Option<&Voice>, cards: &Cards) -> User {
    let Some(voice) = voice else {
        return cards.get(author);
    };
    User {
        username: voice.name.clone(),
        // The dialect's sign of an author without an account.
        discriminator: "0000".to_owned(),
        global_name: None,
        avatar: voice.avatar.clone(),
        bot: true,
        ..User::unknown(author)
    }
}

impl Messaging {
    /// Lets a webhook act on its own messages.
    pub(crate) async fn speak_in(
        &self,
        of: WebhookPlace,
        act: WebhookAct,
    ) -> Result<Option<Message>, Error> {
        let place = self.webhook_place(of).await?;
        let author: UserId = of.webhook.cast();
        match act {
            WebhookAct::Send { voice, body, key } => {
                let mut sent: SendMessage = read(body)?;
                // It reads nothing, so it has nothing to answer or to show.
                sent.message_reference = None;
                let mut new = sent.check(key)?;
                new.voice = Some(voice);
                let composed = self.compose(author, &place, &new, None).await?;
                self.ensure_row(&place).await?;
                let mut append = self.prepare(author, &place, &new, None, composed)?;
                append.audience.member = None;
                let delivery = self.append(&place, &new, append).await?;
                Ok(Some(delivery.message))
            }
            WebhookAct::Edit(id, body) => {
                let edit: EditMessage = read(body)?;
                let edited = self.edit_in(&place, author, id, edit.check()?).await;
                edited.map(Some).map_err(foreign)
            }
            WebhookAct::Delete(id) => {
                if self.row(place.channel, id).await?.author_id != author {
                    return Err(Error::UnknownMessage);
                }
                self.delete_in(&place, author, id).await?;
                Ok(None)
            }
        }
    }

    /// Messages by their names, those that are there.
    pub(crate) async fn messages_named(
        &self,
        wanted: &[(ChannelId, MessageId)],
    ) -> Result<Vec<Message>, Error> {
        if wanted.len() > MAX_MESSAGES {
            let cause = "more than 100 messages";
            return Err(INVALID_REQUEST.fail().because(cause).into());
        }
        let mut channels: Vec<ChannelId> = wanted.iter().map(|(channel, _)| *channel).collect();
        channels.sort_unstable();
        channels.dedup();
        let mut found = Vec::with_capacity(wanted.len());
        for channel in channels {
            let here = wanted.iter().filter(|(one, _)| *one == channel);
            let ids: Vec<MessageId> = here.map(|(_, id)| *id).collect();
            let rows = sql::find_messages(&self.db, channel, &ids, self.clock.now()).await?;
            found.extend(self.show(NOBODY, channel, None, rows).await?);
        }
        Ok(found)
    }

    /// Where a webhook speaks, if that is still there.
    async fn webhook_place(&self, of: WebhookPlace) -> Result<Place, Error> {
        let access = self.webhook_access(of).await?;
        let channel = of.thread.unwrap_or(of.channel);
        if channel != of.channel && !sql::is_thread(&self.db, channel, of.channel).await? {
            return Err(Error::UnknownChannel);
        }
        let has_row = match self.home(channel).await? {
            Some(Home::Community) => true,
            Some(Home::Private(_)) => return Err(Error::UnknownChannel),
            None => false,
        };
        Ok(Place {
            channel,
            rights: RIGHTS,
            has_row,
            inside: Inside::Community(Box::new(access)),
        })
    }

    /// How the channel stands. Its maker, while a member, is the cheapest to ask for; else the whole
    /// community tells.
    async fn webhook_access(&self, of: WebhookPlace) -> Result<ChannelAccess, Error> {
        let plain = ChannelAccess {
            channel: of.channel,
            kind: channel_kind::TEXT,
            community: of.community,
            chat: RIGHTS,
            trade: Trade::NONE,
            thread_chat: RIGHTS,
            class: 0,
            epoch: 0,
            slowmode_s: 0,
            roles: Vec::new(),
            nick: None,
            joined_at: Timestamp::UNIX_EPOCH,
            timeout_until: None,
        };
        let found = self.communities.access(of.creator, &[of.channel]).await?;
        if let Some(access) = found.first().filter(|one| one.community == of.community) {
            return Ok(ChannelAccess {
                kind: access.kind,
                epoch: access.epoch,
                ..plain
            });
        }
        let compiled = self.communities.compiled(of.community).await?;
        let compiled = compiled.ok_or(Error::UnknownChannel)?;
        let class = compiled.classes.first();
        let mut channels = class.iter().flat_map(|class| &class.channels);
        if !channels.any(|(id, _)| *id == of.channel) {
            return Err(Error::UnknownChannel);
        }
        Ok(ChannelAccess {
            epoch: compiled.epoch,
            ..plain
        })
    }
}

/// A message of somebody else is not there for a webhook.
fn foreign(error: Error) -> Error {
    match error {
        Error::NotAuthor => Error::UnknownMessage,
        other => other,
    }
}

fn read<T: DeserializeOwned>(body: Value) -> Result<T, Error> {
    serde_json::from_value(body)
        .map_err(|error| Error::Invalid(vec![FieldError::new("", "INVALID", error.to_string())]))
}
