//! Bans.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{CommunityId, UserId};

pub(crate) const ALL: &[&Sql] = &[
    &FIND_BAN,
    &LIST_AFTER,
    &LIST_BEFORE,
    &INSERT_BANS,
    &DELETE_BAN,
];

/// Somebody who may not come back.
#[derive(FromRow)]
pub(crate) struct BanRow {
    pub(crate) user_id: UserId,
    pub(crate) reason: Option<String>,
}

const FIND_BAN: Sql = Sql::new(
    "communities.find_ban",
    "SELECT user_id, reason FROM communities.bans WHERE community_id = $1 AND user_id = $2",
)
.returning::<BanRow>();

pub(crate) async fn find_ban(
    source: impl Source,
    community: CommunityId,
    user: UserId,
) -> Result<Option<BanRow>> {
    FIND_BAN.bind(&community).bind(&user).optional(source).await
}

const LIST_AFTER: Sql = Sql::new(
    "communities.list_bans_after",
    "SELECT user_id, reason
     FROM communities.bans
     WHERE community_id = $1 AND user_id > $2
     ORDER BY user_id
     LIMIT $3",
)
.returning::<BanRow>();

/// The lowest ids above one; by the primary key.
pub(crate) async fn list_bans_after(
    source: impl Source,
    community: CommunityId,
    after: UserId,
    limit: i64,
) -> Result<Vec<BanRow>> {
    LIST_AFTER
        .bind(&community)
        .bind(&after)
        .bind(&limit)
        .all(source)
        .await
}

const LIST_BEFORE: Sql = Sql::new(
    "communities.list_bans_before",
    "SELECT user_id, reason
     FROM (
       SELECT user_id, reason
       FROM communities.bans
       WHERE community_id = $1 AND user_id < $2
       ORDER BY user_id DESC
       LIMIT $3) page
     ORDER BY user_id",
)
.returning::<BanRow>();

/// The highest ids below one, lowest first; by the primary key.
pub(crate) async fn list_bans_before(
    source: impl Source,
    community: CommunityId,
    before: UserId,
    limit: i64,
) -> Result<Vec<BanRow>> {
    LIST_BEFORE
        .bind(&community)
        .bind(&before)
        .bind(&limit)
        .all(source)
        .await
}

const INSERT_BANS: Sql = Sql::new(
    "communities.insert_bans",
    "INSERT INTO communities.bans (community_id, user_id, actor_id, reason, created_at)
     SELECT $1, t.user_id, $3, $4, $5
     FROM unnest($2::bigint[]) AS t (user_id)
     ON CONFLICT (community_id, user_id) DO NOTHING
     RETURNING user_id",
);

/// Those of `users` who were not banned before.
pub(crate) async fn insert_bans(
    tx: &Tx,
    community: CommunityId,
    users: &[UserId],
    actor: UserId,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<Vec<UserId>> {
    INSERT_BANS
        .bind(&community)
        .bind(&users)
        .bind(&actor)
        .bind(&reason)
        .bind(&at)
        .scalars(tx)
        .await
}

const DELETE_BAN: Sql = Sql::new(
    "communities.delete_ban",
    "DELETE FROM communities.bans WHERE community_id = $1 AND user_id = $2",
);

pub(crate) async fn delete_ban(tx: &Tx, community: CommunityId, user: UserId) -> Result<u64> {
    DELETE_BAN.bind(&community).bind(&user).execute(tx).await
}
