//! The routes of webhooks that programs write to.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contracts::messaging::Message;
use kernel::failure::INVALID_REQUEST;
use kernel::{ChannelId, CommunityId, FieldError, MessageId, Rule, WebhookId};
use serde::Deserialize;
use serde_json::{Value, json};
use web_kit::{
    AuditReason, Caller, Doc, Fail, Json, NoContent, Once, Path, Policy, Public, Query, Raw, Result,
};

use super::{App, Build};
use crate::error::{
    APPLICATION_CHANNEL_UNKNOWN, APPLICATION_COMMUNITY_UNKNOWN, WEBHOOK_CHANNEL_KIND,
    WEBHOOK_MESSAGE_UNKNOWN, WEBHOOK_NOT_ALLOWED, WEBHOOK_UNKNOWN, WEBHOOK_UNREADABLE,
    WEBHOOKS_MAX,
};
use crate::incoming::execute::{Bearer, EXECUTE, Form};
use crate::incoming::form;
use crate::incoming::model::{
    CreateWebhook, EditWebhookMessage, ExecuteWebhook, UpdateWebhook, Webhook,
};

const CREATE: Rule = Rule::new("webhook_create", 10, Duration::from_secs(60));
/// Whoever only guesses at tokens.
const BY_TOKEN: Rule = Rule::new("webhook_by_token", 10, Duration::from_secs(5));

/// How a message is written.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct Executing {
    /// Whether the message is the answer; 204 otherwise. It is stored by then in both cases.
    #[serde(default)]
    wait: Option<bool>,
    /// A thread of the webhook's channel.
    #[serde(default)]
    thread_id: Option<ChannelId>,
}

/// Where a message is.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct InThread {
    /// A thread of the webhook's channel.
    #[serde(default)]
    thread_id: Option<ChannelId>,
}

pub(super) fn managed(routes: Build) -> Build {
    let own = |summary| Doc::new(summary).not_while_impersonating();
    routes
        .post(
            "/api/v10/channels/{channel_id}/webhooks",
            create_webhook,
            own("Make a webhook")
                .limit(CREATE)
                .body::<CreateWebhook>()
                .example(json!({"name": "CI"}))
                .returns::<Webhook>(200)
                .errors(&[
                    &APPLICATION_CHANNEL_UNKNOWN,
                    &WEBHOOK_NOT_ALLOWED,
                    &WEBHOOK_CHANNEL_KIND,
                    &WEBHOOKS_MAX,
                ]),
        )
        .get(
            "/api/v10/channels/{channel_id}/webhooks",
            list_webhooks_of_channel,
            own("List the webhooks of a channel")
                .returns_list::<Webhook>(200)
                .errors(&[&APPLICATION_CHANNEL_UNKNOWN, &WEBHOOK_NOT_ALLOWED]),
        )
        .get(
            "/api/v10/guilds/{guild_id}/webhooks",
            list_webhooks_of_guild,
            own("List the webhooks of a community")
                .returns_list::<Webhook>(200)
                .errors(&[&APPLICATION_COMMUNITY_UNKNOWN, &WEBHOOK_NOT_ALLOWED]),
        )
        .get(
            "/api/v10/webhooks/{webhook_id}",
            get_webhook,
            own("Read a webhook")
                .returns::<Webhook>(200)
                .errors(&[&WEBHOOK_UNKNOWN, &WEBHOOK_NOT_ALLOWED]),
        )
        .patch(
            "/api/v10/webhooks/{webhook_id}",
            update_webhook,
            own("Change a webhook, or move it to another channel")
                .body::<UpdateWebhook>()
                .returns::<Webhook>(200)
                .errors(&[
                    &WEBHOOK_UNKNOWN,
                    &WEBHOOK_NOT_ALLOWED,
                    &WEBHOOK_CHANNEL_KIND,
                    &APPLICATION_CHANNEL_UNKNOWN,
                    &WEBHOOKS_MAX,
                ]),
        )
        .delete(
            "/api/v10/webhooks/{webhook_id}",
            delete_webhook,
            own("Delete a webhook")
                .returns_nothing(204)
                .errors(&[&WEBHOOK_UNKNOWN, &WEBHOOK_NOT_ALLOWED]),
        )
}

