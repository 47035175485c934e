//! Somebody who is logged in on every surface at once: two sockets, two trees of HTTP, a page, gRPC.
//!
//! Production has no gRPC stream for callers (`rpc` tests one); its unary calls stand for it here.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rpc::auth_client::AuthServiceClient;
use rpc::messages::{LogoutAllDevicesRequest, RefreshTokenRequest, ValidateTokenRequest};
use serde_json::{Value, json};
use testkit::gateway::{Frame, Gateway};
use testkit::http::Reply;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use crate::node::{Home, Node, Person, text, within};

/// What a page sends with each request.
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A page with its session.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl Page {
    pub(crate) async fn log_in(node: &Node, name: &str, password: &str) -> Result<Self> {
        let body = json!({"identifier": name, "password": password, "session": "cookie"});
        let login = node
            .client
            .call_with("POST", "/v1/auth/login", (), &[OWN], body)
            .await?
            .expect(200)?;
        let set = login.header("set-cookie").context("a cookie")?;
        Ok(Page {
            cookie: set.split(';').next().unwrap_or_default().to_owned(),
            csrf: text(&login.json["csrf_token"]),
        })
    }

    pub(crate) async fn call(
        &self,
        node: &Node,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Reply> {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("x-csrf-token", self.csrf.as_str()),
            OWN,
        ];
        node.client
            .call_with(method, path, (), &headers, body)
            .await
    }

    /// A ticket for a socket, which works once.
    pub(crate) async fn ticket(&self, node: &Node) -> Result<String> {
        let made = self
            .call(node, "POST", "/v1/auth/ws-tickets", Value::Null)
            .await?;
        Ok(text(&made.expect(201)?.json["ticket"]))
    }
}

/// See the module's text. Each part is a login, or stands on one.
pub(crate) struct Everywhere {
    pub(crate) name: String,
    pub(crate) person: Person,
    pub(crate) page: Page,
    pub(crate) grpc: AuthServiceClient<Channel>,
    socket: Gateway,
    session: String,
    page_socket: Gateway,
    /// Not used yet.
    ticket: String,
}

pub(crate) fn password(name: &str) -> String {
    format!("kırmızı bisiklet yokuşu {name}")
}

/// A client of the gRPC listener of a home.
pub(crate) async fn grpc(home: &Home) -> Result<AuthServiceClient<Channel>> {
    let address = format!("http://127.0.0.1:{}", home.grpc_port);
    let channel = Endpoint::from_shared(address)?.connect().await?;
    Ok(AuthServiceClient::new(channel))
}

impl Everywhere {
    /// Signs somebody up at one node and uses every surface of another, which may be the same.
    pub(crate) async fn of(name: &str, first: &Node, (home, node): (&Home, &Node)) -> Result<Self> {
        let person = first.sign_up(name).await?;
        let page = Page::log_in(node, name, &password(name)).await?;
        let (socket, ready) = node.connect(&person).await?;
        let d = json!({"token": page.ticket(node).await?, "intents": 1});
        let (page_socket, _) = Gateway::identify(node.address, d).await?;
        Ok(Everywhere {
            name: name.to_owned(),
            ticket: page.ticket(node).await?,
            session: text(&ready["session_id"]),
            grpc: grpc(home).await?,
            person,
            page,
            socket,
            page_socket,
        })
    }

    async fn statuses(&self, node: &Node) -> Result<[u16; 3]> {
        let bearer = self.person.credential();
        let client = &node.client;
        let ours = client.call("GET", "/v1/users/@me", bearer.clone(), Value::Null);
        let dialect = client.call("GET", "/api/v10/users/@me", bearer, Value::Null);
        let page = self.page.call(node, "GET", "/v1/users/@me", Value::Null);
        let (ours, dialect, page) = futures::try_join!(ours, dialect, page)?;
        Ok([ours, dialect, page].map(|reply| reply.status.as_u16()))
    }

    async fn is_valid(&mut self) -> Result<bool> {
        let access_token = self.person.token.clone();
        let request = ValidateTokenRequest { access_token };
        let answer = self.grpc.validate_token(request).await?;
        Ok(answer.into_inner().is_valid)
    }

    /// Every surface serves.
    pub(crate) async fn is_alive(&mut self, node: &Node) -> Result<()> {
        let name = self.name.clone();
        let statuses = self.statuses(node).await?;
        ensure!(statuses == [200; 3], "{name}: {statuses:?}");
        ensure!(self.is_valid().await?, "{name}: gRPC");
        self.socket.expect_nothing().await.context(name.clone())?;
        self.page_socket.expect_nothing().await.context(name)
    }

