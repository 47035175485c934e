//! The gateway: sockets, sessions and what flows to them.
//!
//! A socket is taken out of the HTTP server right after its upgrade and lives on one of a few
//! workers, OS threads with a single-threaded runtime each. A session is the login behind it; it
//! outlives the socket for two minutes, and a restart of the process through the database.
//!
//! # Invariants
//! 1. `machine.rs` and `ring.rs` know no socket, no clock and no task; sockets only move bytes.
//! 2. All of a session lives on one worker: nothing in it is locked, nothing is sent across.
//! 3. An event is encoded once per form and worker; per socket only its number differs.
//! 4. A session gets an event once and in order, or is told that it cannot go on (op 9).
//! 5. A node follows a topic of the fanout once, however many sockets want it.
//! 6. A heartbeat touches memory only.
//! 7. Every queue has a bound: the mailbox of a worker, what waits for a snapshot, the ring, the
//!    control frames of a socket. A full ring closes the socket as slow; the session resumes.
//! 8. No event of a channel reaches a session whose rights are older than the event's epoch.
//! 9. A revoked device has no socket and no session a moment later.
//! 10. Presence waits for everything else, and a newer state takes the place of an older one.
//! 11. Whom a switch or a block hides is published to nobody who may not see them.
//!
//! # Events
//! In: every fanout record of followed topics, and `identity.erasure_due`. Out: `user_erased`, and
//! presences over the fanout.
//!
//! # Where to begin
//! `machine.rs` (the protocol), `ring.rs` (queue and resume), then `socket.rs` → `identify.rs` →
//! `dispatch.rs`, which is the way of a message from the fanout to the client. Who is here begins in
//! `presence.rs`, member lists in `windows.rs`.

#![warn(missing_docs)]

mod asking;
mod backend;
mod close;
mod command;
mod conn;
mod dispatch;
mod encoded;
pub mod error;
mod http;
mod identify;
mod machine;
mod metrics_table;
mod node;
mod personal_data;
mod presence;
mod ready;
mod rights;
mod ring;
mod session;
mod settings;
mod socket;
mod spill;
mod sql;
mod subscribe;
mod topics;
mod view;
mod wheel;
mod windows;
mod worker;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use contracts::{Applications, Communities, Credentials, Identity, Messaging, Relations};
use infra::cache::Cache;
use infra::fanout::{Fanout, Topic};
use kernel::{Failure, SharedClock, SharedRng, UserId};
use runtime::{Check, Lifecycle, Module};
use tokio::sync::mpsc;
use web_kit::{Table, TokenVerifier};

use crate::backend::Backend;
use crate::node::{Intake, Node, WorkerHandle};
use crate::presence::Shown;
use crate::presence::announce::Presences;
use crate::worker::Worker;

#[doc(hidden)]
pub use command::fuzz_command;
pub use error::ERRORS;
pub use metrics_table::METRICS;
pub use personal_data::PersonalRows;
pub use settings::Settings;

/// The schema of this context.
pub(crate) const SCHEMA: &str = "realtime";

/// What is stored about people here.
pub static PRIVACY: db::privacy::PrivacyFile =
    db::privacy::PrivacyFile::new(SCHEMA, include_str!("../privacy.toml"));

/// The migrations of this context.
pub const MIGRATIONS: db::Migrations = db::Migrations {
    schema: SCHEMA,
    files: &[(
        "V0001__sessions",
        include_str!("../migrations/V0001__sessions.sql"),
    )],
};

/// Records a worker's mailbox holds; beyond it ephemeral ones are dropped and others make a gap.
const MAILBOX: usize = 4_096;
/// Sockets that wait to be taken in by a worker.
const INTAKE: usize = 1_024;
/// Changes of the node's subscription that may wait.
const SUBSCRIPTIONS: usize = 65_536;

