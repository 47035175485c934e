//! Every route of the product against every kind of caller: what the rows of the tables declare is
//! what happens, and nothing is open that is not meant to be.
//!
//! There is no database behind the routes: whoever is let in meets an error of the handler, and
//! whoever is refused never gets that far.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use kernel::{Caller, Clock as _, PlatformRole, SystemClock, UserId};
use serde_json::json;
use testkit::http::{Credential, Reply, call_with, caller, grant, page_headers};
use web_kit::{Login, Operation, Policy};

use crate::compose;

/// Tests fail with whatever went wrong.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What anybody may call. A row here is a decision: whoever adds one says who guards it instead.
const OPEN: &[&str] = &[
    "GET /",
    "GET /.well-known/jwks.json",
    "GET /account",
    "GET /api/v10/gateway",
    "GET /api/v10/invites/{code}",
    // The token in the path is a secret of 384 bits, judged before anything else.
    "DELETE /api/v10/webhooks/{webhook_id}/{token}",
    "DELETE /api/v10/webhooks/{webhook_id}/{token}/messages/{message_id}",
    "GET /api/v10/webhooks/{webhook_id}/{token}",
    "GET /api/v10/webhooks/{webhook_id}/{token}/messages/{message_id}",
    "PATCH /api/v10/webhooks/{webhook_id}/{token}",
    "PATCH /api/v10/webhooks/{webhook_id}/{token}/messages/{message_id}",
    "POST /api/v10/webhooks/{webhook_id}/{token}",
    "POST /api/v10/webhooks/{webhook_id}/{token}/github",
    "POST /api/v10/webhooks/{webhook_id}/{token}/slack",
    "GET /assets/{name}",
    // Signed, and good for a while.
    "GET /attachments/{channel_id}/{media_id}/{file_name}",
    "GET /auth/{page}",
    // Pictures that everybody sees, under names nobody can guess.
    "GET /avatars/{user_id}/{file}",
    "GET /emojis/{file}",
    "GET /gateway",
    "GET /icons/{guild_id}/{file}",
    "GET /setup",
    "GET /v1/auth/methods",
    "GET /v1/auth/oauth/{provider}",
    "GET /v1/auth/oauth/{provider}/callback",
    "GET /v1/consent-texts",
    "POST /v1/auth/login",
    "POST /v1/auth/login/second-factor",
    "POST /v1/auth/logout",
    "POST /v1/auth/logout-all",
    "POST /v1/auth/magic-links",
    "POST /v1/auth/magic-links/consume",
    "POST /v1/auth/oauth/exchange",
    "POST /v1/auth/otp",
    "POST /v1/auth/otp/verify",
    "POST /v1/auth/passkeys/login",
    "POST /v1/auth/passkeys/options",
    "POST /v1/auth/password-resets",
    "POST /v1/auth/password-resets/confirm",
    "POST /v1/auth/refresh",
    "POST /v1/auth/registrations",
    "POST /v1/auth/registrations/confirm",
    "POST /v1/auth/setup",
    "POST /v1/auth/validate",
];

