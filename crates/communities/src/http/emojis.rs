use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use contracts::communities::Emoji;
use kernel::{CommunityId, EmojiId};
use web_kit::{Caller, Created, Json, NoContent, Path, Public, Result};

use super::extract::{App, Why};
use crate::Error;
use crate::requests::{CreateEmoji, UpdateEmoji};

pub(super) async fn list_emojis(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
) -> Result<Json<Vec<Emoji>>> {
    Ok(Json(app.list_emojis(&caller, community).await?))
}

pub(super) async fn get_emoji(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, EmojiId)>,
) -> Result<Json<Emoji>> {
    Ok(Json(app.emoji(&caller, community, id).await?))
}

pub(super) async fn create_emoji(
    State(app): App,
    caller: Caller,
    Path(community): Path<CommunityId>,
    Why(reason): Why,
    Json(new): Json<CreateEmoji>,
) -> Result<Created<Emoji>> {
    let emoji = app.create_emoji(&caller, community, new, reason).await?;
    Ok(Created(emoji))
}

pub(super) async fn update_emoji(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, EmojiId)>,
    Why(reason): Why,
    Json(patch): Json<UpdateEmoji>,
) -> Result<Json<Emoji>> {
    let emoji = app
        .update_emoji(&caller, community, id, patch, reason)
        .await?;
    Ok(Json(emoji))
}

pub(super) async fn delete_emoji(
    State(app): App,
    caller: Caller,
    Path((community, id)): Path<(CommunityId, EmojiId)>,
    Why(reason): Why,
) -> Result<NoContent> {
    app.delete_emoji(&caller, community, id, reason).await?;
    Ok(NoContent)
}

/// The image, whatever form the ending asks for: libraries ask for `.png`, `.webp` or `.gif`.
pub(super) async fn get_picture(
    State(app): App,
    _: Public,
    Path(file): Path<String>,
) -> Result<Response> {
    let id = file.split('.').next().unwrap_or_default();
    let id: EmojiId = id.parse().or(Err(Error::UnknownEmoji))?;
    let picture = app.emoji_picture(id).await?;
    let mut response = Body::from_stream(picture.object.body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(picture.object.size_bytes));
    for (name, value) in [
        (CONTENT_TYPE, picture.content_type),
        // An emoji never gets another image.
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
