//! A running `meydan up` and the people on it.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
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

/// What a busy machine may add to a limit; whoever needs it is late all the same.
const SLACK: Duration = Duration::from_secs(2);
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

/// The root secret of nodes that share a database.
const SECRET: &str = "a root secret that all processes of a test know";

/// A folder in which nodes live one after the other.
pub(crate) struct Home {
    scratch: Scratch,
    pub(crate) port: u16,
    pub(crate) grpc_port: u16,
    /// `up`, or `serve` where the database is somebody else's.
    verb: &'static str,
    /// Of everything that runs here.
    variables: Vec<(&'static str, String)>,
}

impl Home {
    pub(crate) fn new(label: &str) -> Result<Self> {
        Ok(Home {
            scratch: Scratch::new(label)?,
            port: free_port()?,
            grpc_port: 0,
            verb: "up",
            variables: Vec::new(),
        })
    }

    /// With a variable in the environment of everything that runs here.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// With a port for gRPC that is known beforehand.
    pub(crate) fn with_grpc(mut self) -> Result<Self> {
        self.grpc_port = free_port()?;
        let port = self.grpc_port.to_string();
        Ok(self.with("MEYDAN_GRPC__PORT", port))
    }

    /// On a database that somebody else runs, whose URL this is.
    pub(crate) fn on(self, database: &str) -> Self {
        self.with("MEYDAN_DATABASE__URL", database)
            .with("MEYDAN_AUTH__JWT__SECRET", SECRET)
            .with("MEYDAN_ENV", "dev")
    }

    /// For processes of `meydan serve`, which can be several on one database.
    pub(crate) fn serving(mut self) -> Self {
        self.verb = "serve";
        let (data, port) = (self.data().display().to_string(), self.port.to_string());
        self.with("MEYDAN_STORAGE__DATA_DIR", data)
            .with("MEYDAN_HTTP__PORT", port)
    }

    /// Two for processes on one database, which is brought up to date. There is no fanout between
    /// them, as when the bus is down.
    pub(crate) fn pair(database: &str) -> Result<[Self; 2]> {
        let home = |label| -> Result<Self> { Home::new(label)?.on(database).serving().with_grpc() };
        let homes = [home("here")?, home("there")?];
        let [first, _] = &homes;
        let output = first.run(&["migrate"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        Ok(homes)
    }

    pub(crate) fn path(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The database of the node that runs here, with every right.
    pub(crate) fn database(&self) -> Result<db::Db> {
        let read = |name: &str| std::fs::read_to_string(self.data().join(name));
        let node: Value = serde_json::from_str(&read("run/node.json")?)?;
        let (socket, password) = (text(&node["socket"]), read("secrets/pg.password")?);
        let password = password.trim();
        let url =
            format!("host={socket} port=5432 user=meydan password={password} dbname=postgres");
        Ok(db::Db::connect(&db::Settings::new(url))?)
    }

    /// A command of the operator on this home's data.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.operator(arguments).output()?)
    }

    /// The same with something to read on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Result<Output> {
        fed(self.operator(arguments), input)
    }

    /// The same at a terminal, where somebody types the input; what is said and what is data come
    /// together there.
    pub(crate) fn run_on_terminal(&self, arguments: &[&str], input: &str) -> Result<Output> {
        const SPAWN: &str =
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let command = self.operator(arguments);
        let mut terminal = Command::new("python3");
        terminal
            .args(["-c", SPAWN])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .current_dir(self.path());
        fed(terminal, input)
    }

    pub(crate) fn operator(&self, arguments: &[&str]) -> Command {
        let data = format!("storage.data_dir={}", self.data().display());
        let port = format!("http.port={}", self.port);
        let mut command = meydan(self.path());
        command
            .args(arguments)
            .args(["--set", &data, "--set", &port])
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn command(&self) -> Command {
        let mut command = meydan(self.path());
        command.arg(self.verb);
        if self.verb == "up" {
            command.arg("--data").arg(self.data());
            command.args(["--port", &self.port.to_string()]);
        }
        command
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
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
        Node::ready(self.spawn(arguments)?, self.port).await
    }
}

/// Runs a command to its end with something on its standard input.
fn fed(mut command: Command, input: &str) -> Result<Output> {
    let piped = std::process::Stdio::piped;
    command.stdin(piped()).stdout(piped()).stderr(piped());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    Ok(child.wait_with_output()?)
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
    /// Waits until a server is ready that listens on this port.
    pub(crate) async fn ready(mut server: Server, port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
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

/// What an export holds: rows by `context.table`.
pub(crate) type Export = BTreeMap<String, Vec<Value>>;

pub(crate) fn unpacked(bytes: &[u8]) -> Result<Export> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut export = Export::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        let mut rows = String::new();
        file.read_to_string(&mut rows)?;
        let name = file.name()?.replace('/', ".");
        let name = name.strip_suffix(".json").context("a JSON file")?;
        export.insert(name.to_owned(), serde_json::from_str(&rows)?);
    }
    Ok(export)
}

/// Waits for something that must happen within a limit. The machine that tests run on may be busy
/// with others, so it is given a little more; the message tells the limit.
pub(crate) async fn within<T>(
    what: &str,
    limit: Duration,
    event: impl Future<Output = Result<T>>,
) -> Result<T> {
    let waited = tokio::time::timeout(limit + SLACK, event).await;
    let late = || format!("{what}: not within {limit:?}, nor {SLACK:?} later");
    waited.with_context(late)?.with_context(|| what.to_owned())
}
