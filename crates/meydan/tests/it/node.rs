//! A running `meydan up` and the people on it.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::gateway::Gateway;
use testkit::http::{Client, Credential, Reply};
use testkit::servers::{Scratch, Server, free_port};

/// How long a start may take on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);

/// The binary with nothing inherited but a path: the machine's settings are not this test's.
pub(crate) fn meydan(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meydan"));
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("HOME", folder)
        // Nodes of other tests run beside this one.
        .env("MEYDAN_GRPC__PORT", "0")
        .current_dir(folder);
    // Where the statements that ran are noted, if this run of tests asks for it.
    if let Some(notes) = std::env::var_os("MEYDAN_TEST_STATEMENTS") {
        command.env("MEYDAN_TEST_STATEMENTS", notes);
    }
    command
}

/// A folder in which nodes live one after the other.
pub(crate) struct Home {
    scratch: Scratch,
    pub(crate) port: u16,
}

impl Home {
    pub(crate) fn new(label: &str) -> Result<Self> {
        Ok(Home {
            scratch: Scratch::new(label)?,
            port: free_port()?,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// A command of the operator on this home's data.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.operator(arguments).output()?)
    }

    /// The same with something to read on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.operator(arguments);
        let piped = std::process::Stdio::piped;
        command.stdin(piped()).stdout(piped()).stderr(piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        Ok(child.wait_with_output()?)
    }

    fn operator(&self, arguments: &[&str]) -> Command {
        let data = format!("storage.data_dir={}", self.data().display());
        let port = format!("http.port={}", self.port);
        let mut command = meydan(self.path());
        command
            .args(arguments)
            .args(["--set", &data, "--set", &port]);
        command
    }

    fn command(&self) -> Command {
        let mut command = meydan(self.path());
        command
            .args(["up", "--data"])
            .arg(self.data())
            .args(["--port", &self.port.to_string()])
            // Dozens of accounts come from one address here.
            .env(
                "MEYDAN_AUTH__LIMITS__REGISTRATION_ADDRESS_PER_HOUR",
                "100000",
            )
            .env("MEYDAN_AUTH__PASSWORD__ARGON2_MEMORY", "8MiB");
        command
    }

    /// Starts a node and does not wait for it.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Result<Server> {
        let log = self.path().join("node.log");
        let mut command = self.command();
        command.args(arguments);
        Server::spawn(command, log, Signal::SIGTERM)
    }

    /// Starts a node and waits until it is ready.
    pub(crate) async fn start(&self) -> Result<Node> {
        self.start_with(&[]).await
    }

    /// The same with more arguments of `up`.
    pub(crate) async fn start_with(&self, arguments: &[&str]) -> Result<Node> {
        let mut server = self.spawn(arguments)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let client = Client::new(address);
        let deadline = tokio::time::Instant::now() + START_WITHIN;
        loop {
            let asked = client.call("GET", "/readyz", (), Value::Null).await;
            if asked.is_ok_and(|reply| reply.status == 200) {
                return Ok(Node {
                    server,
                    address,
                    client,
                });
            }
            ensure!(!server.has_ended()?, "the node ended: {}", server.tail());
            let late = tokio::time::Instant::now() > deadline;
            ensure!(!late, "the node is not ready: {}", server.tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A node that serves.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
}

/// Somebody with an account.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
}

impl Person {
    pub(crate) fn credential(&self) -> Credential {
        Credential::Header(format!("Bearer {}", self.token))
    }
}

impl Node {
    /// Tries to log somebody in.
    pub(crate) async fn log_in(&self, name: &str, password: &str) -> Result<Reply> {
        let body = json!({"identifier": name, "password": password});
        self.client.call("POST", "/v1/auth/login", (), body).await
    }

    /// Signs somebody up.
    pub(crate) async fn sign_up(&self, name: &str) -> Result<Person> {
        let body = json!({
            "email": format!("{name}@example.com"),
            "password": format!("kırmızı bisiklet yokuşu {name}"),
            "username": name,
            "display_name": name,
            "consents": [],
        });
        let reply = self
            .client
            .call("POST", "/v1/auth/registrations", (), body)
            .await?;
        person(&reply.expect(201)?)
    }

    pub(crate) async fn call(
        &self,
        who: &Person,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Reply> {
        let path = format!("/api/v10{path}");
        self.client
            .call(method, &path, who.credential(), body)
            .await
    }

    /// A call that must succeed, and what it answers.
    pub(crate) async fn done(
        &self,
        who: &Person,
        method: &str,
        path: &str,
        body: Value,
    ) -> Result<Value> {
        let reply = self.call(who, method, path, body).await?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        ensure!(
            reply.status.is_success(),
            "{method} {path}: {} {text}",
            reply.status
        );
        Ok(reply.json)
    }

    /// A community of `owner` and its first channel.
    pub(crate) async fn community(&self, owner: &Person) -> Result<(String, String)> {
        let guild = self
            .done(owner, "POST", "/guilds", json!({"name": "Meydan"}))
            .await?;
        let guild = text(&guild["id"]);
        let path = format!("/guilds/{guild}/channels");
        let channels = self.done(owner, "GET", &path, Value::Null).await?;
        Ok((guild, text(&channels[0]["id"])))
    }

    /// Brings `guest` in by an invite of `owner`.
    pub(crate) async fn join(&self, owner: &Person, channel: &str, guest: &Person) -> Result<()> {
        let path = format!("/channels/{channel}/invites");
        let invite = self.done(owner, "POST", &path, json!({})).await?;
        let path = format!("/invites/{}", text(&invite["code"]));
        self.done(guest, "POST", &path, Value::Null).await.map(drop)
    }

    /// A session of somebody with one community.
    pub(crate) async fn connect(&self, who: &Person) -> Result<(Gateway, Value)> {
        let d = json!({"token": who.token, "intents": 0xffff});
        let (mut gateway, ready) = Gateway::identify(self.address, d).await?;
        for _ in 0..ready["guilds"].as_array().map_or(0, Vec::len) {
            gateway.expect("GUILD_CREATE").await?;
        }
        Ok((gateway, ready))
    }

    /// SIGTERM, then the exit code.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.server.signal(Signal::SIGTERM)?;
        let code = self.server.wait(Duration::from_secs(30))?;
        ensure!(code == Some(0), "exit {code:?}: {}", self.server.tail());
        Ok(())
    }
}

pub(crate) fn person(reply: &Reply) -> Result<Person> {
    let field = |name: &str| {
        reply.json[name]
            .as_str()
            .map(ToOwned::to_owned)
            .context("a field")
    };
    Ok(Person {
        id: field("user_id")?,
        token: field("access_token")?,
        refresh: field("refresh_token")?,
    })
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
