//! Emoji of a community: list, read, make, rename, delete, and their images.

use contracts::communities::Emoji;
use contracts::identity::User;
use infra::objects::Object;
use kernel::perm::Chat;
use kernel::{Caller, CommunityId, EmojiId, RoleId, UserId};
use serde::Serialize;
use serde_json::json;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::events::{Told, intent};
use crate::images::Format;
use crate::model::changes;
use crate::requests::{CreateEmoji, UpdateEmoji};
use crate::sql::emojis::{self, EmojiRow};

const TOLD: Told = Told::all("GUILD_EMOJIS_UPDATE", intent::EXPRESSIONS);

/// The payload of `GUILD_EMOJIS_UPDATE`: all of them.
#[derive(Serialize)]
struct AllPayload {
    guild_id: CommunityId,
    emojis: Vec<Emoji>,
}

/// An image on its way to whoever asked for it.
#[derive(Debug)]
pub struct Picture {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The bytes.
    pub object: Object,
}

impl EmojiRow {
    /// In the dialect's form; who made it is for those who may change it.
    pub(crate) fn object(&self, user: Option<User>) -> Emoji {
        Emoji {
            id: self.id,
            name: self.name.clone(),
            roles: self.role_ids.clone(),
            user,
            require_colons: true,
            managed: false,
            animated: self.animated,
            available: true,
        }
    }
}

/// In the dialect's form, without their makers.
pub(crate) fn objects(rows: &[EmojiRow]) -> Vec<Emoji> {
    rows.iter().map(|row| row.object(None)).collect()
}

impl Communities {
    /// The emoji of a community, with their makers.
    pub async fn list_emojis(&self, caller: &Caller, community: CommunityId) -> Result<Vec<Emoji>> {
        self.check_member(caller, community).await?;
        let rows = emojis::list_emojis(&self.db, &[community]).await?;
        let mut makers: Vec<UserId> = rows.iter().map(|row| row.creator_id).collect();
        makers.sort_unstable();
        makers.dedup();
        let mut users = Vec::with_capacity(makers.len());
        for part in makers.chunks(crate::members::USERS_AT_ONCE) {
            users.extend(self.identity.users(part).await?);
        }
        Ok(rows
            .iter()
            .map(|row| {
                let maker = users.iter().find(|user| user.id == row.creator_id);
                row.object(maker.cloned())
            })
            .collect())
    }

    /// One emoji.
    pub async fn emoji(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: EmojiId,
    ) -> Result<Emoji> {
        let all = self.list_emojis(caller, community).await?;
        let mut all = all.into_iter();
        all.find(|emoji| emoji.id == id).ok_or(Error::UnknownEmoji)
    }

    /// Makes an emoji: `MANAGE_EXPRESSIONS`. The image is stored first; one that nobody takes is
    /// removed later.
    pub async fn create_emoji(
        &self,
        caller: &Caller,
        community: CommunityId,
        new: CreateEmoji,
        reason: Reason,
    ) -> Result<Emoji> {
        let (new, image) = new.checked(self.limits.roles)?;
        self.check_right(caller, community, Chat::MANAGE_EXPRESSIONS)
            .await?;
        let user = self.user_or_unknown(caller.user).await?;
        let id: EmojiId = self.ids.next()?;
        self.store_image(id.cast(), &image).await?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_EXPRESSIONS)?;
        let known = emojis::list_emojis(&change.tx, &[community]).await?;
        let most = self.limits.emojis;
        if known.len() >= most {
            return Err(Error::TooManyEmojis(most));
        }
        let row = EmojiRow {
            id,
            community_id: community,
            name: new.name,
            creator_id: caller.user,
            media_id: id.cast(),
            format: image.format.word().to_owned(),
            animated: image.animated,
            role_ids: checked_roles(&change, new.roles)?,
        };
        emojis::insert_emoji(&change.tx, &row).await?;
        if emojis::keep_image(&change.tx, row.media_id, change.at).await? != 1 {
            return Err(Error::Broken("an image was removed before it was taken"));
        }
        let emoji = row.object(Some(user));
        let list = changes(&json!({}), &row.object(None));
        change.audit(Action::EmojiCreate, id, list)?;
        tell(&mut change).await?;
        change.finish().await?;
        Ok(emoji)
    }

    /// Renames an emoji or says for which roles it is: `MANAGE_EXPRESSIONS`.
    pub async fn update_emoji(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: EmojiId,
        patch: UpdateEmoji,
        reason: Reason,
    ) -> Result<Emoji> {
        let patch = patch.checked(self.limits.roles)?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_EXPRESSIONS)?;
        let before = find(&change, id).await?;
        let mut after = before.clone();
        if let Some(name) = patch.name {
            after.name = name;
        }
        if let Some(roles) = patch.roles {
            after.role_ids = checked_roles(&change, roles.unwrap_or_default())?;
        }
        let emoji = after.object(None);
        if after == before {
            change.drop_all().await?;
            return Ok(emoji);
        }
        if emojis::update_emoji(&change.tx, &after).await? != 1 {
            return Err(Error::Broken("an emoji found under the lock is gone"));
        }
        let list = changes(&before.object(None), &emoji);
        change.audit(Action::EmojiUpdate, id, list)?;
        tell(&mut change).await?;
        change.finish().await?;
        Ok(emoji)
    }

    /// Deletes an emoji: `MANAGE_EXPRESSIONS`. Its image is removed soon after.
    pub async fn delete_emoji(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: EmojiId,
        reason: Reason,
    ) -> Result<()> {
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MANAGE_EXPRESSIONS)?;
        let row = find(&change, id).await?;
        emojis::remove_image_later(&change.tx, row.media_id, change.at).await?;
        emojis::delete_emoji(&change.tx, community, id).await?;
        let list = changes(&row.object(None), &json!({}));
        change.audit(Action::EmojiDelete, id, list)?;
        tell(&mut change).await?;
        change.finish().await
    }

    /// The image of an emoji, for anybody who knows its id: messages show it everywhere.
    pub async fn emoji_picture(&self, id: EmojiId) -> Result<Picture> {
        let found = emojis::find_format(&self.db, id).await?;
        let row = found.ok_or(Error::UnknownEmoji)?;
        let format = Format::of(&row.format).ok_or(Error::Broken("an emoji has no format"))?;
        let object = self.open_image(row.media_id).await?;
        Ok(Picture {
            content_type: format.content_type(),
            object: object.ok_or(Error::UnknownEmoji)?,
        })
    }
}

async fn find(change: &Change<'_>, id: EmojiId) -> Result<EmojiRow> {
    let rows = emojis::list_emojis(&change.tx, &[change.community.id]).await?;
    let found = rows.into_iter().find(|row| row.id == id);
    found.ok_or(Error::UnknownEmoji)
}

fn checked_roles(change: &Change<'_>, mut roles: Vec<RoleId>) -> Result<Vec<RoleId>> {
    roles.sort_unstable();
    roles.dedup();
    for role in &roles {
        change.rights.role(*role)?;
    }
    Ok(roles)
}

/// Tells all emoji of the community.
pub(crate) async fn tell(change: &mut Change<'_>) -> Result<()> {
    let guild_id = change.community.id;
    let rows = emojis::list_emojis(&change.tx, &[guild_id]).await?;
    let emojis = objects(&rows);
    change.tell(TOLD, &AllPayload { guild_id, emojis })
}
