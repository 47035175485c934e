use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use infra::bus::{Bus, BusError, Limits, LocalBus, MAX_CONSUMERS, Reason, Refusal};
use jiff::Timestamp;
use kernel::event::{Handler, Handling};
use kernel::failure::INTERNAL;
use kernel::{Event, EventId};
use tokio::sync::Semaphore;

const KIND: &str = "test.happened.v1";
const KINDS: &[&str] = &[KIND];

fn event(id: i64, key: &str) -> Event {
    Event {
        id: EventId::new(id),
        kind: KIND.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        actor: None,
        tenant: None,
        key: key.to_owned(),
        data: serde_json::Value::Null,
    }
}

fn events(count: i64, key: impl Fn(i64) -> String) -> Vec<Event> {
    (0..count).map(|id| event(id, &key(id))).collect()
}

fn refusals(outcome: Result<(), BusError>) -> Vec<Refusal> {
    match outcome {
        Err(BusError::NotAccepted { refusals }) => refusals,
        other => panic!("expected refusals, got {other:?}"),
    }
}

/// Handles an event when a permit is given; counts how many it holds at once.
#[derive(Default)]
struct Gate {
    permits: Option<Semaphore>,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    handled: Mutex<Vec<i64>>,
}

impl Gate {
    fn closed() -> Arc<Self> {
        Arc::new(Self {
            permits: Some(Semaphore::new(0)),
            ..Self::default()
        })
    }

    fn open(&self) {
        if let Some(permits) = &self.permits {
            permits.add_permits(Semaphore::MAX_PERMITS / 2);
        }
    }

    fn handled(&self) -> Vec<i64> {
        self.handled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Handler for Gate {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            let inside = self.inside.fetch_add(1, SeqCst) + 1;
            self.most_inside.fetch_max(inside, SeqCst);
            if let Some(permits) = &self.permits {
                let permit = permits.acquire().await;
                permit
                    .map_err(|closed| INTERNAL.fail().because(closed))?
                    .forget();
            }
            tokio::task::yield_now().await;
            self.inside.fetch_sub(1, SeqCst);
            let mut handled = self.handled.lock().unwrap_or_else(PoisonError::into_inner);
            handled.push(event.id.get());
            Ok(())
        })
    }
}

#[tokio::test]
async fn local_bus_passes_the_suite() -> anyhow::Result<()> {
    testkit::conformance::bus(async || Ok(LocalBus::new(Limits::default()))).await
}

#[tokio::test]
async fn a_call_takes_as_many_events_as_the_bound() {
    let gate = Arc::new(Gate::default());
    let bus = LocalBus::new(Limits {
        batch: 3,
        ..Limits::default()
    });
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    bus.publish(&events(3, |_| "k".to_owned())).await.unwrap();
    let refused = bus.publish(&events(4, |_| "k".to_owned())).await;
    assert!(matches!(
        refused,
        Err(BusError::BatchTooLarge { given: 4, limit: 3 })
    ));
    assert_eq!(gate.handled(), [0, 1, 2]);
}

#[tokio::test]
async fn a_call_above_the_publishers_is_refused_at_once() {
    let gate = Gate::closed();
    let bus = LocalBus::new(Limits {
        publishers: 2,
        ..Limits::default()
    });
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    let (one, two, three) = (event(1, "a"), event(2, "b"), event(3, "c"));
    let mut first = bus.publish(std::slice::from_ref(&one));
    let mut second = bus.publish(std::slice::from_ref(&two));
    assert!((&mut first).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());
    let refused = bus.publish(std::slice::from_ref(&three)).await;
    assert!(matches!(refused, Err(BusError::Busy { limit: 2 })));
    // A call that is dropped gives its place back, and its event was not accepted.
    drop(second);
    gate.open();
    bus.publish(std::slice::from_ref(&three)).await.unwrap();
    first.await.unwrap();
    let mut handled = gate.handled();
    handled.sort_unstable();
    assert_eq!(handled, [1, 3]);
}

#[tokio::test]
async fn a_consumer_handles_as_many_at_once_as_the_bound() {
    let gate = Arc::new(Gate::default());
    let bus = LocalBus::new(Limits {
        in_flight: 3,
        ..Limits::default()
    });
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    let (first, second) = (
        events(50, |id| format!("k{id}")),
        events(50, |id| format!("l{id}")),
    );
    let (first, second) = futures::join!(bus.publish(&first), bus.publish(&second));
    first.and(second).unwrap();
    assert_eq!(gate.handled().len(), 100);
    assert_eq!(gate.most_inside.load(SeqCst), 3);
}

