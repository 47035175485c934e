use axum::extract::State;
use kernel::CommunityId;
use serde_json::Value;
use web_kit::{Caller, Json, Once, Path, Replayed, Result};

use super::communities::replayed;
use super::extract::App;
use crate::Template;
use crate::requests::{CreateCommunity, CreateTemplate, UpdateTemplate};

pub(super) async fn get_template(
    State(app): App,
    _caller: Caller,
    Path(code): Path<String>,
) -> Result<Json<Template>> {
    Ok(Json(app.template(&code).await?))
}

pub(super) async fn use_template(
    State(app): App,
    caller: Caller,
    Path(code): Path<String>,
    Once { body, once }: Once<CreateCommunity>,
) -> Result<Replayed<Value>> {
    replayed(app.create_from_template(&caller, &code, body, once).await?)
}

pub(super) async fn list_templates(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<Template>>> {
    Ok(Json(app.list_templates(&caller, community).await?))
}

pub(super) async fn create_template(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Json(new): Json<CreateTemplate>,
) -> Result<Json<Template>> {
    Ok(Json(app.create_template(&caller, community, new).await?))
}

pub(super) async fn sync_template(
    State(app): App,
    caller: Caller,
    Path((community, code)): Path<(CommunityId, String)>,
) -> Result<Json<Template>> {
    Ok(Json(app.sync_template(&caller, community, &code).await?))
}

pub(super) async fn update_template(
    State(app): App,
    caller: Caller,
    Path((community, code)): Path<(CommunityId, String)>,
    Json(patch): Json<UpdateTemplate>,
) -> Result<Json<Template>> {
    Ok(Json(
        app.update_template(&caller, community, &code, patch)
            .await?,
    ))
}

pub(super) async fn delete_template(
    State(app): App,
    caller: Caller,
    Path((community, code)): Path<(CommunityId, String)>,
) -> Result<Json<Template>> {
    Ok(Json(app.delete_template(&caller, community, &code).await?))
}
