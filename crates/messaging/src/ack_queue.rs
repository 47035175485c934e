//! What sockets acknowledge, merged for a moment: of all cursors of a reader in a channel the
//! furthest is written.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kernel::{ChannelId, UserId};
use runtime::Lifecycle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Messaging;
use crate::acks::Step;

/// How long cursors wait for others. A crash loses as much; clients send them again.
const MERGE_FOR: Duration = Duration::from_millis(250);
/// Readers' places that may wait; cursors for more are dropped and counted.
const MAX_WAITING: usize = 20_000;
/// Most cursors of one transaction.
const BATCH: usize = 500;

/// Cursors that wait to be written.
#[derive(Debug, Default)]
pub(crate) struct AckQueue {
    waiting: Mutex<HashMap<(UserId, ChannelId), Step>>,
    filled: Notify,
}

impl AckQueue {
    /// Adds cursors. When too many wait, new places are dropped: a later cursor of the same reader
    /// says the same and more.
    pub(crate) fn put(&self, steps: Vec<Step>) {
        let mut dropped = 0_u64;
        let mut waiting = self.lock();
        for step in steps {
            let place = (step.seat.user, step.seat.channel);
            if let Some(known) = waiting.get_mut(&place) {
                known.delivered_seq = known.delivered_seq.max(step.delivered_seq);
                known.read_seq = known.read_seq.max(step.read_seq);
            } else if waiting.len() < MAX_WAITING {
                waiting.insert(place, step);
            } else {
                dropped += 1;
            }
        }
        drop(waiting);
        if dropped > 0 {
            metrics::counter!("meydan_messaging_cursors_dropped_total").increment(dropped);
        }
        self.filled.notify_one();
    }

    fn take(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = std::mem::take(&mut *self.lock()).into_values().collect();
        steps.sort_unstable_by_key(|step| (step.seat.user, step.seat.channel));
        steps
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(UserId, ChannelId), Step>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts writing what waits, until `end` and then once more.
pub(crate) fn start(messaging: &Arc<Messaging>, lifecycle: &Lifecycle, end: &CancellationToken) {
    let queue = Arc::clone(&messaging.acks);
    let messaging = Arc::downgrade(messaging);
    let (end, hard) = (end.clone(), lifecycle.hard().clone());
    let work = async move {
        tokio::select! {
            () = hard.cancelled() => {}
            () = write(queue, messaging, end) => {}
        }
    };
    drop(runtime::spawn(lifecycle, "messaging.acks", work));
}

async fn write(queue: Arc<AckQueue>, messaging: Weak<Messaging>, end: CancellationToken) {
    loop {
        let ended = tokio::select! {
            biased;
            () = end.cancelled() => true,
            () = queue.filled.notified() => {
                // Cancel safe: what waits stays in the queue.
                tokio::time::timeout(MERGE_FOR, end.cancelled()).await.is_ok()
            }
        };
        let Some(messaging) = messaging.upgrade() else {
            return;
        };
        messaging.flush_acks().await;
        if ended {
            return;
        }
    }
}

impl Messaging {
    /// Writes what waits. What cannot be written waits for the next time, unless newer cursors
    /// have filled the queue.
    async fn flush_acks(&self) {
        for batch in self.acks.take().chunks(BATCH) {
            metrics::histogram!("meydan_messaging_cursors_batch_size")
                .record(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
            if let Err(error) = self.advance_now(batch).await {
                tracing::warn!(error = %kernel::Failure::from(error), batch.size = batch.len(),
                    "cursors could not be written; trying again");
                self.acks.put(batch.to_vec());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seats::Seat;

    fn step(user: i64, delivered_seq: Option<i64>, read_seq: Option<i64>) -> Step {
        Step {
            seat: Seat::private(UserId::new(user), ChannelId::new(1)),
            delivered_seq,
            read_seq,
        }
    }

    #[test]
    fn of_all_cursors_the_furthest_is_written() {
        let queue = AckQueue::default();
        queue.put(vec![step(1, Some(5), None), step(2, None, Some(1))]);
        queue.put(vec![step(1, Some(4), Some(3))]);
        queue.put(vec![step(1, None, Some(2))]);
        let taken = queue.take();
        assert_eq!(taken, [step(1, Some(5), Some(3)), step(2, None, Some(1))]);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn a_full_queue_drops_new_places_and_goes_on_with_old_ones() {
        let queue = AckQueue::default();
        let most = i64::try_from(MAX_WAITING).unwrap();
        queue.put((1..=most).map(|user| step(user, None, Some(1))).collect());
        queue.put(vec![step(most + 1, None, Some(1)), step(1, None, Some(9))]);
        let taken = queue.take();
        assert_eq!(taken.len(), MAX_WAITING);
        assert_eq!(taken[0].read_seq, Some(9));
        assert_eq!(taken[MAX_WAITING - 1].seat.user, UserId::new(most));
    }
}
