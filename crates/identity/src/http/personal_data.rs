//! What people may demand of whoever stores their data: a copy, and an end.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use kernel::failure::NOT_FOUND;
use kernel::{AnyId, Page};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web_kit::{Caller, Doc, Json, NoContent, Path, Result, Routes};

use super::Shared;
use crate::Identity;
use crate::error;
use crate::exports::Export;

/// The routes of exports and erasures.
pub(super) fn routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let own = |summary| Doc::new(summary).people_only().not_while_impersonating();
    routes
        .post(
            "/v1/users/@me/exports",
            request_export,
            own("Ask for a copy of everything stored about one")
                .step_up()
                .returns::<Export>(202)
                .errors(&[&error::EXPORT_RUNNING]),
        )
        .get(
            "/v1/users/@me/exports",
            list_exports,
            own("List one's own exports")
                .describe("Those of the last month, the newest first; at most 100.")
                .returns_page::<Export>(200),
        )
        .get(
            "/v1/users/@me/exports/{export_id}",
            find_export,
            own("Read how far an export is")
                .returns::<Export>(200)
                .errors(&[&NOT_FOUND]),
        )
        .get(
            "/v1/users/@me/exports/{export_id}/download",
            download,
            own("Read an export")
                .describe("A zip of JSON files, for seven days.")
                .returns_nothing(200)
                .errors(&[&NOT_FOUND]),
        )
        .post(
            "/v1/users/@me/erasure",
            request_erasure,
            own("Erase one's own account")
                .step_up()
                .describe("It is carried out after fourteen days. Until then one can log in and cancel it.")
                .body::<ErasureRequest>()
                .returns::<ErasureResponse>(202)
                .errors(&[&error::ERASURE_BLOCKED]),
        )
        .delete(
            "/v1/users/@me/erasure",
            cancel_erasure,
            own("Keep one's own account after all")
                .returns_nothing(204)
                .errors(&[&NOT_FOUND]),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErasureRequest {
    /// One's own username.
    confirm: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ErasureResponse {
    erase_at: Timestamp,
}

async fn request_export(State(identity): Shared, caller: Caller) -> Result<Response> {
    let export = identity.request_export(&caller).await?;
    Ok((StatusCode::ACCEPTED, Json(export)).into_response())
}

async fn list_exports(State(identity): Shared, caller: Caller) -> Result<Json<Page<Export>>> {
    Ok(Json(Page {
        items: identity.list_exports(&caller).await?,
        next_cursor: None,
    }))
}

async fn find_export(
    State(identity): Shared,
    caller: Caller,
    Path(id): Path<AnyId>,
) -> Result<Json<Export>> {
    Ok(Json(identity.find_export(&caller, id).await?))
}

async fn download(
    State(identity): Shared,
    caller: Caller,
    Path(id): Path<AnyId>,
) -> Result<Response> {
    let object = identity.open_export(&caller, id).await?;
    let mut response = Body::from_stream(object.body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(object.size_bytes));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    let name = HeaderValue::from_static("attachment; filename=\"export.zip\"");
    headers.insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

async fn request_erasure(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<ErasureRequest>,
) -> Result<Response> {
    let erase_at = identity.request_erasure(&caller, &request.confirm).await?;
    Ok((StatusCode::ACCEPTED, Json(ErasureResponse { erase_at })).into_response())
}

async fn cancel_erasure(State(identity): Shared, caller: Caller) -> Result<NoContent> {
    identity.cancel_erasure(&caller).await?;
    Ok(NoContent)
}
