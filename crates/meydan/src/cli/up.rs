//! `meydan up`: everything in one process.
//!
//! Order: settings, lock of the data directory, private PostgreSQL, migrations, contexts, listener,
//! ready. A failure prints its cause and the next command.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use runtime::Lifecycle;
use tokio::time::Instant;

use super::Context;
use super::exit::{Exit, Fail};
use super::local::{self, Local, Owned};
use super::screen::{self, Facts};
use super::serve::{self, Logs};
use crate::config::{Loaded, Request, Role};
use crate::parts::{Contents, Parts, Running, Selection};

/// How long a start that failed may take to undo itself.
const LEAVE: Duration = Duration::from_secs(5);

/// Everything on this computer, with a database of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meydan up\n  meydan up --demo                  people and talk to look at\n  meydan up --port 3001 --data ./other-data\n  \
                        meydan up --listen 0.0.0.0        open it to the local network"
)]
pub(crate) struct Up {
    /// Data directory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR")]
    listen: Option<IpAddr>,
    /// Port to listen on.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Fill an empty installation with a small demo world; on this computer only.
    #[arg(long)]
    demo: bool,
}

impl Up {
    fn flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let data = self
            .data
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned());
        [
            ("storage.data_dir", "--data", data),
            (
                "http.listen",
                "--listen",
                self.listen.map(|address| address.to_string()),
            ),
            (
                "http.port",
                "--port",
                self.port.map(|port| port.to_string()),
            ),
        ]
        .into_iter()
        .filter_map(|(key, flag, value)| value.map(|value| (key, flag, value)))
        .collect()
    }

    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let contents = if self.demo {
            Contents::Demo
        } else {
            Contents::AsIs
        };
        let loaded = context.load(&Request {
            contents,
            ..context.request(Role::Node, self.flags())
        })?;
        let logs = Logs::begin(&loaded.config)?;
        super::block_on(up(context, (loaded, contents), logs))
    }
}

async fn up(
    context: &Context,
    (loaded, contents): (Loaded, Contents),
    logs: Logs,
) -> Result<Exit, Fail> {
    let begun = Instant::now();
    serve::raise_open_files();
    let config = &loaded.config;
    let lifecycle = Lifecycle::new();
    // Watched from the beginning: Ctrl+C during the first start is an orderly end, too.
    let signals = runtime::signals(&lifecycle, config.http.drain_deadline);
    tokio::pin!(signals);
    let local = tokio::select! {
        drain = &mut signals => return serve::exit_of(drain),
        local = Local::open_for_node(config) => local?,
    };
    let result = tokio::select! {
        drain = &mut signals => serve::exit_of(drain),
        started = start(context, (&loaded, contents), &local, &lifecycle, (logs, begun)) => match started {
            Ok(()) => serve::exit_of(signals.await),
            Err(fail) => {
                // What was started before the failure is told to end, too.
                let _drain = lifecycle.shutdown(LEAVE).await;
                Err(fail)
            }
        },
    };
    let closed = local.close().await;
    let exit = result?;
    closed?;
    Ok(exit)
}

async fn start(
    context: &Context,
    (loaded, contents): (&Loaded, Contents),
    local: &Local,
    lifecycle: &Lifecycle,
    (logs, begun): (Logs, Instant),
) -> Result<(), Fail> {
    local.migrate().await?;
    if let Some(postgres) = &local.owned.postgres {
        let (postgres, soft) = (Arc::clone(postgres), lifecycle.soft().clone());
        runtime::spawn(lifecycle, "postgres.supervise", async move {
            postgres.supervise(soft).await;
        });
    }
    let parts = Parts {
        selection: Selection::all(),
        database: local.database.clone(),
        direct: local.direct.clone(),
        root_secret: local::root_secret(&loaded.config, &kernel::SystemRng)?,
        contents,
    };
    let running = serve::start(&loaded.config, parts, lifecycle).await?;
    announce(context, loaded, &local.owned, &running, (logs, begun));
    Ok(())
}

fn announce(
    context: &Context,
    loaded: &Loaded,
    owned: &Owned,
    running: &Running,
    (logs, begun): (Logs, Instant),
) {
    let config = &loaded.config;
    let http = config.public_url().to_string();
    let (database, pid) = match &owned.postgres {
        Some(postgres) => {
            let (version, pid) = (postgres.version().to_owned(), postgres.pid());
            (screen::Database::Private { version, pid }, Some(pid))
        }
        None => (screen::Database::Yours, None),
    };
    let facts = Facts {
        version: super::version::VERSION.to_owned(),
        ready_after: begun.elapsed(),
        data_dir: config.storage.data_dir.display().to_string(),
        database,
        public_url: http,
        listen: config.http.listen,
        port: running.addr.port(),
        addresses: super::network::addresses(),
        grpc: running.grpc,
        ops_listen: config.http.ops_listen.map(|address| address.to_string()),
        surfaces: running.surfaces.clone(),
        insecure: config.insecure_defaults(),
        has_admin: running.has_admin,
        setup_token: running.setup_token.clone(),
        outbox: config.keeps_messages(),
        demo: running.demo.clone(),
        notices: loaded.notices.clone(),
    };
    match logs {
        Logs::ForEyes => {
            let screen = facts.lines(context.out.color).join("\n");
            context.out.say(&screen);
        }
        Logs::ForMachines => facts.log(pid),
    }
}