pub(super) fn by_token(routes: Build) -> Build {
    let open = |summary| {
        Doc::new(summary)
            .policy(Policy::Public)
            .limit(BY_TOKEN)
            .errors(&[&WEBHOOK_UNKNOWN])
    };
    routes
        .get(
            "/api/v10/webhooks/{webhook_id}/{token}",
            get_webhook_by_token,
            open("Read a webhook by its token").returns::<Webhook>(200),
        )
        .patch(
            "/api/v10/webhooks/{webhook_id}/{token}",
            update_webhook_by_token,
            open("Rename a webhook by its token")
                .body::<UpdateWebhook>()
                .returns::<Webhook>(200),
        )
        .delete(
            "/api/v10/webhooks/{webhook_id}/{token}",
            delete_webhook_by_token,
            open("Delete a webhook by its token").returns_nothing(204),
        )
}

pub(super) fn executing(routes: Build) -> Build {
    let write = |summary| {
        Doc::new(summary)
            .policy(Policy::Public)
            .limit(EXECUTE)
            .query::<Executing>()
            .errors(&[&WEBHOOK_UNKNOWN, &WEBHOOK_UNREADABLE])
    };
    routes
        .post(
            "/api/v10/webhooks/{webhook_id}/{token}",
            execute_webhook,
            write("Write a message through a webhook")
                .once()
                .body::<ExecuteWebhook>()
                .example(json!({"content": "Build 42 is green", "username": "CI"}))
                .returns::<Message>(200)
                .returns_nothing(204),
        )
        .post(
            "/api/v10/webhooks/{webhook_id}/{token}/slack",
            execute_slack,
            write("Write a message in Slack's form, as Mattermost and Alertmanager do")
                .describe("JSON, or a form with the JSON in `payload`. Alertmanager's own webhook form is read, too.")
                .body::<Value>()
                .example(json!({"text": "Disk <https://example.com|full>", "username": "alerts"}))
                .returns::<String>(200)
                .answer_example(json!("ok")),
        )
        .post(
            "/api/v10/webhooks/{webhook_id}/{token}/github",
            execute_github,
            write("Write a message about an event of GitHub")
                .describe("`X-GitHub-Event` names the event; of two with one `X-GitHub-Delivery` the second says nothing new.")
                .body::<Value>()
                .example(json!({"action": "created", "repository": {"full_name": "a/b"}, "sender": {"login": "ada"}}))
                .returns_nothing(204),
        )
}

pub(super) fn messages(routes: Build) -> Build {
    let own = |summary| {
        Doc::new(summary)
            .policy(Policy::Public)
            .limit(EXECUTE)
            .query::<InThread>()
            .errors(&[&WEBHOOK_UNKNOWN, &WEBHOOK_MESSAGE_UNKNOWN])
    };
    routes
        .get(
            "/api/v10/webhooks/{webhook_id}/{token}/messages/{message_id}",
            get_webhook_message,
            own("Read a webhook's own message").returns::<Message>(200),
        )
        .patch(
            "/api/v10/webhooks/{webhook_id}/{token}/messages/{message_id}",
            edit_webhook_message,
            own("Edit a webhook's own message")
                .body::<EditWebhookMessage>()
                .returns::<Message>(200),
        )
        .delete(
            "/api/v10/webhooks/{webhook_id}/{token}/messages/{message_id}",
            delete_webhook_message,
            own("Delete a webhook's own message").returns_nothing(204),
        )
}

async fn create_webhook(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
    AuditReason(reason): AuditReason,
    Json(new): Json<CreateWebhook>,
) -> Result<Json<Webhook>> {
    Ok(Json(
        app.create_webhook(&caller, channel, new, reason).await?,
    ))
}

async fn list_webhooks_of_channel(
    State(app): App,
    caller: Caller,
    Path(channel): Path<ChannelId>,
) -> Result<Json<Vec<Webhook>>> {
    Ok(Json(app.webhooks_of_channel(&caller, channel).await?))
}

