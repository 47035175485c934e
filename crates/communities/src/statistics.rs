//! Statistics: who came, who went and who wrote, by day and by week of joining.

use std::collections::HashMap;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use kernel::failure::INTERNAL;
use kernel::perm::Chat;
use kernel::{Caller, CommunityId, Failure};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Communities;
use crate::error::Result;
use crate::sql::statistics::{self, DayRow, WeekRow};

/// Days that are kept.
const KEPT_DAYS: i64 = 400;
/// Weeks of joining an answer has.
const WEEKS: i64 = 12;

/// The numbers of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::StatisticsDay)]
pub struct StatisticsDay {
    /// The day in UTC.
    #[schema(value_type = String, format = Date)]
    pub day: Date,
    /// Members when it ended; of today, now.
    pub members: i32,
    /// Who came.
    pub joins: i32,
    /// Who went.
    pub leaves: i32,
    /// Messages.
    pub messages: i32,
    /// Members who wrote at least once.
    pub writers: i32,
}

/// Who joined in one week, and how many of them wrote since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::StatisticsWeek)]
pub struct StatisticsWeek {
    /// Its Monday.
    #[schema(value_type = String, format = Date)]
    pub joined_week: Date,
    /// How many joined.
    pub joined: i32,
    /// How many of them wrote: in that week, in the next one, and so on until this week.
    pub writers: Vec<i32>,
}

/// The statistics of a community.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Statistics)]
pub struct Statistics {
    /// Members now.
    pub member_count: i32,
    /// The last days, the oldest first, without gaps.
    pub days: Vec<StatisticsDay>,
    /// The last twelve weeks of joining, the oldest first, without gaps.
    pub weeks: Vec<StatisticsWeek>,
}

impl Communities {
    /// The statistics of the last `days` days: `MANAGE_GUILD`.
    pub async fn statistics(
        &self,
        caller: &Caller,
        community: CommunityId,
        days: u16,
    ) -> Result<Statistics> {
        let view = self.view(community, caller.user).await?;
        let now = self.clock.now();
        if !view.rights.base(&view.own, now).has(Chat::MANAGE_GUILD) {
            return Err(crate::Error::MissingPermission(Chat::MANAGE_GUILD));
        }
        let today = day_of(now);
        let first = days_before(today, i64::from(days.clamp(1, 365)) - 1);
        let first_week = days_before(monday(today), 7 * (WEEKS - 1));
        let since = first.min(first_week);
        let (day_rows, week_rows) = futures::try_join!(
            statistics::list_days(&self.db, community, since),
            statistics::list_weeks(&self.db, community, first_week),
        )?;
        let member_count = view.community.member_count;
        Ok(Statistics {
            member_count,
            days: by_day(&day_rows, first, today, member_count),
            weeks: by_week(&day_rows, &week_rows, first_week, today),
        })
    }

    /// Removes what is older than anybody can ask for.
    pub(crate) async fn purge_statistics(&self, step: i64) -> std::result::Result<u64, Failure> {
        let before = days_before(day_of(self.clock.now()), KEPT_DAYS);
        let days = statistics::purge_days(&self.db, before, step).await?;
        let weeks = statistics::purge_weeks(&self.db, before, step).await?;
        Ok(days + weeks)
    }
}

/// The day of a moment in UTC.
pub(crate) fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn days_before(day: Date, days: i64) -> Date {
    day.saturating_sub(Span::new().days(days))
}

fn monday(day: Date) -> Date {
    days_before(day, i64::from(day.weekday().since(Weekday::Monday)))
}

/// Days without a row are zero; members are counted back from now.
fn by_day(rows: &[DayRow], first: Date, today: Date, now: i32) -> Vec<StatisticsDay> {
    let known: HashMap<Date, &DayRow> = rows.iter().map(|row| (row.day, row)).collect();
    let mut members = now;
    let mut days = Vec::new();
    let mut day = today;
    while day >= first {
        let row = known.get(&day).copied();
        let of = |take: fn(&DayRow) -> i32| row.map_or(0, take);
        let (joins, leaves) = (of(|row| row.joins), of(|row| row.leaves));
        days.push(StatisticsDay {
            day,
            members,
            joins,
            leaves,
            messages: of(|row| row.messages),
            writers: of(|row| row.writers),
        });
        members = members.saturating_sub(joins).saturating_add(leaves).max(0);
        day = days_before(day, 1);
    }
    days.reverse();
    days
}

fn by_week(
    days: &[DayRow],
    weeks: &[WeekRow],
    first_week: Date,
    today: Date,
) -> Vec<StatisticsWeek> {
    let mut all = Vec::new();
    let mut week = first_week;
    let mut ago = WEEKS - 1;
    while ago >= 0 {
        let mut writers = vec![0; usize::try_from(ago + 1).unwrap_or(1)];
        for row in weeks.iter().filter(|row| row.joined_week == week) {
            let at = usize::try_from(row.week).unwrap_or(usize::MAX);
            if let Some(slot) = writers.get_mut(at) {
                *slot = row.writers;
            }
        }
        let of_week = |row: &&DayRow| row.day <= today && monday(row.day) == week;
        all.push(StatisticsWeek {
            joined_week: week,
            joined: days.iter().filter(of_week).map(|row| row.joins).sum(),
            writers,
        });
        week = days_before(week, -7);
        ago -= 1;
    }
    all
}

/// What an event's data should have been.
pub(crate) fn unreadable(error: serde_json::Error) -> Failure {
    INTERNAL.fail().because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn row(day: &str, joins: i32, leaves: i32) -> DayRow {
        DayRow {
            day: date(day),
            joins,
            leaves,
            messages: 0,
            writers: 0,
        }
    }

    #[test]
    fn members_are_counted_back_and_days_have_no_gaps() {
        let rows = [row("2026-11-18", 5, 1), row("2026-11-20", 2, 3)];
        let days = by_day(&rows, date("2026-11-17"), date("2026-11-20"), 10);
        let members: Vec<i32> = days.iter().map(|day| day.members).collect();
        assert_eq!(members, [7, 11, 11, 10]);
        let named: Vec<String> = days.iter().map(|day| day.day.to_string()).collect();
        assert_eq!(
            named,
            ["2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_end_this_week() {
        let today = date("2026-11-20");
        assert_eq!(monday(today), date("2026-11-16"));
        assert_eq!(monday(date("2026-11-16")), date("2026-11-16"));
        assert_eq!(monday(date("2026-11-22")), date("2026-11-16"));
        let first = days_before(monday(today), 77);
        let days = [
            row("2026-11-09", 1, 0),
            row("2026-11-15", 2, 0),
            row("2026-11-16", 4, 0),
        ];
        let weeks = [
            WeekRow {
                joined_week: date("2026-11-09"),
                week: 1,
                writers: 2,
            },
            WeekRow {
                joined_week: date("2026-11-09"),
                week: 9,
                writers: 9,
            },
        ];
        let all = by_week(&days, &weeks, first, today);
        assert_eq!(all.len(), 12);
        assert_eq!(all[0].writers.len(), 12);
        assert_eq!((all[10].joined, &all[10].writers), (3, &vec![0, 2]));
        assert_eq!((all[11].joined, all[11].writers.len()), (4, 1));
    }
}
