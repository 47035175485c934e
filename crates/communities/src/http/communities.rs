use axum::extract::State;
use axum::http::StatusCode;
use contracts::communities::Guild;
use kernel::CommunityId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use web_kit::{Caller, Json, NoContent, Once, Path, Query, Replayed, Result};

use super::extract::{App, Why};
use crate::requests::{CreateCommunity, TransferOwnership, UpdateCommunity};
use crate::{CommunityCard, Error, Made};

/// Whether counts are wanted.
#[derive(Deserialize, IntoParams)]
pub(super) struct Counts {
    /// Adds `approximate_member_count`.
    #[serde(default)]
    with_counts: Option<bool>,
}

/// A community, perhaps with its number of members.
#[derive(Serialize, ToSchema)]
#[schema(as = communities::CountedGuild)]
pub(super) struct CountedGuild {
    #[serde(flatten)]
    guild: Guild,
    /// Number of members.
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_member_count: Option<i32>,
}

/// A page of the caller's communities.
#[derive(Deserialize, IntoParams)]
pub(super) struct OwnPage {
    /// Only those with a higher id.
    #[serde(default)]
    after: Option<CommunityId>,
    /// Only those with a lower id.
    #[serde(default)]
    before: Option<CommunityId>,
    /// Rows; 200 when absent, and at most.
    #[serde(default)]
    #[param(minimum = 0, maximum = 65535)]
    limit: Option<u16>,
}

pub(super) async fn create_community(
    State(app): App,
    caller: Caller,
    Once { body, once }: Once<CreateCommunity>,
) -> Result<Replayed<Value>> {
    replayed(app.create_community(&caller, body, once).await?)
}

/// The answer to making a community, perhaps once more.
pub(super) fn replayed(made: Made) -> Result<Replayed<Value>> {
    Ok(Replayed {
        status: StatusCode::from_u16(made.status)
            .or(Err(Error::Broken("a stored status is none")))?,
        body: made.body,
        replayed: made.replayed,
    })
}

pub(super) async fn get_community(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
    Query(counts): Query<Counts>,
) -> Result<Json<CountedGuild>> {
    let (guild, count) = app.community(&caller, id).await?;
    let wanted = counts.with_counts == Some(true);
    Ok(Json(CountedGuild {
        guild,
        approximate_member_count: wanted.then_some(count),
    }))
}

pub(super) async fn update_community(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
    Why(reason): Why,
    Json(patch): Json<UpdateCommunity>,
) -> Result<Json<Guild>> {
    Ok(Json(
        app.update_community(&caller, id, patch, reason).await?,
    ))
}

pub(super) async fn transfer_community(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
    Why(reason): Why,
    Json(to): Json<TransferOwnership>,
) -> Result<Json<Guild>> {
    Ok(Json(app.transfer_community(&caller, id, to, reason).await?))
}

pub(super) async fn delete_community(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
) -> Result<NoContent> {
    app.delete_community(&caller, id).await?;
    Ok(NoContent)
}

pub(super) async fn list_own_communities(
    State(app): App,
    caller: Caller,
    Query(page): Query<OwnPage>,
) -> Result<Json<Vec<CommunityCard>>> {
    let limit = page.limit.unwrap_or(200);
    let list = app
        .own_communities(&caller, page.after, page.before, limit)
        .await?;
    Ok(Json(list))
}

pub(super) async fn leave_community(
    State(app): App,
    caller: Caller,
    Path(id): Path<CommunityId>,
) -> Result<NoContent> {
    app.leave_community(&caller, id).await?;
    Ok(NoContent)
}
