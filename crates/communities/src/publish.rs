//! Brings the records of committed changes to the fanout in the order of their revisions.
//!
//! Two requests that change one community commit one after the other, because both hold the lock of
//! its row; but the first may be the last to hear of its commit. So each takes a ticket while it
//! holds the lock, and records leave in the order of the tickets. Between processes there is no such
//! order; a node that sees a revision twice or too early heals by `rev`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use infra::fanout::{Fanout, Record, Topic};
use kernel::CommunityId;

/// What one change publishes.
pub(crate) type Batch = Vec<(Topic, Arc<Record>)>;

/// Locks that keep two requests from publishing for one community at once.
const LANES: usize = 64;

struct Slot {
    number: u64,
    /// None until the change is committed.
    batch: Option<Batch>,
}

#[derive(Default)]
struct Queues {
    last: u64,
    /// Tickets per community. As many as there are open transactions, hence bounded by the pool.
    slots: HashMap<CommunityId, VecDeque<Slot>>,
}

/// Publishes for all communities.
pub(crate) struct Publisher {
    fanout: Arc<dyn Fanout>,
    queues: Mutex<Queues>,
    lanes: [tokio::sync::Mutex<()>; LANES],
}

impl Publisher {
    pub(crate) fn new(fanout: Arc<dyn Fanout>) -> Arc<Self> {
        Arc::new(Publisher {
            fanout,
            queues: Mutex::default(),
            lanes: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
        })
    }

    /// Publishes what has no place in the order of a community.
    pub(crate) async fn publish(&self, batch: Batch) {
        for (topic, record) in batch {
            if let Err(error) = self.fanout.publish(topic, record).await {
                // Lossy by contract: whoever follows heals by the next revision.
                tracing::warn!(%topic, %error, "could not publish a change of a community");
            }
        }
    }

    /// Takes the next place in the order; call it right after the community's lock was given.
    pub(crate) fn ticket(self: &Arc<Self>, community: CommunityId) -> Ticket {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.last = queues.last.wrapping_add(1);
        let number = queues.last;
        queues.slots.entry(community).or_default().push_back(Slot {
            number,
            batch: None,
        });
        Ticket {
            publisher: Arc::clone(self),
            community,
            number,
            spent: false,
        }
    }

    /// Publishes all that is ready at the head of a community's queue.
    async fn flush(&self, community: CommunityId) {
        let lane = usize::try_from(community.get().unsigned_abs() >> 22).unwrap_or(0) % LANES;
        let Some(lane) = self.lanes.get(lane) else {
            return;
        };
        // Held while publishing, so that a second batch cannot overtake the first.
        let _alone = lane.lock().await;
        while let Some(batch) = self.pop(community) {
            self.publish(batch).await;
        }
    }

    fn pop(&self, community: CommunityId) -> Option<Batch> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = queues.slots.get_mut(&community)?;
        let ready = slots.front().is_some_and(|slot| slot.batch.is_some());
        let slot = if ready { slots.pop_front() } else { None };
        if slots.is_empty() {
            queues.slots.remove(&community);
        }
        slot?.batch
    }

    fn settle(&self, community: CommunityId, number: u64, batch: Option<Batch>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slots) = queues.slots.get_mut(&community) else {
            return;
        };
        let Some(at) = slots.iter().position(|slot| slot.number == number) else {
            return;
        };
        match batch {
            Some(batch) => {
                if let Some(slot) = slots.get_mut(at) {
                    slot.batch = Some(batch);
                }
            }
            None => {
                slots.remove(at);
                if slots.is_empty() {
                    queues.slots.remove(&community);
                }
            }
        }
    }
}

/// A place in the order of one community. Dropped without publishing, it makes way.
pub(crate) struct Ticket {
    publisher: Arc<Publisher>,
    community: CommunityId,
    number: u64,
    spent: bool,
}

impl Ticket {
    /// Publishes as soon as all earlier tickets did.
    pub(crate) async fn publish(mut self, batch: Batch) {
        self.spent = true;
        self.publisher
            .settle(self.community, self.number, Some(batch));
        self.publisher.flush(self.community).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        self.publisher.settle(self.community, self.number, None);
        // Others may have waited behind this one. The fanout within the process never waits, so
        // one poll brings them out; with another fanout the rest leaves with the next change.
        let _ = self.publisher.flush(self.community).now_or_never();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::fanout::{Body, Control, LocalFanout, Version};

    const COMMUNITY: CommunityId = CommunityId::new(5 << 22);

    fn record(rev: i64) -> Batch {
        vec![(
            Topic::Community(COMMUNITY),
            Arc::new(Record {
                body: Body::Control(Control::Joined(COMMUNITY)),
                community: Some(COMMUNITY),
                channel: None,
                version: Version::Rev(rev),
                epoch: 0,
                ephemeral: false,
            }),
        )]
    }

    #[tokio::test]
    async fn records_leave_in_the_order_of_tickets() {
        let fanout = LocalFanout::new();
        let (follower, mut deliveries) = fanout.open(16);
        follower
            .follow(&[Topic::Community(COMMUNITY)])
            .await
            .unwrap();
        let publisher = Publisher::new(fanout);
        let [first, second, third, fourth] = [(); 4].map(|()| publisher.ticket(COMMUNITY));
        third.publish(record(3)).await;
        second.publish(record(2)).await;
        assert!(deliveries.try_next().is_none(), "the first has not ended");
        first.publish(record(1)).await;
        let mut seen = Vec::new();
        while let Some(delivery) = deliveries.try_next() {
            seen.push(delivery.record.version);
        }
        assert_eq!(seen, [1, 2, 3].map(Version::Rev));
        let fifth = publisher.ticket(COMMUNITY);
        fifth.publish(record(5)).await;
        assert!(deliveries.try_next().is_none(), "the fourth has not ended");
        drop(fourth);
        assert_eq!(
            deliveries.try_next().map(|d| d.record.version),
            Some(Version::Rev(5)),
            "a ticket given up makes way"
        );
        assert!(publisher.queues.lock().unwrap().slots.is_empty());
    }
}
