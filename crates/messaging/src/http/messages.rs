use axum::extract::State;
use axum::http::StatusCode;
use contracts::messaging::Message;
use kernel::{ChannelId, FieldError, MessageId};
use serde::Deserialize;
use web_kit::{AuditReason, Caller, Json, NoContent, Once, Path, Query, Replayed, Result};

use super::App;
use super::sending::Sending;
use crate::error::Error;
use crate::messages::Window;
use crate::model::EditMessage;

/// Which messages are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct Page {
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
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

pub(super) fn invalid(pointer: &str, code: &'static str, detail: &str) -> Error {
    Error::Invalid(vec![FieldError::new(pointer, code, detail)])
}

pub(super) async fn send(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    sending: Sending,
) -> Result<Replayed<Message>> {
    let Once { body, once } = app.unpack(&caller, channel, sending).await?;
    let delivery = app.send_unpacked(&caller, channel, body, once).await?;
    Ok(Replayed {
        status: StatusCode::OK,
        body: delivery.message,
        replayed: delivery.replayed,
    })
}

pub(super) async fn list(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<Message>>> {
    let (window, limit) = page.window()?;
    Ok(Json(
        app.list_messages(&caller, channel, window, limit).await?,
    ))
}

pub(super) async fn find(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<Json<Message>> {
    Ok(Json(app.find_message(&caller, channel, message).await?))
}

pub(super) async fn edit(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    Json(body): Json<EditMessage>,
) -> Result<Json<Message>> {
    Ok(Json(
        app.edit_message(&caller, channel, message, body.check()?)
            .await?,
    ))
}

pub(super) async fn delete(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
    AuditReason(reason): AuditReason,
) -> Result<NoContent> {
    app.delete_message(&caller, channel, message, reason)
        .await?;
    Ok(NoContent)
}
