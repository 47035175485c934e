//! The routes of the gateway: where it is, and the upgrade itself.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper_util::server::conn::auto::upgrade;
use jiff::Timestamp;
use kernel::UserId;
use kernel::failure::FORBIDDEN;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use web_kit::{Caller, Doc, Meta, Path, Policy, Public, Table};

use crate::node::{Fresh, Intake};
use crate::{Realtime, error};

/// The table of routes.
pub(crate) fn routes(realtime: Arc<Realtime>) -> Table {
    Table::new("realtime", realtime)
        .get(
            "/gateway",
            upgrade_socket,
            Doc::new("Open the gateway's WebSocket")
                .describe("Upgrade to RFC 6455; `?v=10&encoding=json`. The protocol is in the gateway guide.")
                .policy(Policy::Public)
                .returns_nothing(101)
                .errors(&[&error::UPGRADE_REQUIRED, &error::GATEWAY_FULL]),
        )
        .get(
            "/api/v10/gateway",
            address,
            Doc::new("Where the gateway is").policy(Policy::Public).returns::<Address>(200),
        )
        .get(
            "/api/v10/gateway/bot",
            bot_address,
            Doc::new("Where the gateway is, and how many sessions a bot may start")
                .policy(Policy::Caller)
                .returns::<BotAddress>(200),
        )
        .get(
            "/api/v10/users/{user_id}/presence",
            presence,
            Doc::new("Whether somebody is here, and when they were last")
                .describe("Of those who hide it, and of unknown users, the answer is `offline` and null. \
                           Both switches are mutual: who hides theirs sees nobody's.")
                .policy(Policy::Caller)
                .returns::<Presence>(200),
        )
        .build()
}

/// Where the gateway is.
#[derive(Serialize, ToSchema)]
struct Address {
    /// Without a query; libraries append their own.
    #[schema(examples("wss://meydan.example/gateway"))]
    url: String,
}

/// Where the gateway is, for bots.
#[derive(Serialize, ToSchema)]
struct BotAddress {
    /// As in the plain form.
    url: String,
    /// Sharding is allowed and never required.
    shards: u32,
    /// How many sessions may be started; never used up.
    session_start_limit: StartLimit,
}

/// The dialect's budget of new sessions.
#[derive(Serialize, ToSchema)]
struct StartLimit {
    total: u32,
    remaining: u32,
    /// Milliseconds.
    reset_after: u32,
    /// How many IDENTIFYs at once.
    max_concurrency: u32,
}

/// How somebody is shown.
#[derive(Serialize, ToSchema)]
struct Presence {
    user: PresenceUser,
    /// `online`, `idle`, `dnd` or `offline`.
    #[schema(examples("online"))]
    status: serde_json::Value,
    /// What they do, as they say.
    #[schema(value_type = Vec<Object>)]
    activities: serde_json::Value,
    /// Kind of client and its status.
    #[schema(value_type = Object)]
    client_status: serde_json::Value,
    /// When they were here last, to the minute.
    #[serde(with = "kernel::time::dialect_form::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_seen: Option<Timestamp>,
}

/// Whose it is.
#[derive(Serialize, ToSchema)]
struct PresenceUser {
    id: UserId,
}

async fn presence(
    caller: Caller,
    State(realtime): State<Arc<Realtime>>,
    Path(user): Path<UserId>,
) -> web_kit::Result<Json<Presence>> {
    let (shown, last_seen) = realtime.presence_of(caller.user, user).await?;
    let payload = shown.payload(user, None);
    let field = |name: &str| payload.get(name).cloned().unwrap_or_default();
    Ok(Json(Presence {
        user: PresenceUser { id: user },
        status: field("status"),
        activities: field("activities"),
        client_status: field("client_status"),
        last_seen,
    }))
}

async fn address(
    _: Public,
    State(realtime): State<Arc<Realtime>>,
    headers: HeaderMap,
) -> Json<Address> {
    Json(Address {
        url: realtime.url(host(&headers)),
    })
}

async fn bot_address(
    _: Caller,
    State(realtime): State<Arc<Realtime>>,
    headers: HeaderMap,
) -> Json<BotAddress> {
    let limit = StartLimit {
        total: 1_000,
        remaining: 1_000,
        reset_after: 0,
        max_concurrency: 16,
    };
    Json(BotAddress {
        url: realtime.url(host(&headers)),
        shards: 1,
        session_start_limit: limit,
    })
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    v: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
}

impl Asked {
    /// `compress` is an offer we do not take; everything unknown is ignored.
    fn is_spoken(&self) -> bool {
        self.v.as_deref().is_none_or(|v| v == "10")
            && self
                .encoding
                .as_deref()
                .is_none_or(|encoding| encoding == "json")
    }
}

async fn upgrade_socket(
    _: Public,
    State(realtime): State<Arc<Realtime>>,
    meta: Meta,
    mut request: Request,
) -> web_kit::Result<Response> {
    if !realtime.node.settings.origins.admits(request.headers()) {
        return Err(FORBIDDEN.fail().into());
    }
    let version = match request.version() {
        Version::HTTP_11 => ws::handshake::HttpVersion::Http11,
        _ => ws::handshake::HttpVersion::Other,
    };
    let method = if request.method() == Method::GET {
        "GET"
    } else {
        "OTHER"
    };
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let accept = match ws::handshake::accept(method, version, headers) {
        Ok(accept) => accept,
        Err(refusal @ ws::handshake::Refusal::Version) => return Ok(name_version(refusal)),
        Err(refusal) => {
            let failure = error::UPGRADE_REQUIRED.fail();
            return Err(failure.extra("reason", refusal.reason()).into());
        }
    };
    realtime.admits()?;
    let query = axum::extract::Query::<Asked>::try_from_uri(request.uri());
    let version_ok = query.is_ok_and(|asked| asked.is_spoken());
    let host = host(request.headers()).to_owned();
    let on_upgrade = hyper::upgrade::on(&mut request);
    let node = Arc::clone(&realtime.node);
    let peer = meta.ip;
    runtime::spawn(&realtime.node.lifecycle, "realtime-upgrade", async move {
        // The peer may leave before the 101 is out; nothing is owed then.
        let Ok(upgraded) = on_upgrade.await else {
            return;
        };
        let Ok(parts) = upgrade::downcast::<web_kit::Io>(upgraded) else {
            return tracing::error!("an upgraded connection was not a plain TCP stream");
        };
        let stream = parts.io.into_inner();
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "a fresh socket took no options");
        }
        let Ok(stream) = stream.into_std() else {
            return;
        };
        let first_bytes = parts.read_buf;
        let fresh = Fresh {
            stream,
            first_bytes,
            host,
            peer,
            version_ok,
        };
        node.send(node.least_busy(), Intake::Fresh(fresh));
    });
    let mut response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    for (name, value) in accept.headers() {
        response = response.header(name, value);
    }
    Ok(response.body(Body::empty()).map_err(error::upgrade)?)
}

/// We batch ourselves; and what a stuck reader has not taken must stay where the bounds of the
/// queue see it, not in the kernel's buffer.
fn tune(stream: &tokio::net::TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(64 * 1024)
}

/// The answer to another version of the protocol: RFC 6455 §4.2.2 wants ours named in a header.
fn name_version(refusal: ws::handshake::Refusal) -> Response {
    let mut response = (StatusCode::UPGRADE_REQUIRED, refusal.reason()).into_response();
    for (name, value) in refusal.headers() {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
    response
}

fn host(headers: &HeaderMap) -> &str {
    headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1")
}
