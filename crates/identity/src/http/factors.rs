//! Second factors: the end of a login that asked for one, and setting them up.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::FieldError;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web_kit::{Caller, Created, Json, Meta, NoContent, Public, Result};

use super::{Shared, logged_in, origin};
use crate::devices::SessionKind;
use crate::error::Error;
use crate::model::DeviceInfo;
use crate::proof::Proof;

/// How a second factor is proved.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    /// A code of the authenticator app.
    Totp,
    /// A recovery code.
    Recovery,
    /// The PIN of the registration lock; after a login by telephone number only.
    Pin,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondFactorRequest {
    /// From the answer `SECOND_FACTOR_REQUIRED` or `REGISTRATION_LOCKED`.
    #[schema(value_type = String)]
    mfa_token: SecretString,
    method: Method,
    /// The code or PIN.
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRequest {
    /// The code that the app shows now.
    #[schema(value_type = String)]
    code: SecretString,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PinRequest {
    /// 6 to 20 digits.
    #[schema(value_type = String)]
    pin: SecretString,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TotpResponse {
    /// To be typed into the app.
    secret: String,
    /// To be opened by the app or shown as a picture.
    otpauth_uri: String,
}

/// Shown once; only their hashes are kept.
#[derive(Serialize, ToSchema)]
pub(super) struct RecoveryCodes {
    /// Ten codes, each good once.
    recovery_codes: Vec<String>,
}

impl From<Vec<SecretString>> for RecoveryCodes {
    fn from(codes: Vec<SecretString>) -> Self {
        let text = |code: &SecretString| code.expose_secret().to_owned();
        RecoveryCodes {
            recovery_codes: codes.iter().map(text).collect(),
        }
    }
}

pub(super) async fn finish_login(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<SecondFactorRequest>,
) -> Result<Response> {
    let proof = proof(request.method, request.code)?;
    let origin = origin(meta, request.device, request.session);
    let login = identity
        .finish_login(&request.mfa_token, proof, &origin)
        .await?;
    Ok(logged_in(&identity, StatusCode::OK, login))
}

pub(super) async fn begin_totp(
    State(identity): Shared,
    caller: Caller,
) -> Result<Created<TotpResponse>> {
    let new = identity.begin_totp(&caller).await?;
    Ok(Created(TotpResponse {
        secret: new.secret.expose_secret().to_owned(),
        otpauth_uri: new.otpauth_uri.expose_secret().to_owned(),
    }))
}

pub(super) async fn confirm_totp(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<CodeRequest>,
) -> Result<Json<RecoveryCodes>> {
    let codes = identity.confirm_totp(&caller, &request.code).await?;
    Ok(Json(codes.into()))
}

pub(super) async fn remove_totp(State(identity): Shared, caller: Caller) -> Result<NoContent> {
    identity.remove_totp(&caller).await?;
    Ok(NoContent)
}

pub(super) async fn renew_recovery_codes(
    State(identity): Shared,
    caller: Caller,
) -> Result<Created<RecoveryCodes>> {
    let codes = identity.renew_recovery_codes(&caller).await?;
    Ok(Created(codes.into()))
}

pub(super) async fn set_pin(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<PinRequest>,
) -> Result<NoContent> {
    identity.set_pin(&caller, request.pin).await?;
    Ok(NoContent)
}

pub(super) async fn remove_pin(State(identity): Shared, caller: Caller) -> Result<NoContent> {
    identity.remove_pin(&caller).await?;
    Ok(NoContent)
}

/// What was brought, or which field is missing.
fn proof(method: Method, code: Option<SecretString>) -> std::result::Result<Proof, Error> {
    let missing = || FieldError::new("/code", "REQUIRED", "needed by this method");
    let code = code.ok_or_else(|| Error::Invalid(vec![missing()]))?;
    Ok(match method {
        Method::Totp => Proof::Totp(code),
        Method::Recovery => Proof::Recovery(code),
        Method::Pin => Proof::Pin(code),
    })
}
