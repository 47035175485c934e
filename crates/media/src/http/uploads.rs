//! Uploads in the form of the tus protocol, version 1.0.0.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::fmt::rfc2822;
use kernel::{FieldError, MediaId};
use web_kit::{Caller, Created, Json, NoContent, Path, Result};

use super::App;
use crate::error::Error;
use crate::uploads::{NewUpload, Upload};

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,expiration,termination";
const PART_TYPE: &str = "application/offset+octet-stream";

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");

pub(super) async fn create(
    State(app): App,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response> {
    check_version(&headers)?;
    let new = new_upload(&headers)?;
    let upload = app.create_upload(&caller, new).await?;
    let mut told = told(&upload);
    let location = format!("/v1/uploads/{}", upload.id);
    insert(&mut told, LOCATION, &location);
    insert(&mut told, TUS_VERSION, VERSION);
    insert(&mut told, TUS_EXTENSION, EXTENSIONS);
    insert(
        &mut told,
        TUS_MAX_SIZE,
        &app.settings.max_file_bytes.to_string(),
    );
    Ok((told, Created(upload)).into_response())
}

pub(super) async fn find(
    State(app): App,
    caller: Caller,
    Path(id): Path<MediaId>,
) -> Result<Response> {
    let upload = app.upload(caller.user, id).await?;
    Ok((told(&upload), Json(upload)).into_response())
}

pub(super) async fn append(
    State(app): App,
    caller: Caller,
    Path(id): Path<MediaId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    check_version(&headers)?;
    if text(&headers, &CONTENT_TYPE) != Some(PART_TYPE) {
        return Err(Error::WrongPartType.into());
    }
    let offset = number(&headers, &UPLOAD_OFFSET)?;
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    let content = body.into_data_stream().map_err(std::io::Error::other);
    let upload = app.append(&caller, id, offset, content.boxed()).await?;
    Ok((told(&upload), NoContent).into_response())
}

pub(super) async fn end(
    State(app): App,
    caller: Caller,
    Path(id): Path<MediaId>,
    headers: HeaderMap,
) -> Result<Response> {
    check_version(&headers)?;
    app.end_upload(&caller, id).await?;
    let mut told = HeaderMap::new();
    insert(&mut told, TUS_RESUMABLE, VERSION);
    Ok((told, NoContent).into_response())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn check_version(headers: &HeaderMap) -> std::result::Result<(), Error> {
    match text(headers, &TUS_RESUMABLE) {
        Some(VERSION) => Ok(()),
        _ => Err(Error::WrongProtocol),
    }
}

fn invalid(header: &HeaderName, detail: &str) -> Error {
    Error::Invalid(vec![FieldError::new(header.as_str(), "INVALID", detail)])
}

fn number(headers: &HeaderMap, name: &HeaderName) -> std::result::Result<u64, Error> {
    let digits = text(headers, name).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| invalid(name, "a number of bytes, in decimal digits"))
}

fn new_upload(headers: &HeaderMap) -> std::result::Result<NewUpload, Error> {
    let mut new = NewUpload {
        size_bytes: number(headers, &UPLOAD_LENGTH)?,
        ..NewUpload::default()
    };
    let pairs = text(headers, &UPLOAD_METADATA).unwrap_or_default();
    for pair in pairs
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).ok();
        let value = value.and_then(|value| String::from_utf8(value).ok());
        let detail = "pairs of a key and a text in base64, with commas";
        let value = value.ok_or_else(|| invalid(&UPLOAD_METADATA, detail))?;
        match key {
            "filename" | "name" => new.name = value,
            "filetype" | "type" => new.content_type = Some(value),
            "sha256" => new.sha256 = Some(value),
            // Clients send what they like besides.
            _ => {}
        }
    }
    Ok(new)
}

/// Where an upload stands, as headers.
fn told(upload: &Upload) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, TUS_RESUMABLE, VERSION);
    insert(&mut headers, UPLOAD_OFFSET, &upload.offset.to_string());
    insert(&mut headers, UPLOAD_LENGTH, &upload.size.to_string());
    insert(&mut headers, CACHE_CONTROL, "no-store");
    let expires = upload.expires_at.and_then(|at| {
        let printer = rfc2822::DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&at).ok()
    });
    if let Some(expires) = expires {
        insert(&mut headers, UPLOAD_EXPIRES, &expires);
    }
    headers
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Digits, dates and fixed words: always fit.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(length: &str, metadata: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        insert(&mut headers, UPLOAD_LENGTH, length);
        insert(&mut headers, UPLOAD_METADATA, metadata);
        headers
    }

    #[test]
    fn metadata_are_pairs_in_base64() {
        let new = new_upload(&headers(
            "7",
            "filename w6dpw6dlay5wbmc=, filetype aW1hZ2UvcG5n,is_confidential,sha256 YWI=",
        ))
        .unwrap();
        assert_eq!(new.size_bytes, 7);
        assert_eq!(new.name, "çiçek.png");
        assert_eq!(new.content_type.as_deref(), Some("image/png"));
        assert_eq!(new.sha256.as_deref(), Some("ab"));
        assert_eq!(new_upload(&headers("0", "")).unwrap().name, "");
    }

    #[test]
    fn bad_headers_are_told() {
        for (length, metadata) in [
            ("", ""),
            ("-1", ""),
            ("+1", ""),
            ("1.5", ""),
            ("18446744073709551616", ""),
            ("1", "filename ?"),
            ("1", "filename /w=="),
        ] {
            let told = new_upload(&headers(length, metadata));
            assert!(
                matches!(told, Err(Error::Invalid(_))),
                "{length} {metadata}"
            );
        }
    }
}
