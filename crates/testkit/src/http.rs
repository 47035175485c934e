//! Calls into a router without a socket, and over one; access tokens that a real verifier accepts.
//!
//! The verifier is the product's own with a test key: a test's caller holds a real signed token,
//! so a route that forgets its guard, or a guard that forgets its check, shows.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kernel::{Caller, CallerKind, SharedClock, SystemClock, SystemRng, UserId};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use web_kit::jwt::{SERVICE_AUDIENCE, TokenType};
use web_kit::{OnStale, Pages, Peer, PublicKey, StackOptions, TokenVerifier};

use crate::issuers::TestIssuers;
pub use crate::issuers::{api_key, bot_token, cookie, grant, ticket};

/// Issuer and audience of test tokens; the defaults of the product.
pub const ISSUER: &str = "my-auth-service";
/// Audience of test access tokens.
pub const AUDIENCE: &str = "my-app-client";
/// Where the pages are whose cookies count.
pub const PAGES: &str = "https://meydan.test";
/// The name of the test key.
pub const KID: &str = "test-key";

/// How long one call may take; a test that waits longer has failed.
const DEADLINE: Duration = Duration::from_secs(30);
/// Largest answer that is read.
const MOST: usize = 64 * 1024 * 1024;
/// `exp` of test tokens: the year 2200, whatever clock a test uses.
const FAR: i64 = 7_258_118_400;

/// What stands in `Authorization`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Nobody,
    /// This text as it is.
    Header(String),
    /// A fresh token of this caller.
    Caller(Box<Caller>),
}

impl From<()> for Credential {
    fn from((): ()) -> Self {
        Self::Nobody
    }
}
impl From<UserId> for Credential {
    fn from(user: UserId) -> Self {
        Self::Caller(Box::new(caller(user)))
    }
}
impl From<Option<UserId>> for Credential {
    fn from(user: Option<UserId>) -> Self {
        user.map_or(Self::Nobody, Self::from)
    }
}
impl From<&Caller> for Credential {
    fn from(caller: &Caller) -> Self {
        Self::Caller(Box::new(caller.clone()))
    }
}
impl From<Caller> for Credential {
    fn from(caller: Caller) -> Self {
        Self::Caller(Box::new(caller))
    }
}
impl From<Option<&Caller>> for Credential {
    fn from(caller: Option<&Caller>) -> Self {
        caller.map_or(Self::Nobody, Self::from)
    }
}
impl From<&str> for Credential {
    /// `Bearer test:42` and `Bot test:42` stand for fresh tokens; other texts go as they are.
    fn from(text: &str) -> Self {
        let id = |rest: &str| rest.strip_prefix("test:").and_then(|id| id.parse().ok());
        match text.split_once(' ') {
            Some(("Bearer", rest)) if id(rest).is_some() => id(rest).into(),
            Some(("Bot", rest)) if id(rest).is_some() => {
                id(rest).map_or(Self::Nobody, |bot| Caller::bot(bot).into())
            }
            _ if text.is_empty() => Self::Nobody,
            _ => Self::Header(text.to_owned()),
        }
    }
}
impl From<String> for Credential {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl Credential {
    /// Returns the value of the `Authorization` header, if there is one.
    ///
    /// # Errors
    ///
    /// When the test key cannot sign.
    pub fn header(&self) -> Result<Option<String>> {
        match self {
            Self::Nobody => Ok(None),
            Self::Header(text) => Ok(Some(text.clone())),
            Self::Caller(caller) => Ok(Some(match caller.kind {
                CallerKind::Bot => format!("Bot {}", bot_token(caller.user)),
                CallerKind::ApiKey => format!("Bearer {}", api_key(caller)),
                CallerKind::User => format!("Bearer {}", access_token(caller)?),
            })),
        }
    }
}

/// Returns a person logged in by password; the device bears the user's number.
pub fn caller(user: UserId) -> Caller {
    Caller::user(
        user,
        user.cast(),
        vec!["pwd".to_owned()],
        jiff::Timestamp::UNIX_EPOCH,
    )
}

/// Signs the access token of a person.
///
/// # Errors
///
/// When the test key cannot be used.
pub fn token(user: UserId) -> Result<String> {
    access_token(&caller(user))
}

/// Signs the access token of a caller who is a person on a device.
///
/// # Errors
///
/// As for [`token`].
pub fn access_token(caller: &Caller) -> Result<String> {
    let device = caller
        .device
        .map_or_else(|| caller.user.to_string(), |id| id.to_string());
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "type": "access",
        "sub": caller.user.to_string(), "sid": device, "jti": "1", "iat": 0, "exp": FAR,
        "auth_time": caller.auth_time.unwrap_or_default().as_second(),
        "acr": "aal1", "amr": caller.amr,
    });
    if let (Some(staff), Some(claims)) = (caller.act, claims.as_object_mut()) {
        claims.insert("act".to_owned(), json!({ "sub": staff.to_string() }));
    }
    sign(
        &json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": KID }),
        &claims,
    )
}

