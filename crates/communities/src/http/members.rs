use axum::extract::State;
use contracts::communities::Member;
use kernel::{CommunityId, RoleId, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Json, NoContent, Path, Query, Result};

use super::extract::{App, Why};
use crate::Error;
use crate::requests::UpdateMember;

/// A page by user id.
#[derive(Deserialize, IntoParams)]
pub(super) struct MemberPage {
    /// The user after whom the page begins.
    #[serde(default)]
    after: Option<UserId>,
    /// Rows; 1 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// A search by name.
#[derive(Deserialize, IntoParams)]
pub(super) struct MemberSearch {
    /// The beginning of a username or nickname.
    #[param(max_length = 32)]
    query: String,
    /// Rows; 1 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

pub(super) fn limit(asked: Option<i64>, default: u16) -> std::result::Result<u16, Error> {
    match asked {
        None => Ok(default),
        Some(asked) if (1..=1_000).contains(&asked) => Ok(u16::try_from(asked).unwrap_or(default)),
        Some(_) => Err(Error::field(
            "?limit",
            "OUT_OF_RANGE",
            "must be from 1 to 1000",
        )),
    }
}

pub(super) async fn list_members(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(page): Query<MemberPage>,
) -> Result<Json<Vec<Member>>> {
    let limit = limit(page.limit, 1)?;
    let list = app
        .list_members(&caller, community, page.after, limit)
        .await?;
    Ok(Json(list))
}

pub(super) async fn search_members(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(search): Query<MemberSearch>,
) -> Result<Json<Vec<Member>>> {
    let limit = limit(search.limit, 1)?;
    if search.query.chars().count() > 32 || search.query.contains('\0') {
        let detail = "must have at most 32 characters";
        return Err(Error::field("?query", "TOO_LONG", detail).into());
    }
    let list = app
        .search_members(&caller, community, &search.query, limit)
        .await?;
    Ok(Json(list))
}

pub(super) async fn get_own_member(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Member>> {
    let user = caller.user;
    Ok(Json(app.member(&caller, community, user).await?))
}

pub(super) async fn get_member(
    State(app): App,
    caller: Caller,
    Path((community, user)): Path<(CommunityId, UserId)>,
) -> Result<Json<Member>> {
    Ok(Json(app.member(&caller, community, user).await?))
}

pub(super) async fn update_own_member(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(patch): Json<UpdateMember>,
) -> Result<Json<Member>> {
    let user = caller.user;
    let member = app
        .update_member(&caller, community, user, patch, reason)
        .await?;
    Ok(Json(member))
}

pub(super) async fn update_member(
    State(app): App,
    caller: Caller,
    Path((community, user)): Path<(CommunityId, UserId)>,
    Why(reason): Why,
    Json(patch): Json<UpdateMember>,
) -> Result<Json<Member>> {
    let member = app
        .update_member(&caller, community, user, patch, reason)
        .await?;
    Ok(Json(member))
}

pub(super) async fn kick_member(
    State(app): App,
    caller: Caller,
    Path((community, user)): Path<(CommunityId, UserId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.kick_member(&caller, community, user, reason).await?;
    Ok(NoContent)
}

pub(super) async fn add_role(
    State(app): App,
    caller: Caller,
    Path((community, user, role)): Path<(CommunityId, UserId, RoleId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.add_role(&caller, community, user, role, reason).await?;
    Ok(NoContent)
}

pub(super) async fn remove_role(
    State(app): App,
    caller: Caller,
    Path((community, user, role)): Path<(CommunityId, UserId, RoleId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.remove_role(&caller, community, user, role, reason)
        .await?;
    Ok(NoContent)
}
