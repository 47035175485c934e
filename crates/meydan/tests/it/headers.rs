//! S24: what tells browsers to be careful stands on every answer of every listener, errors of all
//! kinds included. A 500 is made in `web_kit`, where a handler panics.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::http::{Client, Credential, Reply};
use testkit::servers::free_port;

use crate::node::{Home, Node, person};
use crate::surface::operations;

const PASSWORD: &str = "yokuşlu kırmızı bisiklet";
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
/// The documentation comes from elsewhere and styles itself; scripts are ours alone there, too.
const DOCS_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
     style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
const EVERY: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
];
/// One year, and also for whatever is below this name.
const HSTS: &str = "max-age=31536000; includeSubDomains";
/// What anybody may keep: it says nothing about anybody.
const KEPT: [&str; 1] = ["/.well-known/jwks.json"];
/// Every kind of answer that must have been seen.
const STATUSES: [u16; 16] = [
    200, 201, 204, 302, 303, 308, 400, 401, 403, 404, 405, 413, 415, 426, 429, 503,
];

/// Whether browsers are told to come back by TLS only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    Behind,
    Without,
}

/// Looks at answers, and remembers of which kinds they were.
struct Look<'a> {
    node: &'a Node,
    tls: Tls,
    seen: BTreeSet<u16>,
}

