//! Address books, friends, blocks and switches.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use contracts::relations::Relationship;
use kernel::{Cursor, FieldError, Page, UserId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use web_kit::{Caller, Json, NoContent, Path, Query, Result};

use super::Shared;
use crate::contacts::{Contact, Match, Named};
use crate::error::Error;
use crate::relations::{Tie, Wish};
use crate::visibility::{Privacy, PrivacyChange};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactRequest {
    /// One of the three says who.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    username: Option<String>,
    /// With its country code.
    phone_number: Option<String>,
    /// What the caller calls them.
    name: Option<String>,
}

impl ContactRequest {
    fn named(self) -> std::result::Result<(Named, Option<String>), Error> {
        let named = match (self.user_id, self.username, self.phone_number) {
            (Some(id), None, None) => Named::User(id),
            (None, Some(name), None) => Named::Username(name),
            (None, None, Some(number)) => Named::Phone(number),
            _ => {
                let detail = "exactly one of user_id, username and phone_number";
                return Err(invalid("", "ONE_OF", detail));
            }
        };
        Ok((named, self.name))
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchRequest {
    /// Up to 100, each with its country code. They are compared and forgotten.
    #[schema(max_items = 100)]
    phone_numbers: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MatchResponse {
    /// Those who may be found by their number.
    matches: Vec<Match>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FriendRequest {
    /// One of the two says who.
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    username: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Where the page begins, from the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor>,
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

impl ListQuery {
    fn page(&self) -> std::result::Result<(Option<Cursor>, u16), Error> {
        let limit = self.limit.unwrap_or(50);
        if (1..=kernel::page::MAX_PAGE).contains(&limit) {
            Ok((self.cursor, limit))
        } else {
            Err(invalid("?limit", "OUT_OF_RANGE", "1 to 100"))
        }
    }
}

fn invalid(pointer: &str, code: &'static str, detail: &str) -> Error {
    Error::Invalid(vec![FieldError::new(pointer, code, detail)])
}

pub(super) async fn contacts(
    State(identity): Shared,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Contact>>> {
    let (cursor, limit) = query.page()?;
    let (items, next_cursor) = identity.contacts(&caller, cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

pub(super) async fn add_contact(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<ContactRequest>,
) -> Result<Response> {
    let (named, name) = request.named()?;
    let contact = identity.add_contact(&caller, named, name).await?;
    Ok((StatusCode::CREATED, Json(contact)).into_response())
}

pub(super) async fn remove_contact(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<NoContent> {
    identity.remove_contact(&caller, user).await?;
    Ok(NoContent)
}

pub(super) async fn matches(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<MatchRequest>,
) -> Result<Json<MatchResponse>> {
    let numbers = request.phone_numbers;
    let matches = identity.match_numbers(&caller, &numbers).await?;
    Ok(Json(MatchResponse { matches }))
}

pub(super) async fn friends(
    State(identity): Shared,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Tie>>> {
    let (cursor, limit) = query.page()?;
    let kinds = ["friend", "pending_in", "pending_out"];
    let (items, next_cursor) = identity.ties(&caller, &kinds, cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

pub(super) async fn add_friend(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<FriendRequest>,
) -> Result<NoContent> {
    match (request.user_id, request.username) {
        (Some(user), None) => identity.relate(&caller, user, Wish::Befriend).await?,
        (None, Some(name)) => {
            let wish = Wish::Befriend;
            identity.relate_to_name(&caller, &name, wish).await?;
        }
        _ => return Err(invalid("", "ONE_OF", "exactly one of user_id and username").into()),
    }
    Ok(NoContent)
}

pub(super) async fn accept_friend(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<NoContent> {
    identity.relate(&caller, user, Wish::Accept).await?;
    Ok(NoContent)
}

pub(super) async fn remove_friend(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<NoContent> {
    identity.relate(&caller, user, Wish::Unfriend).await?;
    Ok(NoContent)
}

pub(super) async fn blocks(
    State(identity): Shared,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Tie>>> {
    let (cursor, limit) = query.page()?;
    let (items, next_cursor) = identity.ties(&caller, &["block"], cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

pub(super) async fn block(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<NoContent> {
    identity.relate(&caller, user, Wish::Block).await?;
    Ok(NoContent)
}

pub(super) async fn unblock(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<NoContent> {
    identity.relate(&caller, user, Wish::Unblock).await?;
    Ok(NoContent)
}

pub(super) async fn privacy(State(identity): Shared, caller: Caller) -> Result<Json<Privacy>> {
    Ok(Json(identity.privacy(&caller).await?))
}

pub(super) async fn change_privacy(
    State(identity): Shared,
    caller: Caller,
    Json(change): Json<PrivacyChange>,
) -> Result<Json<Privacy>> {
    Ok(Json(identity.change_privacy(&caller, change).await?))
}

/// What a client wants with a user it names by id; unknown fields are ignored.
#[derive(Deserialize, ToSchema)]
pub(super) struct RelationshipRequest {
    /// 2 = block; anything else asks for friendship, or accepts.
    #[serde(rename = "type")]
    #[schema(minimum = 0, maximum = 255)]
    kind: Option<u8>,
}

/// Whom a client wants as a friend; unknown fields are ignored.
#[derive(Deserialize, ToSchema)]
pub(super) struct RelationshipByName {
    username: String,
}

pub(super) async fn relationships(
    State(identity): Shared,
    caller: Caller,
) -> Result<Json<Vec<Relationship>>> {
    Ok(Json(identity.relationships_of(&caller).await?))
}

pub(super) async fn put_relationship(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
    Json(request): Json<RelationshipRequest>,
) -> Result<NoContent> {
    let wish = if request.kind == Some(2) {
        Wish::Block
    } else {
        Wish::Befriend
    };
    identity.relate(&caller, user, wish).await?;
    Ok(NoContent)
}

pub(super) async fn delete_relationship(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<NoContent> {
    identity.relate(&caller, user, Wish::Drop).await?;
    Ok(NoContent)
}

pub(super) async fn add_relationship(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<RelationshipByName>,
) -> Result<NoContent> {
    let name = request.username;
    identity
        .relate_to_name(&caller, &name, Wish::Befriend)
        .await?;
    Ok(NoContent)
}
