//! One-time passwords.

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use kernel::Locale;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web_kit::{Json, Meta, PageSession, Public, Result};

use super::{Shared, logged_in, origin};
use crate::code_login::{CodeProof, Second};
use crate::devices::SessionKind;
use crate::error::Error;
use crate::model::DeviceInfo;
use crate::otp::{Channel, CodeWish, Purpose};
use crate::rules::Fields;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OtpRequest {
    channel: Channel,
    /// With channel `sms`: international, or as it is dialled at home.
    phone_number: Option<String>,
    /// With channel `email`.
    #[schema(format = "email", max_length = 254)]
    email: Option<String>,
    /// What for. All but `login` need the token or cookie of a login.
    purpose: Purpose,
    /// Language of the message; the account's when absent.
    #[schema(pattern = "^(tr|en)$")]
    locale: Option<String>,
    /// One that this device had before, also an expired one: strangers who used up the number's
    /// codes then do not matter.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OtpResponse {
    /// Names the code at `/v1/auth/otp/verify`; nobody else knows it.
    handle: String,
    /// Until the next code may be asked for.
    resend_after_seconds: u32,
    /// How long the code is good, in seconds.
    expires_in: u32,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyRequest {
    handle: String,
    /// Six digits.
    #[schema(value_type = String)]
    otp_code: SecretString,
    /// One that this device had before, also an expired one.
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
    device: Option<DeviceInfo>,
    #[serde(default)]
    session: SessionKind,
}

pub(super) async fn send(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    page: PageSession,
    headers: HeaderMap,
    Json(request): Json<OtpRequest>,
) -> Result<Response> {
    let caller = match request.purpose {
        Purpose::Login => None,
        Purpose::VerifyContact | Purpose::StepUp => identity.caller_of(&headers, &page).await?,
    };
    let sent = identity
        .send_code(CodeWish {
            channel: request.channel,
            to: request.address()?,
            purpose: request.purpose,
            caller: caller.as_ref(),
            locale: request.locale()?,
            asked_in: meta.locale,
            known_device: known_device(request.refresh_token.clone(), &page),
            ip: meta.ip,
        })
        .await?;
    let body = OtpResponse {
        handle: sent.handle.expose_secret().to_owned(),
        resend_after_seconds: sent.resend_after_seconds,
        expires_in: sent.expires_in,
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

pub(super) async fn verify(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    page: PageSession,
    Json(request): Json<VerifyRequest>,
) -> Result<Response> {
    let origin = origin(meta, request.device, request.session);
    let proof = CodeProof {
        handle: Some(&request.handle),
        phone_number: None,
        code: &request.otp_code,
        known_device: known_device(request.refresh_token, &page),
    };
    let login = identity
        .log_in_by_code(proof, Second::Later, &origin)
        .await?;
    Ok(logged_in(&identity, StatusCode::OK, login))
}

impl OtpRequest {
    fn address(&self) -> std::result::Result<&str, Error> {
        match self.channel {
            Channel::Sms => self.phone_number.as_deref().ok_or(Error::PhoneInvalid),
            Channel::Email => self.email.as_deref().ok_or(Error::EmailInvalid),
        }
    }

    fn locale(&self) -> std::result::Result<Option<Locale>, Error> {
        let Some(tag) = &self.locale else {
            return Ok(None);
        };
        let mut fields = Fields::default();
        fields.locale("/locale", tag);
        fields.done()?;
        Ok(Locale::from_tag(tag))
    }
}

/// What shows that this device was logged in before: a token of the body, or else the cookie.
pub(super) fn known_device(
    token: Option<SecretString>,
    page: &PageSession,
) -> Option<SecretString> {
    let cookie = || page.cookie().map(|cookie| cookie.to_owned().into());
    token.or_else(cookie)
}

impl crate::Identity {
    /// Who calls a route that also serves people who are not logged in.
    async fn caller_of(
        &self,
        headers: &HeaderMap,
        page: &PageSession,
    ) -> Result<Option<kernel::Caller>> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Ok(page.caller().await?);
        };
        let header = header.to_str().or(Err(Error::Unauthenticated))?;
        Ok(self.caller_by_header(header).await.map(Some)?)
    }
}
