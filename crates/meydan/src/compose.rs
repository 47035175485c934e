//! The composition: the only file that knows all contexts.
//!
//! It builds them in the order in which they call each other, so that a cycle cannot be written:
//! media ← identity ← communities ← messaging, applications ← realtime. Begin with [`start`].

mod alone;
mod catalog;
mod ground;
mod issuers;
mod told;

use std::sync::Arc;

use contracts::{Credentials, PersonalData};
use infra::bus::{Bus, LocalBus};
use kernel::{Failure, WorkerSlot};
use runtime::{Job, Lifecycle, Module};
use secrecy::SecretString;
use web_kit::{StackOptions, Table, TokenVerifier};

use alone::{audit_of, identity_of, media_of};
pub(crate) use catalog::{errors, metrics, migrations};
use ground::Ground;
use told::Told;

use crate::config::Config;
use crate::demo::{self, World};
use crate::listen::{Door, Listeners};
use crate::parts::{Parts, Running, Service};
use crate::{outbox, pages, settings, stores};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("connecting to the database")]
    Database(#[from] db::Error),
    #[error("preparing accounts")]
    Identity(#[from] identity::Error),
    #[error("deriving keys from the root secret")]
    Secret(#[from] identity::SecretError),
    #[error("deriving keys of applications from the root secret")]
    ApplicationSecret(#[from] applications::SecretError),
    #[error("deriving keys of files from the root secret")]
    MediaSecret(#[from] media::SecretError),
    #[error(transparent)]
    AuditSecret(#[from] audit::SecretError),
    #[error("reading internal.identity")]
    Address(#[source] axum::http::uri::InvalidUri),
    #[error("reading http.trusted_proxies")]
    Proxies(#[from] web_kit::NetworkError),
    #[error("writing the API document")]
    Document(#[from] serde_json::Error),
    #[error("subscribing to events")]
    Bus(#[from] infra::bus::BusError),
    #[error("starting a context")]
    Context(#[from] Failure),
    #[error(transparent)]
    Demo(#[from] crate::demo::Error),
    #[error(transparent)]
    Senders(#[from] crate::senders::Error),
    #[error("preparing the store of files")]
    Objects(#[from] infra::objects::ObjectError),
    #[error("preparing calls to other servers")]
    Outbound(#[from] infra::outbound::OutboundError),
    #[error("serving")]
    Serve(#[from] crate::listen::Error),
}

/// The contexts of a process.
pub(crate) struct Contexts {
    pub(crate) identity: Arc<identity::Identity>,
    communities: Arc<communities::Communities>,
    media: Arc<media::Media>,
    messaging: Arc<messaging::Messaging>,
    applications: Arc<applications::Applications>,
    pub(crate) audit: Arc<audit::Audit>,
    /// What the gateway stores about people.
    sessions: Arc<realtime::PersonalRows>,
}

impl Contexts {
    fn build(
        ground: &Ground,
        identity: Arc<identity::Identity>,
        media: Arc<media::Media>,
        told: Told,
    ) -> Self {
        let communities = communities::build(communities::Deps {
            db: ground.db.clone(),
            ids: Arc::clone(&ground.ids),
            clock: Arc::clone(&ground.clock),
            rng: Arc::clone(&ground.rng),
            fanout: Arc::clone(&ground.fanout),
            objects: Arc::clone(&ground.objects),
            media: media.clone(),
            identity: identity.clone(),
            limits: told.communities,
        });
        let messaging = messaging::build(messaging::Deps {
            db: ground.db.clone(),
            ids: Arc::clone(&ground.ids),
            clock: Arc::clone(&ground.clock),
            fanout: Arc::clone(&ground.fanout),
            limiter: Arc::clone(&ground.limiter),
            identity: identity.clone(),
            communities: communities.clone(),
            relations: identity.clone(),
            media: media.clone(),
            moderation: communities.clone(),
            lifecycle: ground.lifecycle.clone(),
            end: ground.end.clone(),
            settings: told.messaging,
        });
        let applications = applications::build(applications::Deps {
            db: ground.db.clone(),
            ids: Arc::clone(&ground.ids),
            clock: Arc::clone(&ground.clock),
            rng: Arc::clone(&ground.rng),
            fanout: Arc::clone(&ground.fanout),
            identity: identity.clone(),
            communities: communities.clone(),
            messaging: messaging.clone(),
            limiter: Arc::clone(&ground.limiter),
            outbound: told.outbound,
            settings: told.applications,
        });
        let audit = audit_of(ground, told.audit);
        let (ids, clock) = (Arc::clone(&ground.ids), Arc::clone(&ground.clock));
        let sessions = realtime::PersonalRows::new(ground.db.clone(), ids, clock);
        let parts: [Arc<dyn PersonalData>; 6] = [
            communities.clone(),
            media.clone(),
            messaging.clone(),
            applications.clone(),
            audit.clone(),
            sessions.clone(),
        ];
        identity.take_part(parts.iter().map(Arc::downgrade).collect());
        Contexts {
            identity,
            communities,
            media,
            messaging,
            applications,
            audit,
            sessions,
        }
    }

    fn tables(&self) -> Vec<Table> {
        vec![
            identity::tables(Arc::clone(&self.identity)),
            communities::table(Arc::clone(&self.communities)),
            media::table(Arc::clone(&self.media)),
            messaging::tables(Arc::clone(&self.messaging)),
            applications::table(Arc::clone(&self.applications)),
            audit::table(Arc::clone(&self.audit)),
        ]
    }

    /// With those of the gateway, if it runs here, and the pages.
    fn tables_with(&self, realtime: Option<&Arc<realtime::Realtime>>) -> Vec<Table> {
        let mut tables = self.tables();
        tables.extend(realtime.map(realtime::Realtime::table));
        tables.push(pages::table());
        tables
    }

    fn modules(&self, parts: &Parts) -> Vec<Module> {
        let has = |service| parts.selection.has(service);
        let mut modules = Vec::new();
        if has(Service::Identity) {
            modules.push(identity::module(Arc::clone(&self.identity)));
        }
        if has(Service::Communities) {
            modules.push(communities::module(&self.communities));
        }
        if has(Service::Media) {
            modules.push(media::module(&self.media));
        }
        if has(Service::Messaging) {
            modules.push(messaging::module(Arc::clone(&self.messaging)));
        }
        if has(Service::Applications) {
            modules.push(applications::module(&self.applications));
        }
        if has(Service::Audit) {
            modules.push(audit::module(&self.audit));
        }
        modules
    }
}

/// Every route of the product, without a database behind it: for the API document and for the
/// authorization table. Call it inside a runtime.
pub(crate) fn documented() -> Result<Vec<Table>, Error> {
    let nowhere = db::Settings::new("postgres://nobody@127.0.0.1/none");
    let lifecycle = Lifecycle::new();
    let end = lifecycle.hard().clone();
    let ground = Ground::new(
        db::Db::connect(&nowhere)?,
        WorkerSlot::empty(),
        lifecycle,
        end,
    );
    let secret = SecretString::from("only for the document, never used as a key");
    let keys = identity::RootKeys::derive(&secret)?;
    let key = media::Key::derive(&secret)?;
    let media = media_of(&ground, media::Settings::new("", key));
    let identity = identity_of(&ground, &media, identity::Settings::new(keys));
    let contexts = Contexts::build(&ground, identity, media, Told::built_in(&secret)?);
    let verifier = Arc::new(TokenVerifier::new("", "", Arc::clone(&ground.clock)));
    let credentials: Arc<dyn Credentials> = contexts.identity.clone();
    let judges = (&verifier, &credentials);
    let gateway = gateway_deps(realtime::Settings::default(), &ground, &contexts, judges);
    let mut tables = contexts.tables();
    tables.push(realtime::Realtime::without_workers(gateway).table());
    tables.push(pages::table());
    Ok(tables)
}

/// The OpenAPI document.
pub(crate) fn openapi() -> Result<String, Error> {
    let tables = documented()?;
    Ok(Table::openapi(&tables.iter().collect::<Vec<_>>()).to_pretty_json()?)
}

fn identity_settings(config: &Config, root: &SecretString) -> Result<identity::Settings, Error> {
    Ok(identity::Settings {
        oauth: crate::oauth::of(config)?,
        ..settings::identity(config, root)?
    })
}

/// The contexts without a server, for commands of the operator.
pub(crate) async fn contexts(config: &Config, parts: &Parts) -> Result<Contexts, Error> {
    let lifecycle = Lifecycle::new();
    let ground = Ground::leased(config, parts, &lifecycle, lifecycle.soft()).await?;
    let ground = ground.with_carriers_away(config).await?;
    let media = media_of(&ground, settings::media(config, &parts.root_secret)?);
    let identity = identity_settings(config, &parts.root_secret)?;
    let identity = identity_of(&ground, &media, identity);
    let told = Told::by(config, &parts.root_secret)?;
    Ok(Contexts::build(&ground, identity, media, told))
}

/// Builds the contexts, binds, and serves the selected ones in tasks of `lifecycle`.
pub(crate) async fn start(
    config: &Config,
    parts: Parts,
    lifecycle: Lifecycle,
) -> Result<Running, Error> {
    // What requests in progress need goes on until the last of them is answered. A start that
    // fails drops the guard.
    let end = lifecycle.hard().child_token();
    let guard = end.clone().drop_guard();
    let ground = Ground::leased(config, &parts, &lifecycle, &end).await?;
    let ground = ground.with_carriers(config).await?;
    stores::clear_unfinished(config, ground.clock.now()).await;
    let media = media_of(&ground, settings::media(config, &parts.root_secret)?);
    let identity = identity_settings(config, &parts.root_secret)?;
    let identity = identity_of(&ground, &media, identity);
    let credentials = issuers::credentials(config, &parts, &ground, &identity)?;
    if issuers::elsewhere(config, &parts).is_none() {
        identity.prepare().await?;
    }
    let plan = demo::plan(config, parts.contents, &identity).await?;
    let (has_admin, setup_token) = first_admin(config, &parts, &identity).await?;
    let told = Told::by(config, &parts.root_secret)?;
    let contexts = Contexts::build(&ground, identity, media, told);
    // Months that began while nothing ran have no partition yet.
    contexts
        .messaging
        .keep_partitions()
        .await
        .map_err(Failure::from)?;
    let verifier = issuers::verifier(config, &parts, &ground, &contexts, &credentials).await?;
    let mut modules = contexts.modules(&parts);
    let realtime = if parts.selection.has(Service::Realtime) {
        let judges = (&verifier, &credentials);
        let realtime = gateway(config, &parts, &ground, &contexts, judges).await?;
        modules.push(realtime.module());
        Some(realtime)
    } else {
        None
    };
    let surfaces = parts.selection.surfaces();
    let listeners = Listeners::bind(config, &parts.selection).await?;
    let (addr, grpc, internal) = (listeners.addr, listeners.grpc_addr, listeners.internal_addr);
    let world = World::of(
        &contexts.identity,
        &contexts.communities,
        &contexts.messaging,
    );
    let demo = world.carry_out(plan, config).await?;
    let tables = contexts.tables_with(realtime.as_ref());
    contexts.identity.begin_sending(&lifecycle, &end);
    if parts.selection.has(Service::Applications) {
        applications::begin_delivering(&contexts.applications, &lifecycle);
    }
    begin_work(&ground, &parts, &mut modules)?;
    let stack = stack_options(config, &parts, &ground, verifier)?;
    let kept = ground.carriers.kept.clone().map(outbox::table);
    let door = Door::of(&contexts.identity);
    let modules = (modules, issuers::check(config, &parts, &credentials));
    let serving = listeners.serve(config, stack, &lifecycle, (&tables, kept), modules, door)?;
    runtime::spawn(&lifecycle, "http.serve", async move {
        serving.await;
        // Nothing is published any more: sessions can be left to the next process whole.
        if let Some(realtime) = realtime {
            realtime.finish().await;
        }
        drop(guard);
    });
    Ok(Running {
        addr,
        grpc,
        internal,
        surfaces,
        has_admin,
        setup_token,
        demo,
    })
}

/// Makes the administrator that the settings name; without any, a fresh set-up link. Tells whether
/// there is one; nothing where identity does not run.
async fn first_admin(
    config: &Config,
    parts: &Parts,
    identity: &identity::Identity,
) -> Result<(Option<bool>, Option<SecretString>), Error> {
    if !parts.selection.has(Service::Identity) {
        return Ok((None, None));
    }
    if let (Some(email), Some(password)) = (&config.admin.email, &config.admin.password) {
        identity
            .create_admin_from_environment(email, password.to_secret_string())
            .await?;
    }
    if identity.has_admin().await? {
        return Ok((Some(true), None));
    }
    Ok((Some(false), Some(identity.issue_setup_link().await?)))
}

async fn gateway(
    config: &Config,
    parts: &Parts,
    ground: &Ground,
    contexts: &Contexts,
    judges: (&Arc<TokenVerifier>, &Arc<dyn Credentials>),
) -> Result<Arc<realtime::Realtime>, Error> {
    // A node that is not alone leaves the sessions of others to them.
    let alone = parts.selection == crate::parts::Selection::all();
    let settings = settings::realtime(config, 1, alone);
    let deps = gateway_deps(settings, ground, contexts, judges);
    Ok(realtime::Realtime::build(deps).await?)
}

fn gateway_deps(
    settings: realtime::Settings,
    ground: &Ground,
    contexts: &Contexts,
    (verifier, credentials): (&Arc<TokenVerifier>, &Arc<dyn Credentials>),
) -> realtime::Deps {
    realtime::Deps {
        settings,
        identity: contexts.identity.clone(),
        credentials: Arc::clone(credentials),
        communities: contexts.communities.clone(),
        messaging: contexts.messaging.clone(),
        relations: contexts.identity.clone(),
        applications: contexts.applications.clone(),
        verifier: Arc::clone(verifier),
        fanout: Arc::clone(&ground.fanout),
        cache: Arc::clone(&ground.cache),
        db: ground.db.clone(),
        rows: Arc::clone(&contexts.sessions),
        clock: Arc::clone(&ground.clock),
        rng: Arc::clone(&ground.rng),
        lifecycle: ground.lifecycle.clone(),
    }
}

fn stack_options(
    config: &Config,
    parts: &Parts,
    ground: &Ground,
    verifier: Arc<TokenVerifier>,
) -> Result<StackOptions, Error> {
    let (limiter, clock) = (Arc::clone(&ground.limiter), Arc::clone(&ground.clock));
    Ok(StackOptions {
        cors: settings::cors(config),
        pages: settings::pages(config, &parts.root_secret)?,
        body_limit: config.http.body_limit.in_memory(),
        trusted_proxies: settings::trusted_proxies(config)?,
        hsts: config.public_url().is_https(),
        ..StackOptions::new(verifier, limiter, clock, Arc::clone(&ground.rng))
    })
}

/// Starts jobs, consumers and the relays of outboxes. Takes jobs and consumers out of `modules`.
fn begin_work(ground: &Ground, parts: &Parts, modules: &mut [Module]) -> Result<(), Error> {
    let lifecycle = &ground.lifecycle;
    runtime::telemetry::metrics();
    runtime::telemetry::describe(&metrics());
    runtime::spawn(
        lifecycle,
        "metrics.upkeep",
        runtime::telemetry::upkeep(lifecycle.clone()),
    );
    let bus: Arc<dyn Bus> = LocalBus::new(infra::bus::Limits::default());
    let mut jobs = Vec::new();
    let schemas: Vec<_> = modules.iter().map(|module| module.name).collect();
    for purge in db::purge_jobs(&ground.db, &schemas) {
        jobs.push(Job {
            name: purge.name,
            every: purge.every,
            run: purge.run,
        });
    }
    for module in modules.iter_mut() {
        jobs.append(&mut module.jobs);
        for consumer in module.consumers.drain(..) {
            bus.subscribe(consumer.name, consumer.kinds, consumer.handler)?;
        }
    }
    runtime::jobs::run(
        lifecycle,
        Arc::clone(&ground.clock),
        Arc::clone(&ground.rng),
        jobs,
    );
    for module in modules.iter() {
        let (bus, clock) = (Arc::clone(&bus), Arc::clone(&ground.clock));
        let relay = db::outbox::Relay::new(ground.db.clone(), module.name, bus, clock);
        let wake = ground.db.outbox_wake(module.name);
        runtime::spawn(
            lifecycle,
            "db.relay",
            relay.run(wake, lifecycle.soft().clone()),
        );
    }
    let soft = lifecycle.soft().clone();
    let notifier = db::wakeup::Notifier::new(ground.db.clone());
    runtime::spawn(lifecycle, "db.notifier", notifier.run(soft.clone()));
    let listener = db::wakeup::Listener::new(parts.direct.clone(), ground.db.clone());
    runtime::spawn(lifecycle, "db.listener", listener.run(soft));
    Ok(())
}
