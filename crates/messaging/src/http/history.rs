//! The routes of what messages said before, and of deleting many.

use std::time::Duration;

use axum::extract::State;
use kernel::{ChannelId, MessageId, Rule};
use serde::Deserialize;
use web_kit::{AuditReason, Caller, Json, NoContent, Path, Result};

use super::{App, Build, in_channel};
use crate::error::{TOO_OLD_TO_DELETE, UNKNOWN_MESSAGE, WRONG_COUNT_TO_DELETE};
use crate::revisions::Revision;

const DELETE_MANY: Rule = Rule::new("bulk_delete", 5, Duration::from_secs(5));

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/channels/{channel_id}/messages/{message_id}/revisions",
            list,
            in_channel("List what a message said before its edits")
                .describe(
                    "Newest first, at most 50: for its author and for who manages messages. \
                     Deleting the message empties them.",
                )
                .returns_list::<Revision>(200)
                .errors(&[&UNKNOWN_MESSAGE]),
        )
        .post(
            "/api/v10/channels/{channel_id}/messages/bulk-delete",
            delete_many,
            in_channel("Delete many messages")
                .describe(
                    "2 to 100, none older than 14 days; those that are gone already are no error. \
                     Takes `X-Audit-Log-Reason`.",
                )
                .limit(DELETE_MANY)
                .body::<ManyMessages>()
                .returns_nothing(204)
                .errors(&[&WRONG_COUNT_TO_DELETE, &TOO_OLD_TO_DELETE]),
        )
}

/// Which messages to delete.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct ManyMessages {
    /// 2 to 100.
    #[schema(min_items = 2, max_items = 100)]
    messages: Vec<MessageId>,
}

async fn list(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<Json<Vec<Revision>>> {
    Ok(Json(app.list_revisions(&caller, channel, message).await?))
}

async fn delete_many(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    AuditReason(reason): AuditReason,
    Json(body): Json<ManyMessages>,
) -> Result<NoContent> {
    app.delete_messages(&caller, channel, body.messages, reason)
        .await?;
    Ok(NoContent)
}
