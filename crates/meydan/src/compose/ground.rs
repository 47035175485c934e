//! What all contexts stand on.

use std::sync::Arc;

use infra::cache::{Cache, LocalCache};
use infra::fanout::{Fanout, LocalFanout};
use infra::limiter::LocalLimiter;
use infra::objects::{MemoryObjects, Objects};
use kernel::{Ids, Limiter, SharedClock, SharedRng, SystemClock, SystemRng, WorkerSlot};
use runtime::Lifecycle;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::config::Config;
use crate::parts::Parts;
use crate::senders::Carriers;
use crate::stores;

/// Keys that the limiter remembers; beyond, the least used is forgotten.
const LIMITER_KEYS: u64 = 100_000;
/// Challenges and tickets that are kept at a time; beyond, the least used is forgotten.
const CACHE_ENTRIES: u64 = 100_000;

/// What all contexts stand on.
pub(super) struct Ground {
    pub(super) db: db::Db,
    pub(super) ids: Arc<Ids>,
    pub(super) clock: SharedClock,
    pub(super) rng: SharedRng,
    pub(super) fanout: Arc<dyn Fanout>,
    pub(super) limiter: Arc<dyn Limiter>,
    pub(super) cache: Arc<dyn Cache>,
    pub(super) carriers: Carriers,
    pub(super) objects: Arc<dyn Objects>,
    pub(super) lifecycle: Lifecycle,
    /// When the last request is answered: later than the begin of draining.
    pub(super) end: CancellationToken,
}

impl Ground {
    pub(super) fn new(
        db: db::Db,
        slot: Arc<WorkerSlot>,
        lifecycle: Lifecycle,
        end: CancellationToken,
    ) -> Self {
        let clock: SharedClock = Arc::new(SystemClock);
        Ground {
            db,
            ids: Ids::new(Arc::clone(&clock), slot),
            rng: Arc::new(SystemRng),
            fanout: LocalFanout::new(),
            limiter: LocalLimiter::new(Arc::clone(&clock), LIMITER_KEYS),
            cache: LocalCache::new(Arc::clone(&clock), CACHE_ENTRIES),
            carriers: Carriers::default(),
            // Whoever serves keeps them as the settings say, see `leased`.
            objects: MemoryObjects::new(0),
            clock,
            lifecycle,
            end,
        }
    }

    /// The same over a database, with a worker number that is leased until `end`: later than the
    /// begin of draining, because requests in progress need ids.
    pub(super) async fn leased(
        config: &Config,
        parts: &Parts,
        lifecycle: &Lifecycle,
        end: &CancellationToken,
    ) -> Result<Self, Error> {
        let db = db::Db::connect(&parts.database)?;
        let (slot, keeper) = db::worker::lease(&db, Arc::new(SystemClock)).await?;
        runtime::spawn(lifecycle, "db.worker_number", keeper.run(end.clone()));
        let ground = Self::new(db, slot, lifecycle.clone(), end.clone());
        Ok(Ground {
            objects: stores::objects(config)?,
            ..ground
        })
    }
}

impl Ground {
    /// With those who carry messages, as the settings say.
    pub(super) async fn with_carriers(self, config: &Config) -> Result<Self, Error> {
        let carriers = Carriers::of(config, &self.clock, &self.rng).await?;
        Ok(Ground { carriers, ..self })
    }

    /// With those alone who carry messages away.
    pub(super) async fn with_carriers_away(self, config: &Config) -> Result<Self, Error> {
        let carriers = Carriers::away(config, &self.clock, &self.rng).await?;
        Ok(Ground { carriers, ..self })
    }
}
