//! Editing messages.

use async_trait::async_trait;
use contracts::messaging::Message;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, MessageId, UserId};
use serde_json::json;

use crate::Messaging;
use crate::change::{Change, Desk, Tries};
use crate::compose::rich;
use crate::error::Error;
use crate::events::ATTACHMENTS_REMOVED;
use crate::later::{self, Later};
use crate::marks::Marks;
use crate::model::{self, Body, Edit, NO_EMBEDS};
use crate::places::Place;
use crate::sql::{self, EditRow, MessageRow};
use crate::writer::Alter;

#[async_trait]
impl Change for EditRow {
    async fn make(&self, desk: &mut Desk<'_>) -> Result<(), Error> {
        let (channel, at, ev) = (desk.planned.channel, desk.planned.at, desk.next_ev());
        if sql::edit_message(desk.tx, channel, self, at, ev).await? == 0 {
            return Err(Error::Stale);
        }
        let later = Later {
            links: self.links.clone(),
            ..Later::default()
        };
        later::leave(desk.tx, [((channel, self.id, at), &later)].into_iter()).await?;
        desk.take_back(self.seq, &self.taken_back);
        if let Some((event, gone)) = &self.files_gone {
            let data = json!({ "message_id": self.id, "media_ids": gone });
            desk.emit(*event, ATTACHMENTS_REMOVED, data);
        }
        desk.updated(self.id, self.author)
    }
}

impl Messaging {
    /// Edits the caller's own message.
    pub async fn edit_message(
        &self,
        caller: &Caller,
        channel: ChannelId,
        id: MessageId,
        edit: Edit,
    ) -> Result<Message, Error> {
        let place = self.enter(caller, channel).await?;
        // Otherwise an old message would carry new words past a block.
        self.may_write_in(caller.user, &place).await?;
        if edit
            .embeds
            .as_ref()
            .is_some_and(|embeds| !embeds.is_empty())
        {
            place.needs(Chat::EMBED_LINKS)?;
        }
        if edit.content.is_some() || edit.embeds.is_some() {
            let content = edit.content.as_deref().unwrap_or_default();
            let embeds = edit.embeds.as_deref().unwrap_or_default();
            self.may_say(caller, &place, content, embeds).await?;
        }
        self.edit_in(&place, caller.user, id, edit).await
    }

    /// Edits a message of `author` in a place where that is allowed.
    pub(crate) async fn edit_in(
        &self,
        place: &Place,
        author: UserId,
        id: MessageId,
        edit: Edit,
    ) -> Result<Message, Error> {
        let mut tries = Tries::default();
        loop {
            let row = self.row(place.channel, id).await?;
            if row.author_id != author {
                return Err(Error::NotAuthor);
            }
            let alter = self.prepare_edit(place, row, &edit).await?;
            if let Some(done) = tries.settle(self.writers.alter(alter).await) {
                return done?.into_iter().next().ok_or(Error::Stale);
            }
        }
    }

    /// Works an edit into the stored message.
    async fn prepare_edit(
        &self,
        place: &Place,
        row: MessageRow,
        edit: &Edit,
    ) -> Result<Alter, Error> {
        let (author, expected_ev) = (row.author_id, row.ev);
        let old = Body::read(row.body.clone())?;
        if !model::is_from_people(row.kind) || old.forwarded.is_some() {
            return Err(Error::SystemMessage);
        }
        if old.poll.is_some() {
            return Err(Error::PollNotEdited);
        }
        let called = Marks::named(&old);
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
        let files_gone = self.files_gone(&mut body, edit)?;
        if content.trim().is_empty() && body.shows_nothing() {
            return Err(Error::EmptyMessage);
        }
        if edit.content.is_some() || edit.allowed.is_some() {
            self.mention_anew(place, &row, edit, &content, &mut body)
                .await?;
        }
        let flags = edit
            .flags
            .map_or(row.flags, |flags| edited_flags(row.flags, flags));
        let links = self.new_links(place, &content, flags, &mut body);
        let change = EditRow {
            id: row.id,
            author,
            expected_ev,
            content: Some(content.clone()).filter(|content| !content.is_empty()),
            body: body.stored()?,
            flags,
            seq: row.seq,
            taken_back: called.without(&body),
            files_gone,
            links,
        };
        let mut alter = self.plan(author, place, change)?;
        let edited = MessageRow {
            content: Some(content),
            body: Some(serde_json::to_value(&body)?),
            flags,
            edited_at: Some(alter.planned.at),
            ..row
        };
        let shown = self.show_one(author, place.channel, place.community(), edited);
        alter.shows = vec![shown.await?];
        Ok(alter)
    }

    async fn mention_anew(
        &self,
        place: &Place,
        row: &MessageRow,
        edit: &Edit,
        content: &str,
        body: &mut Body,
    ) -> Result<(), Error> {
        let allowed = edit.allowed.as_ref();
        let replied = self.replied_author(row).await?;
        let (found, _) = self
            .find_mentions(row.author_id, place, content, allowed, replied)
            .await?;
        body.mentions = found.users;
        body.mention_roles = found.roles;
        body.mention_everyone = found.everyone;
        Ok(())
    }

    /// Links that are shown from now on. Previews of those that are gone go.
    fn new_links(&self, place: &Place, content: &str, flags: i32, body: &mut Body) -> Vec<String> {
        let mut links = self.links_of(content, flags);
        body.previews
            .retain(|preview| links.iter().any(|link| preview["url"] == **link));
        if !place.rights.has(Chat::EMBED_LINKS) {
            return Vec::new();
        }
        links.retain(|link| body.previews.iter().all(|one| one["url"] != **link));
        links
    }

    async fn replied_author(&self, row: &MessageRow) -> Result<Option<UserId>, Error> {
        let Some(to) = row.reply_to else {
            return Ok(None);
        };
        let found = sql::find_message(&self.db, row.channel_id, to, self.clock.now()).await?;
        Ok(found.map(|row| row.author_id))
    }
}

/// Of the flags an edit changes only whether embeds are shown.
fn edited_flags(old: i32, new: i32) -> i32 {
    (old & !NO_EMBEDS) | (new & NO_EMBEDS)
}
