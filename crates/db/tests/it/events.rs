use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use db::inbox::{Consumer, TxHandler};
use db::outbox::{Relay, Round};
use db::{Db, Sql, Tx, dead_letters, outbox};
use infra::bus::{Bus, Limits, LocalBus};
use kernel::event::{Handler, Handling};
use kernel::failure::{INTERNAL, UNAVAILABLE};
use kernel::{Event, EventId, Failure, ManualClock, SharedClock, SystemClock};
use testkit::TestDb;
use testkit::servers::eventually;
use tokio_util::sync::CancellationToken;

use crate::fixture::{DEPOT, SHOP};

const LIMIT: Duration = Duration::from_secs(20);
const PENDING: Sql = Sql::new("shop.pending", "SELECT count(*) FROM shop.outbox");
const EFFECT: Sql = Sql::new("shop.effect", "INSERT INTO shop.effects (what) VALUES ($1)");
const EFFECTS: Sql = Sql::new("shop.effects", "SELECT what FROM shop.effects ORDER BY id");
const DUE: Sql = Sql::new(
    "shop.due",
    "UPDATE shop.outbox SET retry_at = now() - interval '1 hour'",
);

fn event(id: i64, key: &str) -> Event {
    Event {
        id: EventId::new(id),
        kind: "shop.item_sold.v1".into(),
        at: "2026-11-20T07:00:00Z".parse().unwrap(),
        actor: None,
        tenant: None,
        key: key.into(),
        data: serde_json::json!({"n": id}),
    }
}

async fn write(db: &Db, events: &[Event]) {
    let tx = db.begin().await.unwrap();
    outbox::append(&tx, "shop", events).await.unwrap();
    tx.commit().await.unwrap();
}

/// Notes what it is given; refuses while `refuse` says so.
#[derive(Default)]
struct Notes {
    seen: Mutex<Vec<(String, i64)>>,
    refuse: Mutex<HashMap<i64, usize>>,
}

impl Handler for Notes {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            let mut refuse = self.refuse.lock().unwrap();
            if let Some(left) = refuse.get_mut(&event.id.get())
                && *left > 0
            {
                *left -= 1;
                return Err(INTERNAL.fail());
            }
            self.seen
                .lock()
                .unwrap()
                .push((event.key.clone(), event.id.get()));
            Ok(())
        })
    }
}

impl Notes {
    fn ids(&self) -> Vec<i64> {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .map(|(_, id)| *id)
            .collect()
    }
}

fn bus_with(handler: Arc<dyn Handler>) -> Arc<dyn Bus> {
    let bus = LocalBus::new(Limits::default());
    bus.subscribe("notes", &["shop.item_sold.v1"], handler)
        .unwrap();
    bus
}

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

/// Rounds until one moves something: a write transaction of any test on the same server may hold
/// the guard back for a moment.
async fn moved(relay: &Relay) -> usize {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        if let Round::Moved(count) = relay.round().await.unwrap() {
            return count;
        }
        assert!(tokio::time::Instant::now() < deadline, "nothing moves");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn events_are_published_once_committed_and_then_gone() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let notes = Arc::new(Notes::default());
    let relay = Relay::new(db.clone(), "shop", bus_with(notes.clone()), clock());
    assert_eq!(relay.round().await.unwrap(), Round::Idle);
    let tx = db.begin().await.unwrap();
    outbox::append(&tx, "shop", &[event(1, "a")]).await.unwrap();
    drop(tx);
    write(&db, &[event(2, "a"), event(3, "b"), event(4, "a")]).await;
    assert_eq!(moved(&relay).await, 3);
    let mut ids = notes.ids();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 4]);
    assert_eq!(PENDING.scalar::<i64>(&db).await.unwrap(), 0);
    assert_eq!(relay.round().await.unwrap(), Round::Idle);
}

