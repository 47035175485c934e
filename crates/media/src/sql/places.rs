//! Statements on where files are shown.

use db::{Db, FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, CommunityId, MediaId, UserId};

use crate::model::{Asset, PlaceColumns};

pub(super) const ALL: &[&Sql] = &[
    &CLAIM,
    &KEEP,
    &RELEASE_PLACE,
    &RELEASE_CHANNEL,
    &RELEASE_COMMUNITY,
    &LIST_UNSETTLED,
    &PUT_PICTURE,
    &FIND_PICTURE,
];

// Claimed anew for the same place, a file stays as it is.
const CLAIM: Sql = Sql::new(
    "media.claim",
    "UPDATE media.assets
        SET expires_at = CASE WHEN place_kind IS NULL THEN $8 ELSE expires_at END,
            claimed_at = coalesce(claimed_at, $7),
            place_kind = $3, place_id = $4, channel_id = $5, community_id = $6
      WHERE id = ANY ($2)
        AND owner_id = $1
        AND state IN ('waiting', 'ready')
        AND (expires_at IS NULL OR expires_at > $7)
        AND (place_kind IS NULL OR (place_kind = $3 AND place_id = $4))",
);

/// Claims what can be claimed; how many.
pub(crate) async fn claim(
    tx: &Tx,
    owner: UserId,
    ids: &[MediaId],
    place: PlaceColumns,
    (now, until): (Timestamp, Timestamp),
) -> Result<u64> {
    CLAIM
        .bind(&owner)
        .bind(&ids)
        .bind(&place.kind)
        .bind(&place.id)
        .bind(&place.channel)
        .bind(&place.community)
        .bind(&now)
        .bind(&until)
        .execute(tx)
        .await
}

// By the index on places, as the next one.
const KEEP: Sql = Sql::new(
    "media.keep",
    "UPDATE media.assets
        SET expires_at = NULL
      WHERE place_kind = $1
        AND place_id = $2
        AND state <> 'removed'",
);

/// Lets the files of a place stay.
pub(crate) async fn keep(db: &Db, place: PlaceColumns) -> Result<()> {
    KEEP.bind(&place.kind)
        .bind(&place.id)
        .execute(db)
        .await
        .map(drop)
}

const RELEASE_PLACE: Sql = Sql::new(
    "media.release_place",
    "UPDATE media.assets
        SET state = 'removed', expires_at = NULL
      WHERE place_kind = $1
        AND place_id = $2
        AND id < $3
        AND state <> 'removed'",
);

/// Lets the files of a place go that were made before a moment.
pub(crate) async fn release_place(
    source: impl Source,
    (kind, id): (i16, AnyId),
    before: MediaId,
) -> Result<u64> {
    let bound = RELEASE_PLACE.bind(&kind).bind(&id).bind(&before);
    bound.execute(source).await
}

// By the index on channels.
const RELEASE_CHANNEL: Sql = Sql::new(
    "media.release_channel",
    "UPDATE media.assets
        SET state = 'removed', expires_at = NULL
      WHERE channel_id = $1
        AND state <> 'removed'",
);

/// Lets the files of a channel's messages go.
pub(crate) async fn release_channel(tx: &Tx, channel: ChannelId) -> Result<u64> {
    RELEASE_CHANNEL.bind(&channel).execute(tx).await
}

// By the index on communities.
const RELEASE_COMMUNITY: Sql = Sql::new(
    "media.release_community",
    "UPDATE media.assets
        SET state = 'removed', expires_at = NULL
      WHERE community_id = $1
        AND state <> 'removed'",
);

/// Lets the files of a community's messages go.
pub(crate) async fn release_community(tx: &Tx, community: CommunityId) -> Result<u64> {
    RELEASE_COMMUNITY.bind(&community).execute(tx).await
}

/// A message for which files were claimed.
#[derive(FromRow)]
pub(crate) struct ClaimRow {
    pub(crate) place_id: AnyId,
    pub(crate) channel_id: Option<ChannelId>,
    pub(crate) community_id: Option<CommunityId>,
}

// By the index on the expiry: settled ones have none.
const LIST_UNSETTLED: Sql = Sql::new(
    "media.list_unsettled",
    "SELECT DISTINCT place_id, channel_id, community_id
       FROM media.assets
      WHERE place_kind = 1
        AND expires_at IS NOT NULL
        AND claimed_at <= $1
        AND state <> 'removed'
      ORDER BY place_id
      LIMIT $2",
)
.returning::<ClaimRow>();

/// Messages for which files were claimed before a moment and not settled.
pub(crate) async fn list_unsettled(
    db: &Db,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<ClaimRow>> {
    LIST_UNSETTLED.bind(&before).bind(&limit).all(db).await
}

const PUT_PICTURE: Sql = Sql::new(
    "media.put_picture",
    "UPDATE media.assets
        SET state = 'ready', place_kind = $3, place_id = $4, picture_hash = $5, size_bytes = $6,
            offset_bytes = $6, content_type = 'image/png', claimed_at = $7, expires_at = NULL,
            leased_until = NULL
      WHERE id = $1
        AND lease_id = $2
        AND state = 'receiving'",
);

/// A picture whose objects are there.
pub(crate) struct PictureRow<'a> {
    pub(crate) id: MediaId,
    pub(crate) lease: AnyId,
    pub(crate) place: PlaceColumns,
    pub(crate) hash: &'a str,
    pub(crate) size_bytes: i64,
    pub(crate) now: Timestamp,
}

/// Makes a file a picture; false when it is gone meanwhile.
pub(crate) async fn put_picture(db: &Db, row: &PictureRow<'_>) -> Result<bool> {
    let changed = PUT_PICTURE
        .bind(&row.id)
        .bind(&row.lease)
        .bind(&row.place.kind)
        .bind(&row.place.id)
        .bind(&row.hash)
        .bind(&row.size_bytes)
        .bind(&row.now);
    Ok(changed.execute(db).await? == 1)
}

// By the index on places.
const FIND_PICTURE: Sql = Sql::new(
    "media.find_picture",
    "SELECT id, owner_id, state, folder, file_name, declared_type, size_bytes, offset_bytes,
            expected_sha256, content_type, object, width, height, placeholder, thumbnail,
            place_kind, place_id, channel_id, picture_hash, tries, expires_at
       FROM media.assets
      WHERE place_kind = $1
        AND place_id = $2
        AND picture_hash = $3
        AND state = 'ready'
      ORDER BY id DESC
      LIMIT 1",
)
.returning::<Asset>();

/// The picture of a place with this hash.
pub(crate) async fn find_picture(
    db: &Db,
    place: PlaceColumns,
    hash: &str,
) -> Result<Option<Asset>> {
    let bound = FIND_PICTURE.bind(&place.kind).bind(&place.id).bind(&hash);
    bound.optional(db).await
}
