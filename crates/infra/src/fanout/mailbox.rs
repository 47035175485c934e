use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::hub::Hub;
use super::{Record, Topic};

/// The most records a mailbox holds, whatever its owner asks for.
pub const MAX_MAILBOX: usize = 65_536;

/// A record on its way to a worker.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The topic it was published on.
    pub topic: Topic,
    /// The record, shared by all mailboxes of the node.
    pub record: Arc<Record>,
}

/// The reading half of a mailbox.
#[derive(Debug)]
pub struct Deliveries {
    queue: Arc<Queue>,
    // Weak, so that the mailbox ends when the fanout and all followers are gone.
    mailbox: Weak<Mailbox>,
    hub: Weak<Hub>,
}

impl Deliveries {
    pub(super) fn new(mailbox: &Arc<Mailbox>, hub: &Arc<Hub>) -> Self {
        Self {
            queue: Arc::clone(&mailbox.queue),
            mailbox: Arc::downgrade(mailbox),
            hub: Arc::downgrade(hub),
        }
    }

    /// Waits for the next record; `None` when the fanout and every follower are gone.
    ///
    /// Cancel safe: a dropped wait loses no record.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            {
                let mut state = self.queue.lock();
                if let Some(delivery) = state.records.pop_front() {
                    return Some(delivery);
                }
                if state.closed {
                    return None;
                }
            }
            // A push between the look above and this line leaves its permit in the Notify.
            self.queue.filled.notified().await;
        }
    }

    /// Takes the next record if one is there.
    pub fn try_next(&mut self) -> Option<Delivery> {
        self.queue.lock().records.pop_front()
    }

    /// Takes the topics on which records were lost since the last call, each once, in order.
    ///
    /// Look whenever the mailbox has been read empty: a loss is noted before the reader can see
    /// the mailbox empty again.
    pub fn take_gaps(&self) -> Vec<Topic> {
        std::mem::take(&mut self.queue.lock().gaps)
            .into_iter()
            .collect()
    }

    /// How many ephemeral records were dropped since the mailbox was opened.
    pub fn dropped(&self) -> u64 {
        self.queue.lock().dropped
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        if let (Some(hub), Some(mailbox)) = (self.hub.upgrade(), self.mailbox.upgrade()) {
            hub.close(&mailbox);
        }
    }
}

/// The writing half: held by the followers and by every topic it follows.
#[derive(Debug)]
pub(super) struct Mailbox {
    queue: Arc<Queue>,
    pub(super) followed: Mutex<Followed>,
}

#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) topics: BTreeSet<Topic>,
    pub(super) closed: bool,
}

impl Mailbox {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let capacity = capacity.clamp(1, MAX_MAILBOX);
        let state = QueueState {
            records: VecDeque::with_capacity(capacity),
            gaps: BTreeSet::new(),
            dropped: 0,
            closed: false,
        };
        let queue = Queue {
            state: Mutex::new(state),
            capacity,
            filled: Notify::new(),
        };
        Arc::new(Self {
            queue: Arc::new(queue),
            followed: Mutex::default(),
        })
    }

    /// Puts the record in, or notes that it did not fit; never waits. The last quarter is for
    /// durable records alone: no storm of ephemeral ones makes a gap.
    pub(super) fn offer(&self, topic: Topic, record: &Arc<Record>) {
        let capacity = self.queue.capacity;
        let room = if record.ephemeral {
            capacity - capacity / 4
        } else {
            capacity
        };
        let mut state = self.queue.lock();
        if state.records.len() < room {
            state.records.push_back(Delivery {
                topic,
                record: Arc::clone(record),
            });
            // The only reader sleeps only when it found the queue empty.
            let was_empty = state.records.len() == 1;
            drop(state);
            if was_empty {
                self.queue.filled.notify_one();
            }
            return;
        }
        let lost = if record.ephemeral {
            state.dropped += 1;
            "ephemeral"
        } else {
            state.gaps.insert(topic);
            "durable"
        };
        drop(state);
        metrics::counter!("meydan_realtime_mailbox_full_total", "lost" => lost).increment(1);
    }

    /// Forgets gaps of topics that are followed no more; nobody needs to heal them.
    pub(super) fn forget_gaps(&self, topics: &[Topic]) {
        let mut state = self.queue.lock();
        for topic in topics {
            state.gaps.remove(topic);
        }
    }

    pub(super) fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.filled.notify_one();
    }
}

#[derive(Debug)]
struct Queue {
    // Holding records and gaps under one lock makes "full" and "gap noted" one step; otherwise a
    // reader could empty the queue, see no gap and sleep just before the gap is noted.
    state: Mutex<QueueState>,
    capacity: usize,
    filled: Notify,
}

#[derive(Debug)]
struct QueueState {
    records: VecDeque<Delivery>,
    gaps: BTreeSet<Topic>,
    dropped: u64,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Every change is complete before anything could panic, so a poisoned lock is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
