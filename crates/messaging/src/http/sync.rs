//! The route of those who catch up without a socket, as a phone that a push woke.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use contracts::messaging::{SyncFrom, Synced};
use kernel::{ChannelId, MessageId, Rule};
use serde::{Deserialize, Serialize};
use web_kit::{Caller, Doc, Json, Result};

use super::{App, Build};

const SYNC: Rule = Rule::new("sync", 10, Duration::from_secs(10));

/// Adds it to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes.post(
        "/api/v10/users/@me/sync",
        sync,
        Doc::new("Catch up with channels")
            .describe(
                "What was missed in at most 200 channels, as op 61 of the gateway tells it: \
                 `events`, or `reset` where the messages are to be fetched anew, or `gone`.",
            )
            .not_while_impersonating()
            .limit(SYNC)
            .body::<SyncRequest>()
            .returns::<SyncAnswer>(200),
    )
}

/// Where a client stands.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct SyncRequest {
    /// By channel; at most 200.
    #[schema(value_type = HashMap<String, Standing>)]
    channels: BTreeMap<ChannelId, Standing>,
}

/// What a client has of a channel.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
struct Standing {
    /// The last change.
    ev: i64,
    /// The newest message.
    last: Option<MessageId>,
}

/// What was missed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SyncAnswer {
    /// By channel.
    #[schema(value_type = HashMap<String, Synced>)]
    channels: BTreeMap<ChannelId, Synced>,
}

async fn sync(
    State(messaging): App,
    caller: Caller,
    Json(request): Json<SyncRequest>,
) -> Result<Json<SyncAnswer>> {
    let from: Vec<SyncFrom> = request
        .channels
        .into_iter()
        .map(|(channel, at)| SyncFrom {
            channel,
            ev: at.ev,
            last: at.last,
        })
        .collect();
    let channels = messaging.catch_up_in(caller.user, &from).await?;
    Ok(Json(SyncAnswer {
        channels: channels.into_iter().collect(),
    }))
}
