use axum::extract::State;
use kernel::{ChannelId, CommunityId};
use web_kit::{Caller, Json, Path, Public, Result};

use super::extract::{App, Why};
use crate::requests::CreateInvite;
use crate::{Invite, Joined};

pub(super) async fn create_invite(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Why(reason): Why,
    Json(new): Json<CreateInvite>,
) -> Result<Json<Invite>> {
    Ok(Json(
        app.create_invite(&caller, channel, new, reason).await?,
    ))
}

pub(super) async fn list_channel_invites(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<Json<Vec<Invite>>> {
    Ok(Json(app.list_channel_invites(&caller, channel).await?))
}

pub(super) async fn list_invites(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<Invite>>> {
    Ok(Json(app.list_invites(&caller, community).await?))
}

pub(super) async fn get_invite(
    State(app): App,
    _: Public,
    Path(code): Path<String>,
) -> Result<Json<Invite>> {
    Ok(Json(app.invite(&code).await?))
}

pub(super) async fn join(
    State(app): App,
    caller: Caller,
    Path(code): Path<String>,
) -> Result<Json<Joined>> {
    Ok(Json(app.join(&caller, &code).await?))
}

pub(super) async fn delete_invite(
    State(app): App,
    caller: Caller,
    Path(code): Path<String>,
    Why(reason): Why,
) -> Result<Json<Invite>> {
    Ok(Json(app.delete_invite(&caller, &code, reason).await?))
}
