use std::collections::BTreeMap;

use axum::extract::State;
use contracts::communities::Role;
use kernel::{CommunityId, RoleId};
use serde::Serialize;
use utoipa::ToSchema;
use web_kit::{Caller, Json, NoContent, Path, Result};

use super::extract::{App, Why};
use crate::requests::{MoveRole, RoleRequest};

pub(super) async fn list_roles(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<Role>>> {
    Ok(Json(app.list_roles(&caller, community).await?))
}

/// Role → how many members have it.
#[derive(Serialize, ToSchema)]
#[schema(as = communities::RoleCounts, value_type = std::collections::HashMap<String, i64>)]
pub(super) struct RoleCounts(BTreeMap<RoleId, i64>);

pub(super) async fn count_members(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<RoleCounts>> {
    Ok(Json(RoleCounts(app.role_counts(&caller, community).await?)))
}

pub(super) async fn create_role(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(new): Json<RoleRequest>,
) -> Result<Json<Role>> {
    Ok(Json(
        app.create_role(&caller, community, new, reason).await?,
    ))
}

pub(super) async fn move_roles(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(moves): Json<Vec<MoveRole>>,
) -> Result<Json<Vec<Role>>> {
    Ok(Json(
        app.move_roles(&caller, community, moves, reason).await?,
    ))
}

pub(super) async fn update_role(
    State(app): App,
    caller: Caller,
    Path((community, role)): Path<(CommunityId, RoleId)>,
    Why(reason): Why,
    Json(patch): Json<RoleRequest>,
) -> Result<Json<Role>> {
    let role = app
        .update_role(&caller, community, role, patch, reason)
        .await?;
    Ok(Json(role))
}

pub(super) async fn delete_role(
    State(app): App,
    caller: Caller,
    Path((community, role)): Path<(CommunityId, RoleId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.delete_role(&caller, community, role, reason).await?;
    Ok(NoContent)
}