#[tokio::test]
async fn a_slow_transaction_that_commits_late_is_not_lost() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let notes = Arc::new(Notes::default());
    let relay = Relay::new(db.clone(), "shop", bus_with(notes.clone()), clock());
    let slow = db.begin().await.unwrap();
    outbox::append(&slow, "shop", &[event(1, "slow")])
        .await
        .unwrap();
    // The fast one has a higher id and commits first.
    write(&db, &[event(2, "fast")]).await;
    // A relay that took it now and remembered its number would never see the slow one.
    assert_eq!(relay.round().await.unwrap(), Round::Held);
    slow.commit().await.unwrap();
    eventually("both are published", LIMIT, || async {
        relay.round().await.unwrap();
        notes.ids().len() == 2
    })
    .await
    .unwrap();
    assert_eq!(notes.ids(), [1, 2]);
}

#[tokio::test]
async fn order_per_key_is_kept_and_a_refused_event_holds_only_its_key() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let notes = Arc::new(Notes::default());
    notes.refuse.lock().unwrap().insert(1, 2);
    let time = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
    let relay = Relay::new(db.clone(), "shop", bus_with(notes.clone()), time.clone());
    write(
        &db,
        &[event(1, "a"), event(2, "a"), event(3, "b"), event(4, "a")],
    )
    .await;
    moved(&relay).await;
    assert_eq!(notes.ids(), [3]);
    // Its key waits for the retry; nothing of it may overtake.
    assert_eq!(relay.round().await.unwrap(), Round::Held);
    eventually("the key goes on", LIMIT, || async {
        time.advance(Duration::from_secs(1));
        relay.round().await.unwrap();
        notes.ids().len() == 4
    })
    .await
    .unwrap();
    assert_eq!(notes.ids(), [3, 1, 2, 4]);
}

#[tokio::test]
async fn after_twenty_refusals_an_event_is_a_dead_letter_and_its_key_goes_on() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let notes = Arc::new(Notes::default());
    notes.refuse.lock().unwrap().insert(1, 20);
    let relay = Relay::new(db.clone(), "shop", bus_with(notes.clone()), clock());
    write(&db, &[event(1, "a"), event(2, "a")]).await;
    for attempt in 1..20 {
        assert_eq!(moved(&relay).await, 2, "{attempt}");
        DUE.execute(&db).await.unwrap();
        assert!(
            dead_letters::list(&db, "shop", None)
                .await
                .unwrap()
                .is_empty(),
            "{attempt}"
        );
    }
    moved(&relay).await;
    let dead = dead_letters::list(&db, "shop", None).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].consumer.as_str(), dead[0].attempts), ("relay", 20));
    assert_eq!(dead[0].event(), event(1, "a"));
    eventually("the next of the key", LIMIT, || async {
        DUE.execute(&db).await.unwrap();
        relay.round().await.unwrap();
        notes.ids() == [2]
    })
    .await
    .unwrap();
    assert!(outbox::replay(&db, "shop", EventId::new(1)).await.unwrap());
    assert!(!outbox::replay(&db, "shop", EventId::new(1)).await.unwrap());
    moved(&relay).await;
    assert_eq!(notes.ids(), [2, 1]);
}

/// Publishes to the notes and never comes back: the relay dies between publish and delete.
struct Stuck(Arc<Notes>);

#[async_trait]
impl Bus for Stuck {
    async fn publish(&self, events: &[Event]) -> Result<(), infra::bus::BusError> {
        for event in events {
            let _accepted = self.0.handle(event).await;
        }
        std::future::pending().await
    }
    fn subscribe(
        &self,
        _: &'static str,
        _: &'static [&'static str],
        _: Arc<dyn Handler>,
    ) -> Result<(), infra::bus::BusError> {
        Ok(())
    }
}

