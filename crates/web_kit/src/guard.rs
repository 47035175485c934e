//! What stands before every handler of a table: policy, limits, size.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::Limited;
use kernel::failure::{
    FORBIDDEN, INTERNAL, RATE_LIMITED, STEP_UP_REQUIRED, UNAUTHENTICATED, UNAVAILABLE,
};
use kernel::{Caller, CallerKind, Failure, PlatformRole, Rule};

use crate::address::Meta;
use crate::demands::{Demands, Policy, Refused, opens};
use crate::fail::{BODY_TOO_LARGE, Fail, STORAGE_FULL};
use crate::limits;
use crate::stack::Shared;
use crate::table::{Doc, WhenFull};
use crate::tokens::{Verified, VerifyError};

/// When to come back to a full disk.
const FULL_PAUSE: Duration = Duration::from_secs(30);

/// Names the member of staff who acts in the user's name, for the page's banner.
const IMPERSONATED_BY: HeaderName = HeaderName::from_static("x-impersonated-by");

/// What was decided about the caller; extractors read it.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    pub(crate) policy: Policy,
    pub(crate) caller: Option<Verified>,
    /// The platform roles of the caller, where the operation is for staff.
    pub(crate) roles: Vec<PlatformRole>,
}

/// What one operation demands.
#[derive(Debug)]
pub(crate) struct Guard {
    demands: Demands,
    rule: Option<Rule>,
    bucket: String,
    major: Option<usize>,
    max_body: Option<usize>,
    needs_space: bool,
}

impl Guard {
    pub(crate) fn new(method: &Method, template: &str, doc: &Doc) -> Self {
        let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        Self {
            demands: doc.demands,
            rule: doc.rule,
            bucket: limits::bucket(method, template),
            major: limits::major_segment(template),
            max_body: doc.max_body,
            needs_space: changes && doc.when_full == WhenFull::Refused,
        }
    }
}

/// A refusal and the headers that go with it.
struct Refusal {
    failure: Failure,
    headers: HeaderMap,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            headers: HeaderMap::new(),
        }
    }
}

/// The middleware of one operation.
pub(crate) async fn run(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match admit(&guard, request).await {
        Ok((request, headers)) => {
            let mut response = next.run(request).await;
            response.headers_mut().extend(headers);
            response
        }
        Err(refusal) => {
            let mut response = Fail(refusal.failure).into_response();
            response.headers_mut().extend(refusal.headers);
            response
        }
    }
}