impl Look<'_> {
    fn at(&mut self, what: &str, path: &str, reply: &Reply) -> Result<()> {
        let what = format!("{what} {path}: {}", reply.status);
        self.seen.insert(reply.status.as_u16());
        for (name, value) in EVERY {
            let found = reply.header(name);
            ensure!(found == Some(value), "{what}: {name} is {found:?}");
        }
        let policy = reply.header("content-security-policy");
        let of_docs = path.starts_with("/docs/") && policy == Some(DOCS_POLICY);
        ensure!(
            of_docs || policy == Some(POLICY),
            "{what}: the policy is {policy:?}"
        );
        ensure!(
            reply.header("x-request-id").is_some(),
            "{what}: no request id"
        );
        let hsts = reply.header("strict-transport-security");
        let expected = (self.tls == Tls::Behind).then_some(HSTS);
        ensure!(hsts == expected, "{what}: HSTS is {hsts:?}");
        let kept = reply.header("cache-control");
        let may_be_kept = KEPT.contains(&path) && reply.status == 200;
        ensure!(
            may_be_kept || kept == Some("no-store"),
            "{what}: cache-control is {kept:?}"
        );
        Ok(())
    }

    async fn call(
        &mut self,
        method: &str,
        path: &str,
        who: impl Into<Credential>,
        headers: &[(&str, &str)],
        body: impl Into<Option<Value>>,
    ) -> Result<Reply> {
        let reply = self
            .node
            .client
            .call_with(method, path, who, headers, body)
            .await?;
        self.at(method, path.split('?').next().unwrap_or(path), &reply)?;
        Ok(reply)
    }

    async fn get(&mut self, path: &str) -> Result<Reply> {
        self.call("GET", path, (), &[], Value::Null).await
    }

    /// Every operation of the document, asked well and badly, by nobody and by somebody.
    async fn operations(&mut self, somebody: &Credential) -> Result<()> {
        let document = self.get("/openapi.json").await?.expect(200)?;
        let operations = operations(&document.json)?;
        ensure!(operations.len() > 60, "{} operations", operations.len());
        // First, because some operation below signs this login out.
        let tickets = "/v1/auth/ws-tickets";
        self.call("POST", tickets, somebody.clone(), &[], Value::Null)
            .await?;
        let text = [("content-type", "text/plain")];
        for (method, path, _) in &operations {
            for who in [&Credential::Nobody, somebody] {
                self.call(method, path, who.clone(), &[], json!({})).await?;
                self.call(method, path, who.clone(), &text, json!({}))
                    .await?;
                self.call(method, path, who.clone(), &[], json!(["no object"]))
                    .await?;
            }
            self.call("PROPFIND", path, (), &[], Value::Null).await?;
            self.call("OPTIONS", path, (), &[], Value::Null).await?;
            let query = format!("{path}?limit=x&after=%00");
            self.call(method, &query, somebody.clone(), &[], Value::Null)
                .await?;
        }
        Ok(())
    }

    async fn pages(&mut self) -> Result<()> {
        for path in [
            "/",
            "/setup",
            "/account",
            "/auth/login",
            "/auth/code",
            "/auth/link",
            "/auth/forgot",
            "/auth/register",
            "/auth/confirm",
            "/auth/magic",
            "/auth/reset",
            "/assets/page.css",
            "/assets/icon.svg",
            "/assets/calls.js",
            "/docs/",
            "/docs/swagger-ui.css",
            "/docs/swagger-ui-bundle.js",
            "/openapi.json",
            "/livez",
            "/readyz",
            "/.well-known/jwks.json",
        ] {
            self.get(path).await?.expect(200)?;
            self.call("HEAD", path, (), &[], Value::Null)
                .await?
                .expect(200)?;
            self.call("DELETE", path, (), &[], Value::Null)
                .await?
                .expect(405)?;
        }
        for path in [
            "/nowhere",
            "/v1/nowhere",
            "/api/v10/nowhere",
            "/docs/nowhere",
            "/auth/nowhere",
            "/assets/nowhere",
            "//v1/users/@me",
            "/v1/%2e%2e/x",
            "/v1/users/@me%00",
            "/favicon.ico",
        ] {
            self.get(path).await?;
        }
        self.get("/docs").await?.expect(308)?;
        Ok(())
    }

    /// To a provider and back, with nothing it could have given.
    async fn provider(&mut self) -> Result<()> {
        let path = "/v1/auth/oauth/facebook";
        self.get(&format!("{path}?session=cookie&return_to=/"))
            .await?
            .expect(302)?;
        self.get(&format!("{path}/callback?code=x&state=y"))
            .await?
            .expect(303)?;
        Ok(())
    }

    /// Refusals to open a socket.
    async fn upgrades(&mut self) -> Result<()> {
        let good = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        self.get("/gateway").await?.expect(400)?;
        for broken in 0..good.len() {
            let mut headers = good;
            headers[broken].1 = "x";
            let reply = self
                .call("GET", "/gateway", (), &headers, Value::Null)
                .await?;
            let expected = if broken == 2 { 426 } else { 400 };
            reply.expect(expected)?;
        }
        let foreign = [&good[..], &[("origin", "https://evil.test")]].concat();
        self.call("GET", "/gateway", (), &foreign, Value::Null)
            .await?
            .expect(403)?;
        self.call("POST", "/gateway", (), &good, Value::Null)
            .await?
            .expect(405)?;
        // There is room for one socket.
        let open = Gateway::connect(self.node.address).await?;
        self.call("GET", "/gateway", (), &good, Value::Null)
            .await?
            .expect(503)?;
        drop(open);
        Ok(())
    }

    /// What is left to see: bodies that are too large or no JSON, foreign pages, too many attempts.
    async fn refusals(&mut self, somebody: &Credential) -> Result<()> {
        let login = "/v1/auth/login";
        let large = json!({"identifier": "x".repeat(2 * 1024 * 1024), "password": "x"});
        self.call("POST", login, (), &[], large)
            .await?
            .expect(413)?;
        let page = [
            ("cookie", "__Host-meydan_sid=x"),
            ("sec-fetch-site", "cross-site"),
        ];
        self.call("POST", "/v1/auth/logout-all", (), &page, json!({}))
            .await?;
        let reset = json!({"identifier": "root"});
        self.call("POST", "/v1/auth/password-resets", (), &[], reset)
            .await?
            .expect(503)?;
        let pages = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "POST"),
        ];
        self.call("OPTIONS", login, (), &pages, Value::Null)
            .await?
            .expect(200)?;
        self.call(
            "DELETE",
            "/v1/users/@me/devices",
            somebody.clone(),
            &[],
            Value::Null,
        )
        .await?
        .expect(204)?;
        let wrong = json!({"identifier": "root", "password": "x"});
        for _ in 0..12 {
            self.call("POST", login, (), &[], wrong.clone()).await?;
        }
        ensure!(self.seen.contains(&429), "no limit was met");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s24_headers_stand_on_every_answer() -> Result<()> {
    let ops = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let home = Home::new("headers")?
        .with("MEYDAN_HTTP__PUBLIC_URL", "https://meydan.test")
        .with("MEYDAN_HTTP__CORS", "https://app.example.com")
        .with("MEYDAN_HTTP__OPS_LISTEN", ops.to_string())
        .with("MEYDAN_REALTIME__MAX_CONNECTIONS", "1")
        .with("MEYDAN_MAIL__TRANSPORT", "off")
        .with("MEYDAN_AUTH__OAUTH__FACEBOOK__CLIENT_ID", "a client")
        .with(
            "MEYDAN_AUTH__OAUTH__FACEBOOK__CLIENT_SECRET",
            "a secret of that client",
        )
        .with("MEYDAN_ADMIN_EMAIL", "root@example.com")
        .with("MEYDAN_ADMIN_PASSWORD", PASSWORD);
    let node = home.start().await?;
    let root = person(
        &node
            .log_in("root@example.com", PASSWORD)
            .await?
            .expect(200)?,
    )?;
    let mut look = Look {
        node: &node,
        tls: Tls::Behind,
        seen: BTreeSet::new(),
    };
    look.pages().await?;
    look.upgrades().await?;
    look.provider().await?;
    // Some operations log their caller out, so the rest comes before.
    look.refusals(&root.credential()).await?;
    look.operations(&root.credential()).await?;
    let missing: Vec<u16> = STATUSES
        .into_iter()
        .filter(|status| !look.seen.contains(status))
        .collect();
    ensure!(
        missing.is_empty(),
        "never seen: {missing:?} of {:?}",
        look.seen
    );
    let client = Client::new(ops);
    for path in ["/metrics", "/readyz", "/livez", "/nowhere"] {
        let reply = client.call("GET", path, (), Value::Null).await?;
        look.at("the listener of operators", path, &reply)?;
        let reply = client.call("POST", path, (), json!({})).await?;
        look.at("the listener of operators", path, &reply)?;
    }
    node.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn s24_headers_stand_on_the_pages_of_development() -> Result<()> {
    let home = Home::new("dev-headers")?;
    let node = home.start().await?;
    let ayse = node.sign_up("ayse").await?;
    let mut look = Look {
        node: &node,
        tls: Tls::Without,
        seen: BTreeSet::new(),
    };
    look.pages().await?;
    for path in ["/dev/outbox", "/dev/outbox.json", "/metrics"] {
        look.get(path).await?.expect(200)?;
        look.call("POST", path, (), &[], json!({}))
            .await?
            .expect(405)?;
    }
    for path in [
        "/v1/users/@me",
        "/v1/users/@me/devices",
        "/api/v10/users/@me",
    ] {
        look.call("GET", path, ayse.credential(), &[], Value::Null)
            .await?
            .expect(200)?;
    }
    node.stop()
}
