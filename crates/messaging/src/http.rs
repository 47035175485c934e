//! The routes of messages and private channels, in the chat dialect.

mod channels;
mod expiry;
mod history;
mod later;
mod messages;
mod pins;
mod polls;
mod reactions;
mod reading;
mod reports;
mod sending;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use contracts::messaging::{Message, PrivateChannel};
use kernel::{ErrorRow, Rule};
use web_kit::{Doc, Routes, Table};

use crate::Messaging;
use crate::error::{
    CANNOT_MESSAGE_USER, EMPTY_MESSAGE, INVALID_RECIPIENT, MISSING_ACCESS, MISSING_PERMISSIONS,
    NOT_MESSAGE_AUTHOR, POLL_NOT_EDITED, SLOW_MODE, SYSTEM_MESSAGE, UNKNOWN_CHANNEL, UNKNOWN_EMOJI,
    UNKNOWN_MESSAGE, UNKNOWN_RECIPIENT, WRONG_CHANNEL_KIND,
};
use crate::model::{EditMessage, SendMessage};

const SEND: Rule = Rule::new("send_message", 5, Duration::from_secs(5));
const EDIT: Rule = Rule::new("edit_message", 5, Duration::from_secs(5));
const TYPE: Rule = Rule::new("typing", 5, Duration::from_secs(5));
const OPEN_DM: Rule = Rule::new("open_dm", 10, Duration::from_secs(600));
/// What every route of a channel may answer.
const PLACE: &[&ErrorRow] = &[
    &UNKNOWN_CHANNEL,
    &MISSING_ACCESS,
    &MISSING_PERMISSIONS,
    &WRONG_CHANNEL_KIND,
];

type App = State<Arc<Messaging>>;
type Build = Routes<Arc<Messaging>>;

/// The table.
pub(crate) fn routes(messaging: Arc<Messaging>) -> Table {
    let max_form = messaging.settings.max_form;
    let routes = Table::new("messaging", messaging);
    let routes = message_routes(routes, max_form);
    let routes = channel_routes(routes);
    let routes = reactions::rows(routes);
    let routes = pins::rows(routes);
    let routes = history::rows(routes);
    let routes = polls::rows(routes);
    let routes = later::rows(routes);
    let routes = expiry::rows(routes);
    let routes = reading::rows(routes);
    let routes = reports::rows(routes);
    sync::rows(routes).build()
}

/// A route of a channel.
fn in_channel(summary: &'static str) -> Doc {
    Doc::new(summary).errors(PLACE)
}

fn message_routes(routes: Build, max_form: usize) -> Build {
    use messages as at;
    routes
        .post(
            "/api/v10/channels/{channel_id}/messages",
            at::send,
            in_channel("Send a message")
                .describe(
                    "With `enforce_nonce` or an `Idempotency-Key` a repetition within two days \
                     answers with the original and `Idempotent-Replayed: true`. With \
                     `message_reference.type` 1 it shows a message that the caller can read \
                     elsewhere, as it is now, and has no content of its own. Files come as parts \
                     `files[n]` of a form whose part `payload_json` is the message, or were \
                     uploaded before and are named by `attachments[{media_id}]`.",
                )
                .limit(SEND)
                .max_body(max_form)
                .once()
                .body::<SendMessage>()
                .returns::<Message>(200)
                .errors(&[&EMPTY_MESSAGE, &SLOW_MODE, &SYSTEM_MESSAGE, &UNKNOWN_EMOJI]),
        )
        .get(
            "/api/v10/channels/{channel_id}/messages",
            at::list,
            in_channel("List messages, newest first")
                .describe(
                    "At most one of `before`, `after` and `around`; `limit` is 1 to 100, 50 if \
                     absent.",
                )
                .query::<at::Page>()
                .returns_list::<Message>(200),
        )
        .get(
            "/api/v10/channels/{channel_id}/messages/{message_id}",
            at::find,
            in_channel("Get a message")
                .returns::<Message>(200)
                .errors(&[&UNKNOWN_MESSAGE]),
        )
        .patch(
            "/api/v10/channels/{channel_id}/messages/{message_id}",
            at::edit,
            in_channel("Edit your message")
                .limit(EDIT)
                .body::<EditMessage>()
                .returns::<Message>(200)
                .errors(&[
                    &UNKNOWN_MESSAGE,
                    &NOT_MESSAGE_AUTHOR,
                    &EMPTY_MESSAGE,
                    &SYSTEM_MESSAGE,
                    &POLL_NOT_EDITED,
                ]),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/{message_id}",
            at::delete,
            in_channel("Delete a message")
                .returns_nothing(204)
                .errors(&[&UNKNOWN_MESSAGE]),
        )
}

fn channel_routes(routes: Build) -> Build {
    use channels as at;
    routes
        .post(
            "/api/v10/channels/{channel_id}/typing",
            at::start_typing,
            in_channel("Show that you are typing")
                .served_when_full()
                .limit(TYPE)
                .returns_nothing(204),
        )
        .post(
            "/api/v10/users/@me/channels",
            at::open_dm,
            Doc::new("Open direct messages")
                .not_while_impersonating()
                .describe("Two people have one direct channel; opening it again returns it.")
                .limit(OPEN_DM)
                .body::<at::OpenDm>()
                .returns::<PrivateChannel>(200)
                .errors(&[&UNKNOWN_RECIPIENT, &INVALID_RECIPIENT, &CANNOT_MESSAGE_USER]),
        )
        .get(
            "/api/v10/users/@me/channels",
            at::list_private,
            Doc::new("List your private channels")
                .not_while_impersonating()
                .returns_list::<PrivateChannel>(200),
        )
}
