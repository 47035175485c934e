//! Rules of automatic moderation, and what judging a message needs to know.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{AutomodRuleId, ChannelId, CommunityId, RoleId, UserId};
use serde_json::Value;

pub(crate) const ALL: &[&Sql] = &[
    &LIST_RULES,
    &INSERT_RULE,
    &UPDATE_RULE,
    &DELETE_RULE,
    &RAISE_EPOCH,
    &FIND_JUDGED,
];

/// A rule.
#[derive(Debug, Clone, FromRow)]
pub(crate) struct RuleRow {
    pub(crate) id: AutomodRuleId,
    pub(crate) community_id: CommunityId,
    pub(crate) creator_id: UserId,
    pub(crate) name: String,
    pub(crate) trigger_kind: i16,
    pub(crate) trigger: Value,
    pub(crate) actions: Value,
    pub(crate) exempt_role_ids: Vec<RoleId>,
    pub(crate) exempt_channel_ids: Vec<ChannelId>,
    pub(crate) enabled: bool,
}

const LIST_RULES: Sql = Sql::new(
    "communities.list_automod_rules",
    "SELECT id, community_id, creator_id, name, trigger_kind, trigger, actions, exempt_role_ids,
       exempt_channel_ids, enabled
     FROM communities.automod_rules
     WHERE community_id = $1
     ORDER BY id",
)
.returning::<RuleRow>();

/// By index automod_rules_community.
pub(crate) async fn list_rules(
    source: impl Source,
    community: CommunityId,
) -> Result<Vec<RuleRow>> {
    LIST_RULES.bind(&community).all(source).await
}

const INSERT_RULE: Sql = Sql::new(
    "communities.insert_automod_rule",
    "INSERT INTO communities.automod_rules
       (id, community_id, creator_id, name, event_kind, trigger_kind, trigger, actions,
        exempt_role_ids, exempt_channel_ids, enabled)
     VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10)",
);

pub(crate) async fn insert_rule(tx: &Tx, row: &RuleRow) -> Result<()> {
    INSERT_RULE
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.creator_id)
        .bind(&row.name)
        .bind(&row.trigger_kind)
        .bind(&row.trigger)
        .bind(&row.actions)
        .bind(&row.exempt_role_ids)
        .bind(&row.exempt_channel_ids)
        .bind(&row.enabled)
        .execute(tx)
        .await
        .map(drop)
}

const UPDATE_RULE: Sql = Sql::new(
    "communities.update_automod_rule",
    "UPDATE communities.automod_rules
     SET name = $3, trigger = $4, actions = $5, exempt_role_ids = $6, exempt_channel_ids = $7,
       enabled = $8, version = version + 1
     WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn update_rule(tx: &Tx, row: &RuleRow) -> Result<u64> {
    UPDATE_RULE
        .bind(&row.community_id)
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.trigger)
        .bind(&row.actions)
        .bind(&row.exempt_role_ids)
        .bind(&row.exempt_channel_ids)
        .bind(&row.enabled)
        .execute(tx)
        .await
}

const DELETE_RULE: Sql = Sql::new(
    "communities.delete_automod_rule",
    "DELETE FROM communities.automod_rules WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn delete_rule(tx: &Tx, community: CommunityId, id: AutomodRuleId) -> Result<u64> {
    DELETE_RULE.bind(&community).bind(&id).execute(tx).await
}

const RAISE_EPOCH: Sql = Sql::new(
    "communities.raise_automod_epoch",
    "UPDATE communities.communities SET automod_epoch = automod_epoch + 1 WHERE id = $1",
);

/// What was compiled of the rules before is void.
pub(crate) async fn raise_epoch(tx: &Tx, community: CommunityId) -> Result<u64> {
    RAISE_EPOCH.bind(&community).execute(tx).await
}

/// All that judging one message needs, of one moment.
#[derive(Debug, FromRow)]
pub(crate) struct JudgedRow {
    pub(crate) community_id: CommunityId,
    pub(crate) owner_id: UserId,
    pub(crate) settings: Value,
    pub(crate) automod_epoch: i32,
    pub(crate) joined_at: Timestamp,
    pub(crate) role_ids: Vec<RoleId>,
    /// Rights of the roles, everyone's among them.
    pub(crate) chats: Vec<i64>,
}

const FIND_JUDGED: Sql = Sql::new(
    "communities.find_judged",
    "SELECT c.id AS community_id, c.owner_id, c.settings, c.automod_epoch, m.joined_at, k.role_ids,
       ARRAY(SELECT r.chat FROM communities.roles r
         WHERE r.community_id = c.id AND (r.id = c.id OR r.id = ANY(k.role_ids))) AS chats
     FROM communities.channels ch
     JOIN communities.communities c ON c.id = ch.community_id AND c.deleted_at IS NULL
     JOIN communities.members m ON m.community_id = c.id AND m.user_id = $2
     JOIN communities.role_classes k ON k.community_id = c.id AND k.id = m.class
     WHERE ch.id = $1 AND ch.deleted_at IS NULL",
)
.returning::<JudgedRow>();

/// By the primary keys; nothing when the channel or the member is not there.
pub(crate) async fn find_judged(
    source: impl Source,
    channel: ChannelId,
    author: UserId,
) -> Result<Option<JudgedRow>> {
    FIND_JUDGED
        .bind(&channel)
        .bind(&author)
        .optional(source)
        .await
}
