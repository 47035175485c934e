//! Reports about messages.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use kernel::{ChannelId, CommunityId, MessageId, ReportId, UserId};

pub(crate) const ALL: &[&Sql] = &[
    &INSERT_REPORT,
    &FIND_OPEN,
    &LIST_REPORTS,
    &FIND_REPORT,
    &DECIDE_REPORT,
    &APPEAL_REPORT,
];

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(crate) struct ReportRow {
    pub(crate) id: ReportId,
    pub(crate) community_id: CommunityId,
    pub(crate) reporter_id: UserId,
    pub(crate) channel_id: Option<ChannelId>,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) target_id: Option<UserId>,
    pub(crate) reason: String,
    pub(crate) state: i16,
    pub(crate) resolver_id: Option<UserId>,
    pub(crate) resolution: Option<String>,
    pub(crate) appeal: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) resolved_at: Option<Timestamp>,
}

const INSERT_REPORT: Sql = Sql::new(
    "communities.insert_report",
    "INSERT INTO communities.reports
       (id, community_id, reporter_id, channel_id, message_id, target_id, reason, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (community_id, reporter_id, message_id) WHERE state = 0 DO NOTHING",
);

/// 0 when the reporter has an open one about the message.
pub(crate) async fn insert_report(tx: &Tx, row: &ReportRow) -> Result<u64> {
    INSERT_REPORT
        .bind(&row.id)
        .bind(&row.community_id)
        .bind(&row.reporter_id)
        .bind(&row.channel_id)
        .bind(&row.message_id)
        .bind(&row.target_id)
        .bind(&row.reason)
        .bind(&row.created_at)
        .execute(tx)
        .await
}

const FIND_OPEN: Sql = Sql::new(
    "communities.find_open_report",
    "SELECT id
     FROM communities.reports
     WHERE community_id = $1 AND reporter_id = $2 AND message_id = $3 AND state = 0",
);

/// By index reports_once.
pub(crate) async fn find_open(
    tx: &Tx,
    community: CommunityId,
    reporter: UserId,
    message: MessageId,
) -> Result<Option<ReportId>> {
    FIND_OPEN
        .bind(&community)
        .bind(&reporter)
        .bind(&message)
        .optional_scalar(tx)
        .await
}

const LIST_REPORTS: Sql = Sql::new(
    "communities.list_reports",
    "SELECT id, community_id, reporter_id, channel_id, message_id, target_id, reason, state,
       resolver_id, resolution, appeal, created_at, resolved_at
     FROM communities.reports
     WHERE community_id = $1 AND id < $2 AND ($3::smallint IS NULL OR state = $3)
     ORDER BY id DESC
     LIMIT $4",
)
.returning::<ReportRow>();

/// Newest first; by index reports_community.
pub(crate) async fn list_reports(
    source: impl Source,
    community: CommunityId,
    before: ReportId,
    state: Option<i16>,
    limit: i64,
) -> Result<Vec<ReportRow>> {
    LIST_REPORTS
        .bind(&community)
        .bind(&before)
        .bind(&state)
        .bind(&limit)
        .all(source)
        .await
}

const FIND_REPORT: Sql = Sql::new(
    "communities.find_report",
    "SELECT id, community_id, reporter_id, channel_id, message_id, target_id, reason, state,
       resolver_id, resolution, appeal, created_at, resolved_at
     FROM communities.reports
     WHERE community_id = $1 AND id = $2",
)
.returning::<ReportRow>();

pub(crate) async fn find_report(
    source: impl Source,
    community: CommunityId,
    id: ReportId,
) -> Result<Option<ReportRow>> {
    FIND_REPORT
        .bind(&community)
        .bind(&id)
        .optional(source)
        .await
}

const DECIDE_REPORT: Sql = Sql::new(
    "communities.decide_report",
    "UPDATE communities.reports
     SET state = $3, resolver_id = $4, resolution = $5, resolved_at = $6, version = version + 1
     WHERE community_id = $1 AND id = $2",
);

pub(crate) async fn decide_report(tx: &Tx, row: &ReportRow) -> Result<u64> {
    DECIDE_REPORT
        .bind(&row.community_id)
        .bind(&row.id)
        .bind(&row.state)
        .bind(&row.resolver_id)
        .bind(&row.resolution)
        .bind(&row.resolved_at)
        .execute(tx)
        .await
}

const APPEAL_REPORT: Sql = Sql::new(
    "communities.appeal_report",
    "UPDATE communities.reports
     SET state = $3, appeal = $4, version = version + 1
     WHERE community_id = $1 AND id = $2 AND appeal IS NULL",
);

/// 0 when it was appealed before.
pub(crate) async fn appeal_report(tx: &Tx, row: &ReportRow) -> Result<u64> {
    APPEAL_REPORT
        .bind(&row.community_id)
        .bind(&row.id)
        .bind(&row.state)
        .bind(&row.appeal)
        .execute(tx)
        .await
}
