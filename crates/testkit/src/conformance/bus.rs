use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, ensure};
use infra::bus::{Bus, BusError};
use jiff::Timestamp;
use kernel::event::{Handler, Handling};
use kernel::{Event, EventId, UserId, failure};
use serde_json::json;
use tokio::sync::Notify;

use super::within;

const A: &str = "conformance.a_happened.v1";
const B: &str = "conformance.b_happened.v1";

/// The suite of [`Bus`]. `make` gives one without consumers and without events.
pub async fn bus<A: Bus>(make: impl AsyncFn() -> anyhow::Result<Arc<A>>) -> anyhow::Result<()> {
    events_arrive_whole(&*make().await?)
        .await
        .context("events arrive whole")?;
    kinds_choose_consumers(&*make().await?)
        .await
        .context("kinds choose consumers")?;
    order_per_key_is_kept(&*make().await?)
        .await
        .context("order per key is kept")?;
    a_refused_event_comes_again(&*make().await?)
        .await
        .context("a refused event comes again")?;
    a_refused_event_holds_up_its_key_only(&*make().await?)
        .await
        .context("a refused event holds up its key only")?;
    keys_go_side_by_side(&*make().await?)
        .await
        .context("keys go side by side")?;
    subscriptions_are_checked(&*make().await?)
        .await
        .context("subscriptions are checked")?;
    publishing_nothing_is_fine(&*make().await?)
        .await
        .context("publishing nothing is fine")
}

fn event(id: i64, kind: &str, key: &str) -> Event {
    Event {
        id: EventId::new(id),
        kind: kind.to_owned(),
        at: Timestamp::UNIX_EPOCH,
        actor: Some(UserId::new(7)),
        tenant: Some(8),
        key: key.to_owned(),
        data: json!({ "text": "ğüşöçı", "id": id.to_string() }),
    }
}

/// Writes down what it is given; refuses an event as often as it was told to.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<Event>>,
    refuse: Mutex<Vec<EventId>>,
    news: Notify,
}

impl Recorder {
    fn refusing(events: &[i64]) -> Arc<Self> {
        let refuse = events.iter().copied().map(EventId::new).collect();
        Arc::new(Self {
            refuse: Mutex::new(refuse),
            ..Self::default()
        })
    }

    fn seen(&self) -> Vec<Event> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The ids of one key, in order, a repeated delivery counted once.
    fn ids(&self, key: &str) -> Vec<i64> {
        let mut ids = Vec::new();
        for event in self.seen().iter().filter(|event| event.key == key) {
            if !ids.contains(&event.id.get()) {
                ids.push(event.id.get());
            }
        }
        ids
    }

    async fn until(&self, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        within("event", async {
            loop {
                let news = self.news.notified();
                if done(self) {
                    return;
                }
                news.await;
            }
        })
        .await
    }

    fn take(&self, event: &Event) -> Result<(), kernel::Failure> {
        let mut refuse = self.refuse.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = refuse.iter().position(|id| *id == event.id) {
            refuse.remove(place);
            return Err(failure::UNAVAILABLE.fail());
        }
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.clone());
        self.news.notify_waiters();
        Ok(())
    }
}

impl Handler for Recorder {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            // Gives others a chance to overtake, which they must not.
            tokio::task::yield_now().await;
            self.take(event)
        })
    }
}

/// Publishes as the relay does: what was not accepted comes again.
async fn publish_until_accepted(bus: &dyn Bus, events: &[Event]) -> anyhow::Result<u32> {
    for attempt in 1..=20 {
        match bus.publish(events).await {
            Ok(()) => return Ok(attempt),
            Err(BusError::NotAccepted { refusals }) => ensure!(!refusals.is_empty()),
            Err(other) => return Err(other.into()),
        }
    }
    anyhow::bail!("not accepted in 20 attempts")
}

async fn events_arrive_whole(bus: &dyn Bus) -> anyhow::Result<()> {
    let recorder = Recorder::refusing(&[]);
    bus.subscribe("conformance", &[A], recorder.clone())?;
    let mut bare = event(2, A, "");
    (bare.actor, bare.tenant, bare.data) = (None, None, json!(null));
    let events = [event(1, A, "key"), bare];
    bus.publish(&events).await?;
    recorder
        .until(|recorder| recorder.seen().len() >= 2)
        .await?;
    let mut seen = recorder.seen();
    seen.sort_by_key(|event| event.id);
    ensure!(seen == events, "became {seen:?}");
    Ok(())
}

async fn kinds_choose_consumers(bus: &dyn Bus) -> anyhow::Result<()> {
    let (both, only_b) = (Recorder::refusing(&[]), Recorder::refusing(&[]));
    bus.subscribe("conformance_both", &[A, B], both.clone())?;
    bus.subscribe("conformance_b", &[B], only_b.clone())?;
    let other = event(3, "conformance.a_happened.v2", "k");
    bus.publish(&[event(1, A, "k"), event(2, B, "k"), other, event(4, B, "k")])
        .await?;
    both.until(|recorder| recorder.ids("k").contains(&4))
        .await?;
    only_b
        .until(|recorder| recorder.ids("k").contains(&4))
        .await?;
    ensure!(both.ids("k") == [1, 2, 4], "both got {:?}", both.ids("k"));
    ensure!(only_b.ids("k") == [2, 4], "b got {:?}", only_b.ids("k"));
    Ok(())
}

