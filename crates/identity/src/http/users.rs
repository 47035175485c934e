//! Profiles, passwords, devices.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::media::PictureSource;
use kernel::{Cursor, DeviceId, FieldError, MediaId, Page, UserId};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};
use web_kit::{Caller, Json, NoContent, Path, Query, Result};

use super::{Shared, if_match, with_etag};
use crate::error::Error;
use crate::login::OtherDevices;
use crate::model::{Card, Device, Me};
use crate::users::{Precondition, ProfileChange};

/// Most cards of one request.
const MAX_CARDS: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileRequest {
    #[schema(pattern = "^[a-z0-9_.]{2,32}$")]
    username: Option<String>,
    #[schema(format = "line", min_length = 1, max_length = 64)]
    display_name: Option<String>,
    /// Null empties it; absent leaves it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "lines", max_length = 500)]
    about: Option<Option<String>>,
    #[schema(pattern = "^(tr|en)$")]
    locale: Option<String>,
    /// An image that was uploaded before; null takes the picture away.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<MediaId>)]
    profile_picture_media_id: Option<Option<MediaId>>,
}

/// Tells null (`Some(None)`) from absent, for which serde does not call this.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    #[schema(value_type = Option<String>)]
    current_password: Option<SecretString>,
    /// 8 to 256 characters, and not one that is easy to guess.
    #[schema(value_type = String, min_length = 8, max_length = 256)]
    new_password: SecretString,
    /// Whether the other devices are signed out.
    #[serde(default)]
    end_other_devices: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Where the page begins, from the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor>,
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct CardsQuery {
    /// Up to 100 ids, separated by commas.
    #[param(pattern = "^[0-8]?[0-9]{1,18}(,[0-8]?[0-9]{1,18}){0,99}$")]
    ids: String,
}

pub(super) async fn me(State(identity): Shared, caller: Caller) -> Result<Response> {
    let me = Me {
        impersonated_by: caller.act,
        ..identity.me(&caller).await?
    };
    Ok(with_etag(me.version, Json(me)))
}

pub(super) async fn change_me(
    State(identity): Shared,
    caller: Caller,
    headers: HeaderMap,
    Json(request): Json<ProfileRequest>,
) -> Result<Response> {
    let on = Precondition::Version(if_match(&headers)?);
    let change = ProfileChange {
        username: request.username,
        display_name: request.display_name,
        about: request.about,
        locale: request.locale,
        picture: request
            .profile_picture_media_id
            .map(|media| media.map(PictureSource::Media)),
    };
    let account = identity.change_profile(&caller, on, change).await?;
    let me = identity.complete(account).await?;
    Ok(with_etag(me.version, Json(me)))
}

pub(super) async fn change_password(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<PasswordRequest>,
) -> Result<NoContent> {
    let others = if request.end_other_devices {
        OtherDevices::End
    } else {
        OtherDevices::Keep
    };
    let (current, new) = (request.current_password, request.new_password);
    identity
        .change_password(&caller, current, new, others)
        .await?;
    Ok(NoContent)
}

pub(super) async fn list_devices(
    State(identity): Shared,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Device>>> {
    let limit = query.limit.unwrap_or(50);
    if !(1..=kernel::page::MAX_PAGE).contains(&limit) {
        return Err(one("?limit", "OUT_OF_RANGE", "1 to 100").into());
    }
    let (items, next_cursor) = identity.list_devices(&caller, query.cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

pub(super) async fn revoke_others(State(identity): Shared, caller: Caller) -> Result<NoContent> {
    identity.revoke_other_devices(&caller).await?;
    Ok(NoContent)
}

pub(super) async fn revoke_device(
    State(identity): Shared,
    caller: Caller,
    Path(device): Path<DeviceId>,
) -> Result<NoContent> {
    identity.revoke_device(&caller, device).await?;
    Ok(NoContent)
}

pub(super) async fn card(
    State(identity): Shared,
    caller: Caller,
    Path(user): Path<UserId>,
) -> Result<Json<Card>> {
    let card = identity.card(caller.user, user).await?;
    Ok(Json(card.ok_or(Error::NotFound)?))
}

pub(super) async fn cards(
    State(identity): Shared,
    caller: Caller,
    Query(query): Query<CardsQuery>,
) -> Result<Json<Page<Card>>> {
    let items = identity.cards(caller.user, &parse_ids(&query.ids)?).await?;
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

fn parse_ids(text: &str) -> std::result::Result<Vec<UserId>, Error> {
    let ids: std::result::Result<Vec<UserId>, _> = text
        .split(',')
        .take(MAX_CARDS + 1)
        .map(str::parse)
        .collect();
    let ids = ids.or(Err(one(
        "?ids",
        "INVALID",
        "decimal ids, separated by commas",
    )))?;
    if ids.len() > MAX_CARDS {
        return Err(one("?ids", "TOO_MANY", "at most 100"));
    }
    Ok(ids)
}

fn one(pointer: &str, code: &'static str, detail: &str) -> Error {
    Error::Invalid(vec![FieldError::new(pointer, code, detail)])
}