async fn admit(guard: &Guard, mut request: Request) -> Result<(Request, HeaderMap), Box<Refusal>> {
    let extensions = request.extensions();
    let (Some(shared), Some(meta)) = (
        extensions.get::<Arc<Shared>>().cloned(),
        extensions.get::<Meta>().cloned(),
    ) else {
        let cause = "a table's router must be served through `stack`";
        return Err(Box::new(INTERNAL.fail().because(cause).into()));
    };
    // PostgreSQL would stop on a full disk, and all reading with it.
    if guard.needs_space && shared.storage.as_ref().is_some_and(|is_full| is_full()) {
        return Err(Box::new(STORAGE_FULL.fail().retry_after(FULL_PAUSE).into()));
    }
    let caller = match guard.demands.policy {
        Policy::Public => None,
        Policy::Caller | Policy::Staff(_) => {
            let (method, headers) = (request.method(), request.headers());
            let who = authenticate(&shared, &meta, method, headers).await;
            Some(who.map_err(|failure| Box::new(failure.into()))?)
        }
    };
    let mut headers = limit(guard, &shared, &meta, caller.as_ref(), request.uri().path()).await?;
    let mut roles = Vec::new();
    if let Some(verified) = &caller {
        headers.extend(banner(&verified.caller));
        roles = match authorize(&guard.demands, &shared, &verified.caller).await {
            Ok(roles) => roles,
            Err(failure) => return Err(Box::new(Refusal { failure, headers })),
        };
    }
    let max_body = guard.max_body.unwrap_or(shared.body_limit);
    if announced(request.headers()).is_some_and(|length| length > max_body) {
        return Err(Box::new(BODY_TOO_LARGE.fail().into()));
    }
    request.extensions_mut().insert(Admission {
        policy: guard.demands.policy,
        caller,
        roles,
    });
    let request = request.map(|body| Body::new(Limited::new(body, max_body)));
    Ok((request, headers))
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn authenticate(
    shared: &Shared,
    meta: &Meta,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Verified, Failure> {
    if let Some(verdict) = by_cookie(shared, meta, method, headers).await {
        return verdict;
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let credential = values.next().and_then(|value| value.to_str().ok());
    let (Some(credential), None) = (credential, values.next()) else {
        return Err(UNAUTHENTICATED.fail());
    };
    // Bot tokens and bare tokens belong to the chat surface alone.
    let bearer = credential
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    if !bearer && !meta.dialect {
        return Err(UNAUTHENTICATED.fail());
    }
    let verified = known(shared.verifier.verified(credential).await)?;
    // Keys belong to everything but the chat surface.
    if meta.dialect && verified.caller.kind == CallerKind::ApiKey {
        return Err(UNAUTHENTICATED.fail());
    }
    Ok(verified)
}

/// Judges the session cookie of a request, if it shows one that counts.
pub(crate) async fn by_cookie(
    shared: &Shared,
    meta: &Meta,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Result<Verified, Failure>> {
    let pages = shared.pages.as_ref()?;
    let cookie = pages.cookie_of(headers)?;
    if let Err(failure) = pages.check(method, headers, cookie) {
        return Some(Err(failure));
    }
    Some(known(shared.verifier.cookie(cookie, meta).await))
}

fn known(verdict: Result<Verified, VerifyError>) -> Result<Verified, Failure> {
    match verdict {
        Ok(verified) => {
            tracing::Span::current().record("user.id", verified.caller.user.get());
            Ok(verified)
        }
        Err(VerifyError::Invalid) => Err(UNAUTHENTICATED.fail()),
        Err(VerifyError::Unavailable(cause)) => Err(UNAVAILABLE.fail().because(cause)),
    }
}

/// Judges whether a known caller may call; returns the roles that were asked for.
async fn authorize(
    demands: &Demands,
    shared: &Shared,
    caller: &Caller,
) -> Result<Vec<PlatformRole>, Failure> {
    let away = |cause| UNAVAILABLE.fail().because(cause);
    match demands.judge(caller, shared.clock.now()) {
        Ok(()) => {}
        Err(Refused::Forbidden) => return Err(FORBIDDEN.fail()),
        Err(Refused::StepUp) => {
            let methods = shared.verifier.ways_to_step_up(caller.user).await;
            let methods = methods.map_err(away)?;
            return Err(STEP_UP_REQUIRED.fail().extra("methods", methods));
        }
    }
    let Some(wanted) = demands.roles() else {
        return Ok(Vec::new());
    };
    // Asked for each time: a role that was taken away is gone with the next request.
    let held = shared.verifier.roles(caller.user).await.map_err(away)?;
    if opens(wanted, &held) {
        Ok(held)
    } else {
        Err(FORBIDDEN.fail())
    }
}

/// Tells whoever shows the answer that a member of staff acts in the user's name.
fn banner(caller: &Caller) -> Option<(HeaderName, HeaderValue)> {
    let staff = HeaderValue::try_from(caller.act?.to_string()).ok()?;
    Some((IMPERSONATED_BY, staff))
}

/// Counts the request; returns headers for the answer, or the refusal.
async fn limit(
    guard: &Guard,
    shared: &Shared,
    meta: &Meta,
    caller: Option<&Verified>,
    path: &str,
) -> Result<HeaderMap, Box<Refusal>> {
    let mut headers = HeaderMap::new();
    if let Some(bot) = caller.filter(|who| meta.dialect && who.caller.is_bot()) {
        let key = format!("bot:{}", bot.caller.user);
        let verdict = shared.limiter.take(limits::BOT_IN_ALL, &key, 1).await;
        if !verdict.allowed {
            limits::tell_global(&mut headers);
            return Err(refuse(limits::BOT_IN_ALL, headers, verdict, Global::Yes));
        }
    }
    let Some(rule) = guard.rule else {
        return Ok(headers);
    };
    let major = guard.major.and_then(|at| path.split('/').nth(at));
    let key = limits::key(&guard.bucket, caller, meta, major);
    let verdict = shared.limiter.take(rule, &key, 1).await;
    if meta.dialect {
        limits::tell(
            &mut headers,
            rule,
            &guard.bucket,
            verdict,
            shared.clock.now(),
        );
    }
    if verdict.allowed {
        Ok(headers)
    } else {
        Err(refuse(rule, headers, verdict, Global::No))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Global {
    Yes,
    No,
}

fn refuse(
    rule: Rule,
    headers: HeaderMap,
    verdict: kernel::Verdict,
    global: Global,
) -> Box<Refusal> {
    metrics::counter!("meydan_ratelimit_rejected_total", "rule" => rule.name).increment(1);
    let failure = RATE_LIMITED.fail().retry_after(verdict.retry_after);
    let failure = if global == Global::Yes {
        failure.extra("global", true)
    } else {
        failure
    };
    Box::new(Refusal { failure, headers })
}