#[tokio::test]
async fn one_relay_works_at_a_time_and_a_killed_one_loses_nothing() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let (db, other) = (t.app("shop").unwrap(), t.app("shop").unwrap());
    let notes = Arc::new(Notes::default());
    write(&db, &[event(1, "a"), event(2, "a")]).await;
    let stuck = Relay::new(
        other.clone(),
        "shop",
        Arc::new(Stuck(notes.clone())),
        clock(),
    );
    let mut dying = Box::pin(moved(&stuck));
    let relay = Relay::new(db.clone(), "shop", bus_with(notes.clone()), clock());
    tokio::select! {
        _ = &mut dying => panic!("it never ends"),
        done = eventually("it has published", LIMIT, || async { notes.ids().len() == 2 }) => done.unwrap(),
    }
    assert_eq!(relay.round().await.unwrap(), Round::Held);
    drop(dying);
    eventually("the other takes over", LIMIT, || async {
        relay.round().await.unwrap();
        PENDING.scalar::<i64>(&db).await.unwrap() == 0
    })
    .await
    .unwrap();
    // At least once: consumers are idempotent.
    assert_eq!(notes.ids(), [1, 2, 1, 2]);
}

/// Writes an effect; fails while `fail` is above zero.
struct Effects {
    fail: AtomicUsize,
    with: fn() -> Failure,
    calls: AtomicUsize,
}

