use axum::extract::State;
use kernel::CommunityId;
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Json, Path, Query, Result};

use super::extract::App;
use crate::{Error, Statistics};

/// How far back.
#[derive(Deserialize, IntoParams)]
pub(super) struct StatisticsQuery {
    /// Days, today among them; 30 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 365)]
    days: Option<i64>,
}

pub(super) async fn get_statistics(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(query): Query<StatisticsQuery>,
) -> Result<Json<Statistics>> {
    let days = u16::try_from(query.days.unwrap_or(30)).unwrap_or(0);
    if !(1..=365).contains(&days) {
        let detail = "must be from 1 to 365";
        return Err(Error::field("?days", "OUT_OF_RANGE", detail).into());
    }
    Ok(Json(app.statistics(&caller, community, days).await?))
}