/// What the gateway stands on.
pub struct Deps {
    /// Settings.
    pub settings: Settings,
    /// Accounts.
    pub identity: Arc<dyn Identity>,
    /// Devices.
    pub credentials: Arc<dyn Credentials>,
    /// Communities and rights.
    pub communities: Arc<dyn Communities>,
    /// Private channels, read states and what sessions missed.
    pub messaging: Arc<dyn Messaging>,
    /// Who knows whom.
    pub relations: Arc<dyn Relations>,
    /// Bots.
    pub applications: Arc<dyn Applications>,
    /// Judges tokens.
    pub verifier: Arc<TokenVerifier>,
    /// Where events come from.
    pub fanout: Arc<dyn Fanout>,
    /// Where nodes say who is on them.
    pub cache: Arc<dyn Cache>,
    /// For sessions that are left to the next process.
    pub db: db::Db,
    /// What is stored about people; it is also there without a gateway.
    pub rows: Arc<PersonalRows>,
    /// Time.
    pub clock: SharedClock,
    /// Randomness.
    pub rng: SharedRng,
    /// The life of the process.
    pub lifecycle: Lifecycle,
}

/// The gateway of one process.
pub struct Realtime {
    pub(crate) node: Arc<Node>,
    rows: Arc<PersonalRows>,
}

impl Realtime {
    /// Starts the workers and takes up the sessions an earlier process left. Call it inside the
    /// main runtime.
    pub async fn build(deps: Deps) -> Result<Arc<Self>, Failure> {
        let count = deps.settings.workers.clamp(1, 255);
        let (handles, mailboxes): (Vec<_>, Vec<_>) = (0..count)
            .map(|_| {
                let (mailbox, receiver) = mpsc::channel(INTAKE);
                (
                    WorkerHandle {
                        mailbox,
                        sockets: AtomicUsize::new(0),
                    },
                    receiver,
                )
            })
            .unzip();
        let fanout = Arc::clone(&deps.fanout);
        let realtime = Self::with_workers(deps, handles);
        let node = &realtime.node;
        for (index, mailbox) in mailboxes.into_iter().enumerate() {
            start_worker(node, index, mailbox, &*fanout)?;
        }
        if node.settings.restore {
            let restored = spill::restore(node).await?;
            if restored > 0 {
                tracing::info!(
                    sessions = restored,
                    "sessions of the previous process live on"
                );
            }
        }
        let telling = Arc::clone(node).tell_presence();
        runtime::spawn(&node.lifecycle, "realtime-presence", telling);
        Ok(realtime)
    }

    /// A gateway that takes no socket: its table of routes can be documented. Call it inside a
    /// runtime.
    pub fn without_workers(deps: Deps) -> Arc<Self> {
        Self::with_workers(deps, Vec::new())
    }

    fn with_workers(deps: Deps, workers: Vec<WorkerHandle>) -> Arc<Self> {
        let backend = Backend {
            identity: deps.identity,
            credentials: deps.credentials,
            communities: deps.communities,
            messaging: deps.messaging,
            relations: deps.relations,
            applications: deps.applications,
            verifier: deps.verifier,
        };
        let presence = Presences::new(deps.cache, deps.fanout, Arc::clone(&deps.clock));
        let main = tokio::runtime::Handle::current();
        let node = Node::new(
            deps.settings,
            backend,
            deps.clock,
            deps.rng,
            deps.lifecycle,
            main,
            deps.db,
            workers,
            presence,
        );
        Arc::new(Realtime {
            node: Arc::new(node),
            rows: deps.rows,
        })
    }

    /// What the composition needs.
    pub fn module(self: &Arc<Self>) -> Module {
        let node = Arc::clone(&self.node);
        let room = Check::degrades("realtime", move || {
            let full = node.socket_count() >= node.settings.max_connections;
            async move {
                if full {
                    Err("no room for another socket".to_owned())
                } else {
                    Ok(())
                }
            }
        });
        Module {
            name: SCHEMA,
            routes: self.table().router(),
            jobs: Vec::new(),
            consumers: vec![self.rows.eraser()],
            health: vec![room],
        }
    }

    /// The table of routes.
    pub fn table(self: &Arc<Self>) -> Table {
        http::routes(Arc::clone(self))
    }

    /// Leaves the sessions to the next process. Call it after the soft token, when nothing can be
    /// published any more: the HTTP server has ended.
    pub async fn finish(&self) {
        self.node.finish.cancel();
        self.node.end_presence().await;
        let workers = u32::try_from(self.node.workers.len()).unwrap_or(1);
        tokio::select! {
            // The semaphore is never closed.
            done = self.node.spilled.acquire_many(workers) => drop(done),
            () = self.node.lifecycle.hard().cancelled() => {}
        }
    }