impl Effects {
    fn failing(times: usize, with: fn() -> Failure) -> Arc<Self> {
        Arc::new(Effects {
            fail: AtomicUsize::new(times),
            with,
            calls: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl TxHandler for Effects {
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<(), Failure> {
        self.calls.fetch_add(1, SeqCst);
        EFFECT
            .bind(&format!("{}:{}", event.key, event.id))
            .execute(tx)
            .await?;
        let fails = self
            .fail
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok();
        if fails { Err((self.with)()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_duplicate_has_no_second_effect_even_at_the_same_time() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let effects = Effects::failing(0, || INTERNAL.fail());
    let consumer = Consumer::new(db.clone(), "shop", "counting", effects.clone());
    let sold = event(7, "a");
    let twins = (0..10).map(|_| consumer.handle(&sold));
    for result in futures::future::join_all(twins).await {
        result.unwrap();
    }
    assert_eq!(effects.calls.load(SeqCst), 1);
    assert_eq!(EFFECTS.scalars::<String>(&db).await.unwrap(), ["a:7"]);
    // Another consumer of the same context has its own marks.
    let second = Effects::failing(0, || INTERNAL.fail());
    Consumer::new(db.clone(), "shop", "mailing", second.clone())
        .handle(&sold)
        .await
        .unwrap();
    assert_eq!(second.calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_failing_handler_is_tried_five_times_and_then_buried_without_effect() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let effects = Effects::failing(5, || INTERNAL.fail());
    let consumer = Consumer::new(db.clone(), "shop", "counting", effects.clone());
    consumer.handle(&event(1, "a")).await.unwrap();
    assert_eq!(effects.calls.load(SeqCst), 5);
    assert!(EFFECTS.scalars::<String>(&db).await.unwrap().is_empty());
    let dead = dead_letters::list(&db, "shop", None).await.unwrap();
    assert_eq!((dead.len(), dead[0].consumer.as_str()), (1, "counting"));
    consumer.handle(&event(1, "a")).await.unwrap();
    assert_eq!(effects.calls.load(SeqCst), 5);
    assert!(consumer.replay(EventId::new(1)).await.unwrap());
    assert!(!consumer.replay(EventId::new(1)).await.unwrap());
    assert_eq!(EFFECTS.scalars::<String>(&db).await.unwrap(), ["a:1"]);
    // One try less than the bound succeeds.
    let effects = Effects::failing(4, || INTERNAL.fail());
    let consumer = Consumer::new(db.clone(), "shop", "counting", effects);
    consumer.handle(&event(2, "a")).await.unwrap();
    assert_eq!(
        EFFECTS.scalars::<String>(&db).await.unwrap(),
        ["a:1", "a:2"]
    );
}

#[tokio::test]
async fn a_passing_failure_goes_back_to_the_bus() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let effects = Effects::failing(5, || UNAVAILABLE.fail());
    let consumer = Consumer::new(db.clone(), "shop", "counting", effects);
    assert!(consumer.handle(&event(1, "a")).await.is_err());
    assert!(
        dead_letters::list(&db, "shop", None)
            .await
            .unwrap()
            .is_empty()
    );
    consumer.handle(&event(1, "a")).await.unwrap();
    assert_eq!(EFFECTS.scalars::<String>(&db).await.unwrap(), ["a:1"]);
}

#[tokio::test]
async fn old_marks_are_purged() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    t.script("INSERT INTO shop.inbox VALUES ('c', 1, now() - interval '15 days'), ('c', 2, now() - interval '13 days')").await.unwrap();
    assert_eq!(db::inbox::purge(&db, "shop", 14).await.unwrap(), 1);
    assert_eq!(db::inbox::purge(&db, "shop", 14).await.unwrap(), 0);
}

/// The whole way under load: slow and failing writers, relays that are killed, one effect each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_events_arrive_once_and_in_order_while_relays_are_killed() {
    const KEYS: i64 = 20;
    const PER_KEY: i64 = 250;
    let t = TestDb::new(&[SHOP, DEPOT]).await.unwrap();
    let db = t.app("shop").unwrap();
    let effects = Effects::failing(0, || INTERNAL.fail());
    let consumer = Arc::new(Consumer::new(db.clone(), "shop", "counting", effects));
    let bus = bus_with(consumer);
    let writing = async {
        let writers = (0..KEYS).map(|key| {
            let db = db.clone();
            async move {
                for n in 0..PER_KEY {
                    let tx = db.begin().await.unwrap();
                    let sold = event(key * PER_KEY + n + 1, &format!("k{key}"));
                    outbox::append(&tx, "shop", &[sold]).await.unwrap();
                    if n % 50 == 0 {
                        tokio::task::yield_now().await;
                    }
                    tx.commit().await.unwrap();
                }
            }
        });
        futures::future::join_all(writers).await;
    };
    let total = KEYS * PER_KEY;
    let done = AtomicUsize::new(0);
    let relaying = async {
        let relay_db = t.app("shop").unwrap();
        let mut round = 0_u32;
        while done.load(SeqCst) == 0 || PENDING.scalar::<i64>(&db).await.unwrap() > 0 {
            round += 1;
            let relay = Relay::new(relay_db.clone(), "shop", bus.clone(), clock());
            // Every third relay is killed somewhere in its round.
            if round.is_multiple_of(3) {
                let life = Duration::from_millis(u64::from(round % 40));
                let _killed = tokio::time::timeout(life, relay.round()).await;
            } else {
                relay.round().await.unwrap();
            }
        }
    };
    tokio::join!(
        async {
            writing.await;
            done.store(1, SeqCst);
        },
        relaying
    );
    let effects = EFFECTS.scalars::<String>(&db).await.unwrap();
    assert_eq!(
        i64::try_from(effects.len()).unwrap(),
        total,
        "each event has one effect"
    );
    let mut last: HashMap<&str, i64> = HashMap::new();
    for effect in &effects {
        let (key, id) = effect.split_once(':').unwrap();
        let id: i64 = id.parse().unwrap();
        let before = last.insert(key, id);
        assert!(
            before.is_none_or(|before| before < id),
            "{effect} after {before:?}"
        );
    }
}

#[tokio::test]
async fn a_running_relay_wakes_after_a_commit_and_stops_softly() {
    let t = TestDb::new(&[SHOP]).await.unwrap();
    let db = t.app("shop").unwrap();
    let notes = Arc::new(Notes::default());
    let moment = ManualClock::new("2026-11-20T07:00:00Z".parse().unwrap());
    let relay = Relay::new(db.clone(), "shop", bus_with(notes.clone()), moment);
    let soft = CancellationToken::new();
    let running = relay.run(db.outbox_wake("shop"), soft.clone());
    let using = async {
        for id in 1..=20 {
            write(&db, &[event(id, "a")]).await;
            let expected = usize::try_from(id).unwrap();
            eventually("it is published", LIMIT, || async {
                notes.ids().len() == expected
            })
            .await
            .unwrap();
        }
        soft.cancel();
    };
    let began = tokio::time::Instant::now();
    tokio::join!(running, using);
    // Twenty slow polls would take twenty seconds.
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
