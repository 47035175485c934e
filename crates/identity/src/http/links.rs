//! Links that were sent, changes of contacts, and proving again who one is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kernel::failure::FORBIDDEN;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use web_kit::{Caller, Doc, Json, Meta, NoContent, Policy, Public, Result, Routes};

use super::factors::needed;
use super::{Shared, logged_in, origin, set_cookie};
use crate::Identity;
use crate::contact_change::ContactKind;
use crate::devices::{LoggedIn, SessionKind};
use crate::error::{self, Error};
use crate::links::LinkWish;
use crate::metrics_table::count_login;
use crate::model::DeviceInfo;
use crate::passkeys::Answer;
use crate::proof::Proof;
use crate::step_up::{Again, SteppedUp};

/// The routes.
pub(super) fn routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let public = |summary| Doc::new(summary).policy(Policy::Public).served_when_full();
    let letters = &[&error::BUSY, &error::CHANNEL_UNAVAILABLE];
    let routes = routes
        .post("/v1/auth/registrations/confirm", confirm, public("Make the account that a link stands for")
            .describe("`username` replaces the wished one, where somebody took it meanwhile; the link stays good until then.")
            .body::<ConfirmRequest>()
            .returns::<LoggedIn>(201)
            .errors(&[&error::TOKEN_INVALID, &error::USERNAME_TAKEN]))
        .post("/v1/auth/magic-links", send_magic_link, public("Send a link that logs in")
            .describe("Known and unknown addresses get the same answer. The link is good once and for half an hour; the next one voids it.")
            .body::<MagicRequest>()
            .returns_nothing(202)
            .errors(letters).errors(&[&error::EMAIL_INVALID]))
        .post("/v1/auth/magic-links/consume", consume_magic_link, public("Log in with a link")
            .describe("A POST, because programs that look for viruses open links in letters.")
            .body::<TokenRequest>()
            .returns::<LoggedIn>(200)
            .errors(&[&error::TOKEN_INVALID, &error::SECOND_FACTOR_REQUIRED]))
        .post("/v1/auth/password-resets", ask_reset, public("Send a link to choose a new password")
            .describe("Known and unknown names get the same answer.")
            .body::<ResetRequest>()
            .returns_nothing(202)
            .errors(letters))
        .post("/v1/auth/password-resets/confirm", reset, public("Choose a new password with a link")
            .describe("Every login ends. A second factor stays what it is, and nobody is logged in.")
            .body::<NewPasswordRequest>()
            .returns_nothing(204)
            .errors(&[&error::TOKEN_INVALID, &error::PASSWORD_TOO_WEAK, &error::BUSY]));
    caller_routes(routes)
}

