//! What requests about reports and raids ask for.

use jiff::Timestamp;
use kernel::Check;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{Error, Result};
use crate::raids::RaidProtection;
use crate::reports::ReportState;

/// Longest pause of joins, in hours.
const MAX_PAUSE_HOURS: i64 = 24;

/// A decision about a report.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::DecideReport)]
pub struct DecideReport {
    /// `upheld` or `dismissed`.
    pub state: ReportState,
    /// What is said about it, at most 1,000 characters.
    #[serde(default)]
    #[schema(format = "lines", max_length = 1000)]
    pub resolution: Option<String>,
}

impl DecideReport {
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(text) = self.resolution.take() {
            let text = check.text("/resolution", &text, 0, 1_000);
            self.resolution = (!text.is_empty()).then_some(text);
        }
        if matches!(self.state, ReportState::Open | ReportState::Appealed) {
            check.refuse("/state", "INVALID", "must be upheld or dismissed");
        }
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

/// What the author says about a decision.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(as = communities::AppealReport)]
pub struct AppealReport {
    /// 1 to 1,000 characters.
    #[schema(format = "lines", min_length = 1, max_length = 1000)]
    pub text: String,
}

/// What is done by hand against a raid.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::IncidentActions)]
pub struct IncidentActions {
    /// Until when nobody can join, at most 24 hours ahead; null ends it, and what a raid led to.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub invites_disabled_until: Option<Timestamp>,
    /// Not offered: only null is possible.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub dms_disabled_until: Option<Timestamp>,
}

impl IncidentActions {
    pub(crate) fn checked(self, now: Timestamp) -> Result<Option<Timestamp>> {
        let mut check = Check::default();
        if self.dms_disabled_until.is_some() {
            let detail = "direct messages are paused by nobody but their people";
            check.refuse("/dms_disabled_until", "NOT_SUPPORTED", detail);
        }
        let until = self.invites_disabled_until.filter(|until| *until > now);
        if let Some(until) = until {
            let ahead_s = until.as_second().saturating_sub(now.as_second());
            if ahead_s > MAX_PAUSE_HOURS * 3_600 {
                let detail = format!("at most {MAX_PAUSE_HOURS} hours ahead");
                check.refuse("/invites_disabled_until", "OUT_OF_RANGE", detail);
            }
        }
        check.done().map_err(Error::Invalid).map(|()| until)
    }
}

/// Checks when joins are a raid.
pub(crate) fn check_raid_protection(check: &mut Check, wanted: Option<&RaidProtection>) {
    let Some(wanted) = wanted else { return };
    for (name, value, (min, max)) in [
        ("joins", wanted.joins, (2, 1_000)),
        ("seconds", wanted.seconds, (5, 3_600)),
        ("minutes", wanted.minutes, (1, 1_440)),
    ] {
        check.range(&format!("/raid_protection/{name}"), value, min, max);
    }
}
