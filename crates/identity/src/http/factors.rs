//! Second factors: the end of a login that asked for one, and setting them up.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kernel::FieldError;
use kernel::failure::{NOT_FOUND, RATE_LIMITED};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use web_kit::{Caller, Created, Doc, Json, Meta, NoContent, Policy, Public, Result, Routes};

use super::{Shared, logged_in, origin};
use crate::Identity;
use crate::devices::{LoggedIn, SessionKind};
use crate::error::{self, Error};
use crate::metrics_table::count_login;
use crate::model::DeviceInfo;
use crate::passkeys::Answer;
use crate::proof::Proof;

type Table = Routes<Arc<Identity>>;

/// The routes of this file.
pub(super) fn routes(routes: Table) -> Table {
    codes(totp(login(routes)))
}

fn login(routes: Table) -> Table {
    routes.post(
        "/v1/auth/login/second-factor",
        finish_login,
        Doc::new("Finish a login with a second factor")
            .policy(Policy::Public)
            .served_when_full()
            .describe("Within five minutes and five attempts of the answer that held `mfa_token`.")
            .body::<SecondFactorRequest>()
            .returns::<LoggedIn>(200)
            .errors(&[
                &error::MFA_TOKEN_INVALID,
                &error::SECOND_FACTOR_INVALID,
                &RATE_LIMITED,
                &error::BUSY,
            ]),
    )
}

fn totp(routes: Table) -> Table {
    routes
        .post(
            "/v1/users/@me/totp",
            begin_totp,
            change("Begin to set up an authenticator app")
                .returns::<TotpResponse>(201)
                .errors(&[&error::TOTP_ALREADY_ON]),
        )
        .put(
            "/v1/users/@me/totp",
            confirm_totp,
            change("Turn the authenticator app on with its first code")
                .body::<CodeRequest>()
                .returns::<RecoveryCodes>(200)
                .errors(&[
                    &error::TOTP_INVALID,
                    &error::TOTP_ALREADY_ON,
                    &RATE_LIMITED,
                    &error::BUSY,
                ]),
        )
        .delete(
            "/v1/users/@me/totp",
            remove_totp,
            change("Remove the authenticator app").returns_nothing(204),
        )
}

fn codes(routes: Table) -> Table {
    routes
        .post(
            "/v1/users/@me/recovery-codes",
            renew_recovery_codes,
            change("Make new recovery codes; the old ones are void")
                .returns::<RecoveryCodes>(201)
                .errors(&[&NOT_FOUND, &error::BUSY]),
        )
        .put(
            "/v1/users/@me/registration-lock",
            set_pin,
            change("Set the PIN that guards logins by telephone number")
                .body::<PinRequest>()
                .returns_nothing(204)
                .errors(&[&error::BUSY]),
        )
        .delete(
            "/v1/users/@me/registration-lock",
            remove_pin,
            change("Remove the PIN that guards logins by telephone number").returns_nothing(204),
        )
}

/// A change of what proves a login.
pub(super) fn change(summary: &'static str) -> Doc {
    Doc::new(summary).step_up().describe(
        "On an account with a second factor the login must have proved it; the owner is told by a letter.",
    )
}

/// How a second factor is proved.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Method {
    /// A code of the authenticator app.
    Totp,
    /// A recovery code.
    Recovery,
    /// A passkey.
    Passkey,
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
    /// From the options at `/v1/auth/passkeys/options`, for a passkey.
    challenge_id: Option<String>,
    /// What `navigator.credentials.get` gave, for a passkey.
    #[schema(value_type = Option<Object>)]
    credential: Option<Value>,
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
    /// 6 to 20 digits, not all in a row.
    #[schema(value_type = String, pattern = "^[0-9]{6,20}$")]
    pin: SecretString,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TotpResponse {
    /// To be typed into the app.
    secret: String,
    /// To be opened by the app.
    otpauth_uri: String,
    /// The same as a QR code, to be scanned by the app: an SVG picture.
    qr_svg: String,
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
    let proof = match request.method {
        Method::Totp => Proof::Totp(needed("/code", request.code)?),
        Method::Recovery => Proof::Recovery(needed("/code", request.code)?),
        Method::Pin => Proof::Pin(needed("/code", request.code)?),
        Method::Passkey => Proof::Passkey(Answer {
            challenge_id: needed("/challenge_id", request.challenge_id)?,
            credential: needed("/credential", request.credential)?,
        }),
    };
    let (token, origin) = (
        request.mfa_token,
        origin(meta, request.device, request.session),
    );
    let login = identity.finish_login(&token, proof, &origin).await;
    count_login("second_factor", &login);
    Ok(logged_in(&identity, StatusCode::OK, login?))
}

pub(super) async fn begin_totp(
    State(identity): Shared,
    caller: Caller,
) -> Result<Created<TotpResponse>> {
    let new = identity.begin_totp(&caller).await?;
    Ok(Created(TotpResponse {
        secret: new.secret.expose_secret().to_owned(),
        otpauth_uri: new.otpauth_uri.expose_secret().to_owned(),
        qr_svg: new.qr_svg.expose_secret().to_owned(),
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

/// A field that the method needs.
pub(super) fn needed<T>(pointer: &str, field: Option<T>) -> std::result::Result<T, Error> {
    let missing = || FieldError::new(pointer, "REQUIRED", "needed by this method");
    field.ok_or_else(|| Error::Invalid(vec![missing()]))
}