fn caller_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let contact = |summary| {
        Doc::new(summary)
            .step_up()
            .describe("With a code that was sent to the new one for `verify_contact`. Whoever reads what comes to the old one is told.")
            .body::<ReplacedContact>()
            .returns_nothing(204)
            .errors(&[&error::OTP_INVALID, &error::CONTACT_TAKEN, &error::BUSY, &FORBIDDEN])
    };
    routes
        .put("/v1/users/@me/phone", change_phone, contact("Replace one's own number"))
        .put("/v1/users/@me/email", change_email, contact("Replace one's own e-mail address"))
        .post("/v1/auth/step-up", step_up, Doc::new("Prove again who one is").served_when_full()
            .describe("For acts that ask for a login of the last five minutes. `password` with `password`; `otp` with `handle` and `code`; `totp` and `recovery` with `code`. A browser session gets a new cookie and CSRF token.")
            .body::<StepUpRequest>()
            .returns::<StepUpResponse>(200)
            .errors(&[&error::INVALID_CREDENTIALS, &error::OTP_INVALID, &error::SECOND_FACTOR_INVALID,
                &error::BUSY, &FORBIDDEN]))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmRequest {
    /// The part of the link behind `#`.
    #[schema(value_type = String)]
    token: SecretString,
    #[schema(pattern = "^[a-z0-9_.]{2,32}$")]
    username: Option<String>,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MagicRequest {
    #[schema(format = "email", max_length = 254)]
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenRequest {
    /// The part of the link behind `#`.
    #[schema(value_type = String)]
    token: SecretString,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResetRequest {
    /// E-mail address, phone number or username.
    identifier: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPasswordRequest {
    /// The part of the link behind `#`.
    #[schema(value_type = String)]
    token: SecretString,
    /// 8 to 256 characters, and not one that is easy to guess.
    #[schema(value_type = String, min_length = 8, max_length = 256)]
    new_password: SecretString,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplacedContact {
    handle: String,
    #[schema(value_type = String)]
    otp_code: SecretString,
}

/// With what somebody proves again who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StepUpMethod {
    Password,
    Otp,
    Totp,
    Recovery,
    Passkey,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StepUpRequest {
    method: StepUpMethod,
    #[schema(value_type = Option<String>)]
    password: Option<SecretString>,
    handle: Option<String>,
    #[schema(value_type = Option<String>)]
    code: Option<SecretString>,
    /// From `/v1/auth/passkeys/options`.
    challenge_id: Option<String>,
    /// What the browser's `navigator.credentials.get` gave.
    #[schema(value_type = Option<Object>)]
    credential: Option<Value>,
}

/// A login that was proved anew: a token, or what a browser session needs.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum StepUpResponse {
    Token {
        access_token: String,
        expires_in: i64,
    },
    Browser {
        csrf_token: String,
    },
}

async fn confirm(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<ConfirmRequest>,
) -> Result<Response> {
    let origin = origin(meta, request.device, request.session);
    let login = identity
        .confirm_registration(&request.token, request.username, &origin)
        .await?;
    Ok(logged_in(&identity, StatusCode::CREATED, login))
}

async fn send_magic_link(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<MagicRequest>,
) -> Result<StatusCode> {
    let (name, ip) = (request.email.as_str(), meta.ip);
    identity.send_magic_link(LinkWish { name, ip }).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn consume_magic_link(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<TokenRequest>,
) -> Result<Response> {
    let origin = origin(meta, request.device, request.session);
    let login = identity.log_in_by_link(&request.token, &origin).await;
    count_login("link", &login);
    Ok(logged_in(&identity, StatusCode::OK, login?))
}

async fn ask_reset(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode> {
    let (name, ip) = (request.identifier.as_str(), meta.ip);
    identity.ask_reset(LinkWish { name, ip }).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn reset(
    State(identity): Shared,
    _: Public,
    Json(request): Json<NewPasswordRequest>,
) -> Result<NoContent> {
    let (token, new) = (&request.token, request.new_password);
    identity.reset_password(token, new).await?;
    Ok(NoContent)
}

async fn change_phone(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<ReplacedContact>,
) -> Result<NoContent> {
    request.change(&identity, &caller, ContactKind::Phone).await
}

async fn change_email(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<ReplacedContact>,
) -> Result<NoContent> {
    request.change(&identity, &caller, ContactKind::Email).await
}

impl ReplacedContact {
    async fn change(
        self,
        identity: &Identity,
        caller: &kernel::Caller,
        kind: ContactKind,
    ) -> Result<NoContent> {
        let (handle, code) = (&self.handle, &self.otp_code);
        identity.change_contact(caller, kind, handle, code).await?;
        Ok(NoContent)
    }
}

async fn step_up(
    State(identity): Shared,
    caller: Caller,
    Json(request): Json<StepUpRequest>,
) -> Result<Response> {
    Ok(match identity.step_up(&caller, request.again()?).await? {
        SteppedUp::Token {
            access_token,
            expires_in,
        } => Json(StepUpResponse::Token {
            access_token,
            expires_in,
        })
        .into_response(),
        SteppedUp::Browser(browser) => {
            let cookie = [("set-cookie", set_cookie(&identity, &browser))];
            let csrf_token = browser.csrf_token;
            (cookie, Json(StepUpResponse::Browser { csrf_token })).into_response()
        }
    })
}

impl StepUpRequest {
    fn again(self) -> std::result::Result<Again, Error> {
        let code = || needed("/code", self.code);
        Ok(match self.method {
            StepUpMethod::Password => Again::Password(needed("/password", self.password)?),
            StepUpMethod::Otp => Again::Otp {
                handle: needed("/handle", self.handle)?,
                code: code()?,
            },
            StepUpMethod::Totp => Again::Second(Proof::Totp(code()?)),
            StepUpMethod::Recovery => Again::Second(Proof::Recovery(code()?)),
            StepUpMethod::Passkey => Again::Second(Proof::Passkey(Answer {
                challenge_id: needed("/challenge_id", self.challenge_id)?,
                credential: needed("/credential", self.credential)?,
            })),
        })
    }
}
