use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use kernel::Event;
use kernel::event::Handler;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::{Bus, BusError, Reason, Refusal};

/// The most consumers a bus takes.
pub const MAX_CONSUMERS: usize = 256;

/// Keys share this many turns per consumer; two keys on one turn only wait for each other.
const TURNS: usize = 256;

/// Bounds of the bus inside one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events of one call; more are refused.
    pub batch: usize,
    /// Calls at the same time; more are refused at once, and the outbox keeps their events.
    pub publishers: usize,
    /// Events one consumer handles at the same time; the others wait in their calls.
    pub in_flight: usize,
    /// How long an event waits for its turn, and how long its handler may take.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            batch: 500,
            publishers: 64,
            in_flight: 16,
            deadline: Duration::from_secs(30),
        }
    }
}

/// The bus inside one process: handlers run inside the publisher's call.
///
/// There is no queue of its own and no task: the outbox is the queue, and a call that is dropped
/// half-way leaves its events there. A slow consumer therefore slows the relay that feeds it, up
/// to the deadline, and nobody else.
pub struct LocalBus {
    limits: Limits,
    registry: Mutex<Registry>,
    places: Semaphore,
}

#[derive(Default)]
struct Registry {
    consumers: Arc<Vec<Consumer>>,
    started: bool,
}

impl LocalBus {
    /// Makes a bus without consumers. Bounds of zero count as one.
    pub fn new(limits: Limits) -> Arc<Self> {
        let limits = Limits {
            batch: limits.batch.max(1),
            publishers: limits.publishers.clamp(1, Semaphore::MAX_PERMITS),
            in_flight: limits.in_flight.clamp(1, Semaphore::MAX_PERMITS),
            deadline: limits.deadline,
        };
        Arc::new(Self {
            limits,
            registry: Mutex::default(),
            places: Semaphore::new(limits.publishers),
        })
    }

    fn start(&self) -> Arc<Vec<Consumer>> {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.started = true;
        Arc::clone(&registry.consumers)
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        if events.len() > self.limits.batch {
            return Err(BusError::BatchTooLarge {
                given: events.len(),
                limit: self.limits.batch,
            });
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(BusError::Busy {
                limit: self.limits.publishers,
            });
        };
        let consumers = self.start();
        let refusals = join_all(consumers.iter().map(|consumer| consumer.deliver(events))).await;
        let refusals: Vec<Refusal> = refusals.into_iter().flatten().collect();
        if refusals.is_empty() {
            Ok(())
        } else {
            Err(BusError::NotAccepted { refusals })
        }
    }

    fn subscribe(
        &self,
        consumer: &'static str,
        kinds: &'static [&'static str],
        handler: Arc<dyn Handler>,
    ) -> Result<(), BusError> {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if registry.started {
            return Err(BusError::Started { consumer });
        }
        if kinds.is_empty() {
            return Err(BusError::NoKinds { consumer });
        }
        if registry
            .consumers
            .iter()
            .any(|other| other.name == consumer)
        {
            return Err(BusError::Duplicate { consumer });
        }
        if registry.consumers.len() >= MAX_CONSUMERS {
            return Err(BusError::TooManyConsumers { consumer });
        }
        // Nobody else holds the list before the first publish, so this never copies it.
        if let Some(consumers) = Arc::get_mut(&mut registry.consumers) {
            consumers.push(Consumer::new(consumer, kinds, handler, self.limits));
        }
        Ok(())
    }
}

struct Consumer {
    name: &'static str,
    kinds: &'static [&'static str],
    handler: Arc<dyn Handler>,
    limits: Limits,
    in_flight: Semaphore,
    /// One permit each: whoever holds it is the only one to hand over events of its keys.
    turns: Vec<Semaphore>,
}

impl Consumer {
    fn new(
        name: &'static str,
        kinds: &'static [&'static str],
        handler: Arc<dyn Handler>,
        limits: Limits,
    ) -> Self {
        let turns = (0..TURNS).map(|_| Semaphore::new(1)).collect();
        Self {
            name,
            kinds,
            handler,
            limits,
            in_flight: Semaphore::new(limits.in_flight),
            turns,
        }
    }

    /// Hands over what the consumer asked for: keys side by side, each key in order.
    async fn deliver(&self, events: &[Event]) -> Vec<Refusal> {
        let lanes = lanes(events.iter().filter(|event| self.wants(event)));
        let lanes: Vec<_> = lanes
            .into_iter()
            .map(|lane| self.deliver_lane(lane))
            .collect();
        stream::iter(lanes)
            .buffer_unordered(self.limits.in_flight)
            .concat()
            .await
    }

    fn wants(&self, event: &Event) -> bool {
        self.kinds.contains(&event.kind.as_str())
    }

    async fn deliver_lane(&self, lane: Vec<&Event>) -> Vec<Refusal> {
        // Held across the handlers on purpose: another call must not get between two events of a
        // key. Taken before a place in flight, so that whoever holds a place always moves on.
        let turn = match lane.first() {
            Some(event) => self.turn(&event.key).await,
            None => Ok(None),
        };
        let mut events = lane.into_iter();
        let mut refusals = Vec::new();
        for event in events.by_ref() {
            let outcome = match &turn {
                Ok(_) => self.hand_over(event).await,
                Err(()) => Err(Reason::TimedOut),
            };
            if let Err(reason) = outcome {
                refusals.push(self.refuse(event, reason));
                break;
            }
        }
        refusals.extend(events.map(|event| self.refuse(event, Reason::Behind)));
        refusals
    }

    /// Waits for the turn of the key, at most for the deadline.
    async fn turn(&self, key: &str) -> Result<Option<SemaphorePermit<'_>>, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(key);
        let index = usize::try_from(hash % 256).unwrap_or(0);
        let Some(turn) = self.turns.get(index) else {
            return Ok(None);
        };
        match timeout(self.limits.deadline, turn.acquire()).await {
            // The semaphore is never closed, so an error of `acquire` cannot come.
            Ok(permit) => Ok(permit.ok()),
            Err(_elapsed) => Err(()),
        }
    }

    async fn hand_over(&self, event: &Event) -> Result<(), Reason> {
        let place = timeout(self.limits.deadline, self.in_flight.acquire()).await;
        let Ok(_place) = place else {
            return Err(Reason::TimedOut);
        };
        let started = Instant::now();
        // A handler's bug must not take the relay down; what it shares is behind its own locks.
        let handling = AssertUnwindSafe(async { self.handler.handle(event).await }).catch_unwind();
        let outcome = match timeout(self.limits.deadline, handling).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(failure))) => Err(Reason::Failed(failure)),
            Ok(Err(_panic)) => Err(Reason::Panicked),
            Err(_elapsed) => Err(Reason::TimedOut),
        };
        metrics::histogram!("meydan_bus_handle_seconds", "consumer" => self.name)
            .record(started.elapsed());
        outcome
    }

    fn refuse(&self, event: &Event, reason: Reason) -> Refusal {
        metrics::counter!("meydan_bus_refused_total", "consumer" => self.name).increment(1);
        Refusal {
            event: event.id,
            consumer: self.name,
            reason,
        }
    }
}

/// Splits events into one list per key, keys in the order of their first event.
fn lanes<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Vec<&'a Event>> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut lanes: Vec<Vec<&Event>> = Vec::new();
    for event in events {
        let index = *place.entry(&event.key).or_insert(lanes.len());
        match lanes.get_mut(index) {
            Some(lane) => lane.push(event),
            None => lanes.push(vec![event]),
        }
    }
    lanes
}
