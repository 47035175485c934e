//! Files on their way out. Nothing that is served here can run in a browser: the type is fixed and
//! not guessed, a sandbox is around it, and what may not be shown in place is saved.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use contracts::media::Place;
use infra::objects::Object;
use kernel::{ChannelId, CommunityId, MediaId, UserId};
use serde::Deserialize;
use web_kit::{Path, Public, Query, Result};

use super::App;
use super::ranges::{Wanted, is_known, wanted};
use crate::Media;
use crate::error::Error;
use crate::model::in_path;
use crate::serve::{Address, Opened};

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// Nothing may be loaded or run by what is served, whatever it is.
const SANDBOX: &str = "default-src 'none'; sandbox";

/// The signed part of an address.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct AttachmentQuery {
    /// Until when it is good.
    ex: String,
    /// The signature.
    hm: String,
    /// `thumbnail` for a small picture.
    preset: Option<String>,
}

/// Which picture is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct PictureQuery {
    /// Its side in pixels; the nearest there is.
    #[param(minimum = 16, maximum = 4096)]
    size: Option<u32>,
}

pub(super) async fn attachment(
    State(app): App,
    _: Public,
    Path((channel, media, _name)): Path<(ChannelId, MediaId, String)>,
    Query(query): Query<AttachmentQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let address = Address {
        channel,
        media,
        until: query.ex,
        signature: query.hm,
        preset: query.preset,
    };
    let opened = app.open_attachment(&address).await?;
    Ok(respond(&app, opened, &headers).await?)
}

pub(super) async fn avatar(
    State(app): App,
    _: Public,
    Path((user, file)): Path<(UserId, String)>,
    Query(query): Query<PictureQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let opened = app.picture(Place::Avatar(user), &file, query.size).await?;
    Ok(respond(&app, opened, &headers).await?)
}

pub(super) async fn icon(
    State(app): App,
    _: Public,
    Path((community, file)): Path<(CommunityId, String)>,
    Query(query): Query<PictureQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let opened = app
        .picture(Place::Icon(community), &file, query.size)
        .await?;
    Ok(respond(&app, opened, &headers).await?)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Answers with what was opened, or with as much of it as is asked for.
async fn respond(
    app: &Media,
    opened: Opened,
    asked: &HeaderMap,
) -> std::result::Result<Response, Error> {
    let mut headers = describe(&opened);
    if is_known(text(asked, &IF_NONE_MATCH), &opened.etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // A range of another file than the client knows would be put to the wrong rest.
    let same = text(asked, &IF_RANGE).is_none_or(|tag| tag == opened.etag);
    let range = text(asked, &RANGE).filter(|_| same);
    let part = match opened.size_bytes.map(|size| (size, wanted(range, size))) {
        Some((size, Wanted::Unsatisfiable)) => {
            insert(&mut headers, CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
        Some((size, Wanted::Part(range))) => Some((size, range)),
        Some((_, Wanted::Whole)) | None => None,
    };
    let (status, found) = match part {
        Some((size, range)) => {
            let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            insert(&mut headers, CONTENT_RANGE, &told);
            let found = app.objects.open_range(&opened.key, range).await?;
            (StatusCode::PARTIAL_CONTENT, found)
        }
        None => (StatusCode::OK, app.objects.open(&opened.key).await?),
    };
    let Object { size_bytes, body } = found.ok_or(Error::UnknownMedia)?;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size_bytes));
    Ok((status, headers, Body::from_stream(body)).into_response())
}

fn describe(opened: &Opened) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, CONTENT_TYPE, &opened.content_type);
    insert(&mut headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(&mut headers, CONTENT_SECURITY_POLICY, SANDBOX);
    // Pages of other hosts show it.
    insert(&mut headers, CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin");
    insert(&mut headers, CACHE_CONTROL, &opened.cache);
    insert(&mut headers, ETAG, &opened.etag);
    if opened.size_bytes.is_some() {
        insert(&mut headers, ACCEPT_RANGES, "bytes");
    }
    let how = if opened.is_shown() {
        "inline"
    } else {
        "attachment"
    };
    let disposition = match &opened.name {
        // RFC 6266 with RFC 8187: percent-encoded UTF-8 is all ASCII.
        Some(name) => format!("{how}; filename*=UTF-8''{}", in_path(name)),
        None => how.to_owned(),
    };
    insert(&mut headers, CONTENT_DISPOSITION, &disposition);
    headers
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Made of fixed words, numbers and percent-encoded names: always fits.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
