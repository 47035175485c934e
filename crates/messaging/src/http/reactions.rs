//! The routes of reactions.

use std::time::Duration;

use axum::extract::State;
use contracts::identity::User;
use kernel::{ChannelId, MessageId, Rule, UserId};
use serde::Deserialize;
use web_kit::{Caller, Json, NoContent, Path, Query, Result};

use super::messages::invalid;
use super::{App, Build, in_channel};
use crate::error::{Error, TOO_MANY_REACTIONS, UNKNOWN_EMOJI, UNKNOWN_MESSAGE};

const REACT: Rule = Rule::new("react", 4, Duration::from_secs(1));
/// Whom a page names when the request does not say.
const USUAL: u8 = 25;

/// Adds them to the table.
pub(super) fn rows(routes: Build) -> Build {
    let errors = &[&UNKNOWN_MESSAGE, &UNKNOWN_EMOJI];
    routes
        .put(
            "/api/v10/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me",
            put,
            in_channel("React to a message")
                .describe(
                    "The emoji is a character or `name:id` of a community's emoji, percent-encoded. \
                     An emoji that the message does not have yet needs ADD_REACTIONS.",
                )
                .limit(REACT)
                .returns_nothing(204)
                .errors(errors)
                .errors(&[&TOO_MANY_REACTIONS]),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me",
            delete_own,
            in_channel("Take your reaction back")
                .limit(REACT)
                .returns_nothing(204)
                .errors(errors),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/{user_id}",
            delete_of,
            in_channel("Take somebody's reaction away")
                .limit(REACT)
                .returns_nothing(204)
                .errors(errors),
        )
        .get(
            "/api/v10/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
            list,
            in_channel("List who reacted with an emoji")
                .describe("In the order of ids; `limit` is 1 to 100, 25 if absent.")
                .query::<Page>()
                .returns_list::<User>(200)
                .errors(errors),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
            clear_emoji,
            in_channel("Take all reactions with an emoji away")
                .limit(REACT)
                .returns_nothing(204)
                .errors(errors),
        )
        .delete(
            "/api/v10/channels/{channel_id}/messages/{message_id}/reactions",
            clear,
            in_channel("Take all reactions away")
                .limit(REACT)
                .returns_nothing(204)
                .errors(&[&UNKNOWN_MESSAGE]),
        )
}

/// Which of those who reacted or voted are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct Page {
    /// Users after this one.
    pub(super) after: Option<UserId>,
    /// Users; 25 when absent.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<i64>,
}

/// A limit of 1 to 100, or the usual one.
pub(super) fn limit(asked: Option<i64>) -> std::result::Result<u8, Error> {
    match u8::try_from(asked.unwrap_or(i64::from(USUAL))) {
        Ok(limit @ 1..=100) => Ok(limit),
        _ => Err(invalid(
            "?limit",
            "NUMBER_TYPE_RANGE",
            "a number from 1 to 100",
        )),
    }
}

type Emoji = Path<(ChannelId, MessageId, String)>;

async fn put(
    State(app): App,
    caller: Caller,
    Path((channel, message, emoji)): Emoji,
) -> Result<NoContent> {
    app.react(&caller, (channel, message), &emoji).await?;
    Ok(NoContent)
}

async fn delete_own(
    State(app): App,
    caller: Caller,
    Path((channel, message, emoji)): Emoji,
) -> Result<NoContent> {
    app.unreact(&caller, (channel, message), &emoji, caller.user)
        .await?;
    Ok(NoContent)
}

async fn delete_of(
    State(app): App,
    caller: Caller,
    Path((channel, message, emoji, user)): Path<(ChannelId, MessageId, String, UserId)>,
) -> Result<NoContent> {
    app.unreact(&caller, (channel, message), &emoji, user)
        .await?;
    Ok(NoContent)
}

async fn list(
    State(app): App,
    caller: Caller,
    Path((channel, message, emoji)): Emoji,
    Query(page): Query<Page>,
) -> Result<Json<Vec<User>>> {
    let limit = limit(page.limit)?;
    let at = (channel, message);
    let users = app.list_reactors(&caller, at, &emoji, page.after, limit);
    Ok(Json(users.await?))
}

async fn clear_emoji(
    State(app): App,
    caller: Caller,
    Path((channel, message, emoji)): Emoji,
) -> Result<NoContent> {
    app.clear_reactions(&caller, (channel, message), Some(&emoji))
        .await?;
    Ok(NoContent)
}

async fn clear(
    State(app): App,
    caller: Caller,
    Path((channel, message)): Path<(ChannelId, MessageId)>,
) -> Result<NoContent> {
    app.clear_reactions(&caller, (channel, message), None)
        .await?;
    Ok(NoContent)
}
