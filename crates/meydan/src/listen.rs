//! The listeners: the one for everybody and, where it is set, the operator's own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use runtime::disk::Space;
use runtime::health::Registry;
use runtime::{Lifecycle, Module};
use tokio::net::TcpListener;
use web_kit::{Details, Scrape, StackOptions, Table};

use crate::config::Config;
use crate::settings;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("listening on {address}")]
    Listen {
        address: SocketAddr,
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
    ops: Option<TcpListener>,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Self, Error> {
        let address = (config.http.listen, config.http.port).into();
        let main = bind(address).await?;
        let addr = main
            .local_addr()
            .map_err(|source| Error::Listen { address, source })?;
        let ops = match config.http.ops_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        Ok(Listeners { main, addr, ops })
    }

    /// Serves the modules, the pages, the documentation and what operators ask. Ends when the last
    /// request is answered.
    pub(crate) fn serve(
        self,
        config: &Config,
        mut options: StackOptions,
        lifecycle: &Lifecycle,
        (tables, undocumented): (&[Table], Option<Table>),
        modules: Vec<Module>,
    ) -> Result<impl Future<Output = ()> + use<>, Error> {
        let document = Table::openapi(&tables.iter().collect::<Vec<_>>());
        let mut router = crate::pages::table()
            .router()
            .merge(web_kit::docs(&document)?);
        if let Some(table) = undocumented {
            router = router.merge(table.router());
        }
        let mut checks = Vec::new();
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
        if let Some(listener) = self.ops {
            let router = web_kit::ops(registry, scrape(), Details::ToEverybody);
            let router = web_kit::stack(router, options.clone());
            let served = web_kit::serve(listener, router, bounds, lifecycle.clone());
            runtime::spawn(lifecycle, "http.ops", served);
        }
        let router = web_kit::stack(router, options);
        Ok(web_kit::serve(self.main, router, bounds, lifecycle.clone()))
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

async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })
}

fn scrape() -> Scrape {
    let handle = runtime::telemetry::metrics();
    Arc::new(move || handle.render())
}
