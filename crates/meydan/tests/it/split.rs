//! Services in processes of their own: who does not run identity asks the process that does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kernel::{SystemRng, UserId};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::TestDb;
use testkit::gateway::{Frame, Gateway};
use testkit::http::Credential;
use testkit::servers::{Scratch, Server, eventually, free_port};

use crate::node::{Node, Person, meydan, person, text};

/// Where somebody's communities are listed: a route of the process without identity.
const GUILDS: &str = "/api/v10/users/@me/guilds";
/// A route there that knows API keys, and lets none in.
const ACTIVITY: &str = "/v1/users/@me/activity";
/// How soon a sign-out must be known everywhere.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
/// How soon everything else must show.
const SOON: Duration = Duration::from_secs(20);

/// Two processes on one database.
struct Split {
    scratch: Scratch,
    database: TestDb,
    identity: u16,
    rest: u16,
    internal: u16,
}

impl Split {
    async fn new() -> Result<Self> {
        let split = Split {
            scratch: Scratch::new("split")?,
            database: TestDb::empty().await?,
            identity: free_port()?,
            rest: free_port()?,
            internal: free_port()?,
        };
        let migrated = split.command(&["migrate"]).output()?;
        let said = String::from_utf8_lossy(&migrated.stderr);
        ensure!(migrated.status.success(), "{said}");
        Ok(split)
    }

    /// A command with the settings that all processes share.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let at = format!("127.0.0.1:{}", self.internal);
        let mut command = meydan(self.scratch.path());
        command
            .args(arguments)
            .env("MEYDAN_ENV", "dev")
            .env("MEYDAN_DATABASE__URL", self.database.url())
            .env(
                "MEYDAN_AUTH__JWT__SECRET",
                "a root secret of at least 32 bytes",
            )
            .env("MEYDAN_AUTH__PASSWORD__ARGON2_MEMORY", "8MiB")
            .env("MEYDAN_INTERNAL__IDENTITY", format!("http://{at}"))
            .env("MEYDAN_INTERNAL__BIND", at);
        command
    }

    async fn serve(&self, log: &str, which: &str, port: u16) -> Result<Node> {
        let mut command = self.command(&["serve", which, "identity"]);
        command.env("MEYDAN_HTTP__PORT", port.to_string());
        let server = Server::spawn(command, self.scratch.path().join(log), Signal::SIGTERM)?;
        Node::ready(server, port).await
    }

    async fn serve_identity(&self) -> Result<Node> {
        self.serve("identity.log", "--only", self.identity).await
    }

    async fn serve_rest(&self) -> Result<Node> {
        self.serve("rest.log", "--except", self.rest).await
    }
}

async fn status(node: &Node, path: &str, who: &Credential) -> Result<u16> {
    let reply = node.client.call("GET", path, who.clone(), Value::Null);
    Ok(reply.await?.status.as_u16())
}

/// Waits until `path` answers so.
async fn until(
    node: &Node,
    path: &str,
    who: &Credential,
    expected: u16,
    limit: Duration,
) -> Result<()> {
    let what = format!("{expected} at {path}");
    let asked = || async { status(node, path, who).await.is_ok_and(|it| it == expected) };
    eventually(&what, limit, asked).await
}

/// Logs a page in and gives its cookie.
async fn cookie(identity: &Node, name: &str) -> Result<String> {
    let body = json!({
        "identifier": name, "password": format!("kırmızı bisiklet yokuşu {name}"),
        "session": "cookie",
    });
    let page = [("sec-fetch-site", "same-origin")];
    let reply = identity
        .client
        .call_with("POST", "/v1/auth/login", (), &page, body)
        .await?
        .expect(200)?;
    let set = reply.header("set-cookie").context("a cookie")?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}

async fn status_of_cookie(node: &Node, cookie: &str) -> Result<u16> {
    let headers = [("cookie", cookie)];
    let reply = node
        .client
        .call_with("GET", GUILDS, (), &headers, Value::Null);
    Ok(reply.await?.status.as_u16())
}

/// A fresh key of somebody.
async fn api_key(identity: &Node, who: &Person) -> Result<Credential> {
    let body = json!({"name": "nightly", "scopes": ["profile:read"], "expires_in_days": 1});
    let path = "/v1/users/@me/api-keys";
    let reply = identity
        .client
        .call("POST", path, who.credential(), body)
        .await?;
    Ok(bearer(&text(&reply.expect(201)?.json["key"])))
}

fn bearer(token: &str) -> Credential {
    Credential::Header(format!("Bearer {token}"))
}

