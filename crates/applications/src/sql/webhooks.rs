//! Webhooks that programs write to.

use db::{Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, WebhookId};

use crate::incoming::model::WebhookRow;

pub(super) const ALL: &[&Sql] = &[
    &LOCK_COMMUNITY,
    &COUNT_WEBHOOKS,
    &INSERT_WEBHOOK,
    &FIND_WEBHOOK,
    &LOCK_WEBHOOK,
    &LIST_OF_CHANNEL,
    &LIST_OF_COMMUNITY,
    &UPDATE_WEBHOOK,
    &DELETE_WEBHOOK,
    &DELETE_OF_CHANNEL,
    &DELETE_OF_COMMUNITY,
];

const LOCK_COMMUNITY: Sql = Sql::new(
    "applications.lock_webhooks_of_community",
    "SELECT pg_advisory_xact_lock(hashtextextended('applications.webhooks:' || $1::bigint::text, 0))",
);

/// Makes two who add webhooks to one community wait for each other, so that the limits hold exactly.
pub(crate) async fn lock_community(tx: &Tx, community: CommunityId) -> Result<()> {
    LOCK_COMMUNITY.bind(&community).execute(tx).await.map(drop)
}

/// How many there are.
#[derive(Debug, Clone, Copy, db::FromRow)]
pub(crate) struct WebhookCounts {
    pub(crate) in_channel: i64,
    pub(crate) in_community: i64,
}

const COUNT_WEBHOOKS: Sql = Sql::new(
    "applications.count_webhooks",
    "SELECT count(*) FILTER (WHERE channel_id = $2) AS in_channel, count(*) AS in_community
     FROM applications.webhooks
     WHERE community_id = $1",
)
.returning::<WebhookCounts>();

/// By index webhooks_community, of which the limit makes a short range.
pub(crate) async fn count_webhooks(
    tx: &Tx,
    community: CommunityId,
    channel: ChannelId,
) -> Result<WebhookCounts> {
    COUNT_WEBHOOKS.bind(&community).bind(&channel).one(tx).await
}

const INSERT_WEBHOOK: Sql = Sql::new(
    "applications.insert_webhook",
    "INSERT INTO applications.webhooks
       (id, community_id, channel_id, creator_id, name, avatar, token_sha256, token_enc, token_kek,
        created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);

pub(crate) async fn insert_webhook(tx: &Tx, row: &WebhookRow, at: Timestamp) -> Result<()> {
    INSERT_WEBHOOK
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.channel_id)
        .bind(&row.creator_id)
        .bind(&row.name)
        .bind(&row.avatar)
        .bind(&row.token_sha256)
        .bind(&row.token_enc)
        .bind(&row.token_kek)
        .bind(&at)
        .execute(tx)
        .await
        .map(drop)
}

const FIND_WEBHOOK: Sql = Sql::new(
    "applications.find_webhook",
    "SELECT id, community_id, channel_id, creator_id, name, avatar, token_sha256, token_enc, token_kek
     FROM applications.webhooks
     WHERE id = $1",
)
.returning::<WebhookRow>();

pub(crate) async fn find_webhook(source: impl Source, id: WebhookId) -> Result<Option<WebhookRow>> {
    FIND_WEBHOOK.bind(&id).optional(source).await
}

const LOCK_WEBHOOK: Sql = Sql::new(
    "applications.lock_webhook",
    "SELECT id, community_id, channel_id, creator_id, name, avatar, token_sha256, token_enc, token_kek
     FROM applications.webhooks
     WHERE id = $1
     FOR UPDATE",
)
.returning::<WebhookRow>();

/// Two changes of one webhook wait here.
pub(crate) async fn lock_webhook(tx: &Tx, id: WebhookId) -> Result<Option<WebhookRow>> {
    LOCK_WEBHOOK.bind(&id).optional(tx).await
}

const LIST_OF_CHANNEL: Sql = Sql::new(
    "applications.list_webhooks_of_channel",
    "SELECT id, community_id, channel_id, creator_id, name, avatar, token_sha256, token_enc, token_kek
     FROM applications.webhooks
     WHERE channel_id = $1
     ORDER BY id",
)
.returning::<WebhookRow>();

/// By index webhooks_channel.
pub(crate) async fn list_webhooks_of_channel(
    source: impl Source,
    channel: ChannelId,
) -> Result<Vec<WebhookRow>> {
    LIST_OF_CHANNEL.bind(&channel).all(source).await
}

const LIST_OF_COMMUNITY: Sql = Sql::new(
    "applications.list_webhooks_of_community",
    "SELECT id, community_id, channel_id, creator_id, name, avatar, token_sha256, token_enc, token_kek
     FROM applications.webhooks
     WHERE community_id = $1
     ORDER BY id",
)
.returning::<WebhookRow>();

/// By index webhooks_community; a setting bounds them.
pub(crate) async fn list_webhooks_of_community(
    source: impl Source,
    community: CommunityId,
) -> Result<Vec<WebhookRow>> {
    LIST_OF_COMMUNITY.bind(&community).all(source).await
}

const UPDATE_WEBHOOK: Sql = Sql::new(
    "applications.update_webhook",
    "UPDATE applications.webhooks
     SET name = $3, channel_id = $4, version = version + 1
     WHERE id = $1 AND community_id = $2",
);

pub(crate) async fn update_webhook(tx: &Tx, row: &WebhookRow) -> Result<u64> {
    UPDATE_WEBHOOK
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.name)
        .bind(&row.channel_id)
        .execute(tx)
        .await
}

const DELETE_WEBHOOK: Sql = Sql::new(
    "applications.delete_webhook",
    "DELETE FROM applications.webhooks WHERE id = $1",
);

pub(crate) async fn delete_webhook(tx: &Tx, id: WebhookId) -> Result<u64> {
    DELETE_WEBHOOK.bind(&id).execute(tx).await
}

const DELETE_OF_CHANNEL: Sql = Sql::new(
    "applications.delete_webhooks_of_channel",
    "DELETE FROM applications.webhooks WHERE channel_id = $1",
);

pub(crate) async fn delete_webhooks_of_channel(tx: &Tx, channel: ChannelId) -> Result<u64> {
    DELETE_OF_CHANNEL.bind(&channel).execute(tx).await
}

const DELETE_OF_COMMUNITY: Sql = Sql::new(
    "applications.delete_webhooks_of_community",
    "DELETE FROM applications.webhooks WHERE community_id = $1",
);

pub(crate) async fn delete_webhooks_of_community(tx: &Tx, community: CommunityId) -> Result<u64> {
    DELETE_OF_COMMUNITY.bind(&community).execute(tx).await
}
