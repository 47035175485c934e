//! Passkeys: making them, logging in with one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::failure::{NOT_FOUND, RATE_LIMITED};
use kernel::{AnyId, Page};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use web_kit::{
    Caller, Created, Doc, Json, Meta, NoContent, OptionalJson, Path, Policy, Public, Result, Routes,
};

use super::factors::change;
use super::{Shared, logged_in, origin};
use crate::Identity;
use crate::devices::{LoggedIn, SessionKind};
use crate::error;
use crate::metrics_table::count_login;
use crate::model::DeviceInfo;
use crate::passkeys::{Answer, Challenge, PasskeyInfo};

type Table = Routes<Arc<Identity>>;

/// The routes of this file.
pub(super) fn routes(routes: Table) -> Table {
    own(login(routes))
}

fn login(routes: Table) -> Table {
    let public = |summary| Doc::new(summary).policy(Policy::Public).served_when_full();
    routes
        .post(
            "/v1/auth/passkeys/options",
            begin_use,
            public("Begin to use a passkey")
                .describe("For a login, a second factor or a step-up, within five minutes; the same for everybody.")
                .optional_body::<OptionsRequest>()
                .returns::<Challenge>(200)
                .errors(&[&error::PASSKEYS_OFF, &RATE_LIMITED]),
        )
        .post(
            "/v1/auth/passkeys/login",
            log_in,
            public("Log in with a passkey")
                .describe("The authenticator verified its user, so no second factor is asked for.")
                .body::<PasskeyLoginRequest>()
                .returns::<LoggedIn>(200)
                .errors(&[&error::PASSKEY_INVALID, &error::PASSKEYS_OFF, &RATE_LIMITED]),
        )
}

fn own(routes: Table) -> Table {
    routes
        .post(
            "/v1/users/@me/passkeys/options",
            begin,
            change("Begin to make a passkey")
                .returns::<Challenge>(200)
                .errors(&[&error::PASSKEYS_OFF]),
        )
        .get(
            "/v1/users/@me/passkeys",
            list,
            Doc::new("List one's own passkeys").returns_page::<PasskeyInfo>(200),
        )
        .post(
            "/v1/users/@me/passkeys",
            add,
            change("Store the passkey that was made")
                .body::<PasskeyRequest>()
                .returns::<PasskeyInfo>(201)
                .errors(&[&error::PASSKEY_INVALID, &error::PASSKEYS_OFF]),
        )
        .patch(
            "/v1/users/@me/passkeys/{passkey_id}",
            rename,
            Doc::new("Give a passkey another name")
                .people_only()
                .body::<NameRequest>()
                .returns::<PasskeyInfo>(200)
                .errors(&[&NOT_FOUND]),
        )
        .delete(
            "/v1/users/@me/passkeys/{passkey_id}",
            remove,
            change("Remove a passkey")
                .returns_nothing(204)
                .errors(&[&NOT_FOUND, &error::LAST_FACTOR]),
        )
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyRequest {
    /// From the options.
    challenge_id: String,
    /// What `navigator.credentials.create` gave, as `toJSON()` writes it.
    #[schema(value_type = Object)]
    credential: Value,
    /// A name for the list.
    #[schema(format = "line", min_length = 1, max_length = 64)]
    name: String,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionsRequest {
    /// Taken for clients that send it, and not looked at: the answer is the same for everybody.
    #[serde(rename = "identifier")]
    _identifier: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasskeyLoginRequest {
    /// From the options.
    challenge_id: String,
    /// What `navigator.credentials.get` gave, as `toJSON()` writes it.
    #[schema(value_type = Object)]
    credential: Value,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NameRequest {
    #[schema(format = "line", min_length = 1, max_length = 64)]
    name: String,
}

pub(super) async fn begin_use(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    OptionalJson(_): OptionalJson<OptionsRequest>,
) -> Result<Json<Challenge>> {
    Ok(Json(identity.begin_passkey_use(meta.ip).await?))
}

pub(super) async fn log_in(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<PasskeyLoginRequest>,
) -> Result<Response> {
    let origin = origin(meta, request.device, request.session);
    let answer = Answer {
        challenge_id: request.challenge_id,
        credential: request.credential,
    };
    let login = identity.log_in_with_passkey(answer, &origin).await;
    count_login("passkey", &login);
    Ok(logged_in(&identity, StatusCode::OK, login?))
}

pub(super) async fn begin(State(identity): Shared, caller: Caller) -> Result<Json<Challenge>> {
    Ok(Json(identity.begin_passkey(&caller).await?))
}

pub(super) async fn add(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<PasskeyRequest>,
) -> Result<Created<PasskeyInfo>> {
    let answer = Answer {
        challenge_id: request.challenge_id,
        credential: request.credential,
    };
    let added = identity.add_passkey(&caller, answer, &request.name).await?;
    Ok(Created(added))
}

pub(super) async fn list(
    State(identity): Shared,
    caller: Caller,
) -> Result<Json<Page<PasskeyInfo>>> {
    Ok(Json(Page {
        items: identity.list_passkeys(&caller).await?,
        next_cursor: None,
    }))
}

pub(super) async fn rename(
    State(identity): Shared,
    caller: Caller,
    Path(passkey): Path<AnyId>,
    Json(request): Json<NameRequest>,
) -> Result<Json<PasskeyInfo>> {
    let renamed = identity.rename_passkey(&caller, passkey, &request.name);
    Ok(Json(renamed.await?))
}

pub(super) async fn remove(
    State(identity): Shared,
    caller: Caller,
    Path(passkey): Path<AnyId>,
) -> Result<NoContent> {
    identity.remove_passkey(&caller, passkey).await?;
    Ok(NoContent)
}
