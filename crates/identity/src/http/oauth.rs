//! Logging in at another provider.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kernel::Page;
use kernel::failure::{NOT_FOUND, UNAUTHENTICATED};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use web_kit::fail::CSRF_FAILED;
use web_kit::{
    Caller, Doc, Json, Meta, NoContent, PageSession, Path, Policy, Public, Query, Result, Routes,
};

use super::factors::change;
use super::{Shared, logged_in, origin, set_cookie};
use crate::Identity;
use crate::devices::{LoggedIn, SessionKind};
use crate::error::{self, Error};
use crate::metrics_table::count_login;
use crate::model::DeviceInfo;
use crate::oauth::{OauthReturn, OauthWish, PENDING_TTL};
use crate::sql::oauth::LinkedIdentity;

type Table = Routes<Arc<Identity>>;

/// The routes of this file.
pub(super) fn routes(routes: Table) -> Table {
    let public = |summary| Doc::new(summary).policy(Policy::Public).served_when_full();
    routes
        .get("/v1/auth/oauth/{provider}", begin, public("Log in at another provider")
            .describe("Sends the browser there. A page of ours (`session=cookie`) names one of its own paths in `return_to`; an app names its own address, which the settings must allow, and a `code_challenge`, and gets a code there. With `link=true` the provider is added to the account of the page's session.")
            .query::<BeginQuery>()
            .returns_nothing(302)
            .errors(&[&error::PROVIDER_UNKNOWN, &error::OAUTH_FAILED, &error::RETURN_REFUSED,
                &error::STEP_UP_REQUIRED, &UNAUTHENTICATED, &CSRF_FAILED]))
        .get("/v1/auth/oauth/{provider}/callback", finish, public("Come back from another provider")
            .describe("For browsers on their way, which cannot read an answer. A page of ours gets `mfa_token` and `methods` behind `#` where a second factor is asked for, and otherwise the code of what went wrong as `error`; an app gets the latter in the query. A login that nobody here began ends on the login page.")
            .query::<ReturnQuery>()
            .returns_nothing(303))
        .post("/v1/auth/oauth/exchange", exchange, public("Exchange the code of an app for its login")
            .describe("Within 60 seconds, once, with the verifier of the `code_challenge`.")
            .body::<ExchangeRequest>()
            .returns::<LoggedIn>(200)
            .errors(&[&error::TOKEN_INVALID, &error::ACCOUNT_LINK_REQUIRED,
                &error::SECOND_FACTOR_REQUIRED, &error::INVALID_CREDENTIALS]))
        .get("/v1/users/@me/identities", list, Doc::new("List where one may log in")
            .returns_page::<LinkedIdentity>(200))
        .delete("/v1/users/@me/identities/{provider}", unlink, change("Log in with a provider no longer")
            .returns_nothing(204)
            .errors(&[&NOT_FOUND, &error::LAST_FACTOR]))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct BeginQuery {
    /// A path of this server, or an app's address.
    #[serde(default)]
    return_to: Option<String>,
    /// `cookie` for pages of this server.
    #[serde(default)]
    session: SessionKind,
    /// S256 of the app's verifier.
    code_challenge: Option<String>,
    /// Adds the provider to the account of the page's session.
    #[serde(default)]
    link: bool,
}

#[derive(Deserialize, IntoParams)]
pub(super) struct ReturnQuery {
    /// What the login began with.
    #[serde(default)]
    state: String,
    /// The provider's code.
    code: Option<String>,
    /// The provider's issuer (RFC 9207).
    iss: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeRequest {
    /// From the app's address.
    #[schema(value_type = String)]
    code: SecretString,
    /// What the `code_challenge` was made of.
    #[schema(value_type = String)]
    code_verifier: SecretString,
    device: Option<DeviceInfo>,
}

pub(super) async fn begin(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    page: PageSession,
    headers: HeaderMap,
    (Path(provider), Query(query)): (Path<String>, Query<BeginQuery>),
) -> Result<Response> {
    let link = linking(&query, &meta, &page).await?;
    let cookie = cookie_of(&identity, &headers);
    let begun = identity.begin_oauth(OauthWish {
        provider: &provider,
        return_to: query.return_to.as_deref().unwrap_or("/"),
        session: query.session,
        code_challenge: query.code_challenge.as_deref(),
        link: link.as_ref(),
        cookie: cookie.as_deref(),
        ip: meta.ip,
    });
    let begun = begun.await?;
    let mut response = gone(StatusCode::FOUND, &begun.location)?;
    let bound = bind(&identity, begun.cookie.expose_secret());
    response.headers_mut().append(SET_COOKIE, bound);
    Ok(response)
}

/// Whose account the provider is added to. Only a page of ours may ask: another could add the
/// account of its own maker.
async fn linking(
    query: &BeginQuery,
    meta: &Meta,
    page: &PageSession,
) -> Result<Option<kernel::Caller>> {
    if !query.link {
        return Ok(None);
    }
    if !meta.from_own_page {
        return Err(Error::ForeignPage.into());
    }
    let caller = page.caller().await?;
    Ok(Some(caller.ok_or(Error::Unauthenticated)?))
}

pub(super) async fn finish(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    headers: HeaderMap,
    (Path(provider), Query(query)): (Path<String>, Query<ReturnQuery>),
) -> Result<Response> {
    let cookie = cookie_of(&identity, &headers);
    let back = OauthReturn {
        provider: &provider,
        state: &query.state,
        code: query.code.as_deref(),
        issuer: query.iss.as_deref(),
        cookie: cookie.as_deref(),
    };
    let mut origin = origin(meta, None, SessionKind::Cookie);
    // The provider's page leads here; the browser's cookie says that ours began.
    origin.from_own_page = true;
    let end = identity.finish_oauth(back, &origin).await;
    count_login("oauth", &end.outcome);
    let mut response = gone(StatusCode::SEE_OTHER, &end.location)?;
    match end.outcome {
        Ok(Some(LoggedIn::Browser(browser))) => {
            let cookie = set_cookie(&identity, &browser);
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(_) => {}
        Err(error) if error.is_ours() => return Err(error.into()),
        Err(error) => tracing::debug!(%error, "a login at a provider failed"),
    }
    Ok(response)
}

pub(super) async fn exchange(
    State(identity): Shared,
    _: Public,
    meta: Meta,
    Json(request): Json<ExchangeRequest>,
) -> Result<Response> {
    let origin = origin(meta, request.device, SessionKind::Token);
    let (code, verifier) = (&request.code, &request.code_verifier);
    let login = identity.exchange_oauth(code, verifier, &origin).await?;
    Ok(logged_in(&identity, StatusCode::OK, login))
}

pub(super) async fn list(
    State(identity): Shared,
    caller: Caller,
) -> Result<Json<Page<LinkedIdentity>>> {
    Ok(Json(Page {
        items: identity.list_identities(&caller).await?,
        next_cursor: None,
    }))
}

pub(super) async fn unlink(
    State(identity): Shared,
    caller: Caller,
    Path(provider): Path<String>,
) -> Result<NoContent> {
    identity.unlink_identity(&caller, &provider).await?;
    Ok(NoContent)
}

/// An answer that sends the browser elsewhere and is kept nowhere.
fn gone(status: StatusCode, location: &str) -> Result<Response> {
    let location = HeaderValue::try_from(location);
    let location = location.or(Err(Error::OauthFailed("no address")))?;
    let keep = HeaderValue::from_static("no-store");
    Ok((status, [(LOCATION, location), (CACHE_CONTROL, keep)]).into_response())
}

/// The name of the cookie that binds a login to its browser.
fn cookie_name(identity: &Identity) -> &'static str {
    if identity.settings.secure_cookies {
        "__Host-meydan_oauth"
    } else {
        "meydan_oauth"
    }
}

fn cookie_of(identity: &Identity, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(identity);
    let cookies = headers.get_all(COOKIE).iter();
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(cookie, _)| *cookie == name)
        .map(|(_, value)| value.to_owned())
}

/// `Set-Cookie` that binds a login to this browser; sent when the provider leads back.
fn bind(identity: &Identity, value: &str) -> HeaderValue {
    let name = cookie_name(identity);
    let age = PENDING_TTL.as_secs();
    let secure = if identity.settings.secure_cookies {
        "; Secure"
    } else {
        ""
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}");
    let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}
