//! Logging in and out, and what verifiers need.

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::UserId;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web_kit::{Caller, Created, Json, Meta, NoContent, OptionalJson, PageSession, Public, Result};

use super::otp::known_device;
use super::{Shared, cacheable, logged_in, logged_out, origin};
use crate::browser::TICKET_TTL;
use crate::devices::{SessionKind, Tokens};
use crate::error::Error;
use crate::login::{LogoutBy, LogoutScope};
use crate::metrics_table::count_login;
use crate::model::DeviceInfo;
use crate::registration::{Consent, Registered, Registration};
use crate::ways_in::WaysIn;

/// How long a verifier may keep the key set; we look again ourselves after ten minutes.
const JWKS_MAX_AGE_S: u32 = 600;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationRequest {
    #[schema(format = "email", max_length = 254)]
    email: String,
    /// 8 to 256 characters, and not one that is easy to guess.
    #[schema(value_type = String, min_length = 8, max_length = 256)]
    password: SecretString,
    #[schema(pattern = "^[a-z0-9_.]{2,32}$")]
    username: String,
    #[schema(format = "line", min_length = 1, max_length = 64)]
    display_name: String,
    #[schema(pattern = "^(tr|en)$")]
    locale: Option<String>,
    #[serde(default)]
    #[schema(max_items = 16)]
    consents: Vec<Consent>,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupRequest {
    /// The part of the set-up link behind `#`.
    #[schema(value_type = String)]
    token: SecretString,
    #[schema(format = "email", max_length = 254)]
    email: String,
    #[schema(pattern = "^[a-z0-9_.]{2,32}$")]
    username: String,
    #[schema(format = "line", min_length = 1, max_length = 64)]
    display_name: String,
    /// 8 to 256 characters, and not one that is easy to guess.
    #[schema(value_type = String, min_length = 8, max_length = 256)]
    password: SecretString,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginRequest {
    /// E-mail address, phone number or username.
    identifier: String,
    #[schema(value_type = String)]
    password: SecretString,
    /// A refresh token that this device once had for the account, also an old one: such a device is
    /// not kept out by what strangers tried. A page shows its cookie instead.
    #[schema(value_type = Option<String>)]
    known_device: Option<SecretString>,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    refresh_token: String,
    /// The client's random name for this exchange, 16 to 64 characters.
    #[schema(pattern = "^[!-~]{16,64}$")]
    attempt_id: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogoutRequest {
    refresh_token: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogoutAllRequest {
    refresh_token: Option<String>,
    #[serde(default)]
    except_current: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidateRequest {
    access_token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ValidateResponse {
    is_valid: bool,
    user_id: Option<UserId>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TicketResponse {
    ticket: String,
    expires_in: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CsrfResponse {
    csrf_token: String,
}

/// A key set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(super) struct Jwks {
    keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037).
#[derive(Serialize, ToSchema)]
pub(super) struct Jwk {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    purpose: &'static str,
    kid: String,
    x: String,
}

pub(super) async fn register(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<RegistrationRequest>,
) -> Result<Response> {
    let wish = Registration {
        email: request.email,
        password: request.password,
        username: request.username,
        display_name: request.display_name,
        locale: request
            .locale
            .unwrap_or_else(|| meta.locale.tag().to_owned()),
        consents: request.consents,
    };
    let origin = origin(meta, request.device, request.session);
    Ok(match identity.register(wish, &origin).await? {
        Registered::In(login) => logged_in(&identity, StatusCode::CREATED, login),
        Registered::Pending => StatusCode::ACCEPTED.into_response(),
    })
}

pub(super) async fn set_up(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<SetupRequest>,
) -> Result<Response> {
    let wish = Registration {
        email: request.email,
        password: request.password,
        username: request.username,
        display_name: request.display_name,
        locale: meta.locale.tag().to_owned(),
        consents: Vec::new(),
    };
    let origin = origin(meta, request.device, request.session);
    let login = identity.set_up(&request.token, wish, &origin).await?;
    Ok(logged_in(&identity, StatusCode::CREATED, login))
}

pub(super) async fn log_in(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    page: PageSession,
    Json(request): Json<LoginRequest>,
) -> Result<Response> {
    let known = known_device(request.known_device, &page);
    let origin = origin(meta, request.device, request.session);
    let login = identity
        .log_in(&request.identifier, request.password, known, &origin)
        .await;
    count_login("password", &login);
    Ok(logged_in(&identity, StatusCode::OK, login?))
}

pub(super) async fn refresh(
    State(identity): Shared,
    _: Public,
    Json(request): Json<RefreshRequest>,
) -> Result<Json<Tokens>> {
    let attempt = request.attempt_id.as_deref();
    Ok(Json(
        identity.refresh(&request.refresh_token, attempt).await?,
    ))
}

pub(super) async fn log_out(
    State(identity): Shared,
    _: Public,
    page: PageSession,
    headers: HeaderMap,
    OptionalJson(request): OptionalJson<LogoutRequest>,
) -> Result<Response> {
    let session = page.caller().await?;
    let by = leaving(request.refresh_token.as_deref(), session.as_ref(), &headers)?;
    identity.log_out(by).await?;
    Ok(logged_out(&identity, session.as_ref()))
}

pub(super) async fn log_out_all(
    State(identity): Shared,
    _: Public,
    page: PageSession,
    headers: HeaderMap,
    OptionalJson(request): OptionalJson<LogoutAllRequest>,
) -> Result<Response> {
    let session = page.caller().await?;
    let by = leaving(request.refresh_token.as_deref(), session.as_ref(), &headers)?;
    let scope = if request.except_current {
        LogoutScope::ExceptCurrent
    } else {
        LogoutScope::Everywhere
    };
    identity.log_out_all(by, scope).await?;
    Ok(match scope {
        LogoutScope::Everywhere => logged_out(&identity, session.as_ref()),
        LogoutScope::ExceptCurrent => NoContent.into_response(),
    })
}

pub(super) async fn validate(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<ValidateRequest>,
) -> Result<Json<ValidateResponse>> {
    let user_id = identity.validate(&request.access_token, meta.ip).await?;
    Ok(Json(ValidateResponse {
        is_valid: user_id.is_some(),
        user_id,
    }))
}

pub(super) async fn ticket(
    State(identity): Shared,
    caller: Caller,
) -> Result<Created<TicketResponse>> {
    let ticket = identity.issue_ticket(&caller).await?;
    Ok(Created(TicketResponse {
        ticket: ticket.expose_secret().to_owned(),
        expires_in: TICKET_TTL.as_secs(),
    }))
}

pub(super) async fn csrf(
    State(identity): Shared,
    _caller: Caller,
    page: PageSession,
) -> Result<Json<CsrfResponse>> {
    let cookie = page.cookie().ok_or(Error::Forbidden)?;
    let csrf_token = identity.settings.keys.csrf_token(cookie);
    Ok(Json(CsrfResponse { csrf_token }))
}

pub(super) async fn methods(State(identity): Shared, _: Public) -> Json<WaysIn> {
    Json(identity.ways_in())
}

pub(super) async fn jwks(State(identity): Shared, _: Public) -> Result<Response> {
    let keys = identity.keys.set().await?.published();
    let keys = keys
        .into_iter()
        .map(|key| Jwk {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            purpose: "sig",
            kid: key.kid,
            x: URL_SAFE_NO_PAD.encode(key.public),
        })
        .collect();
    Ok(cacheable(JWKS_MAX_AGE_S, Json(Jwks { keys })))
}

/// The refresh token of the body, or else the page's session, or else the header.
fn leaving<'a>(
    token: Option<&'a str>,
    session: Option<&'a kernel::Caller>,
    headers: &'a HeaderMap,
) -> std::result::Result<LogoutBy<'a>, Error> {
    let header = || {
        headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
    };
    token
        .map(LogoutBy::RefreshToken)
        .or_else(|| session.map(LogoutBy::Page))
        .or_else(|| header().map(LogoutBy::Header))
        .ok_or(Error::Unauthenticated)
}