async fn order_per_key_is_kept(bus: &dyn Bus) -> anyhow::Result<()> {
    let recorder = Recorder::refusing(&[]);
    bus.subscribe("conformance", &[A, B], recorder.clone())?;
    let events: Vec<Event> = (0..300)
        .map(|id| event(id, if id % 2 == 0 { A } else { B }, &format!("k{}", id % 7)))
        .collect();
    for batch in events.chunks(50) {
        bus.publish(batch).await?;
    }
    recorder
        .until(|recorder| recorder.seen().len() >= 300)
        .await?;
    for key in 0..7 {
        let expected: Vec<i64> = (0..300).filter(|id| id % 7 == key).collect();
        let ids = recorder.ids(&format!("k{key}"));
        ensure!(ids == expected, "k{key} came as {ids:?}");
    }
    Ok(())
}

async fn a_refused_event_comes_again(bus: &dyn Bus) -> anyhow::Result<()> {
    let recorder = Recorder::refusing(&[2, 2]);
    bus.subscribe("conformance", &[A], recorder.clone())?;
    let events = [event(1, A, "k"), event(2, A, "k"), event(3, A, "k")];
    publish_until_accepted(bus, &events).await?;
    recorder
        .until(|recorder| recorder.ids("k").contains(&3))
        .await?;
    ensure!(
        recorder.ids("k") == [1, 2, 3],
        "came as {:?}",
        recorder.ids("k")
    );
    Ok(())
}

async fn a_refused_event_holds_up_its_key_only(bus: &dyn Bus) -> anyhow::Result<()> {
    let (refusing, other) = (Recorder::refusing(&[1; 3]), Recorder::refusing(&[]));
    bus.subscribe("conformance_refusing", &[A], refusing.clone())?;
    bus.subscribe("conformance_other", &[A], other.clone())?;
    let events = [
        event(1, A, "held"),
        event(2, A, "held"),
        event(3, A, "free"),
    ];
    // Whatever becomes of the call, these need no second one.
    let first = bus.publish(&events).await;
    refusing
        .until(|recorder| recorder.ids("free") == [3])
        .await?;
    other
        .until(|recorder| recorder.ids("held") == [1, 2])
        .await?;
    if let Err(BusError::NotAccepted { refusals }) = &first {
        let listed: Vec<i64> = refusals.iter().map(|refusal| refusal.event.get()).collect();
        ensure!(listed == [1, 2], "refusals name {listed:?}");
        ensure!(
            refusals
                .iter()
                .all(|refusal| refusal.consumer == "conformance_refusing")
        );
        ensure!(
            refusing.ids("held").is_empty(),
            "an event overtook a refused one"
        );
        publish_until_accepted(bus, &events).await?;
    }
    refusing
        .until(|recorder| recorder.ids("held").contains(&2))
        .await?;
    ensure!(
        refusing.ids("held") == [1, 2],
        "came as {:?}",
        refusing.ids("held")
    );
    Ok(())
}

/// The first event is accepted only after the second, of another key, has come.
struct Meeting {
    other_came: tokio::sync::Semaphore,
}

impl Handler for Meeting {
    fn handle<'a>(&'a self, event: &'a Event) -> Handling<'a> {
        Box::pin(async move {
            if event.key == "waits" {
                let came = self.other_came.acquire().await;
                return came
                    .map(drop)
                    .map_err(|closed| failure::INTERNAL.fail().because(closed));
            }
            self.other_came.add_permits(1);
            Ok(())
        })
    }
}

async fn keys_go_side_by_side(bus: &dyn Bus) -> anyhow::Result<()> {
    let meeting = Arc::new(Meeting {
        other_came: tokio::sync::Semaphore::new(0),
    });
    bus.subscribe("conformance", &[A], meeting)?;
    let events = [event(1, A, "waits"), event(2, A, "goes")];
    within("end of the meeting", bus.publish(&events)).await??;
    Ok(())
}

async fn subscriptions_are_checked(bus: &dyn Bus) -> anyhow::Result<()> {
    let recorder = Recorder::refusing(&[]);
    bus.subscribe("conformance", &[A], recorder.clone())?;
    let twice = bus.subscribe("conformance", &[B], recorder.clone());
    ensure!(
        matches!(
            twice,
            Err(BusError::Duplicate {
                consumer: "conformance"
            })
        ),
        "{twice:?}"
    );
    let nothing = bus.subscribe("conformance_nothing", &[], recorder.clone());
    ensure!(
        matches!(nothing, Err(BusError::NoKinds { .. })),
        "{nothing:?}"
    );
    bus.publish(&[event(1, B, "k"), event(2, A, "k")]).await?;
    recorder
        .until(|recorder| recorder.ids("k").contains(&2))
        .await?;
    ensure!(
        recorder.ids("k") == [2],
        "a refused subscription took events"
    );
    let late = bus.subscribe("conformance_late", &[A], recorder);
    ensure!(matches!(late, Err(BusError::Started { .. })), "{late:?}");
    Ok(())
}

async fn publishing_nothing_is_fine(bus: &dyn Bus) -> anyhow::Result<()> {
    within("end of publishing", bus.publish(&[])).await??;
    // Nobody asked for it: accepted by all there are.
    within("end of publishing", bus.publish(&[event(1, A, "k")])).await??;
    Ok(())
}