#[tokio::test]
async fn events_of_one_key_never_run_beside_each_other() {
    let gate = Arc::new(Gate::default());
    let bus = LocalBus::new(Limits::default());
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    let all = events(30, |_| "k".to_owned());
    let calls = futures::future::join_all(all.chunks(10).map(|events| bus.publish(events))).await;
    calls.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
    assert_eq!(gate.most_inside.load(SeqCst), 1);
    assert_eq!(gate.handled(), (0..30).collect::<Vec<i64>>());
}

struct Panics;

impl Handler for Panics {
    fn handle<'a>(&'a self, _event: &'a Event) -> Handling<'a> {
        panic!("a bug in the handler");
    }
}

#[tokio::test]
async fn a_panic_is_a_refusal_and_others_go_on() {
    let gate = Arc::new(Gate::default());
    let bus = LocalBus::new(Limits::default());
    bus.subscribe("panics", KINDS, Arc::new(Panics)).unwrap();
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    let refusals = refusals(bus.publish(&[event(1, "k"), event(2, "k")]).await);
    assert!(matches!(
        refusals.as_slice(),
        [
            Refusal {
                consumer: "panics",
                reason: Reason::Panicked,
                ..
            },
            Refusal {
                consumer: "panics",
                reason: Reason::Behind,
                ..
            },
        ]
    ));
    assert_eq!(gate.handled(), [1, 2]);
}

#[tokio::test]
async fn a_handler_has_until_the_deadline() {
    let deadline = Duration::from_millis(50);
    let gate = Gate::closed();
    let bus = LocalBus::new(Limits {
        deadline,
        ..Limits::default()
    });
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    let started = tokio::time::Instant::now();
    let refusals = refusals(bus.publish(&[event(1, "k"), event(2, "k")]).await);
    assert!(started.elapsed() >= deadline);
    assert!(matches!(refusals[0].reason, Reason::TimedOut));
    assert!(matches!(refusals[1].reason, Reason::Behind));
    assert!(gate.handled().is_empty());
    // The turn and the place are free again.
    gate.open();
    bus.publish(&[event(1, "k"), event(2, "k")]).await.unwrap();
    assert_eq!(gate.handled(), [1, 2]);
}

#[tokio::test]
async fn waiting_for_a_turn_or_a_place_ends_at_the_deadline() {
    let limits = Limits {
        deadline: Duration::from_millis(50),
        in_flight: 1,
        ..Limits::default()
    };
    let gate = Gate::closed();
    let bus = LocalBus::new(limits);
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    let (holding, same, other) = ([event(1, "k")], [event(2, "k")], [event(3, "other")]);
    let (holding, same, other) = futures::join!(
        bus.publish(&holding),
        bus.publish(&same),
        bus.publish(&other)
    );
    for outcome in [holding, same, other] {
        assert!(matches!(
            refusals(outcome)[..],
            [Refusal {
                reason: Reason::TimedOut,
                ..
            }]
        ));
    }
    assert!(gate.handled().is_empty());
}

#[tokio::test]
async fn consumers_are_bounded() {
    let bus = LocalBus::new(Limits::default());
    let names: Vec<&'static str> = (0..=MAX_CONSUMERS)
        .map(|number| &*format!("c{number}").leak())
        .collect();
    let (last, names) = names.split_last().unwrap();
    for name in names {
        bus.subscribe(name, KINDS, Arc::new(Gate::default()))
            .unwrap();
    }
    let refused = bus.subscribe(last, KINDS, Arc::new(Gate::default()));
    assert!(matches!(refused, Err(BusError::TooManyConsumers { .. })));
    bus.publish(&[event(1, "k")]).await.unwrap();
}

#[tokio::test]
async fn bounds_of_zero_count_as_one() {
    let limits = Limits {
        batch: 0,
        publishers: 0,
        in_flight: 0,
        ..Limits::default()
    };
    let bus = LocalBus::new(limits);
    let gate = Arc::new(Gate::default());
    bus.subscribe("gate", KINDS, gate.clone()).unwrap();
    bus.publish(&[event(1, "k")]).await.unwrap();
    assert_eq!(gate.handled(), [1]);
}

#[test]
fn the_error_names_the_first_refusal() {
    let reason = Reason::Failed(kernel::failure::UNAVAILABLE.fail());
    let first = Refusal {
        event: EventId::new(5),
        consumer: "search",
        reason,
    };
    let error = BusError::NotAccepted {
        refusals: vec![first],
    };
    assert_eq!(
        error.to_string(),
        "publish events: 1 not accepted, first event 5 by search: failed: UNAVAILABLE"
    );
}
