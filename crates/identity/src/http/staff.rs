//! What staff do: finding people, disabling them, roles, acting in their names.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kernel::failure::NOT_FOUND;
use kernel::{Cursor, DeviceId, FieldError, Page, PlatformRole, UserId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use web_kit::{Created, Doc, Json, Meta, NoContent, Path, Query, Result, Routes, Staff};

use super::{Shared, origin};
use crate::Identity;
use crate::devices::SessionKind;
use crate::error::{self, Error};
use crate::impersonation::{Impersonated, Impersonation};
use crate::model::Device;
use crate::staff::Person;

/// Who helps people; a superadmin always may.
const HELPERS: &[PlatformRole] = &[PlatformRole::Support];

/// The routes of staff.
pub(super) fn routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let helpers = |summary| Doc::new(summary).staff(HELPERS);
    let acts = |summary| {
        helpers(summary)
            .body::<ReasonRequest>()
            .returns_nothing(204)
            .errors(&[&NOT_FOUND])
    };
    routes
        .get("/v1/users/search", search, helpers("Find people")
            .describe("By the beginning of the username or display name (Turkish letters count as their plain ones), or by exactly the e-mail address, phone number or id.")
            .query::<SearchQuery>()
            .returns_page::<Person>(200))
        .get("/v1/users/{user_id}/devices", devices, helpers("List somebody's devices")
            .query::<PageQuery>()
            .returns_page::<Device>(200)
            .errors(&[&NOT_FOUND]))
        .post("/v1/users/{user_id}/disable", disable, acts("Disable an account")
            .describe("Every login ends at once and none begins, until it is enabled again."))
        .post("/v1/users/{user_id}/enable", enable, acts("Enable a disabled account"))
        .post("/v1/users/{user_id}/sign-out", sign_out, acts("Sign somebody out everywhere"))
        .post("/v1/users/{user_id}/password-reset", start_reset, acts("Send somebody a link to choose a new password")
            .describe("To the account's e-mail address; staff never see a link and never set a password."))
        .put("/v1/users/{user_id}/roles", set_roles, Doc::new("Give somebody exactly these platform roles").staff(&[]).step_up()
            .describe("Superadmins only. Browser sessions of the user end, since their times depend on roles.")
            .body::<RolesRequest>()
            .returns_nothing(204)
            .errors(&[&NOT_FOUND, &error::LAST_ADMIN]))
        .get("/v1/auth/impersonations", list, helpers("List who acted as whom")
            .query::<PageQuery>()
            .returns_page::<Impersonation>(200))
        .post("/v1/auth/impersonations", impersonate, helpers("Act as a user for a quarter of an hour").step_up()
            .describe("Not as staff. Where the settings demand a second member of staff the answer is 202, and `start` follows once it was approved.")
            .body::<ImpersonationRequest>()
            .returns::<Impersonated>(201)
            .returns::<Impersonated>(202)
            .errors(&[&NOT_FOUND]))
        .post("/v1/auth/impersonations/{id}/approve", approve, helpers("Agree that another acts as a user").step_up()
            .returns_nothing(204)
            .errors(&[&NOT_FOUND]))
        .post("/v1/auth/impersonations/{id}/start", start, helpers("Begin what was approved").step_up()
            .returns::<Impersonated>(201)
            .errors(&[&NOT_FOUND]))
        .delete("/v1/auth/impersonations/{id}", end, helpers("Stop acting as a user").served_when_full()
            .returns_nothing(204)
            .errors(&[&NOT_FOUND]))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    /// 2 to 254 characters.
    query: String,
    /// Where the page begins, from the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor>,
    /// Rows; 50 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonRequest {
    /// Why; kept, and shown in the user's export.
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RolesRequest {
    /// `superadmin`, `support`, `moderator`, `finance`; none takes all away.
    roles: Vec<String>,
    /// Why; kept, and shown in the user's export.
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImpersonationRequest {
    /// As whom.
    user_id: UserId,
    /// Why; kept, and shown in the user's export.
    reason: String,
}

async fn search(
    State(identity): Shared,
    _staff: Staff,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Page<Person>>> {
    let limit = page_limit(query.limit)?;
    let found = identity.search_people(&query.query, query.cursor, limit);
    let (items, next_cursor) = found.await?;
    Ok(Json(Page { items, next_cursor }))
}

async fn devices(
    State(identity): Shared,
    _staff: Staff,
    Path(user): Path<UserId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Device>>> {
    let limit = page_limit(query.limit)?;
    let (items, next_cursor) = identity.list_devices_of(user, query.cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

async fn disable(
    State(identity): Shared,
    staff: Staff,
    Path(user): Path<UserId>,
    Json(request): Json<ReasonRequest>,
) -> Result<NoContent> {
    identity.disable_user(&staff, user, &request.reason).await?;
    Ok(NoContent)
}

async fn enable(
    State(identity): Shared,
    staff: Staff,
    Path(user): Path<UserId>,
    Json(request): Json<ReasonRequest>,
) -> Result<NoContent> {
    identity.enable_user(&staff, user, &request.reason).await?;
    Ok(NoContent)
}

async fn sign_out(
    State(identity): Shared,
    staff: Staff,
    Path(user): Path<UserId>,
    Json(request): Json<ReasonRequest>,
) -> Result<NoContent> {
    identity
        .sign_user_out(&staff, user, &request.reason)
        .await?;
    Ok(NoContent)
}

async fn start_reset(
    State(identity): Shared,
    staff: Staff,
    Path(user): Path<UserId>,
    Json(request): Json<ReasonRequest>,
) -> Result<NoContent> {
    identity.start_reset(&staff, user, &request.reason).await?;
    Ok(NoContent)
}

async fn set_roles(
    State(identity): Shared,
    staff: Staff,
    Path(user): Path<UserId>,
    Json(request): Json<RolesRequest>,
) -> Result<NoContent> {
    let roles = parse_roles(&request.roles)?;
    let change = (roles.as_slice(), request.reason.as_str());
    identity.set_roles(&staff, user, change).await?;
    Ok(NoContent)
}

async fn list(
    State(identity): Shared,
    _staff: Staff,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Impersonation>>> {
    let limit = page_limit(query.limit)?;
    let (items, next_cursor) = identity.list_impersonations(query.cursor, limit).await?;
    Ok(Json(Page { items, next_cursor }))
}

async fn impersonate(
    State(identity): Shared,
    staff: Staff,
    meta: Meta,
    Json(request): Json<ImpersonationRequest>,
) -> Result<Response> {
    let origin = origin(meta, None, SessionKind::Token);
    let wish = (request.user_id, request.reason.as_str());
    let begun = identity.impersonate(&staff, wish, &origin).await?;
    let status = match begun.access_token {
        Some(_) => StatusCode::CREATED,
        None => StatusCode::ACCEPTED,
    };
    Ok((status, Json(begun)).into_response())
}

async fn approve(
    State(identity): Shared,
    staff: Staff,
    Path(id): Path<DeviceId>,
) -> Result<NoContent> {
    identity.approve_impersonation(&staff, id).await?;
    Ok(NoContent)
}

async fn start(
    State(identity): Shared,
    staff: Staff,
    meta: Meta,
    Path(id): Path<DeviceId>,
) -> Result<Created<Impersonated>> {
    let origin = origin(meta, None, SessionKind::Token);
    let begun = identity.start_impersonation(&staff, id, &origin).await?;
    Ok(Created(begun))
}

async fn end(State(identity): Shared, staff: Staff, Path(id): Path<DeviceId>) -> Result<NoContent> {
    identity.end_impersonation(&staff, id).await?;
    Ok(NoContent)
}

fn page_limit(limit: Option<u16>) -> std::result::Result<u16, Error> {
    let limit = limit.unwrap_or(50);
    if (1..=kernel::page::MAX_PAGE).contains(&limit) {
        Ok(limit)
    } else {
        let error = FieldError::new("?limit", "OUT_OF_RANGE", "1 to 100");
        Err(Error::Invalid(vec![error]))
    }
}

fn parse_roles(words: &[String]) -> std::result::Result<Vec<PlatformRole>, Error> {
    let known: Option<Vec<PlatformRole>> = words
        .iter()
        .map(|word| PlatformRole::from_word(word))
        .collect();
    let roles = known.filter(|roles| {
        PlatformRole::ALL
            .iter()
            .all(|role| roles.iter().filter(|given| *given == role).count() <= 1)
    });
    roles.ok_or_else(|| {
        let detail = "superadmin, support, moderator, finance, each at most once";
        Error::Invalid(vec![FieldError::new("/roles", "UNKNOWN", detail)])
    })
}