/// Somebody who calls, and what the row's demands say about them.
struct Somebody {
    name: &'static str,
    who: Credential,
    headers: Vec<(&'static str, String)>,
    expected: fn(&Operation) -> Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Admitted,
    Refused(u16, &'static str),
}

const NOBODY: Verdict = Verdict::Refused(401, "UNAUTHENTICATED");
const FORBIDDEN: Verdict = Verdict::Refused(403, "FORBIDDEN");
const STEP_UP: Verdict = Verdict::Refused(403, "STEP_UP_REQUIRED");
const CSRF: Verdict = Verdict::Refused(403, "CSRF_FAILED");

fn is_staff(operation: &Operation) -> bool {
    matches!(operation.policy, Policy::Staff(_))
}

fn if_staff(operation: &Operation, otherwise: Verdict) -> Verdict {
    if is_staff(operation) {
        FORBIDDEN
    } else {
        otherwise
    }
}

fn holding(operation: &Operation, role: PlatformRole) -> Verdict {
    let wanted = operation.demands.roles();
    let opens = |roles: &[PlatformRole]| role == PlatformRole::Superadmin || roles.contains(&role);
    match wanted {
        Some(roles) if !opens(roles) => FORBIDDEN,
        Some(_) | None => Verdict::Admitted,
    }
}

fn fresh(id: i64) -> Caller {
    Caller {
        auth_time: Some(SystemClock.now()),
        ..caller(UserId::new(id))
    }
}

fn staff(id: i64, role: PlatformRole) -> Credential {
    grant(UserId::new(id), &[role]);
    fresh(id).into()
}

fn plain(
    name: &'static str,
    who: impl Into<Credential>,
    expected: fn(&Operation) -> Verdict,
) -> Somebody {
    Somebody {
        name,
        who: who.into(),
        headers: Vec::new(),
        expected,
    }
}

fn page(
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    expected: fn(&Operation) -> Verdict,
) -> Somebody {
    Somebody {
        name,
        who: Credential::Nobody,
        headers,
        expected,
    }
}

/// Nobody, people, and whoever acts in their name.
fn people() -> Vec<Somebody> {
    let acting = Caller {
        act: Some(UserId::new(999)),
        ..fresh(104)
    };
    vec![
        plain("nobody", (), |_| NOBODY),
        plain("rubbish", "Bearer x.y.z", |_| NOBODY),
        plain(
            "a stale login",
            caller(UserId::new(100)),
            |operation| match operation.demands.login {
                Login::Fresh => STEP_UP,
                Login::Any => if_staff(operation, Verdict::Admitted),
            },
        ),
        plain("a fresh login", fresh(101), |operation| {
            if_staff(operation, Verdict::Admitted)
        }),
        plain("staff in a user's name", acting, |operation| {
            if operation.demands.admits_impersonation() {
                Verdict::Admitted
            } else {
                FORBIDDEN
            }
        }),
    ]
}

/// Bots and keys; one key holds every scope that is named anywhere.
fn programs(scopes: Vec<String>) -> Vec<Somebody> {
    let key = |id, scopes| Caller::api_key(UserId::new(id), scopes);
    vec![
        plain("a bot", Caller::bot(UserId::new(102)), |operation| {
            match (operation.dialect, operation.demands.admits_programs()) {
                (false, _) => NOBODY,
                (true, false) => FORBIDDEN,
                (true, true) => Verdict::Admitted,
            }
        }),
        plain("a key without scopes", key(103, Vec::new()), |operation| {
            if operation.dialect { NOBODY } else { FORBIDDEN }
        }),
        plain("a key with every scope", key(105, scopes), |operation| {
            let demands = &operation.demands;
            match (operation.dialect, demands.scope) {
                (true, _) => NOBODY,
                (false, Some(_)) if demands.admits_programs() => Verdict::Admitted,
                (false, _) => FORBIDDEN,
            }
        }),
    ]
}

/// One member of staff for each role.
fn roles() -> Vec<Somebody> {
    vec![
        plain(
            "a superadmin",
            staff(106, PlatformRole::Superadmin),
            |row| holding(row, PlatformRole::Superadmin),
        ),
        plain("support", staff(107, PlatformRole::Support), |row| {
            holding(row, PlatformRole::Support)
        }),
        plain("a moderator", staff(108, PlatformRole::Moderator), |row| {
            holding(row, PlatformRole::Moderator)
        }),
        plain("finance", staff(109, PlatformRole::Finance), |row| {
            holding(row, PlatformRole::Finance)
        }),
    ]
}

/// Sessions by cookie, also without what shows that the page is ours.
fn pages() -> Result<Vec<Somebody>> {
    let refused: fn(&Operation) -> Verdict = |operation| match operation.method {
        axum::http::Method::GET => if_staff(operation, Verdict::Admitted),
        _ => CSRF,
    };
    let mut bare = page_headers(&fresh(110))?;
    bare.retain(|(name, _)| *name != "x-csrf-token");
    let mut foreign = page_headers(&fresh(111))?;
    foreign.retain(|(name, _)| *name != "sec-fetch-site");
    foreign.push(("sec-fetch-site", "cross-site".to_owned()));
    Ok(vec![
        page("a cookie without its token", bare, refused),
        page("a cookie on a foreign page", foreign, refused),
        page("a page of ours", page_headers(&fresh(112))?, |operation| {
            if_staff(operation, Verdict::Admitted)
        }),
    ])
}

fn path_of(operation: &Operation) -> String {
    let filled = operation.path.split('/').map(|segment| {
        if segment.starts_with('{') {
            "4194304"
        } else {
            segment
        }
    });
    filled.collect::<Vec<_>>().join("/")
}

async fn ask(router: &Router, operation: &Operation, somebody: &Somebody) -> Result<Reply> {
    let headers: Vec<_> = somebody
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let method = operation.method.as_str();
    let body = (method != "GET").then(|| json!({}));
    let who = somebody.who.clone();
    let path = path_of(operation);
    Ok(call_with(router, method, &path, who, &headers, body).await?)
}

fn verdict_of(reply: &Reply, operation: &Operation) -> (u16, String) {
    let code = reply.json["code"].as_str().unwrap_or_default();
    // The dialect has numbers; two of ours are told apart by their texts elsewhere.
    let code = if operation.dialect {
        String::new()
    } else {
        code.to_owned()
    };
    (reply.status.as_u16(), code)
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_every_route_lets_in_whom_it_declares_and_nobody_else() -> Result<()> {
    let tables = compose::documented()?;
    let router = tables
        .iter()
        .fold(Router::new(), |router, table| router.merge(table.router()));
    let router = testkit::http::app(router, Arc::new(SystemClock))?;
    let operations: Vec<&Operation> = tables.iter().flat_map(|table| table.operations()).collect();
    let scopes: BTreeSet<&str> = operations
        .iter()
        .filter_map(|operation| operation.demands.scope)
        .collect();
    let scopes = scopes.into_iter().map(str::to_owned).collect();
    let everybody = [people(), programs(scopes), roles(), pages()?];
    let (mut refused, mut admitted) = (0, 0);
    for operation in operations {
        if operation.policy == Policy::Public {
            continue;
        }
        for somebody in everybody.iter().flatten() {
            let expected = (somebody.expected)(operation);
            // Whom the row lets in is asked only where it tells something: handlers need a database.
            let Verdict::Refused(status, code) = expected else {
                admitted += 1;
                continue;
            };
            let reply = ask(&router, operation, somebody).await?;
            let code = if operation.dialect { "" } else { code };
            let found = verdict_of(&reply, operation);
            assert_eq!(
                found,
                (status, code.to_owned()),
                "{operation:?} by {}",
                somebody.name
            );
            refused += 1;
        }
    }
    assert!(refused > 500 && admitted > 500, "{refused} {admitted}");
    Ok(())
}

#[tokio::test]
async fn s2_what_is_open_to_anybody_is_written_down() -> Result<()> {
    let tables = compose::documented()?;
    let open: BTreeSet<String> = tables
        .iter()
        .flat_map(|table| table.operations())
        .filter(|operation| operation.policy == Policy::Public)
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let declared: BTreeSet<String> = OPEN.iter().map(|&row| row.to_owned()).collect();
    let undeclared: Vec<_> = open.difference(&declared).collect();
    assert!(undeclared.is_empty(), "open to anybody: {undeclared:#?}");
    let gone: Vec<_> = declared.difference(&open).collect();
    assert!(gone.is_empty(), "no longer open: {gone:#?}");
    Ok(())
}

#[tokio::test]
async fn each_name_in_the_document_stands_for_one_thing() -> Result<()> {
    let tables = compose::documented()?;
    let clashes = web_kit::Table::clashes(&tables.iter().collect::<Vec<_>>());
    assert!(clashes.is_empty(), "{clashes:#?}");
    Ok(())
}
