//! The routes of messages and private channels, in the chat dialect.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use contracts::messaging::{Message, PrivateChannel};
use kernel::{ChannelId, FieldError, MessageId, Rule, UserId};
use serde::Deserialize;
use web_kit::{Caller, Doc, Fail, Json, NoContent, Once, Path, Query, Replayed, Result, Table};

use crate::Messaging;
use crate::error::{
    CANNOT_MESSAGE_USER, EMPTY_MESSAGE, Error, INVALID_RECIPIENT, MISSING_ACCESS,
    MISSING_PERMISSIONS, NOT_MESSAGE_AUTHOR, SLOW_MODE, UNKNOWN_CHANNEL, UNKNOWN_MESSAGE,
    UNKNOWN_RECIPIENT, UPLOADS_COME_LATER, WRONG_CHANNEL_KIND,
};
use crate::messages::Window;
use crate::model::{EditMessage, SendMessage};

const SEND: Rule = Rule::new("send_message", 5, Duration::from_secs(5));
const EDIT: Rule = Rule::new("edit_message", 5, Duration::from_secs(5));
const TYPE: Rule = Rule::new("typing", 5, Duration::from_secs(5));
const OPEN_DM: Rule = Rule::new("open_dm", 10, Duration::from_secs(600));

/// The table.
pub(crate) fn routes(messaging: Arc<Messaging>) -> Table {
    Table::new("messaging", messaging)
        .post("/api/v10/channels/{channel_id}/messages", send, send_doc())
        .get("/api/v10/channels/{channel_id}/messages", list, list_doc())
        .get(
            "/api/v10/channels/{channel_id}/messages/{message_id}",
            find,
            Doc::new("Get a message").returns::<Message>(200).errors(&[
                &UNKNOWN_CHANNEL,
                &UNKNOWN_MESSAGE,
                &MISSING_ACCESS,
                &MISSING_PERMISSIONS,
                &WRONG_CHANNEL_KIND,
            ]),
        )
        .patch(
            "/api/v10/channels/{channel_id}/messages/{message_id}",
            edit,
            edit_doc(),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/{message_id}",
            delete,
            Doc::new("Delete a message").returns_nothing(204).errors(&[
                &UNKNOWN_CHANNEL,
                &UNKNOWN_MESSAGE,
                &MISSING_ACCESS,
                &MISSING_PERMISSIONS,
                &WRONG_CHANNEL_KIND,
            ]),
        )
        .post(
            "/api/v10/channels/{channel_id}/typing",
            start_typing,
            Doc::new("Show that you are typing")
                .served_when_full()
                .limit(TYPE)
                .returns_nothing(204)
                .errors(&[
                    &UNKNOWN_CHANNEL,
                    &MISSING_ACCESS,
                    &MISSING_PERMISSIONS,
                    &WRONG_CHANNEL_KIND,
                ]),
        )
        .post(
            "/api/v10/users/@me/channels",
            open_dm,
            Doc::new("Open direct messages")
                .not_while_impersonating()
                .describe("Two people have one direct channel; opening it again returns it.")
                .limit(OPEN_DM)
                .body::<OpenDm>()
                .returns::<PrivateChannel>(200)
                .errors(&[&UNKNOWN_RECIPIENT, &INVALID_RECIPIENT, &CANNOT_MESSAGE_USER]),
        )
        .get(
            "/api/v10/users/@me/channels",
            list_private,
            Doc::new("List your private channels")
                .not_while_impersonating()
                .returns_list::<PrivateChannel>(200),
        )
        .build()
}

fn send_doc() -> Doc {
    Doc::new("Send a message")
        .describe(
            "With `enforce_nonce` or an `Idempotency-Key` a repetition within two days answers \
             with the original and `Idempotent-Replayed: true`.",
        )
        .limit(SEND)
        .once()
        .body::<SendMessage>()
        .returns::<Message>(200)
        .errors(&[
            &UNKNOWN_CHANNEL,
            &MISSING_ACCESS,
            &MISSING_PERMISSIONS,
            &EMPTY_MESSAGE,
            &SLOW_MODE,
            &UPLOADS_COME_LATER,
            &WRONG_CHANNEL_KIND,
        ])
}

