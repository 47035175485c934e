//! The routes of pins, in both forms of the dialect.

use std::time::Duration;

use axum::extract::State;
use contracts::messaging::Message;
use jiff::Timestamp;
use kernel::{ChannelId, MessageId, Rule};
use serde::Deserialize;
use web_kit::{Caller, Doc, Json, NoContent, Path, Query, Result};

use super::messages::invalid;
use super::{App, Build, in_channel};
use crate::error::{CANNOT_MESSAGE_USER, Error, SYSTEM_MESSAGE, TOO_MANY_PINS, UNKNOWN_MESSAGE};
use crate::pins::Pins;

const PIN: Rule = Rule::new("pin", 5, Duration::from_secs(5));
/// Most pins of a page.
const MAX_PAGE: u8 = 50;

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    routes
        .get(
            "/api/v10/channels/{channel_id}/messages/pins",
            list,
            in_channel("List pinned messages, the newest pin first")
                .query::<Page>()
                .returns::<Pins>(200),
        )
        .put(
            "/api/v10/channels/{channel_id}/messages/pins/{message_id}",
            put,
            pin_doc("Pin a message"),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/pins/{message_id}",
            delete,
            pin_doc("Unpin a message"),
        )
        .get(
            "/api/v10/channels/{channel_id}/pins",
            list_newest,
            in_channel("List the 50 newest pinned messages").returns_list::<Message>(200),
        )
        .put(
            "/api/v10/channels/{channel_id}/pins/{message_id}",
            put,
            pin_doc("Pin a message, in the older form"),
        )
        .delete(
            "/api/v10/channels/{channel_id}/pins/{message_id}",
            delete,
            pin_doc("Unpin a message, in the older form"),
        )
}

fn pin_doc(summary: &'static str) -> Doc {
    in_channel(summary)
        .describe(
            "In communities it needs MANAGE_MESSAGES or PIN_MESSAGES. A channel has 250 pins.",
        )
        .limit(PIN)
        .returns_nothing(204)
        .errors(&[
            &UNKNOWN_MESSAGE,
            &SYSTEM_MESSAGE,
            &TOO_MANY_PINS,
            &CANNOT_MESSAGE_USER,
        ])
}

/// Which pins are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct Page {
    /// Pins before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// Pins; 50 when absent.
    #[param(minimum = 1, maximum = 50)]
    limit: Option<i64>,
}

async fn list(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(page): Query<Page>,
) -> Result<Json<Pins>> {
    let limit = limit(page.limit)?;
    let pins = app.list_pins(&caller, channel, page.before, limit).await?;
    Ok(Json(pins))
}

fn limit(asked: Option<i64>) -> std::result::Result<u8, Error> {
    match u8::try_from(asked.unwrap_or(i64::from(MAX_PAGE))) {
        Ok(limit @ 1..=MAX_PAGE) => Ok(limit),
        _ => Err(invalid(
            "?limit",
            "NUMBER_TYPE_RANGE",
            "a number from 1 to 50",
        )),
    }
}

async fn list_newest(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<Json<Vec<Message>>> {
    let pins = app.list_pins(&caller, channel, None, MAX_PAGE).await?;
    Ok(Json(
        pins.items.into_iter().map(|pin| pin.message).collect(),
    ))
}

async fn put(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<NoContent> {
    app.pin(&caller, channel, message).await?;
    Ok(NoContent)
}

async fn delete(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<NoContent> {
    app.unpin(&caller, channel, message).await?;
    Ok(NoContent)
}
