//! Emoji, and images that are to be removed.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, CommunityId, EmojiId, RoleId, UserId};

pub(crate) const ALL: &[&Sql] = &[
    &LIST_EMOJIS,
    &FIND_FORMAT,
    &INSERT_EMOJI,
    &UPDATE_EMOJI,
    &DELETE_EMOJI,
    &DROP_ROLE,
    &REMOVE_IMAGE_LATER,
    &KEEP_IMAGE,
    &FORGET_IMAGE,
    &LIST_DUE_IMAGES,
];

/// An emoji.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct EmojiRow {
    pub(crate) id: EmojiId,
    pub(crate) community_id: CommunityId,
    pub(crate) name: String,
    pub(crate) creator_id: UserId,
    pub(crate) media_id: AnyId,
    pub(crate) format: String,
    pub(crate) animated: bool,
    pub(crate) role_ids: Vec<RoleId>,
}

const LIST_EMOJIS: Sql = Sql::new(
    "communities.list_emojis",
    "SELECT id, community_id, name, creator_id, media_id, format, animated, role_ids
     FROM communities.emojis
     WHERE community_id = ANY($1)
     ORDER BY community_id, id",
)
.returning::<EmojiRow>();

/// By index emojis_community.
pub(crate) async fn list_emojis(
    source: impl Source,
    communities: &[CommunityId],
) -> Result<Vec<EmojiRow>> {
    LIST_EMOJIS.bind(&communities).all(source).await
}

/// Where an emoji's image is, and its form.
#[derive(FromRow)]
pub(crate) struct FormatRow {
    pub(crate) media_id: AnyId,
    pub(crate) format: String,
}

const FIND_FORMAT: Sql = Sql::new(
    "communities.find_emoji_format",
    "SELECT media_id, format FROM communities.emojis WHERE id = $1",
)
.returning::<FormatRow>();

/// Of any community: an emoji is seen wherever it is used.
pub(crate) async fn find_format(source: impl Source, id: EmojiId) -> Result<Option<FormatRow>> {
    FIND_FORMAT.bind(&id).optional(source).await
}

const INSERT_EMOJI: Sql = Sql::new(
    "communities.insert_emoji",
    "INSERT INTO communities.emojis
       (id, community_id, name, creator_id, media_id, format, animated, role_ids)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);

pub(crate) async fn insert_emoji(tx: &Tx, row: &EmojiRow) -> Result<()> {
    INSERT_EMOJI
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.name)
        .bind(&row.creator_id)
        .bind(&row.media_id)
        .bind(&row.format)
        .bind(&row.animated)
        .bind(&row.role_ids)
        .execute(tx)
        .await
        .map(drop)
}

const UPDATE_EMOJI: Sql = Sql::new(
    "communities.update_emoji",
    "UPDATE communities.emojis
     SET name = $3, role_ids = $4
     WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn update_emoji(tx: &Tx, row: &EmojiRow) -> Result<u64> {
    UPDATE_EMOJI
        .bind(&row.community_id)
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.role_ids)
        .execute(tx)
        .await
}

const DELETE_EMOJI: Sql = Sql::new(
    "communities.delete_emoji",
    "DELETE FROM communities.emojis WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn delete_emoji(tx: &Tx, community: CommunityId, id: EmojiId) -> Result<u64> {
    DELETE_EMOJI.bind(&community).bind(&id).execute(tx).await
}

const DROP_ROLE: Sql = Sql::new(
    "communities.drop_role_of_emojis",
    "UPDATE communities.emojis
     SET role_ids = array_remove(role_ids, $2)
     WHERE community_id = $1 AND $2 = ANY(role_ids)",
);

/// When a role goes, emoji are no longer for it.
pub(crate) async fn drop_role(tx: &Tx, community: CommunityId, role: RoleId) -> Result<u64> {
    DROP_ROLE.bind(&community).bind(&role).execute(tx).await
}

const REMOVE_IMAGE_LATER: Sql = Sql::new(
    "communities.remove_image_later",
    "INSERT INTO communities.image_removals (media_id, due_at)
     VALUES ($1, $2)
     ON CONFLICT (media_id) DO UPDATE SET due_at = excluded.due_at",
);

pub(crate) async fn remove_image_later(
    source: impl Source,
    media: AnyId,
    due: Timestamp,
) -> Result<u64> {
    REMOVE_IMAGE_LATER
        .bind(&media)
        .bind(&due)
        .execute(source)
        .await
}

const KEEP_IMAGE: Sql = Sql::new(
    "communities.keep_image",
    "DELETE FROM communities.image_removals WHERE media_id = $1 AND due_at > $2",
);

/// Takes an image off the list of what is removed. 0 when its time has come.
pub(crate) async fn keep_image(tx: &Tx, media: AnyId, now: Timestamp) -> Result<u64> {
    KEEP_IMAGE.bind(&media).bind(&now).execute(tx).await
}

const FORGET_IMAGE: Sql = Sql::new(
    "communities.forget_image",
    "DELETE FROM communities.image_removals WHERE media_id = $1",
);

/// After an image was removed.
pub(crate) async fn forget_image(source: impl Source, media: AnyId) -> Result<u64> {
    FORGET_IMAGE.bind(&media).execute(source).await
}

const LIST_DUE_IMAGES: Sql = Sql::new(
    "communities.list_due_images",
    "SELECT media_id
     FROM communities.image_removals
     WHERE due_at <= $1
     ORDER BY due_at
     LIMIT $2",
);

/// By index image_removals_due.
pub(crate) async fn list_due_images(
    source: impl Source,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<AnyId>> {
    LIST_DUE_IMAGES
        .bind(&now)
        .bind(&limit)
        .scalars(source)
        .await
}