fn list_doc() -> Doc {
    Doc::new("List messages, newest first")
        .describe(
            "At most one of `before`, `after` and `around`; `limit` is 1 to 100, 50 if absent.",
        )
        .query::<Page>()
        .returns_list::<Message>(200)
        .errors(&[
            &UNKNOWN_CHANNEL,
            &MISSING_ACCESS,
            &MISSING_PERMISSIONS,
            &WRONG_CHANNEL_KIND,
        ])
}

fn edit_doc() -> Doc {
    Doc::new("Edit your message")
        .limit(EDIT)
        .body::<EditMessage>()
        .returns::<Message>(200)
        .errors(&[
            &UNKNOWN_CHANNEL,
            &UNKNOWN_MESSAGE,
            &MISSING_ACCESS,
            &MISSING_PERMISSIONS,
            &NOT_MESSAGE_AUTHOR,
            &EMPTY_MESSAGE,
            &WRONG_CHANNEL_KIND,
        ])
}

/// A message's body; tells senders of files that they come too early.
struct Sending(Once<SendMessage>);

impl<S: Send + Sync> FromRequest<S> for Sending {
    type Rejection = Fail;

    async fn from_request(request: Request, state: &S) -> std::result::Result<Self, Fail> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| {
            kind.trim_start()
                .to_ascii_lowercase()
                .starts_with("multipart/")
        }) {
            return Err(Error::UploadsComeLater.into());
        }
        Once::from_request(request, state).await.map(Sending)
    }
}

/// Which messages are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct Page {
    /// 1 to 100.
    limit: Option<i64>,
    /// Those right below this message.
    before: Option<MessageId>,
    /// Those right above this message.
    after: Option<MessageId>,
    /// Those on both sides of this message.
    around: Option<MessageId>,
}

impl Page {
    fn window(&self) -> std::result::Result<(Window, u8), Error> {
        let limit = match u8::try_from(self.limit.unwrap_or(50)) {
            Ok(limit @ 1..=100) => limit,
            _ => {
                return Err(invalid(
                    "?limit",
                    "NUMBER_TYPE_RANGE",
                    "a number from 1 to 100",
                ));
            }
        };
        let window = match (self.before, self.after, self.around) {
            (None, None, None) => Window::Newest,
            (Some(id), None, None) => Window::Before(id),
            (None, Some(id), None) => Window::After(id),
            (None, None, Some(id)) => Window::Around(id),
            _ => {
                return Err(invalid(
                    "?around",
                    "EXCLUSIVE",
                    "one of before, after and around",
                ));
            }
        };
        Ok((window, limit))
    }
}

fn invalid(pointer: &str, code: &'static str, detail: &str) -> Error {
    Error::Invalid(vec![FieldError::new(pointer, code, detail)])
}

/// With whom to open direct messages.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
struct OpenDm {
    /// The other one.
    recipient_id: UserId,
}

async fn send(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Sending(Once { body, once }): Sending,
) -> Result<Replayed<Message>> {
    let new = body.check(once.map(|once| once.key))?;
    let delivery = messaging.send_message(&caller, channel, new).await?;
    Ok(Replayed {
        status: StatusCode::OK,
        body: delivery.message,
        replayed: delivery.replayed,
    })
}

async fn list(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Message>>> {
    let (window, limit) = page.window()?;
    Ok(Json(
        messaging
            .list_messages(&caller, channel, window, limit)
            .await?,
    ))
}

async fn find(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<Json<Message>> {
    Ok(Json(
        messaging.find_message(&caller, channel, message).await?,
    ))
}

async fn edit(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    Json(body): Json<EditMessage>,
) -> Result<Json<Message>> {
    Ok(Json(
        messaging
            .edit_message(&caller, channel, message, body.check()?)
            .await?,
    ))
}

async fn delete(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<NoContent> {
    messaging.delete_message(&caller, channel, message).await?;
    Ok(NoContent)
}

async fn start_typing(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<NoContent> {
    messaging.start_typing(&caller, channel).await?;
    Ok(NoContent)
}

async fn open_dm(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
    Json(body): Json<OpenDm>,
) -> Result<Json<PrivateChannel>> {
    Ok(Json(messaging.open_dm(&caller, body.recipient_id).await?))
}

async fn list_private(
    State(messaging): State<Arc<Messaging>>,
    caller: Caller,
) -> Result<Json<Vec<PrivateChannel>>> {
    Ok(Json(messaging.private_channels(caller.user).await?))
}
