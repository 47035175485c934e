//! Reports: members complain about messages, moderators decide, authors appeal once.

use contracts::moderation::NewReport;
use jiff::Timestamp;
use kernel::perm::Chat;
use kernel::{Caller, ChannelId, CommunityId, MessageId, ReportId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::Communities;
use crate::change::{Action, Change, Reason};
use crate::error::{Error, Result};
use crate::model::changes;
use crate::requests::{AppealReport, DecideReport};
use crate::sql::communities;
use crate::sql::reports::{self, ReportRow};

/// Where a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = communities::ReportState)]
pub enum ReportState {
    /// Nobody decided yet.
    Open,
    /// The complaint is right.
    Upheld,
    /// It is not.
    Dismissed,
    /// The author asked to look again.
    Appealed,
}

impl ReportState {
    /// As the row has it.
    pub(crate) fn number(self) -> i16 {
        match self {
            ReportState::Open => 0,
            ReportState::Upheld => 1,
            ReportState::Dismissed => 2,
            ReportState::Appealed => 3,
        }
    }

    fn of(number: i16) -> Self {
        match number {
            1 => ReportState::Upheld,
            2 => ReportState::Dismissed,
            3 => ReportState::Appealed,
            _ => ReportState::Open,
        }
    }

    /// Whether a moderator may bring a report from this state to `next`. A decision can be taken
    /// back as long as nobody appealed; after an appeal the second one is the last.
    fn may_become(self, next: ReportState, appeal: Option<&str>) -> bool {
        match (self, next) {
            (_, ReportState::Open | ReportState::Appealed) => false,
            (ReportState::Open | ReportState::Appealed, _) => true,
            (ReportState::Upheld | ReportState::Dismissed, _) => appeal.is_none() && self != next,
        }
    }
}

/// A report as moderators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = communities::Report)]
pub struct Report {
    /// The report.
    pub id: ReportId,
    /// The community.
    pub guild_id: CommunityId,
    /// Who complained.
    pub reporter_id: UserId,
    /// Where the message is.
    pub channel_id: Option<ChannelId>,
    /// The message.
    pub message_id: Option<MessageId>,
    /// Who wrote it.
    pub target_id: Option<UserId>,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub state: ReportState,
    /// Who decided.
    pub resolver_id: Option<UserId>,
    /// What was said about the decision.
    pub resolution: Option<String>,
    /// What the author says about it.
    pub appeal: Option<String>,
    /// When it was made.
    #[serde(with = "kernel::time::dialect_form")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was decided.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
}

impl From<ReportRow> for Report {
    fn from(row: ReportRow) -> Self {
        Report {
            id: row.id,
            guild_id: row.community_id,
            reporter_id: row.reporter_id,
            channel_id: row.channel_id,
            message_id: row.message_id,
            target_id: row.target_id,
            reason: row.reason,
            state: ReportState::of(row.state),
            resolver_id: row.resolver_id,
            resolution: row.resolution,
            appeal: row.appeal,
            created_at: row.created_at,
            resolved_at: row.resolved_at,
        }
    }
}

impl Communities {
    /// Notes a complaint; whoever takes messages knows that the reporter sees this one.
    pub(crate) async fn take_report(&self, report: NewReport) -> Result<ReportId> {
        let reason = checked_text("/reason", &report.reason)?;
        let community = communities::find_community_of_channel(&self.db, report.channel).await?;
        let community = community.ok_or(Error::UnknownChannel)?;
        let change = Change::begin(self, report.reporter, community, Reason::default()).await?;
        let row = ReportRow {
            id: self.ids.next()?,
            community_id: community,
            reporter_id: report.reporter,
            channel_id: Some(report.channel),
            message_id: Some(report.message),
            target_id: Some(report.author),
            reason,
            state: ReportState::Open.number(),
            resolver_id: None,
            resolution: None,
            appeal: None,
            created_at: change.at,
            resolved_at: None,
        };
        if reports::insert_report(&change.tx, &row).await? == 1 {
            change.finish().await?;
            return Ok(row.id);
        }
        let (reporter, message) = (report.reporter, report.message);
        let known = reports::find_open(&change.tx, community, reporter, message).await?;
        change.drop_all().await?;
        known.ok_or(Error::Broken("an open report is not there"))
    }

    /// Reports, newest first: `MODERATE_MEMBERS`.
    pub async fn list_reports(
        &self,
        caller: &Caller,
        community: CommunityId,
        state: Option<ReportState>,
        before: Option<ReportId>,
        limit: u8,
    ) -> Result<Vec<Report>> {
        self.check_right(caller, community, Chat::MODERATE_MEMBERS)
            .await?;
        let before = before.unwrap_or(ReportId::new(i64::MAX));
        let state = state.map(ReportState::number);
        let limit = i64::from(limit.clamp(1, 100));
        let rows = reports::list_reports(&self.db, community, before, state, limit).await?;
        Ok(rows.into_iter().map(Report::from).collect())
    }

    /// One report: `MODERATE_MEMBERS`, or the author it is about once it was decided.
    pub async fn find_report(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: ReportId,
    ) -> Result<Report> {
        let found = reports::find_report(&self.db, community, id).await?;
        let is_target = found.as_ref().is_some_and(|row| {
            row.target_id == Some(caller.user) && row.state != ReportState::Open.number()
        });
        if !is_target {
            self.check_right(caller, community, Chat::MODERATE_MEMBERS)
                .await?;
        }
        let mut report = Report::from(found.ok_or(Error::UnknownReport)?);
        if is_target {
            // Who complained is not for the one complained about.
            report.reporter_id = UserId::new(0);
        }
        Ok(report)
    }

    /// Decides: `MODERATE_MEMBERS`. Nobody decides about themselves.
    pub async fn decide_report(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: ReportId,
        request: DecideReport,
        reason: Reason,
    ) -> Result<Report> {
        let request = request.checked()?;
        let mut change = Change::begin(self, caller.user, community, reason).await?;
        change.require(Chat::MODERATE_MEMBERS)?;
        let before = find(&change, id).await?;
        if before.target_id == Some(caller.user) {
            return Err(Error::NotBelow);
        }
        let state = ReportState::of(before.state);
        if !state.may_become(request.state, before.appeal.as_deref()) {
            return Err(Error::ReportDecided);
        }
        let after = ReportRow {
            state: request.state.number(),
            resolver_id: Some(caller.user),
            resolution: request.resolution,
            resolved_at: Some(change.at),
            ..before.clone()
        };
        reports::decide_report(&change.tx, &after).await?;
        note(&mut change, Action::ReportDecide, &before, &after)?;
        change.finish().await?;
        Ok(after.into())
    }

    /// Asks to look again at a decision about the caller's own message; once. Who was removed may
    /// ask too.
    pub async fn appeal_report(
        &self,
        caller: &Caller,
        community: CommunityId,
        id: ReportId,
        request: AppealReport,
    ) -> Result<Report> {
        let text = checked_text("/text", &request.text)?;
        let tx = self.db.begin().await?;
        let reason = Reason::default();
        let mut change = Change::open(self, tx, caller.user, community, reason).await?;
        let before = find(&change, id).await;
        let before = before.and_then(|row| match row.target_id == Some(caller.user) {
            true => Ok(row),
            false => Err(Error::UnknownReport),
        })?;
        if before.state != ReportState::Upheld.number() || before.appeal.is_some() {
            return Err(Error::ReportDecided);
        }
        let after = ReportRow {
            state: ReportState::Appealed.number(),
            appeal: Some(text),
            ..before.clone()
        };
        if reports::appeal_report(&change.tx, &after).await? != 1 {
            return Err(Error::ReportDecided);
        }
        note(&mut change, Action::ReportAppeal, &before, &after)?;
        change.finish().await?;
        let mut report = Report::from(after);
        report.reporter_id = UserId::new(0);
        Ok(report)
    }
}

async fn find(change: &Change<'_>, id: ReportId) -> Result<ReportRow> {
    let found = reports::find_report(&change.tx, change.community.id, id).await?;
    found.ok_or(Error::UnknownReport)
}

fn note(
    change: &mut Change<'_>,
    action: Action,
    before: &ReportRow,
    after: &ReportRow,
) -> Result<()> {
    let shown = |row: &ReportRow| {
        json!({
            "state": ReportState::of(row.state),
            "resolution": row.resolution,
            "appeal": row.appeal,
        })
    };
    let list = changes(&shown(before), &shown(after));
    let options = json!({ "report_id": after.id, "message_id": after.message_id });
    let target = after.target_id.map(UserId::cast);
    change.audit_with(action, target, list, Some(options))
}

/// What people write about a report: 1 to 1,000 characters.
fn checked_text(pointer: &str, text: &str) -> Result<String> {
    let mut check = kernel::Check::default();
    let text = check.text(pointer, text, 1, 1_000);
    check.done().map_err(Error::Invalid).map(|()| text)
}

#[cfg(test)]
mod tests {
    use super::ReportState::{Appealed, Dismissed, Open, Upheld};

    #[test]
    fn decisions_can_be_taken_back_until_somebody_appealed() {
        for (from, to, appealed, may) in [
            (Open, Upheld, false, true),
            (Open, Dismissed, false, true),
            (Open, Open, false, false),
            (Open, Appealed, false, false),
            (Upheld, Dismissed, false, true),
            (Upheld, Upheld, false, false),
            (Dismissed, Upheld, false, true),
            (Appealed, Upheld, true, true),
            (Appealed, Dismissed, true, true),
            (Upheld, Dismissed, true, false),
            (Dismissed, Upheld, true, false),
        ] {
            assert_eq!(
                from.may_become(to, appealed.then_some("x")),
                may,
                "{from:?} {to:?} {appealed}"
            );
        }
    }
}
