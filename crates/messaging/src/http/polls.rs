//! The routes of polls.

use std::time::Duration;

use axum::extract::State;
use contracts::identity::User;
use contracts::messaging::Message;
use kernel::{ChannelId, MessageId, Rule};
use serde::{Deserialize, Serialize};
use web_kit::{Caller, Json, NoContent, Path, Query, Result};

use super::reactions::{Page, limit};
use super::{App, Build, in_channel};
use crate::error::{CANNOT_MESSAGE_USER, NO_POLL, NOT_MESSAGE_AUTHOR, POLL_OVER, UNKNOWN_MESSAGE};

const VOTE: Rule = Rule::new("vote", 5, Duration::from_secs(5));

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    let errors = &[&UNKNOWN_MESSAGE, &NO_POLL];
    routes
        .put(
            "/api/v10/channels/{channel_id}/polls/{message_id}/answers/@me",
            put,
            in_channel("Vote in a poll")
                .describe("Replaces what you chose before; an empty list withdraws it.")
                .limit(VOTE)
                .body::<Votes>()
                .returns_nothing(204)
                .errors(errors)
                .errors(&[&POLL_OVER, &CANNOT_MESSAGE_USER]),
        )
        .get(
            "/api/v10/channels/{channel_id}/polls/{message_id}/answers/{answer_id}",
            list,
            in_channel("List who chose an answer")
                .describe("In the order of ids; `limit` is 1 to 100, 25 if absent.")
                .query::<Page>()
                .returns::<Voters>(200)
                .errors(errors),
        )
        .post(
            "/api/v10/channels/{channel_id}/polls/{message_id}/expire",
            end,
            in_channel("End your poll now")
                .limit(VOTE)
                .returns::<Message>(200)
                .errors(errors)
                .errors(&[&POLL_OVER, &NOT_MESSAGE_AUTHOR]),
        )
}

/// What somebody chooses.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct Votes {
    /// Numbers of answers; at most one unless the poll takes several.
    #[schema(max_items = 10)]
    answer_ids: Vec<i16>,
}

/// Who chose an answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Voters {
    /// In the order of their ids.
    users: Vec<User>,
}

async fn put(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    Json(votes): Json<Votes>,
) -> Result<NoContent> {
    app.vote(&caller, (channel, message), votes.answer_ids)
        .await?;
    Ok(NoContent)
}

async fn list(
    State(app): App,
    caller: Caller,
    Path((channel, message, answer)): Path<(ChannelId, MessageId, i16)>,
    Query(page): Query<Page>,
) -> Result<Json<Voters>> {
    let limit = limit(page.limit)?;
    let at = (channel, message);
    let users = app.list_voters(&caller, at, answer, page.after, limit);
    Ok(Json(Voters {
        users: users.await?,
    }))
}

async fn end(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<Json<Message>> {
    Ok(Json(app.end_poll(&caller, (channel, message)).await?))
}