/// Signs the service token of a process that calls itself `service`.
///
/// # Errors
///
/// As for [`token`].
pub fn service_token(service: &str) -> Result<String> {
    let claims = json!({
        "iss": ISSUER, "aud": SERVICE_AUDIENCE, "type": TokenType::Service, "sub": service,
        "jti": "1", "iat": 0, "exp": FAR,
    });
    sign(
        &json!({ "alg": "EdDSA", "typ": TokenType::Service.header_type(), "kid": KID }),
        &claims,
    )
}

/// Signs any header and claims with the test key, for tokens that must be refused.
///
/// # Errors
///
/// As for [`token`].
pub fn sign(header: &Value, claims: &Value) -> Result<String> {
    sign_text(&header.to_string(), &claims.to_string())
}

/// Signs any two texts, also such that are no sound JSON.
///
/// # Errors
///
/// As for [`token`].
pub fn sign_text(header: &str, claims: &str) -> Result<String> {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = URL_SAFE_NO_PAD.encode(key()?.sign(signed.as_bytes()).as_ref());
    Ok(format!("{signed}.{signature}"))
}

fn key() -> Result<Ed25519KeyPair> {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32])
        .ok()
        .context("making the test key")
}

/// Returns the public half of the test key.
///
/// # Errors
///
/// As for [`token`].
pub fn public_key() -> Result<PublicKey> {
    let ed25519 = key()?
        .public_key()
        .as_ref()
        .try_into()
        .context("the key has 32 bytes")?;
    Ok(PublicKey {
        kid: KID.to_owned(),
        ed25519,
    })
}

/// Returns a verifier that accepts the tokens made here, without anybody feeding it revocations.
///
/// # Errors
///
/// As for [`token`].
pub fn verifier() -> Result<Arc<TokenVerifier>> {
    let verifier = TokenVerifier::new(ISSUER, AUDIENCE, Arc::new(SystemClock))
        .on_stale(OnStale::Allow)
        .with_opaque(Arc::new(TestIssuers));
    verifier.set_keys(vec![public_key()?]);
    Ok(Arc::new(verifier))
}

/// Returns the options of a stack for tests: [`verifier`], a limiter over `clock`, pages at
/// [`PAGES`], defaults.
///
/// # Errors
///
/// As for [`token`].
pub fn options(clock: SharedClock) -> Result<StackOptions> {
    let limiter = infra::limiter::LocalLimiter::new(Arc::clone(&clock), 100_000);
    Ok(StackOptions {
        pages: Some(Pages::new(PAGES, Arc::new(csrf_token))),
        ..StackOptions::new(verifier()?, limiter, clock, Arc::new(SystemRng))
    })
}

/// Returns the CSRF token that [`options`] demand beside a cookie.
pub fn csrf_token(cookie: &str) -> String {
    URL_SAFE_NO_PAD.encode(kernel::digest::sha256(format!("csrf {cookie}").as_bytes()))
}

/// Returns the headers of a request that a page at [`PAGES`] makes with a fresh session of
/// `caller`.
///
/// # Errors
///
/// As for [`token`].
pub fn page_headers(caller: &Caller) -> Result<Vec<(&'static str, String)>> {
    let cookie = cookie(caller)?;
    Ok(vec![
        ("x-csrf-token", csrf_token(&cookie)),
        ("cookie", format!("{}={cookie}", web_kit::HOST_COOKIE)),
        ("sec-fetch-site", "same-origin".to_owned()),
    ])
}

