//! The routes of how long messages stay.

use std::time::Duration;

use axum::extract::State;
use kernel::{ChannelId, Rule};
use serde::{Deserialize, Serialize};
use web_kit::{Caller, Json, Path, Result};

use super::{App, Build, in_channel};
use crate::error::CANNOT_MESSAGE_USER;

const SET: Rule = Rule::new("message_ttl", 5, Duration::from_secs(10));

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/channels/{channel_id}/message-ttl",
            get,
            in_channel("Get how long messages stay").returns::<MessageTtl>(200),
        )
        .put(
            "/api/v10/channels/{channel_id}/message-ttl",
            put,
            in_channel("Set how long later messages stay")
                .describe(
                    "Messages that are there already stay as they are. In communities it needs \
                     MANAGE_CHANNELS; in private channels every member may.",
                )
                .not_while_impersonating()
                .limit(SET)
                .body::<MessageTtl>()
                .returns::<MessageTtl>(200)
                .errors(&[&CANNOT_MESSAGE_USER]),
        )
}

/// How long messages stay.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
struct MessageTtl {
    /// Seconds: 60 to 7,776,000; 0 = for good.
    #[schema(minimum = 0, maximum = 7_776_000)]
    message_ttl: i32,
}

async fn get(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<Json<MessageTtl>> {
    let message_ttl = app.message_ttl(&caller, channel).await?;
    Ok(Json(MessageTtl { message_ttl }))
}

async fn put(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(body): Json<MessageTtl>,
) -> Result<Json<MessageTtl>> {
    let set = app.set_message_ttl(&caller, channel, body.message_ttl);
    let message_ttl = set.await?;
    Ok(Json(MessageTtl { message_ttl }))
}
