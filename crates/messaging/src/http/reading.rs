//! The routes of reading: read states, acknowledging, receipts, notifications.

use std::time::Duration;

use axum::extract::State;
use contracts::messaging::{Cursor, NotificationLevel, ReadState};
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, Page, Rule};
use serde::{Deserialize, Serialize};
use web_kit::{Caller, Doc, Json, OptionalJson, Path, Query, Result};

use super::messages::invalid;
use super::{App, Build, in_channel};
use crate::acks::Acknowledgement;
use crate::error::{Error, UNKNOWN_MESSAGE};
use crate::receipts::Receipts;
use crate::unread::Badge;

const ACKNOWLEDGE: Rule = Rule::new("acknowledge", 20, Duration::from_secs(5));
const PUT_CURSORS: Rule = Rule::new("put_cursors", 20, Duration::from_secs(5));
const LIST_STATES: Rule = Rule::new("list_read_states", 20, Duration::from_secs(10));

/// Most read states of a page.
const MAX_STATES: u16 = 200;

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/users/@me/read-states",
            list_states,
            of_one(Doc::new("List how you stand in your channels"))
                .describe(
                    "Every channel with messages or a setting of yours, in the order of ids. A page \
                     may be short, also an inner one: `next_cursor` tells whether more follow.",
                )
                .limit(LIST_STATES)
                .query::<StatesQuery>()
                .returns_page::<ReadState>(200),
        )
        .get(
            "/api/v10/users/@me/badge",
            badge,
            of_one(Doc::new("Get your badge"))
                .limit(LIST_STATES)
                .returns::<Badge>(200),
        )
        .post(
            "/api/v10/channels/{channel_id}/messages/{message_id}/ack",
            acknowledge,
            acknowledge_doc(),
        )
        .post(
            "/api/v10/users/@me/cursors",
            put_cursors,
            of_one(Doc::new("Acknowledge in many channels"))
                .describe(
                    "At most 100 cursors, which only move forward. Unknown channels and messages \
                     are left out. Stored when it answers.",
                )
                .limit(PUT_CURSORS)
                .body::<CursorsRequest>()
                .returns::<CursorsMoved>(200),
        )
        .get(
            "/api/v10/channels/{channel_id}/receipts",
            receipts,
            receipts_doc(),
        )
        .put(
            "/api/v10/channels/{channel_id}/notifications",
            set_notifications,
            of_one(in_channel("Set what you are told of"))
                .describe("What is absent goes back to its default: `default`, not silent.")
                .body::<Notifications>()
                .returns::<ReadState>(200),
        )
}

/// What is a person's own: programs read nothing, and nobody reads in another's name.
fn of_one(doc: Doc) -> Doc {
    doc.people_only().not_while_impersonating()
}

fn acknowledge_doc() -> Doc {
    of_one(in_channel("Acknowledge a message"))
        .describe(
            "Everything up to the message was read; stored when it answers. With `manual` the \
             marker goes exactly there, also back, and nobody else is told; message 0 is the begin.",
        )
        .limit(ACKNOWLEDGE)
        .optional_body::<AckRequest>()
        .returns::<ReadState>(200)
        .errors(&[&UNKNOWN_MESSAGE])
}

fn receipts_doc() -> Doc {
    of_one(in_channel("List who has read a message"))
        .describe(
            "In private channels and threads. Names up to 256 members; above that only the author \
             is answered, with counts.",
        )
        .query::<ReceiptsQuery>()
        .returns::<Receipts>(200)
        .errors(&[&UNKNOWN_MESSAGE])
}

/// Which page of states is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct StatesQuery {
    /// Where the page begins, from the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<kernel::Cursor>,
    /// Channels; 200 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

impl StatesQuery {
    fn limit(&self) -> std::result::Result<usize, Error> {
        match self.limit.unwrap_or(MAX_STATES) {
            limit @ 1..=MAX_STATES => Ok(usize::from(limit)),
            _ => Err(invalid(
                "?limit",
                "NUMBER_TYPE_RANGE",
                "a number from 1 to 200",
            )),
        }
    }
}

/// How a message is acknowledged.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
struct AckRequest {
    /// Puts the marker exactly there, also back: "mark as unread".
    manual: Option<bool>,
}

impl AckRequest {
    fn how(&self) -> Acknowledgement {
        if self.manual == Some(true) {
            Acknowledgement::Manual
        } else {
            Acknowledgement::Read
        }
    }
}

/// How far the caller has got in channels.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct CursorsRequest {
    /// At most 100.
    #[schema(max_items = 100)]
    cursors: Vec<Cursor>,
}

/// How the caller stands now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CursorsMoved {
    /// In the channels that were found.
    read_states: Vec<ReadState>,
}

/// Which message is asked about.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct ReceiptsQuery {
    /// The message.
    message_id: MessageId,
}

/// What the caller wants to be told of in a channel.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct Notifications {
    /// Which messages.
    #[serde(default)]
    level: NotificationLevel,
    /// Until when the channel is silent; null = it is not. The year 9999 is for ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    muted_until: Option<Timestamp>,
}

async fn list_states(
    State(messaging): App,
    caller: Caller,
    Query(query): Query<StatesQuery>,
) -> Result<Json<Page<ReadState>>> {
    let limit = query.limit()?;
    let (items, next_cursor) = messaging
        .list_read_states(&caller, query.cursor, limit)
        .await?;
    Ok(Json(Page { items, next_cursor }))
}

async fn badge(State(messaging): App, caller: Caller) -> Result<Json<Badge>> {
    Ok(Json(messaging.badge(caller.user).await?))
}

async fn acknowledge(
    State(messaging): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    OptionalJson(body): OptionalJson<AckRequest>,
) -> Result<Json<ReadState>> {
    let how = body.how();
    Ok(Json(
        messaging
            .acknowledge(&caller, channel, message, how)
            .await?,
    ))
}

async fn put_cursors(
    State(messaging): App,
    caller: Caller,
    Json(body): Json<CursorsRequest>,
) -> Result<Json<CursorsMoved>> {
    let read_states = messaging.put_cursors(&caller, &body.cursors).await?;
    Ok(Json(CursorsMoved { read_states }))
}

async fn receipts(
    State(messaging): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(query): Query<ReceiptsQuery>,
) -> Result<Json<Receipts>> {
    Ok(Json(
        messaging
            .list_receipts(&caller, channel, query.message_id)
            .await?,
    ))
}

async fn set_notifications(
    State(messaging): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Json(body): Json<Notifications>,
) -> Result<Json<ReadState>> {
    Ok(Json(
        messaging
            .set_notifications(&caller, channel, body.level, body.muted_until)
            .await?,
    ))
}
