//! The routes of the context; handlers and wire types are in the files beside.

mod api_keys;
mod auth;
mod consents;
mod dialect;
mod factors;
mod links;
mod oauth;
mod otp;
mod passkeys;
mod people;
mod personal_data;
mod staff;
mod users;

use std::sync::Arc;

use axum::http::header::{CACHE_CONTROL, ETAG, IF_MATCH, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kernel::failure::{FORBIDDEN, NOT_FOUND, RATE_LIMITED, UNAUTHENTICATED};
use secrecy::ExposeSecret as _;
use web_kit::fail::CSRF_FAILED;
use web_kit::{Doc, Json, Policy, Routes, Table};

use crate::Identity;
use crate::contacts::Contact;
use crate::devices::{Browser, LoggedIn, Origin, SessionKind, Tokens};
use crate::error::{self, Error};
use crate::model::{Card, Device, DeviceInfo, Me};
use crate::relations::Tie;
use crate::visibility::{Privacy, PrivacyChange};
use crate::ways_in::WaysIn;

type Shared = axum::extract::State<Arc<Identity>>;

/// Every route of this context.
pub(crate) fn routes(identity: Arc<Identity>) -> Table {
    let routes = Table::new(crate::SCHEMA, identity);
    let routes = dialect_routes(device_routes(profile_routes(auth_routes(routes))));
    let routes = relationship_routes(people_routes(routes));
    let routes = consents::routes(staff::routes(api_keys::routes(routes)));
    let routes = links::routes(code_routes(routes));
    let routes = passkeys::routes(factors::routes(routes));
    oauth::routes(personal_data::routes(routes)).build()
}

fn auth_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let public = |summary| Doc::new(summary).policy(Policy::Public);
    routes
        .post("/v1/auth/registrations", auth::register, public("Sign up")
            .describe("Where e-mail addresses are proved (everywhere but on one computer) the answer is always 202, and a letter follows: with a link that makes the account, or to the owner of a taken address one that says so. Elsewhere it answers with tokens at once.")
            .body::<auth::RegistrationRequest>()
            .returns::<LoggedIn>(201)
            .returns_nothing(202)
            .errors(&[&error::REGISTRATION_CLOSED, &error::EMAIL_INVALID, &error::EMAIL_TAKEN,
                &error::USERNAME_TAKEN, &error::PASSWORD_TOO_WEAK, &error::TEXT_OUTDATED, &RATE_LIMITED, &error::BUSY]))
        .post("/v1/auth/setup", auth::set_up, public("Make the first administrator with a set-up link")
            .body::<auth::SetupRequest>()
            .returns::<LoggedIn>(201)
            .errors(&[&error::TOKEN_INVALID, &error::EMAIL_INVALID, &error::EMAIL_TAKEN,
                &error::USERNAME_TAKEN, &error::PASSWORD_TOO_WEAK, &RATE_LIMITED, &error::BUSY]))
        .post("/v1/auth/login", auth::log_in, public("Log in with a password").served_when_full()
            .body::<auth::LoginRequest>()
            .returns::<LoggedIn>(200)
            .errors(&[&error::INVALID_CREDENTIALS, &error::SECOND_FACTOR_REQUIRED, &RATE_LIMITED, &error::BUSY]))
        .post("/v1/auth/refresh", auth::refresh, public("Exchange a refresh token for the next pair").served_when_full()
            .describe("A client stores `attempt_id` beside the old token before it sends, and repeats a lost request with the same one.")
            .body::<auth::RefreshRequest>()
            .returns::<Tokens>(200)
            .errors(&[&error::REFRESH_ROTATED, &error::REFRESH_REUSED, &error::REFRESH_INVALID, &RATE_LIMITED]))
        .post("/v1/auth/logout", auth::log_out, public("Log out").served_when_full()
            .describe("By a refresh token in the body (also an expired one), or by the access token or the session cookie of the request; then there need be no body.")
            .optional_body::<auth::LogoutRequest>()
            .returns_nothing(204)
            .errors(&[&error::REFRESH_INVALID, &CSRF_FAILED]))
        .post("/v1/auth/logout-all", auth::log_out_all, public("Log out everywhere").served_when_full()
            .optional_body::<auth::LogoutAllRequest>()
            .returns_nothing(204)
            .errors(&[&error::REFRESH_INVALID, &FORBIDDEN, &CSRF_FAILED]))
        .post("/v1/auth/validate", auth::validate, public("Ask whether an access token is good").served_when_full()
            .body::<auth::ValidateRequest>()
            .returns::<auth::ValidateResponse>(200)
            .errors(&[&RATE_LIMITED]))
        .post("/v1/auth/ws-tickets", auth::ticket, Doc::new("Get a ticket for a socket").served_when_full().not_while_impersonating()
            .describe("For pages, which have no token: the ticket is the `token` of one IDENTIFY, within 30 seconds.")
            .returns::<auth::TicketResponse>(201)
            .errors(&[&FORBIDDEN]))
        .get("/v1/auth/csrf", auth::csrf, Doc::new("Read the CSRF token of a browser session")
            .describe("For a page that was loaded anew. Only with the cookie; a token has none.")
            .returns::<auth::CsrfResponse>(200)
            .errors(&[&FORBIDDEN]))
        .get("/v1/auth/methods", auth::methods, public("What there is to log in and sign up with")
            .describe("A password and the code of an authenticator app are always good, where an account has them.")
            .returns::<WaysIn>(200))
        .get("/.well-known/jwks.json", auth::jwks, public("The public keys of access tokens")
            .returns::<auth::Jwks>(200))
}

