use axum::extract::State;
use kernel::{CommunityId, ReportId};
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Json, Path, Query, Result};

use super::extract::{App, Why};
use crate::requests::{AppealReport, DecideReport, IncidentActions};
use crate::{Error, Incidents, Report, ReportState};

/// Which reports.
#[derive(Deserialize, IntoParams)]
pub(super) struct ReportPage {
    /// Only those that stand so.
    #[serde(default)]
    state: Option<ReportState>,
    /// Those right below this one.
    #[serde(default)]
    before: Option<ReportId>,
    /// Rows; 50 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
}

pub(super) async fn list_reports(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(page): Query<ReportPage>,
) -> Result<Json<Vec<Report>>> {
    let limit = u8::try_from(page.limit.unwrap_or(50)).unwrap_or(0);
    if !(1..=100).contains(&limit) {
        let detail = "must be from 1 to 100";
        return Err(Error::field("?limit", "OUT_OF_RANGE", detail).into());
    }
    let (state, before) = (page.state, page.before);
    Ok(Json(
        app.list_reports(&caller, community, state, before, limit)
            .await?,
    ))
}

pub(super) async fn get_report(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, ReportId)>,
) -> Result<Json<Report>> {
    Ok(Json(app.find_report(&caller, community, id).await?))
}

pub(super) async fn decide_report(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, ReportId)>,
    Why(reason): Why,
    Json(request): Json<DecideReport>,
) -> Result<Json<Report>> {
    let report = app
        .decide_report(&caller, community, id, request, reason)
        .await?;
    Ok(Json(report))
}

pub(super) async fn appeal_report(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, ReportId)>,
    Json(request): Json<AppealReport>,
) -> Result<Json<Report>> {
    Ok(Json(
        app.appeal_report(&caller, community, id, request).await?,
    ))
}

pub(super) async fn get_incident_actions(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Incidents>> {
    Ok(Json(app.incidents(&caller, community).await?))
}

pub(super) async fn set_incident_actions(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(asked): Json<IncidentActions>,
) -> Result<Json<Incidents>> {
    Ok(Json(
        app.set_incident_actions(&caller, community, asked, reason)
            .await?,
    ))
}
