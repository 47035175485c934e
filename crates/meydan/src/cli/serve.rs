//! `meydan serve`: named services on a shared database. Never starts PostgreSQL, never migrates.

use std::time::Duration;

use clap::Args;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use runtime::{Drain, Lifecycle};

use super::Context;
use super::exit::{Exit, Fail};
use super::local::Local;
use crate::compose::Error;
use crate::config::{Config, LogFormat, Role};
use crate::demo;
use crate::listen;
use crate::parts::{Contents, Parts, Running, Selection, Service};

/// Pause between two looks at the schema while it is behind.
const SCHEMA_POLL: Duration = Duration::from_secs(2);

/// Services of one process, on a shared database.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meydan serve --only messaging,realtime\n  \
                        meydan serve --except realtime")]
pub(crate) struct Serve {
    /// Run these services.
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "except")]
    only: Vec<Service>,
    /// Run all services but these.
    #[arg(long, value_enum, value_delimiter = ',')]
    except: Vec<Service>,
}

impl Serve {
    fn selection(&self) -> Result<Selection, Fail> {
        let selection = if self.only.is_empty() {
            Selection::except(&self.except)
        } else {
            Selection::only(&self.only)
        };
        selection.ok_or_else(|| Fail::new(Exit::Usage, "no service is left to run"))
    }

    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Fail> {
        let selection = self.selection()?;
        let loaded = context.load(&context.request(Role::Service, Vec::new()))?;
        let _logs = Logs::begin(&loaded.config)?;
        for notice in &loaded.notices {
            tracing::warn!("{notice}");
        }
        super::block_on(serve(loaded.config, selection))
    }
}

async fn serve(config: Config, selection: Selection) -> Result<Exit, Fail> {
    raise_open_files();
    let lifecycle = Lifecycle::new();
    // Watched from the beginning: a signal while waiting for the schema is an orderly end, too.
    let signals = runtime::signals(&lifecycle, config.http.drain_deadline);
    tokio::pin!(signals);
    tokio::select! {
        drain = &mut signals => return exit_of(drain),
        started = begin(&config, selection, &lifecycle) => started?,
    }
    exit_of(signals.await)
}

async fn begin(config: &Config, selection: Selection, lifecycle: &Lifecycle) -> Result<(), Fail> {
    let Local {
        database, direct, ..
    } = Local::yours(config);
    wait_for_schema(&direct).await?;
    let names = selection.names();
    // `serve` is refused without the setting, so nothing is made or kept here.
    let root_secret = super::local::root_secret(config, &kernel::SystemRng)?;
    let parts = Parts {
        selection,
        database,
        direct,
        root_secret,
        contents: Contents::AsIs,
    };
    let running = start(config, parts, lifecycle).await?;
    let internal = running.internal.map(tracing::field::display);
    tracing::info!(services = names, address = %running.addr, internal, "ready");
    Ok(())
}

/// Waits until the schema is what this version needs; says what to do meanwhile.
async fn wait_for_schema(direct: &db::Settings) -> Result<(), Fail> {
    let all = crate::compose::migrations();
    loop {
        let steps = db::pending(direct, &all)
            .await
            .map_err(|error| super::migrate::fail(&error))?;
        let Some(first) = steps.first() else {
            return Ok(());
        };
        tracing::warn!(
            pending = steps.len(),
            "schema {} needs {}; run meydan migrate",
            first.schema,
            first.name
        );
        tokio::time::sleep(SCHEMA_POLL).await;
    }
}

/// Builds the contexts and binds; tells the service manager when all is ready.
pub(super) async fn start(
    config: &Config,
    parts: Parts,
    lifecycle: &Lifecycle,
) -> Result<Running, Fail> {
    let started = crate::compose::start(config, parts, lifecycle.clone()).await;
    let running = started.map_err(|error| not_started(&anyhow::Error::from(error)))?;
    runtime::telemetry::notify_ready();
    Ok(running)
}

fn not_started(error: &anyhow::Error) -> Fail {
    if let Some(Error::Demo(demo::Error::InProduction)) = error.downcast_ref() {
        return Fail::new(Exit::Config, error.to_string())
            .hint("start with another data directory: --data DIR");
    }
    if let Some(Error::Serve(listen::Error::Listen {
        address,
        setting,
        source,
    })) = error.downcast_ref()
        && source.kind() == std::io::ErrorKind::AddrInUse
    {
        return super::network::port_in_use(*address, setting);
    }
    Fail::new(Exit::Failure, format!("{error:#}")).hint("meydan doctor")
}

/// The exit after a shutdown that signals asked for.
pub(super) fn exit_of(drain: std::io::Result<Drain>) -> Result<Exit, Fail> {
    match drain {
        Ok(Drain::Drained) => Ok(Exit::Done),
        Ok(Drain::TimedOut) => Ok(Exit::Failure),
        Err(error) => Err(Fail::caused(
            Exit::Failure,
            "installing signal handlers",
            &error,
        )),
    }
}

/// Who reads the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    ForEyes,
    ForMachines,
}

impl Logs {
    /// Begins logging as the settings say.
    pub(super) fn begin(config: &Config) -> Result<Self, Fail> {
        use runtime::telemetry::Format;
        let format = match config.log.format {
            LogFormat::Auto => Format::detect(),
            LogFormat::Pretty => Format::Pretty,
            LogFormat::Json => Format::Json,
        };
        runtime::telemetry::init(format, &config.log.level)
            .map_err(|error| Fail::caused(Exit::Config, "log.level", &error))?;
        Ok(match format {
            Format::Pretty => Self::ForEyes,
            Format::Json => Self::ForMachines,
        })
    }
}

/// Sockets are files: takes as many as this user may have without asking.
pub(super) fn raise_open_files() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(error = %error, soft, hard, "the open-file limit stays as it is");
    }
}