fn code_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    let public = |summary| Doc::new(summary).policy(Policy::Public);
    routes
        .post("/v1/auth/otp", otp::send, public("Send a one-time password").served_when_full()
            .describe("Known and unknown numbers and addresses get the same answer. A number without an account gets one when its code comes back; nothing is sent to an address without one. `verify_contact` and `step_up` are for people who are logged in.")
            .body::<otp::OtpRequest>()
            .returns::<otp::OtpResponse>(202)
            .errors(&[&error::PHONE_INVALID, &error::EMAIL_INVALID, &error::COUNTRY_NOT_ALLOWED,
                &error::CHANNEL_UNAVAILABLE, &RATE_LIMITED, &error::BUSY, &UNAUTHENTICATED, &FORBIDDEN]))
        .post("/v1/auth/otp/verify", otp::verify, public("Log in with a one-time password").served_when_full()
            .describe("A code works once and may be tried five times. An account made here has a username of `u` and letters, until its owner chooses one.")
            .body::<otp::VerifyRequest>()
            .returns::<LoggedIn>(200)
            .errors(&[&error::OTP_INVALID, &error::SECOND_FACTOR_REQUIRED, &error::REGISTRATION_LOCKED,
                &error::CHANNEL_UNAVAILABLE, &RATE_LIMITED]))
}

fn device_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    routes
        .get(
            "/v1/users/@me/devices",
            users::list_devices,
            Doc::new("List one's own devices")
                .query::<users::PageQuery>()
                .returns_page::<Device>(200),
        )
        .delete(
            "/v1/users/@me/devices",
            users::revoke_others,
            Doc::new("Sign all other devices out")
                .people_only()
                .not_while_impersonating()
                .served_when_full()
                .returns_nothing(204),
        )
        .delete(
            "/v1/users/@me/devices/{device_id}",
            users::revoke_device,
            Doc::new("Sign a device out")
                .served_when_full()
                .returns_nothing(204)
                .errors(&[&NOT_FOUND]),
        )
}

fn profile_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    routes
        .get(
            "/v1/users/@me",
            users::me,
            Doc::new("Read one's own profile")
                .scope("profile:read")
                .returns::<Me>(200),
        )
        .patch(
            "/v1/users/@me",
            users::change_me,
            Doc::new("Change one's own profile")
                .scope("profile:write")
                .versioned()
                .body::<users::ProfileRequest>()
                .returns::<Me>(200)
                .errors(&[
                    &error::USERNAME_TAKEN,
                    &error::PRECONDITION_REQUIRED,
                    &error::STALE,
                ]),
        )
        .put(
            "/v1/users/@me/password",
            users::change_password,
            Doc::new("Change one's own password")
                .people_only()
                .not_while_impersonating()
                .describe("Needs `current_password`, or a login of the last five minutes.")
                .body::<users::PasswordRequest>()
                .returns_nothing(204)
                .errors(&[
                    &error::PASSWORD_TOO_WEAK,
                    &error::INVALID_CREDENTIALS,
                    &error::STEP_UP_REQUIRED,
                    &RATE_LIMITED,
                    &error::BUSY,
                ]),
        )
        .get(
            "/v1/users/{user_id}",
            users::card,
            Doc::new("Read somebody's card")
                .scope("users:read")
                .returns::<Card>(200)
                .errors(&[&NOT_FOUND]),
        )
        .get(
            "/v1/users",
            users::cards,
            Doc::new("Read several cards")
                .scope("users:read")
                .query::<users::CardsQuery>()
                .returns_page::<Card>(200),
        )
}

