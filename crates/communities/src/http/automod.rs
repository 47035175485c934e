use axum::extract::State;
use contracts::moderation::AutomodRule;
use kernel::{AutomodRuleId, CommunityId};
use web_kit::{Caller, Json, NoContent, Path, Result};

use super::extract::{App, Why};
use crate::requests::AutomodRuleRequest;

pub(super) async fn list_rules(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<AutomodRule>>> {
    Ok(Json(app.list_automod_rules(&caller, community).await?))
}

pub(super) async fn get_rule(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, AutomodRuleId)>,
) -> Result<Json<AutomodRule>> {
    Ok(Json(app.automod_rule(&caller, community, id).await?))
}

pub(super) async fn create_rule(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(request): Json<AutomodRuleRequest>,
) -> Result<Json<AutomodRule>> {
    let rule = app
        .create_automod_rule(&caller, community, request, reason)
        .await?;
    Ok(Json(rule))
}

pub(super) async fn update_rule(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, AutomodRuleId)>,
    Why(reason): Why,
    Json(request): Json<AutomodRuleRequest>,
) -> Result<Json<AutomodRule>> {
    let rule = app
        .update_automod_rule(&caller, community, id, request, reason)
        .await?;
    Ok(Json(rule))
}

pub(super) async fn delete_rule(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, AutomodRuleId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.delete_automod_rule(&caller, community, id, reason)
        .await?;
    Ok(NoContent)
}