/// A bot of somebody.
async fn bot(rest: &Node, owner: &Person) -> Result<Credential> {
    let made = rest
        .done(owner, "POST", "/applications", json!({"name": "Yardımcı"}))
        .await?;
    Ok(Credential::Header(format!("Bot {}", text(&made["token"]))))
}

/// What readiness says of one check.
async fn check(node: &Node, name: &str) -> Result<String> {
    let readiness = node.client.call("GET", "/readyz", (), Value::Null).await?;
    let readiness = readiness.expect(200)?.json;
    let checks = readiness["checks"].as_array().context("checks")?;
    let check = checks.iter().find(|check| check["check"] == name);
    Ok(text(&check.context("a check of this name")?["status"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_process_without_identity_asks_the_one_that_has_it() -> Result<()> {
    let split = Split::new().await?;
    // They may start in any order: until identity is there, nobody's token is called bad.
    let rest = split.serve_rest().await?;
    let stranger = bearer(&testkit::http::token(UserId::new(7))?);
    assert_eq!(status(&rest, GUILDS, &stranger).await?, 503);
    let identity = split.serve_identity().await?;
    until(&rest, GUILDS, &stranger, 401, SOON).await?;

    let ayse = identity.sign_up("ayse").await?;
    let (_, channel) = rest.community(&ayse).await?;
    let unknown = bearer(&kernel::api_key::make(&SystemRng));
    assert_eq!(status(&rest, ACTIVITY, &unknown).await?, 401);
    let known = api_key(&identity, &ayse).await?;
    assert_eq!(
        status(&rest, ACTIVITY, &known).await?,
        403,
        "known, without a scope for this"
    );
    let cookie = cookie(&identity, "ayse").await?;
    assert_eq!(status_of_cookie(&rest, &cookie).await?, 200);
    let path = "/v1/auth/ws-tickets";
    let ticket = identity
        .client
        .call("POST", path, ayse.credential(), Value::Null);
    let ticket = text(&ticket.await?.expect(201)?.json["ticket"]);
    let d = json!({"token": ticket, "intents": 1 | (1 << 9)});
    let (mut gateway, _) = Gateway::identify(rest.address, d).await?;
    gateway.expect("GUILD_CREATE").await?;
    let bot = bot(&rest, &ayse).await?;

    // A sign-out there is known here.
    let password = "kırmızı bisiklet yokuşu ayse";
    let phone = person(&identity.log_in("ayse", password).await?.expect(200)?)?;
    assert_eq!(status(&rest, GUILDS, &phone.credential()).await?, 200);
    let body = json!({"refresh_token": phone.refresh});
    let out = identity.client.call("POST", "/v1/auth/logout", (), body);
    out.await?.expect(204)?;
    until(&rest, GUILDS, &phone.credential(), 401, REVOKED_WITHIN).await?;

    // While identity is away: what can be judged is, and of the rest nothing is said.
    let mut identity = identity;
    identity.server.kill_hard()?;
    until(&rest, GUILDS, &ayse.credential(), 503, SOON).await?;
    let (signed, _) = ayse.token.rsplit_once('.').context("a signature")?;
    let forged = bearer(&format!("{signed}.{}", "A".repeat(86)));
    assert_eq!(status(&rest, GUILDS, &forged).await?, 401);
    assert_eq!(
        status(&rest, GUILDS, &phone.credential()).await?,
        401,
        "signed out before"
    );
    assert_eq!(status(&rest, GUILDS, &bot).await?, 200);
    assert_eq!(
        status(&rest, "/api/v10/gateway", &Credential::Nobody).await?,
        200
    );
    let another = bearer(&kernel::api_key::make(&SystemRng));
    assert_eq!(status(&rest, ACTIVITY, &another).await?, 503);
    assert_eq!(status_of_cookie(&rest, &cookie).await?, 503);
    let mut socket = Gateway::connect(rest.address).await?;
    socket
        .send(2, json!({"token": ayse.token, "intents": 1}))
        .await?;
    assert_eq!(socket.frame().await?, Frame::Closed(4000));
    assert_eq!(check(&rest, "credentials").await?, "degraded");

    // When it is back nobody has to log in anew, and the socket of before still lives.
    let identity = split.serve_identity().await?;
    until(&rest, GUILDS, &ayse.credential(), 200, SOON).await?;
    assert_eq!(status_of_cookie(&rest, &cookie).await?, 200);
    let said = json!({"content": "geri döndük"});
    let path = format!("/channels/{channel}/messages");
    rest.done(&ayse, "POST", &path, said).await?;
    let heard = gateway.skip_to("MESSAGE_CREATE").await?;
    assert_eq!(heard["content"], "geri döndük");
    rest.stop()?;
    identity.stop()
}
