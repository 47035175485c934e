//! Invites.

use db::{Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId};

use crate::model::InviteRow;

pub(crate) const ALL: &[&Sql] = &[
    &INSERT_INVITE,
    &FIND_INVITE,
    &LIST_INVITES,
    &COUNT_INVITES,
    &TAKE_INVITE,
    &DELETE_INVITE,
    &DELETE_INVITES_OF_CHANNEL,
    &PURGE_INVITES,
];

const INSERT_INVITE: Sql = Sql::new(
    "communities.insert_invite",
    "INSERT INTO communities.invites
       (code, community_id, channel_id, inviter_id, max_uses, max_age_s, temporary, created_at,
        expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (code) DO NOTHING",
);

/// 0 when the code is taken.
pub(crate) async fn insert_invite(tx: &Tx, row: &InviteRow) -> Result<u64> {
    INSERT_INVITE
        .bind(&row.code)
        .bind(&row.community_id)
        .bind(&row.channel_id)
        .bind(&row.inviter_id)
        .bind(&row.max_uses)
        .bind(&row.max_age_s)
        .bind(&row.temporary)
        .bind(&row.created_at)
        .bind(&row.expires_at)
        .execute(tx)
        .await
}

const FIND_INVITE: Sql = Sql::new(
    "communities.find_invite",
    "SELECT i.code, i.community_id, i.channel_id, i.inviter_id, i.uses, i.max_uses, i.max_age_s,
       i.temporary, i.created_at, i.expires_at
     FROM communities.invites i
     JOIN communities.communities c ON c.id = i.community_id AND c.deleted_at IS NULL
     WHERE i.code = $1
       AND (i.max_uses = 0 OR i.uses < i.max_uses)
       AND (i.expires_at IS NULL OR i.expires_at > $2)",
)
.returning::<InviteRow>();

/// An invite that can be used at `at`.
pub(crate) async fn find_invite(
    source: impl Source,
    code: &str,
    at: Timestamp,
) -> Result<Option<InviteRow>> {
    FIND_INVITE.bind(&code).bind(&at).optional(source).await
}

const LIST_INVITES: Sql = Sql::new(
    "communities.list_invites",
    "SELECT code, community_id, channel_id, inviter_id, uses, max_uses, max_age_s, temporary,
       created_at, expires_at
     FROM communities.invites
     WHERE community_id = $1
       AND (max_uses = 0 OR uses < max_uses)
       AND (expires_at IS NULL OR expires_at > $2)
     ORDER BY created_at, code
     LIMIT $3",
)
.returning::<InviteRow>();

/// By index invites_community.
pub(crate) async fn list_invites(
    source: impl Source,
    community: CommunityId,
    at: Timestamp,
    limit: i64,
) -> Result<Vec<InviteRow>> {
    LIST_INVITES
        .bind(&community)
        .bind(&at)
        .bind(&limit)
        .all(source)
        .await
}

const COUNT_INVITES: Sql = Sql::new(
    "communities.count_invites",
    "SELECT count(*)
     FROM communities.invites
     WHERE community_id = $1
       AND (max_uses = 0 OR uses < max_uses)
       AND (expires_at IS NULL OR expires_at > $2)",
);

pub(crate) async fn count_invites(tx: &Tx, community: CommunityId, at: Timestamp) -> Result<i64> {
    COUNT_INVITES.bind(&community).bind(&at).scalar(tx).await
}

const TAKE_INVITE: Sql = Sql::new(
    "communities.take_invite",
    "UPDATE communities.invites
     SET uses = uses + 1
     WHERE code = $1
       AND (max_uses = 0 OR uses < max_uses)
       AND (expires_at IS NULL OR expires_at > $2)",
);

/// Checks and counts one use in one statement; 0 when the invite is used up or expired.
pub(crate) async fn take_invite(tx: &Tx, code: &str, at: Timestamp) -> Result<u64> {
    TAKE_INVITE.bind(&code).bind(&at).execute(tx).await
}

const DELETE_INVITE: Sql = Sql::new(
    "communities.delete_invite",
    "DELETE FROM communities.invites WHERE community_id = $1 AND code = $2",
);

pub(crate) async fn delete_invite(tx: &Tx, community: CommunityId, code: &str) -> Result<u64> {
    DELETE_INVITE.bind(&community).bind(&code).execute(tx).await
}

const DELETE_INVITES_OF_CHANNEL: Sql = Sql::new(
    "communities.delete_invites_of_channel",
    "DELETE FROM communities.invites WHERE community_id = $1 AND channel_id = $2",
);

/// By index invites_channel.
pub(crate) async fn delete_invites_of_channel(
    tx: &Tx,
    community: CommunityId,
    channel: ChannelId,
) -> Result<u64> {
    DELETE_INVITES_OF_CHANNEL
        .bind(&community)
        .bind(&channel)
        .execute(tx)
        .await
}

const PURGE_INVITES: Sql = Sql::new(
    "communities.purge_invites",
    "DELETE FROM communities.invites
     WHERE code IN (
       SELECT code FROM communities.invites
       WHERE expires_at < $1 OR (max_uses > 0 AND uses >= max_uses)
       LIMIT $2)",
);

/// Removes invites that can never be used again.
pub(crate) async fn purge_invites(
    source: impl Source,
    before: Timestamp,
    limit: i64,
) -> Result<u64> {
    PURGE_INVITES
        .bind(&before)
        .bind(&limit)
        .execute(source)
        .await
}