fn dialect_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    routes
        .get(
            "/api/v10/users/@me",
            dialect::current_user,
            Doc::new("Read the current user").returns::<dialect::CurrentUser>(200),
        )
        .patch(
            "/api/v10/users/@me",
            dialect::change_current_user,
            Doc::new("Change the current user")
                .max_body(crate::pictures::MAX_BODY)
                .body::<dialect::CurrentUserRequest>()
                .returns::<dialect::CurrentUser>(200)
                .errors(&[&error::USERNAME_TAKEN]),
        )
        .get(
            "/api/v10/users/{user_id}",
            dialect::user,
            Doc::new("Read a user")
                .returns::<contracts::identity::User>(200)
                .errors(&[&error::UNKNOWN_USER]),
        )
}

fn people_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    routes
        .get("/v1/users/@me/contacts", people::contacts, Doc::new("List one's own address book")
            .query::<people::ListQuery>()
            .returns_page::<Contact>(200)
            .errors(&[&FORBIDDEN]))
        .post("/v1/users/@me/contacts", people::add_contact, Doc::new("Put somebody into one's address book")
            .describe("By exactly one of `user_id`, `username` and `phone_number`; again with another `name` to rename. \
                People who may not be found by their number are not there.")
            .body::<people::ContactRequest>()
            .returns::<Contact>(201)
            .errors(&[&NOT_FOUND, &RATE_LIMITED, &error::YOURSELF, &error::RELATIONS_MAX, &FORBIDDEN]))
        .post("/v1/users/@me/contacts/matches", people::matches, Doc::new("Find people by their telephone numbers")
            .describe("Up to 100 numbers at once and 500 in a day (UTC). Numbers are neither kept nor logged.")
            .body::<people::MatchRequest>()
            .returns::<people::MatchResponse>(200)
            .errors(&[&RATE_LIMITED, &FORBIDDEN]))
        .delete("/v1/users/@me/contacts/{user_id}", people::remove_contact, Doc::new("Take somebody out of one's address book")
            .returns_nothing(204)
            .errors(&[&FORBIDDEN]))
        .get("/v1/users/@me/friends", people::friends, Doc::new("List one's own friends and friend requests")
            .query::<people::ListQuery>()
            .returns_page::<Tie>(200)
            .errors(&[&FORBIDDEN]))
        .post("/v1/users/@me/friends", people::add_friend, Doc::new("Ask somebody to be a friend")
            .describe("By `user_id` or `username`. Accepts, when the other one asked before.")
            .body::<people::FriendRequest>()
            .returns_nothing(204)
            .errors(WISH_ERRORS))
        .put("/v1/users/@me/friends/{user_id}", people::accept_friend, Doc::new("Accept a friend request")
            .returns_nothing(204)
            .errors(WISH_ERRORS))
        .delete("/v1/users/@me/friends/{user_id}", people::remove_friend, Doc::new("End a friendship, or decline or take back a request")
            .returns_nothing(204)
            .errors(WISH_ERRORS))
        .get("/v1/users/@me/blocks", people::blocks, Doc::new("List whom one blocked")
            .query::<people::ListQuery>()
            .returns_page::<Tie>(200)
            .errors(&[&FORBIDDEN]))
        .put("/v1/users/@me/blocks/{user_id}", people::block, Doc::new("Block somebody").served_when_full()
            .describe("Ends friendship and requests, hides either from the other, and refuses direct messages both ways. The other one is not told.")
            .returns_nothing(204)
            .errors(WISH_ERRORS))
        .delete("/v1/users/@me/blocks/{user_id}", people::unblock, Doc::new("End a block")
            .returns_nothing(204)
            .errors(WISH_ERRORS))
        .get("/v1/users/@me/privacy", people::privacy, Doc::new("Read who may see what of one")
            .returns::<Privacy>(200)
            .errors(&[&FORBIDDEN]))
        .patch("/v1/users/@me/privacy", people::change_privacy, Doc::new("Change who may see what of one")
            .describe("*contacts* are people in one's address book, and friends. Who hides `last_seen` or `receipts` from somebody does not see theirs.")
            .body::<PrivacyChange>()
            .returns::<Privacy>(200)
            .errors(&[&FORBIDDEN]))
}

