//! Numbers of a community by day and by week.

use db::{FromRow, Result, Source, Sql, Tx};
use jiff::Timestamp;
use jiff::civil::Date;
use kernel::{CommunityId, UserId};

pub(crate) const ALL: &[&Sql] = &[
    &COUNT_MESSAGE,
    &COUNT_MEMBER,
    &LIST_DAYS,
    &LIST_WEEKS,
    &PURGE_DAYS,
    &PURGE_WEEKS,
];

const COUNT_MESSAGE: Sql = Sql::new(
    "communities.count_message",
    "WITH before AS (
       SELECT joined_at, wrote_at
       FROM communities.members
       WHERE community_id = $1 AND user_id = $2
       FOR NO KEY UPDATE),
     noted AS (
       UPDATE communities.members m
       SET wrote_at = $3
       FROM before b
       WHERE m.community_id = $1 AND m.user_id = $2
         AND (b.wrote_at IS NULL OR b.wrote_at < $3::timestamptz - interval '1 hour'
           OR (b.wrote_at AT TIME ZONE 'UTC')::date < $4::date)),
     weekly AS (
       INSERT INTO communities.statistics_weeks AS w (community_id, joined_week, week, writers)
       SELECT $1, j.joined_week, ((date_trunc('week', $4::date)::date - j.joined_week) / 7)::smallint, 1
       FROM before b
       CROSS JOIN LATERAL (
         SELECT date_trunc('week', b.joined_at AT TIME ZONE 'UTC')::date AS joined_week) j
       WHERE (b.wrote_at IS NULL
           OR (b.wrote_at AT TIME ZONE 'UTC')::date < date_trunc('week', $4::date)::date)
         AND j.joined_week <= $4::date
       ON CONFLICT (community_id, joined_week, week) DO UPDATE SET writers = w.writers + 1)
     INSERT INTO communities.statistics_days AS d (community_id, day, messages, writers)
     SELECT c.id, $4, 1, (
       SELECT count(*)
       FROM before b
       WHERE b.wrote_at IS NULL OR (b.wrote_at AT TIME ZONE 'UTC')::date < $4::date)::int
     FROM communities.communities c
     WHERE c.id = $1
     ON CONFLICT (community_id, day)
     DO UPDATE SET messages = d.messages + 1, writers = d.writers + excluded.writers",
);

/// Counts a message and, the first time of the day or the week, its author; notes when the author
/// wrote, not more often than each hour.
pub(crate) async fn count_message(
    tx: &Tx,
    community: CommunityId,
    author: UserId,
    at: Timestamp,
    day: Date,
) -> Result<()> {
    COUNT_MESSAGE
        .bind(&community)
        .bind(&author)
        .bind(&at)
        .bind(&day)
        .execute(tx)
        .await
        .map(drop)
}

const COUNT_MEMBER: Sql = Sql::new(
    "communities.count_member",
    "INSERT INTO communities.statistics_days AS d (community_id, day, joins, leaves)
     SELECT c.id, $2, $3, $4
     FROM communities.communities c
     WHERE c.id = $1
     ON CONFLICT (community_id, day)
     DO UPDATE SET joins = d.joins + excluded.joins, leaves = d.leaves + excluded.leaves",
);

/// Counts somebody who came or went.
pub(crate) async fn count_member(
    tx: &Tx,
    community: CommunityId,
    day: Date,
    joins: i32,
    leaves: i32,
) -> Result<()> {
    COUNT_MEMBER
        .bind(&community)
        .bind(&day)
        .bind(&joins)
        .bind(&leaves)
        .execute(tx)
        .await
        .map(drop)
}

/// The numbers of a day.
#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct DayRow {
    pub(crate) day: Date,
    pub(crate) joins: i32,
    pub(crate) leaves: i32,
    pub(crate) messages: i32,
    pub(crate) writers: i32,
}

const LIST_DAYS: Sql = Sql::new(
    "communities.list_statistics_days",
    "SELECT day, joins, leaves, messages, writers
     FROM communities.statistics_days
     WHERE community_id = $1 AND day >= $2
     ORDER BY day",
)
.returning::<DayRow>();

/// By the primary key.
pub(crate) async fn list_days(
    source: impl Source,
    community: CommunityId,
    since: Date,
) -> Result<Vec<DayRow>> {
    LIST_DAYS.bind(&community).bind(&since).all(source).await
}

/// How many of those who joined in one week wrote in a later one.
#[derive(Debug, Clone, Copy, FromRow)]
pub(crate) struct WeekRow {
    pub(crate) joined_week: Date,
    pub(crate) week: i16,
    pub(crate) writers: i32,
}

const LIST_WEEKS: Sql = Sql::new(
    "communities.list_statistics_weeks",
    "SELECT joined_week, week, writers
     FROM communities.statistics_weeks
     WHERE community_id = $1 AND joined_week >= $2
     ORDER BY joined_week, week",
)
.returning::<WeekRow>();

/// By the primary key.
pub(crate) async fn list_weeks(
    source: impl Source,
    community: CommunityId,
    since: Date,
) -> Result<Vec<WeekRow>> {
    LIST_WEEKS.bind(&community).bind(&since).all(source).await
}

const PURGE_DAYS: Sql = Sql::new(
    "communities.purge_statistics_days",
    "DELETE FROM communities.statistics_days
     WHERE (community_id, day) IN (
       SELECT community_id, day FROM communities.statistics_days WHERE day < $1 LIMIT $2)",
);

/// By index statistics_days_day.
pub(crate) async fn purge_days(source: impl Source, before: Date, limit: i64) -> Result<u64> {
    PURGE_DAYS.bind(&before).bind(&limit).execute(source).await
}

const PURGE_WEEKS: Sql = Sql::new(
    "communities.purge_statistics_weeks",
    "DELETE FROM communities.statistics_weeks
     WHERE (community_id, joined_week, week) IN (
       SELECT community_id, joined_week, week
       FROM communities.statistics_weeks
       WHERE joined_week < $1
       LIMIT $2)",
);

/// By index statistics_weeks_joined.
pub(crate) async fn purge_weeks(source: impl Source, before: Date, limit: i64) -> Result<u64> {
    PURGE_WEEKS.bind(&before).bind(&limit).execute(source).await
}
