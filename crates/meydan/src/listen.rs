//! The listeners: the one for everybody, the one for gRPC and, where they are set, those for other
//! processes and for the operator.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use contracts::{Auth, Credentials, ServiceTokens};
use futures::future::OptionFuture;
use rpc::Reflection;
use runtime::disk::Space;
use runtime::health::Registry;
use runtime::{Check, Lifecycle, Module};
use tokio::net::TcpListener;
use web_kit::{Details, Scrape, StackOptions, Table};

use crate::config::Config;
use crate::parts::{Selection, Service};
use crate::settings;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("listening on {address}")]
    Listen {
        address: SocketAddr,
        /// Where another port is chosen.
        setting: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("writing the API document")]
    Document(#[from] serde_json::Error),
    #[error("reading the free space of {folder}")]
    Disk {
        folder: String,
        #[source]
        source: io::Error,
    },
}

/// The sockets to listen on, bound before anything is started.
pub(crate) struct Listeners {
    main: TcpListener,
    pub(crate) addr: SocketAddr,
    grpc: Option<TcpListener>,
    pub(crate) grpc_addr: Option<SocketAddr>,
    internal: Option<TcpListener>,
    pub(crate) internal_addr: Option<SocketAddr>,
    ops: Option<TcpListener>,
}

/// Identity, as gRPC needs it.
pub(crate) struct Door {
    auth: Arc<dyn Auth>,
    credentials: Arc<dyn Credentials>,
    tokens: Arc<dyn ServiceTokens>,
}

impl Door {
    pub(crate) fn of(identity: &Arc<identity::Identity>) -> Self {
        Door {
            auth: identity.clone(),
            credentials: identity.clone(),
            tokens: identity.clone(),
        }
    }
}

impl Listeners {
    /// Binds those that are set; gRPC, also for other processes, only where identity runs.
    pub(crate) async fn bind(config: &Config, selection: &Selection) -> Result<Self, Error> {
        let address = (config.http.listen, config.http.port).into();
        let (main, addr) = bind(address, "http.port").await?;
        let here = selection.has(Service::Identity);
        let grpc = config.grpc_address().filter(|_| here);
        let grpc = bind_if(grpc, "grpc.port").await?;
        let internal = config.internal.bind.filter(|_| here);
        let internal = bind_if(internal, "internal.bind").await?;
        let ops = bind_if(config.http.ops_listen, "http.ops_listen").await?;
        Ok(Listeners {
            main,
            addr,
            grpc_addr: grpc.as_ref().map(|(_, address)| *address),
            grpc: grpc.map(|(listener, _)| listener),
            internal_addr: internal.as_ref().map(|(_, address)| *address),
            internal: internal.map(|(listener, _)| listener),
            ops: ops.map(|(listener, _)| listener),
        })
    }

    /// Serves the modules, the pages, the documentation and what operators ask. Ends when the last
    /// request is answered.
    pub(crate) fn serve(
        self,
        config: &Config,
        mut options: StackOptions,
        lifecycle: &Lifecycle,
        (tables, undocumented): (&[Table], Option<Table>),
        (modules, check): (Vec<Module>, Option<Check>),
        door: Door,
    ) -> Result<impl Future<Output = ()> + use<>, Error> {
        let document = Table::openapi(&tables.iter().collect::<Vec<_>>());
        let mut router = crate::pages::table()
            .router()
            .merge(web_kit::docs(&document)?);
        if let Some(table) = undocumented {
            router = router.merge(table.router());
        }
        let mut checks = Vec::from_iter(check);
        for mut module in modules {
            router = router.merge(module.routes);
            checks.append(&mut module.health);
        }
        if let Some(space) = space(config)? {
            options.storage = Some(space.guard());
            checks.push(space.check());
        }
        let registry = Registry::new(lifecycle, Arc::clone(&options.clock), checks);
        let details = if self.ops.is_some() {
            Details::ToNobody
        } else {
            Details::ToThisMachine
        };
        let router = router.merge(web_kit::ops(registry.clone(), scrape(), details));
        let bounds = settings::serve_options(config);
        let internal = self
            .internal
            .map(|listener| internal(listener, config, &options, &door, lifecycle));
        let grpc = self
            .grpc
            .map(|listener| grpc(listener, config, &options, door, &registry, lifecycle));
        if let Some(listener) = self.ops {
            let router = web_kit::ops(registry, scrape(), Details::ToEverybody);
            let router = web_kit::stack(router, options.clone());
            let served = web_kit::serve(listener, router, bounds, lifecycle.clone());
            runtime::spawn(lifecycle, "http.ops", served);
        }
        let router = web_kit::stack(router, options);
        let web = web_kit::serve(self.main, router, bounds, lifecycle.clone());
        Ok(async move {
            let (grpc, internal) = (OptionFuture::from(grpc), OptionFuture::from(internal));
            futures::join!(web, grpc, internal);
        })
    }
}

/// Serves gRPC to clients.
fn grpc(
    listener: TcpListener,
    config: &Config,
    web: &StackOptions,
    door: Door,
    registry: &Registry,
    lifecycle: &Lifecycle,
) -> impl Future<Output = ()> + use<> {
    let options = grpc_options(config, web, &door);
    let services = rpc::Services {
        auth: door.auth,
        health: registry.clone(),
        reflection: if config.dev_mode() {
            Reflection::On
        } else {
            Reflection::Off
        },
    };
    rpc::serve(listener, services, options, lifecycle.clone())
}

/// Serves gRPC to other processes of the installation.
fn internal(
    listener: TcpListener,
    config: &Config,
    web: &StackOptions,
    door: &Door,
    lifecycle: &Lifecycle,
) -> impl Future<Output = ()> + use<> {
    let services = rpc::InternalServices {
        credentials: Arc::clone(&door.credentials),
        tokens: Arc::clone(&door.tokens),
    };
    let options = grpc_options(config, web, door);
    rpc::serve_internal(listener, services, options, lifecycle.clone())
}

/// The bounds, the proxies and the verifier of the web listener.
fn grpc_options(config: &Config, web: &StackOptions, door: &Door) -> rpc::Options {
    let (verifier, clock) = (Arc::clone(&web.verifier), Arc::clone(&web.clock));
    let (credentials, rng) = (Arc::clone(&door.credentials), Arc::clone(&web.rng));
    rpc::Options {
        trusted_proxies: web.trusted_proxies.clone(),
        bounds: settings::serve_options(config),
        ..rpc::Options::new(verifier, credentials, clock, rng)
    }
}

/// Free space of the data directory; a node whose data is elsewhere has none to watch.
fn space(config: &Config) -> Result<Option<Arc<Space>>, Error> {
    let folder: &Path = &config.storage.data_dir;
    if !folder.exists() {
        return Ok(None);
    }
    let space = Space::of(folder, config.storage.min_free.bytes());
    let failed = |source| Error::Disk {
        folder: folder.display().to_string(),
        source,
    };
    space.map(Some).map_err(failed)
}

async fn bind_if(
    address: Option<SocketAddr>,
    setting: &'static str,
) -> Result<Option<(TcpListener, SocketAddr)>, Error> {
    match address {
        Some(address) => bind(address, setting).await.map(Some),
        None => Ok(None),
    }
}

async fn bind(
    address: SocketAddr,
    setting: &'static str,
) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Listen {
        address,
        setting,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn scrape() -> Scrape {
    let handle = runtime::telemetry::metrics();
    Arc::new(move || handle.render())
}