/// What can keep two people from each other.
const WISH_ERRORS: &[&kernel::ErrorRow] = &[
    &FORBIDDEN,
    &RATE_LIMITED,
    &error::UNKNOWN_USER,
    &error::YOURSELF,
    &error::FRIENDS_PEOPLE_ONLY,
    &error::FRIEND_REQUEST_REFUSED,
    &error::RELATIONS_MAX,
];

fn relationship_routes(routes: Routes<Arc<Identity>>) -> Routes<Arc<Identity>> {
    routes
        .get(
            "/api/v10/users/@me/relationships",
            people::relationships,
            Doc::new("List friends, friend requests and blocks")
                .returns_list::<contracts::relations::Relationship>(200)
                .errors(&[&FORBIDDEN]),
        )
        .post(
            "/api/v10/users/@me/relationships",
            people::add_relationship,
            Doc::new("Ask somebody to be a friend, by username")
                .body::<people::RelationshipByName>()
                .returns_nothing(204)
                .errors(WISH_ERRORS),
        )
        .put(
            "/api/v10/users/@me/relationships/{user_id}",
            people::put_relationship,
            Doc::new("Ask somebody to be a friend, accept, or block")
                .body::<people::RelationshipRequest>()
                .returns_nothing(204)
                .errors(WISH_ERRORS),
        )
        .delete(
            "/api/v10/users/@me/relationships/{user_id}",
            people::delete_relationship,
            Doc::new("End a friendship, a request or a block")
                .returns_nothing(204)
                .errors(WISH_ERRORS),
        )
}

/// Where a login comes from.
fn origin(meta: web_kit::Meta, device: Option<DeviceInfo>, session: SessionKind) -> Origin {
    Origin {
        session,
        from_own_page: meta.from_own_page,
        ip: meta.ip,
        user_agent: meta.user_agent,
        device: device.unwrap_or_default(),
    }
}

/// The answer of a login: a browser session's secret goes into a cookie.
fn logged_in(identity: &Identity, status: StatusCode, login: LoggedIn) -> Response {
    let cookie = match &login {
        LoggedIn::Tokens(_) => None,
        LoggedIn::Browser(browser) => Some(set_cookie(identity, browser)),
    };
    let mut response = (status, Json(login)).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The answer of a logout: a page's browser forgets its cookie.
fn logged_out(identity: &Identity, session: Option<&kernel::Caller>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if session.is_some() {
        let headers = response.headers_mut();
        headers.append(SET_COOKIE, drop_cookie(identity));
    }
    response
}

/// `Set-Cookie` of a browser session. A name with `__Host-` binds it to this host and to TLS.
fn set_cookie(identity: &Identity, browser: &Browser) -> HeaderValue {
    let secret = browser.cookie.expose_secret();
    cookie_header(identity, secret, browser.max_age)
}

/// `Set-Cookie` that makes the browser forget its session.
fn drop_cookie(identity: &Identity) -> HeaderValue {
    cookie_header(identity, "", 0)
}

fn cookie_header(identity: &Identity, value: &str, max_age: i64) -> HeaderValue {
    let secure = identity.settings.secure_cookies;
    let (name, secure) = if secure {
        (web_kit::HOST_COOKIE, "; Secure")
    } else {
        (web_kit::LOOPBACK_COOKIE, "")
    };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}");
    let mut header = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// The version a change is made to: a strong entity tag, as `ETag` gave it.
fn if_match(headers: &HeaderMap) -> Result<i32, Error> {
    let value = headers.get(IF_MATCH).ok_or(Error::PreconditionRequired)?;
    let version = value.to_str().ok().and_then(|text| {
        text.trim()
            .strip_prefix('"')?
            .strip_suffix('"')?
            .parse()
            .ok()
    });
    // A tag that is none of ours cannot be the present one.
    version.ok_or(Error::Stale)
}

/// An answer with the version as `ETag`.
fn with_etag(version: i32, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// An answer that caches may keep for `seconds`.
fn cacheable(seconds: u32, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={seconds}")) {
        response.headers_mut().insert(CACHE_CONTROL, value);
    }
    response
}
