use axum::extract::State;
use kernel::{CommunityId, RoleId, UserId};
use serde::Deserialize;
use utoipa::IntoParams;
use web_kit::{Caller, Json, NoContent, OptionalJson, Path, Query, Result};

use super::extract::{App, Why};
use super::members::limit;
use crate::requests::{BulkBanRequest, PruneRequest};
use crate::{Ban, BanFrom, BulkBan, Error, Pruned};

/// A page of bans by user id.
#[derive(Deserialize, IntoParams)]
pub(super) struct BanPage {
    /// Those right below this user; goes before `after`.
    #[serde(default)]
    before: Option<UserId>,
    /// Those right above this user.
    #[serde(default)]
    after: Option<UserId>,
    /// Rows; 1,000 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// Which members a prune would remove.
#[derive(Deserialize, IntoParams)]
pub(super) struct PruneQuery {
    /// Days without a message; 7 when absent.
    #[serde(default)]
    #[param(minimum = 1, maximum = 30)]
    days: Option<i32>,
    /// Ids of roles, separated by commas, whose members are removed as well.
    #[serde(default)]
    #[param(max_length = 5250)]
    include_roles: Option<String>,
}

impl PruneQuery {
    fn request(&self) -> std::result::Result<PruneRequest, Error> {
        let listed = self.include_roles.as_deref().unwrap_or_default();
        let ids = listed.split(',').filter(|id| !id.is_empty());
        let roles: std::result::Result<Vec<RoleId>, _> = ids.map(str::parse).collect();
        let Ok(roles) = roles else {
            let detail = "must be ids separated by commas";
            return Err(Error::field("?include_roles", "INVALID", detail));
        };
        Ok(PruneRequest {
            days: self.days,
            include_roles: Some(roles),
            ..PruneRequest::default()
        })
    }
}

pub(super) async fn list_bans(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(page): Query<BanPage>,
) -> Result<Json<Vec<Ban>>> {
    let limit = limit(page.limit, 1_000)?;
    let from = match (page.before, page.after) {
        // As in the dialect, one of them counts.
        (Some(user), _) => BanFrom::Before(user),
        (None, after) => BanFrom::After(after.unwrap_or(UserId::new(0))),
    };
    Ok(Json(app.list_bans(&caller, community, from, limit).await?))
}

pub(super) async fn get_ban(
    State(app): App,
    caller: Caller,
    Path((community, user)): Path<(CommunityId, UserId)>,
) -> Result<Json<Ban>> {
    Ok(Json(app.ban(&caller, community, user).await?))
}

pub(super) async fn ban_user(
    State(app): App,
    caller: Caller,
    Path((community, user)): Path<(CommunityId, UserId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.ban_user(&caller, community, user, reason).await?;
    Ok(NoContent)
}

pub(super) async fn unban_user(
    State(app): App,
    caller: Caller,
    Path((community, user)): Path<(CommunityId, UserId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.unban_user(&caller, community, user, reason).await?;
    Ok(NoContent)
}

pub(super) async fn ban_users(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(request): Json<BulkBanRequest>,
) -> Result<Json<BulkBan>> {
    Ok(Json(
        app.ban_users(&caller, community, request, reason).await?,
    ))
}

pub(super) async fn count_prune(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Query(query): Query<PruneQuery>,
) -> Result<Json<Pruned>> {
    let request = query.request()?;
    Ok(Json(app.count_prune(&caller, community, request).await?))
}

pub(super) async fn prune(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    OptionalJson(request): OptionalJson<PruneRequest>,
) -> Result<Json<Pruned>> {
    Ok(Json(app.prune(&caller, community, request, reason).await?))
}
