use std::sync::Arc;

use async_trait::async_trait;

use super::hub::{Follower, Hub};
use super::mailbox::Deliveries;
use super::{Fanout, FanoutError, Record, Topic};

/// Topics one mailbox may follow: a worker of 20,000 sockets with 25 topics each that nobody shares.
const TOPICS_PER_MAILBOX: usize = 500_000;

/// The fanout inside one process: publishing hands the `Arc` to each mailbox.
#[derive(Debug)]
pub struct LocalFanout {
    hub: Arc<Hub>,
}

impl LocalFanout {
    /// Makes a fanout that nobody follows yet.
    pub fn new() -> Arc<Self> {
        Self::with_topics_per_mailbox(TOPICS_PER_MAILBOX)
    }

    /// The same with another bound on the topics of one mailbox; above it `follow` fails.
    pub fn with_topics_per_mailbox(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            hub: Hub::new(limit),
        })
    }

    /// How many topics are followed by at least one mailbox.
    pub fn topic_count(&self) -> usize {
        self.hub.topic_count()
    }
}

#[async_trait]
impl Fanout for LocalFanout {
    async fn publish(&self, topic: Topic, record: Arc<Record>) -> Result<(), FanoutError> {
        self.hub.deliver(topic, &record);
        Ok(())
    }

    fn open(&self, capacity: usize) -> (Follower, Deliveries) {
        self.hub.open(capacity)
    }
}
