use axum::extract::State;
use contracts::messaging::PrivateChannel;
use kernel::{ChannelId, UserId};
use serde::Deserialize;
use web_kit::{Caller, Json, NoContent, Path, Result};

use super::App;

/// With whom to open direct messages.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct OpenDm {
    /// The other one.
    recipient_id: UserId,
}

pub(super) async fn start_typing(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<NoContent> {
    app.start_typing(&caller, channel).await?;
    Ok(NoContent)
}

pub(super) async fn open_dm(
    State(app): App,
    caller: Caller,
    Json(body): Json<OpenDm>,
) -> Result<Json<PrivateChannel>> {
    Ok(Json(app.open_dm(&caller, body.recipient_id).await?))
}

pub(super) async fn list_private(
    State(app): App,
    caller: Caller,
) -> Result<Json<Vec<PrivateChannel>>> {
    Ok(Json(app.private_channels(caller.user).await?))
}