    /// How `viewer` may see `user`, and when the user was here last.
    pub(crate) async fn presence_of(
        &self,
        viewer: UserId,
        user: UserId,
    ) -> Result<(Shown, Option<jiff::Timestamp>), Failure> {
        let visible = self.node.backend.relations.visible(viewer, &[user]).await?;
        // Nothing is said of whom nobody knows.
        let visible = visible.first();
        let shown = match visible.is_some_and(|visible| visible.presence) {
            true => self.node.presence.here(user),
            false => None,
        };
        let last_seen = match visible.is_some_and(|visible| visible.last_seen) {
            true => sql::find_last_seen(&self.node.db, user).await?,
            false => None,
        };
        let to_the_minute = |at: jiff::Timestamp| {
            let second = at.as_second() - at.as_second().rem_euclid(60);
            jiff::Timestamp::from_second(second).unwrap_or(at)
        };
        Ok((shown.unwrap_or_default(), last_seen.map(to_the_minute)))
    }

    pub(crate) fn url(&self, host: &str) -> String {
        self.node
            .settings
            .gateway_url
            .clone()
            .unwrap_or_else(|| format!("ws://{host}/gateway"))
    }

    /// Whether another socket may come.
    pub(crate) fn admits(&self) -> Result<(), Failure> {
        let stopping = self.node.lifecycle.soft().is_cancelled();
        if stopping || self.node.socket_count() >= self.node.settings.max_connections {
            return Err(error::GATEWAY_FULL
                .fail()
                .retry_after(std::time::Duration::from_secs(1)));
        }
        Ok(())
    }
}

/// Says that a worker is done with its sessions, also when it ended by a panic.
struct Left(Arc<Node>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.spilled.add_permits(1);
    }
}

fn start_worker(
    node: &Arc<Node>,
    index: usize,
    mailbox: mpsc::Receiver<Intake>,
    fanout: &dyn Fanout,
) -> Result<(), Failure> {
    let (follower, deliveries) = fanout.open(MAILBOX);
    let node = Arc::clone(node);
    // Before the first socket comes, so that nothing is missed.
    let revoked = node.backend.verifier.revocations();
    let lifecycle = node.lifecycle.clone();
    runtime::worker(&lifecycle, "realtime", move || async move {
        let _left = Left(Arc::clone(&node));
        let (subscriptions, changes) = mpsc::channel(SUBSCRIPTIONS);
        let lifecycle = node.lifecycle.clone();
        let worker = Worker::new(index, node, follower, subscriptions);
        if let Err(error) = worker.follower.follow(&[Topic::Revoked]).await {
            tracing::error!(%error, "revocations cannot be followed");
        }
        let deliver = Rc::clone(&worker).deliver(deliveries);
        let deliver = runtime::spawn_local(&lifecycle, "realtime-deliver", deliver);
        let parts: [(&'static str, futures::future::LocalBoxFuture<'static, ()>); 6] = [
            (
                "realtime-intake",
                Box::pin(Rc::clone(&worker).take_in(mailbox)),
            ),
            (
                "realtime-subscribe",
                Box::pin(Rc::clone(&worker).subscribe(changes)),
            ),
            ("realtime-flush", Box::pin(Rc::clone(&worker).flush_dirty())),
            ("realtime-time", Box::pin(Rc::clone(&worker).keep_time())),
            (
                "realtime-presence-out",
                Box::pin(Rc::clone(&worker).say_presence()),
            ),
            (
                "realtime-revoked",
                Box::pin(Rc::clone(&worker).obey_revocations(revoked)),
            ),
        ];
        let parts: Vec<_> = parts
            .into_iter()
            .map(|(name, part)| runtime::spawn_local(&lifecycle, name, part))
            .collect();
        lifecycle.soft().cancelled().await;
        Rc::clone(&worker).drain().await;
        // The deliverer ends by itself once the node finishes and nothing is left to deliver.
        let delivered = async { drop(deliver.await) };
        tokio::select! {
            () = delivered => worker.spill().await,
            () = lifecycle.hard().cancelled() => {}
        }
        for part in parts {
            part.abort();
        }
    })
    .map_err(|error| kernel::failure::INTERNAL.fail().because(error))
}

/// Every statement of the crate, for the test that prepares each.
#[doc(hidden)]
pub fn statements() -> &'static [&'static db::Sql] {
    sql::ALL
}
