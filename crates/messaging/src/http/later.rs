//! The routes of what is not sent yet: drafts, and messages to be sent later.

use std::time::Duration;

use axum::extract::State;
use contracts::messaging::Draft;
use jiff::Timestamp;
use kernel::{AnyId, ChannelId, Rule};
use serde::Deserialize;
use serde_json::Value;
use web_kit::{Caller, Created, Doc, Json, NoContent, Path, Result};

use super::{App, Build, in_channel};
use crate::error::{
    CANNOT_MESSAGE_USER, EMPTY_MESSAGE, NOT_WAITING, TOO_MANY_SCHEDULED, UNKNOWN_SCHEDULED_MESSAGE,
};
use crate::model::SendMessage;
use crate::scheduled::ScheduledMessage;

const DRAFT: Rule = Rule::new("draft", 20, Duration::from_secs(10));
const SCHEDULE: Rule = Rule::new("schedule", 10, Duration::from_secs(10));

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes
        .put(
            "/api/v10/channels/{channel_id}/draft",
            put_draft,
            in_channel("Keep what you have begun to write")
                .describe("The same on your devices; nobody else sees it. The newest 100 are kept.")
                .people_only()
                .not_while_impersonating()
                .limit(DRAFT)
                .body::<NewDraft>()
                .returns::<Draft>(200),
        )
        .delete(
            "/api/v10/channels/{channel_id}/draft",
            delete_draft,
            Doc::new("Throw a draft away")
                .people_only()
                .not_while_impersonating()
                .limit(DRAFT)
                .returns_nothing(204),
        )
        .post(
            "/api/v10/channels/{channel_id}/scheduled-messages",
            schedule,
            schedule_doc("Send a message later")
                .describe(
                    "At most 366 days ahead, 100 at a time. Your rights are asked again when the \
                     time comes; `state` and `error` tell what became of it, for 30 days.",
                )
                .body::<Schedule>()
                .returns::<ScheduledMessage>(201)
                .errors(&[&TOO_MANY_SCHEDULED, &EMPTY_MESSAGE, &CANNOT_MESSAGE_USER]),
        )
        .get(
            "/api/v10/channels/{channel_id}/scheduled-messages",
            list,
            in_channel("List your messages to be sent later")
                .describe("Those that wait first, then what became of others; at most 200.")
                .not_while_impersonating()
                .returns_list::<ScheduledMessage>(200),
        )
        .patch(
            "/api/v10/channels/{channel_id}/scheduled-messages/{scheduled_id}",
            reschedule,
            schedule_doc("Change a message to be sent later")
                .body::<Reschedule>()
                .returns::<ScheduledMessage>(200)
                .errors(&[&UNKNOWN_SCHEDULED_MESSAGE, &NOT_WAITING, &EMPTY_MESSAGE])
                .errors(&[&CANNOT_MESSAGE_USER]),
        )
        .delete(
            "/api/v10/channels/{channel_id}/scheduled-messages/{scheduled_id}",
            unschedule,
            schedule_doc("Do not send a message later")
                .returns_nothing(204)
                .errors(&[&UNKNOWN_SCHEDULED_MESSAGE, &NOT_WAITING]),
        )
}

fn schedule_doc(summary: &'static str) -> Doc {
    in_channel(summary)
        .not_while_impersonating()
        .limit(SCHEDULE)
}

/// What somebody has begun to write.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct NewDraft {
    /// 1 to 4,000 characters.
    #[schema(min_length = 1, max_length = 4000)]
    content: String,
}

/// A message to be sent later.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct Schedule {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    send_at: Timestamp,
    /// The message, as it would be sent now; its nonce is not looked at.
    #[schema(value_type = SendMessage)]
    message: Value,
}

/// What to change of it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct Reschedule {
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    send_at: Option<Timestamp>,
    /// The message.
    #[schema(value_type = Option<SendMessage>)]
    message: Option<Value>,
}

async fn put_draft(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(body): Json<NewDraft>,
) -> Result<Json<Draft>> {
    Ok(Json(app.put_draft(&caller, channel, &body.content).await?))
}

async fn delete_draft(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<NoContent> {
    app.delete_draft(&caller, channel).await?;
    Ok(NoContent)
}

async fn schedule(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(body): Json<Schedule>,
) -> Result<Created<ScheduledMessage>> {
    let scheduled = app.schedule(&caller, channel, body.send_at, body.message);
    Ok(Created(scheduled.await?))
}

async fn list(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<Json<Vec<ScheduledMessage>>> {
    Ok(Json(app.list_scheduled(&caller, channel).await?))
}

async fn reschedule(
    State(app): App,
    caller: Caller,
    Path((channel, id)): Path<(ChannelId, AnyId)>,
    Json(body): Json<Reschedule>,
) -> Result<Json<ScheduledMessage>> {
    let change = (body.send_at, body.message);
    Ok(Json(app.reschedule(&caller, channel, id, change).await?))
}

async fn unschedule(
    State(app): App,
    caller: Caller,
    Path((channel, id)): Path<(ChannelId, AnyId)>,
) -> Result<NoContent> {
    app.unschedule(&caller, channel, id).await?;
    Ok(NoContent)
}