/// Wraps the router of one or more tables as the product does.
///
/// # Errors
///
/// As for [`token`].
pub fn app(router: Router, clock: SharedClock) -> Result<Router> {
    Ok(web_kit::stack(router, options(clock)?))
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Reply {
    /// Returns a header's text, or nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Fails with the whole answer when the status is another one.
    ///
    /// # Errors
    ///
    /// When the status differs.
    pub fn expect(self, status: u16) -> Result<Self> {
        let text = String::from_utf8_lossy(&self.body);
        anyhow::ensure!(
            self.status.as_u16() == status,
            "{} instead of {status}: {text}",
            self.status
        );
        Ok(self)
    }
}

/// Calls a router. A JSON value as body goes as `application/json`, null as no body at all.
///
/// # Errors
///
/// When the request cannot be built or the answer cannot be read.
pub async fn call(
    router: &Router,
    method: &str,
    path: &str,
    who: impl Into<Credential>,
    body: impl Into<Option<Value>>,
) -> Result<Reply> {
    call_with(router, method, path, who, &[], body).await
}

/// Like [`call`], with more headers.
///
/// # Errors
///
/// As for [`call`].
pub async fn call_with(
    router: &Router,
    method: &str,
    path: &str,
    who: impl Into<Credential>,
    headers: &[(&str, &str)],
    body: impl Into<Option<Value>>,
) -> Result<Reply> {
    send(
        router,
        request(method, path, &who.into(), headers, body.into())?,
    )
    .await
}

/// Calls a router with a request made by hand, from a local peer unless it names another.
///
/// # Errors
///
/// As for [`call`].
pub async fn send(router: &Router, mut request: Request<Body>) -> Result<Reply> {
    if request.extensions().get::<Peer>().is_none() {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        request.extensions_mut().insert(Peer(peer));
    }
    let answer = router.clone().oneshot(request);
    let response = tokio::time::timeout(DEADLINE, answer)
        .await
        .context("the router is stuck")??;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MOST)
        .await
        .context("reading the answer")?;
    Ok(reply(parts.status, parts.headers, body))
}

/// Builds a request as [`call`] does.
///
/// # Errors
///
/// As for [`call`].
pub fn request(
    method: &str,
    path: &str,
    who: &Credential,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Result<Request<Body>> {
    let method = Method::from_bytes(method.as_bytes()).context("the method")?;
    let mut request = Request::builder().method(method).uri(path);
    if let Some(credential) = who.header()? {
        request = request.header(AUTHORIZATION, credential);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body.filter(|body| !body.is_null()) {
        Some(body) => {
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                request = request.header(CONTENT_TYPE, "application/json");
            }
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    request.body(body).context("the request")
}

fn reply(status: StatusCode, headers: HeaderMap, body: Bytes) -> Reply {
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Reply {
        status,
        headers,
        body,
        json,
    }
}

/// A real HTTP/1.1 client with kept connections, for tests of a running system.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpConnector, Body>,
    base: String,
}

impl Client {
    /// Makes a client of the server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self {
            pool,
            base: format!("http://{address}"),
        }
    }

    /// Calls the server as [`call`] calls a router.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, breaks off, or is silent for 30 s.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        who: impl Into<Credential>,
        body: impl Into<Option<Value>>,
    ) -> Result<Reply> {
        self.call_with(method, path, who, &[], body).await
    }

    /// Like [`Self::call`], with more headers.
    ///
    /// # Errors
    ///
    /// As for [`Self::call`].
    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        who: impl Into<Credential>,
        headers: &[(&str, &str)],
        body: impl Into<Option<Value>>,
    ) -> Result<Reply> {
        let url = format!("{}{path}", self.base);
        let request = request(method, &url, &who.into(), headers, body.into())?;
        let exchange = async {
            let response = self.pool.request(request).await?;
            let (parts, body) = response.into_parts();
            let body = http_body_util::Limited::new(body, MOST).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("reading the answer: {error}"))?;
            Ok(reply(parts.status, parts.headers, body.to_bytes()))
        };
        tokio::time::timeout(DEADLINE, exchange)
            .await
            .context("the server is silent")?
    }
}
