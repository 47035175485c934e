use axum::extract::State;
use contracts::communities::Channel;
use kernel::{AnyId, ChannelId, CommunityId};
use web_kit::{Caller, Created, Json, NoContent, Path, Result};

use super::extract::{App, Why};
use crate::requests::{CreateChannel, PutOverwrite, UpdateChannel};

pub(super) async fn list_channels(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<Channel>>> {
    Ok(Json(app.list_channels(&caller, community).await?))
}

pub(super) async fn create_channel(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(new): Json<CreateChannel>,
) -> Result<Created<Channel>> {
    let channel = app.create_channel(&caller, community, new, reason).await?;
    Ok(Created(channel))
}

pub(super) async fn get_channel(
    State(app): App,
    caller: Caller,
    Path(id): Path<ChannelId>,
) -> Result<Json<Channel>> {
    Ok(Json(app.channel(&caller, id).await?))
}

pub(super) async fn update_channel(
    State(app): App,
    caller: Caller,
    Path(id): Path<ChannelId>,
    Why(reason): Why,
    Json(patch): Json<UpdateChannel>,
) -> Result<Json<Channel>> {
    Ok(Json(app.update_channel(&caller, id, patch, reason).await?))
}

pub(super) async fn delete_channel(
    State(app): App,
    caller: Caller,
    Path(id): Path<ChannelId>,
    Why(reason): Why,
) -> Result<Json<Channel>> {
    Ok(Json(app.delete_channel(&caller, id, reason).await?))
}

pub(super) async fn put_overwrite(
    State(app): App,
    caller: Caller,
    Path((channel, target)): Path<(ChannelId, AnyId)>,
    Why(reason): Why,
    Json(put): Json<PutOverwrite>,
) -> Result<NoContent> {
    app.put_overwrite(&caller, channel, target, put, reason)
        .await?;
    Ok(NoContent)
}

pub(super) async fn delete_overwrite(
    State(app): App,
    caller: Caller,
    Path((channel, target)): Path<(ChannelId, AnyId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.delete_overwrite(&caller, channel, target, reason)
        .await?;
    Ok(NoContent)
}
