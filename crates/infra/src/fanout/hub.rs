//! Which mailboxes of this node follow which topic. Every adapter delivers through it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use super::mailbox::{Deliveries, Mailbox};
use super::{FanoutError, Record, Topic};

/// Topic → mailboxes.
///
/// One read-write lock is enough: publishing reads it for as long as it takes to push to a handful
/// of mailboxes (one per worker), and only following writes. Locks are taken in the order mailbox's
/// topics, hub, mailbox's queue.
#[derive(Debug)]
pub(super) struct Hub {
    topics: RwLock<HashMap<Topic, Vec<Arc<Mailbox>>>>,
    topics_per_mailbox: usize,
}

impl Hub {
    pub(super) fn new(topics_per_mailbox: usize) -> Arc<Self> {
        Arc::new(Self {
            topics: RwLock::default(),
            topics_per_mailbox,
        })
    }

    pub(super) fn open(self: &Arc<Self>, capacity: usize) -> (Follower, Deliveries) {
        let mailbox = Mailbox::new(capacity);
        let deliveries = Deliveries::new(&mailbox, self);
        (
            Follower {
                hub: Arc::clone(self),
                mailbox,
            },
            deliveries,
        )
    }

    /// Offers the record to each mailbox of the topic; copies nothing but the reference.
    pub(super) fn deliver(&self, topic: Topic, record: &Arc<Record>) {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        for mailbox in topics.get(&topic).into_iter().flatten() {
            mailbox.offer(topic, record);
        }
    }

    /// How many topics at least one mailbox follows.
    pub(super) fn topic_count(&self) -> usize {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn follow(&self, mailbox: &Arc<Mailbox>, topics: &[Topic]) -> Result<(), FanoutError> {
        let mut followed = mailbox.followed();
        if followed.closed {
            return Err(FanoutError::Closed);
        }
        let mut new: Vec<Topic> = topics
            .iter()
            .filter(|topic| !followed.topics.contains(topic))
            .copied()
            .collect();
        new.sort_unstable();
        new.dedup();
        if followed.topics.len() + new.len() > self.topics_per_mailbox {
            return Err(FanoutError::TooManyTopics {
                limit: self.topics_per_mailbox,
            });
        }
        let mut map = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for topic in new {
            followed.topics.insert(topic);
            map.entry(topic).or_default().push(Arc::clone(mailbox));
        }
        Ok(())
    }

    fn unfollow(&self, mailbox: &Arc<Mailbox>, topics: &[Topic]) {
        let mut followed = mailbox.followed();
        {
            let mut map = self.topics.write().unwrap_or_else(PoisonError::into_inner);
            for topic in topics {
                if followed.topics.remove(topic) {
                    leave(&mut map, *topic, mailbox);
                }
            }
        }
        mailbox.forget_gaps(topics);
    }

    pub(super) fn close(&self, mailbox: &Arc<Mailbox>) {
        let mut followed = mailbox.followed();
        followed.closed = true;
        let mut map = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for topic in std::mem::take(&mut followed.topics) {
            leave(&mut map, topic, mailbox);
        }
    }
}

/// Takes the mailbox off the topic, and the topic off the map with its last mailbox.
fn leave(map: &mut HashMap<Topic, Vec<Arc<Mailbox>>>, topic: Topic, mailbox: &Arc<Mailbox>) {
    if let Entry::Occupied(mut entry) = map.entry(topic) {
        entry.get_mut().retain(|other| !Arc::ptr_eq(other, mailbox));
        if entry.get().is_empty() {
            entry.remove();
        }
    }
}

/// Chooses the topics of one mailbox; clones choose for the same one.
#[derive(Clone, Debug)]
pub struct Follower {
    hub: Arc<Hub>,
    mailbox: Arc<Mailbox>,
}

impl Follower {
    /// Follows the topics; following one again changes nothing.
    ///
    /// After success, every record published from then on is delivered or noted as lost. On an
    /// error none of the topics is followed that was not before.
    pub async fn follow(&self, topics: &[Topic]) -> Result<(), FanoutError> {
        self.hub.follow(&self.mailbox, topics)
    }

    /// Follows the topics no more; those it does not follow are passed over.
    ///
    /// Records that are in the mailbox already still come out.
    pub async fn unfollow(&self, topics: &[Topic]) {
        self.hub.unfollow(&self.mailbox, topics);
    }
}