async fn list_webhooks_of_guild(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<Webhook>>> {
    Ok(Json(app.webhooks_of_community(&caller, community).await?))
}

async fn get_webhook(
    State(app): App,
    caller: Caller,
    Path(id): Path<WebhookId>,
) -> Result<Json<Webhook>> {
    Ok(Json(app.webhook(&caller, id).await?))
}

async fn update_webhook(
    State(app): App,
    caller: Caller,
    Path(id): Path<WebhookId>,
    AuditReason(reason): AuditReason,
    Json(patch): Json<UpdateWebhook>,
) -> Result<Json<Webhook>> {
    Ok(Json(app.update_webhook(&caller, id, patch, reason).await?))
}

async fn delete_webhook(
    State(app): App,
    caller: Caller,
    Path(id): Path<WebhookId>,
    AuditReason(reason): AuditReason,
) -> Result<NoContent> {
    app.delete_webhook(&caller, id, reason).await?;
    Ok(NoContent)
}

type Borne = Path<(WebhookId, String)>;

fn bearer((id, token): (WebhookId, String), thread: Option<ChannelId>) -> Bearer {
    Bearer { id, token, thread }
}

async fn get_webhook_by_token(
    State(app): App,
    _anybody: Public,
    Path(borne): Borne,
) -> Result<Json<Webhook>> {
    Ok(Json(app.webhook_by_token(&bearer(borne, None)).await?))
}

async fn update_webhook_by_token(
    State(app): App,
    _anybody: Public,
    Path(borne): Borne,
    Json(patch): Json<UpdateWebhook>,
) -> Result<Json<Webhook>> {
    let bearer = bearer(borne, None);
    Ok(Json(app.update_webhook_by_token(&bearer, patch).await?))
}

async fn delete_webhook_by_token(
    State(app): App,
    _anybody: Public,
    Path(borne): Borne,
) -> Result<NoContent> {
    app.delete_webhook_by_token(&bearer(borne, None)).await?;
    Ok(NoContent)
}

async fn execute_webhook(
    State(app): App,
    _anybody: Public,
    Path(borne): Borne,
    Query(how): Query<Executing>,
    Once { body, once }: Once<ExecuteWebhook>,
) -> Result<Response> {
    let key = once.map(|once| once.key);
    let bearer = bearer(borne, how.thread_id);
    let message = app.execute_webhook(&bearer, body, key).await?;
    Ok(match how.wait {
        Some(true) => Json(message).into_response(),
        _ => NoContent.into_response(),
    })
}

async fn execute_slack(
    State(app): App,
    _anybody: Public,
    Path(borne): Borne,
    Query(how): Query<Executing>,
    Raw(body): Raw,
) -> Result<Response> {
    let sent = json_in(&body)?;
    let bearer = bearer(borne, how.thread_id);
    app.execute_foreign(&bearer, Form::Slack, &sent, None)
        .await?;
    // What Slack answers, and what senders look for.
    Ok((StatusCode::OK, "ok").into_response())
}

async fn execute_github(
    State(app): App,
    _anybody: Public,
    Path(borne): Borne,
    Query(how): Query<Executing>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<NoContent> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let event = header("x-github-event").ok_or_else(|| missing("X-GitHub-Event"))?;
    let key = header("x-github-delivery").filter(|key| (1..=64).contains(&key.len()));
    let sent = json_in(&body)?;
    let bearer = bearer(borne, how.thread_id);
    let key = key.map(str::to_owned);
    app.execute_foreign(&bearer, Form::GitHub(event), &sent, key)
        .await?;
    Ok(NoContent)
}

async fn get_webhook_message(
    State(app): App,
    _anybody: Public,
    Path((id, token, message)): Path<(WebhookId, String, MessageId)>,
    Query(place): Query<InThread>,
) -> Result<Json<Message>> {
    let bearer = bearer((id, token), place.thread_id);
    Ok(Json(app.webhook_message(&bearer, message).await?))
}

async fn edit_webhook_message(
    State(app): App,
    _anybody: Public,
    Path((id, token, message)): Path<(WebhookId, String, MessageId)>,
    Query(place): Query<InThread>,
    Json(edit): Json<EditWebhookMessage>,
) -> Result<Json<Message>> {
    let bearer = bearer((id, token), place.thread_id);
    Ok(Json(
        app.edit_webhook_message(&bearer, message, edit).await?,
    ))
}

async fn delete_webhook_message(
    State(app): App,
    _anybody: Public,
    Path((id, token, message)): Path<(WebhookId, String, MessageId)>,
    Query(place): Query<InThread>,
) -> Result<NoContent> {
    let bearer = bearer((id, token), place.thread_id);
    app.delete_webhook_message(&bearer, message).await?;
    Ok(NoContent)
}

fn json_in(body: &[u8]) -> std::result::Result<Value, Fail> {
    form::read(body).map_err(|detail| {
        Fail(
            INVALID_REQUEST
                .fail()
                .field(FieldError::new("", "INVALID", detail)),
        )
    })
}

fn missing(header: &str) -> Fail {
    let error = FieldError::new(header, "REQUIRED", "names the event");
    Fail(INVALID_REQUEST.fail().field(error))
}