    /// Every surface refuses within the limit: sockets are closed with 4004, requests are 401.
    pub(crate) async fn dies(mut self, node: &Node, limit: Duration) -> Result<()> {
        let name = self.name.clone();
        let (first, second) = futures::join!(
            within("its socket is closed", limit, self.socket.closed()),
            within(
                "the socket of its page is closed",
                limit,
                self.page_socket.closed()
            ),
        );
        let codes = (first.context(name.clone())?, second.context(name.clone())?);
        ensure!(codes == (4004, 4004), "{name}: closed with {codes:?}");
        let refused = async {
            while self.statuses(node).await? != [401; 3] || self.is_valid().await? {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        };
        within("its requests are refused", limit, refused)
            .await
            .context(name.clone())?;
        self.stays_dead(node).await.context(name)
    }

    /// Tries to exchange its refresh token both ways, and to open a socket with a token: the answer,
    /// and the code of the close.
    async fn tries_again(&mut self, node: &Node, code: Code, token: &str) -> Result<(Reply, u16)> {
        let body = json!({"refresh_token": self.person.refresh});
        let path = "/v1/auth/refresh";
        let refresh = node.client.call("POST", path, (), body).await?;
        let request = RefreshTokenRequest {
            refresh_token: self.person.refresh.clone(),
            attempt_id: String::new(),
        };
        let refused = self.grpc.refresh_token(request).await.map(drop);
        ensure!(refused.is_err_and(|status| status.code() == code), "gRPC");
        let mut again = Gateway::connect(node.address).await?;
        again.send(2, json!({"token": token, "intents": 1})).await?;
        let closed = again.closed().await.context("a new socket")?;
        Ok((refresh, closed))
    }

    /// And there is no way back.
    async fn stays_dead(mut self, node: &Node) -> Result<()> {
        let Everywhere { person, ticket, .. } = &self;
        for token in [person.token.clone(), ticket.clone()] {
            let tried = self
                .tries_again(node, Code::Unauthenticated, &token)
                .await?;
            let (refresh, closed) = tried;
            ensure!(refresh.status == 401, "refresh: {}", refresh.status);
            let code = &refresh.json["code"];
            ensure!(code == "REFRESH_INVALID", "refresh: {code}");
            ensure!(closed == 4004, "a new socket: {closed}");
        }
        let access_token = self.person.token.clone();
        let request = LogoutAllDevicesRequest { access_token };
        let refused = self.grpc.logout_all_devices(request).await.map(drop);
        ensure!(refused.is_err_and(|status| status.code() == Code::Unauthenticated));
        let last = self.socket.last.unwrap_or_default();
        let token = &self.person.token;
        let mut resumed = Gateway::resume(node.address, token, &self.session, last).await?;
        ensure!(resumed.closed().await? == 4004, "a resumed socket");
        Ok(())
    }

    /// Comes back to its session again and again, until nobody can judge its login any more.
    pub(crate) async fn resumes_until_refused(&mut self, node: &Node) -> Result<()> {
        loop {
            let last = self.socket.last.unwrap_or_default();
            let token = &self.person.token;
            let mut again = Gateway::resume(node.address, token, &self.session, last).await?;
            match again.frame().await? {
                Frame::Json(frame) if frame["t"] == "RESUMED" => {
                    again.last = frame["s"].as_u64().or(Some(last));
                    self.socket = again;
                }
                Frame::Closed(4000) => return Ok(()),
                other => bail!("a resumed socket: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// While nobody can judge its login: "try again", never "who are you".
    pub(crate) async fn waits(&mut self, node: &Node) -> Result<()> {
        let statuses = self.statuses(node).await?;
        ensure!(statuses == [503; 3], "{statuses:?}");
        let access_token = self.person.token.clone();
        let tried = self
            .tries_again(node, Code::Unavailable, &access_token)
            .await?;
        let (refresh, closed) = tried;
        ensure!(refresh.status == 503, "refresh: {}", refresh.status);
        let pause = refresh.header("retry-after");
        ensure!(pause.is_some(), "no time to come back");
        ensure!(closed == 4000, "a new socket: {closed}");
        let request = ValidateTokenRequest { access_token };
        let refused = self.grpc.validate_token(request).await.map(drop);
        ensure!(refused.is_err_and(|status| status.code() == Code::Unavailable));
        // What is open stays open.
        self.socket.send(1, json!(null)).await?;
        let frame = self.socket.frame().await?;
        ensure!(matches!(frame, Frame::Json(_)), "an open socket: {frame:?}");
        Ok(())
    }
}
