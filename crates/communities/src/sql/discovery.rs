//! Communities that anybody may find.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::CommunityId;
use serde_json::Value;

pub(crate) const ALL: &[&Sql] = &[
    &PUT_DISCOVERABLE,
    &DELETE_DISCOVERABLE,
    &IS_DISCOVERABLE,
    &LIST_BY_MEMBERS,
    &LIST_BY_TIME,
    &RECOUNT,
];

const PUT_DISCOVERABLE: Sql = Sql::new(
    "communities.put_discoverable",
    "INSERT INTO communities.discoverable AS d
       (community_id, language, words, member_count, listed_at)
     VALUES ($1, $2, array_to_tsvector($3::text[]), $4, $5)
     ON CONFLICT (community_id)
     DO UPDATE SET language = excluded.language, words = excluded.words",
);

/// What a community is found by.
pub(crate) struct Listing<'a> {
    pub(crate) community: CommunityId,
    pub(crate) language: &'a str,
    /// Folded and not empty, without doubles.
    pub(crate) words: &'a [String],
    pub(crate) member_count: i32,
    pub(crate) at: Timestamp,
}

/// Lists a community, or lists it by other words.
pub(crate) async fn put_discoverable(tx: &Tx, listing: Listing<'_>) -> Result<()> {
    PUT_DISCOVERABLE
        .bind(&listing.community)
        .bind(&listing.language)
        .bind(&listing.words)
        .bind(&listing.member_count)
        .bind(&listing.at)
        .execute(tx)
        .await
        .map(drop)
}

const DELETE_DISCOVERABLE: Sql = Sql::new(
    "communities.delete_discoverable",
    "DELETE FROM communities.discoverable WHERE community_id = $1",
);

pub(crate) async fn delete_discoverable(tx: &Tx, community: CommunityId) -> Result<u64> {
    DELETE_DISCOVERABLE.bind(&community).execute(tx).await
}

const IS_DISCOVERABLE: Sql = Sql::new(
    "communities.is_discoverable",
    "SELECT EXISTS (
       SELECT FROM communities.discoverable d
       JOIN communities.communities c ON c.id = d.community_id AND c.deleted_at IS NULL
       WHERE d.community_id = $1)",
);

pub(crate) async fn is_discoverable(source: impl Source, community: CommunityId) -> Result<bool> {
    IS_DISCOVERABLE.bind(&community).scalar(source).await
}

/// A community in a list of public ones.
#[derive(FromRow)]
pub(crate) struct FoundRow {
    pub(crate) id: CommunityId,
    pub(crate) name: String,
    pub(crate) icon: Option<String>,
    pub(crate) settings: Value,
    pub(crate) member_count: i32,
    /// What the list is ordered by.
    pub(crate) place: i64,
}

/// Which part of the list is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// A text search query; none = all.
    pub(crate) words: Option<&'a str>,
    pub(crate) language: Option<&'a str>,
    /// Below this place and, at it, this community.
    pub(crate) below: (i64, CommunityId),
    pub(crate) limit: i64,
}

const LIST_BY_MEMBERS: Sql = Sql::new(
    "communities.list_discoverable_by_members",
    "SELECT c.id, c.name, c.icon, c.settings, c.member_count, d.member_count::bigint AS place
     FROM communities.discoverable d
     JOIN communities.communities c ON c.id = d.community_id AND c.deleted_at IS NULL
     WHERE ($1::text IS NULL OR d.words @@ $1::tsquery)
       AND ($2::text IS NULL OR d.language = $2)
       AND (d.member_count, d.community_id) < ($3::bigint, $4::bigint)
     ORDER BY d.member_count DESC, d.community_id DESC
     LIMIT $5",
)
.returning::<FoundRow>();

/// Largest first; by index discoverable_members or discoverable_words.
pub(crate) async fn list_by_members(
    source: impl Source,
    wanted: Wanted<'_>,
) -> Result<Vec<FoundRow>> {
    LIST_BY_MEMBERS
        .bind(&wanted.words)
        .bind(&wanted.language)
        .bind(&wanted.below.0)
        .bind(&wanted.below.1)
        .bind(&wanted.limit)
        .all(source)
        .await
}

const LIST_BY_TIME: Sql = Sql::new(
    "communities.list_discoverable_by_time",
    "SELECT c.id, c.name, c.icon, c.settings, c.member_count,
       (extract(epoch FROM d.listed_at) * 1000000)::bigint AS place
     FROM communities.discoverable d
     JOIN communities.communities c ON c.id = d.community_id AND c.deleted_at IS NULL
     WHERE ($1::text IS NULL OR d.words @@ $1::tsquery)
       AND ($2::text IS NULL OR d.language = $2)
       AND (d.listed_at, d.community_id) < ($3::timestamptz, $4::bigint)
     ORDER BY d.listed_at DESC, d.community_id DESC
     LIMIT $5",
)
.returning::<FoundRow>();

/// Newest first, `below` in microseconds; by index discoverable_listed or discoverable_words.
pub(crate) async fn list_by_time(
    source: impl Source,
    wanted: Wanted<'_>,
    below: Timestamp,
) -> Result<Vec<FoundRow>> {
    LIST_BY_TIME
        .bind(&wanted.words)
        .bind(&wanted.language)
        .bind(&below)
        .bind(&wanted.below.1)
        .bind(&wanted.limit)
        .all(source)
        .await
}

const RECOUNT: Sql = Sql::new(
    "communities.recount_discoverable",
    "UPDATE communities.discoverable d
     SET member_count = c.member_count
     FROM communities.communities c
     WHERE c.id = d.community_id AND c.member_count <> d.member_count",
);

/// Brings the numbers of members up to date.
pub(crate) async fn recount(source: impl Source) -> Result<u64> {
    RECOUNT.execute(source).await
}
