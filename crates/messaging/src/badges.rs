//! The number on the icons of a reader's devices, told a moment after it may have changed.
//!
//! It is computed over all of a reader's channels, so it is told at most once a second and reader,
//! and to a bounded number of readers: the others wait their turn. Clients with read states work it
//! out themselves at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use infra::fanout::Topic;
use kernel::UserId;
use runtime::Lifecycle;
use tokio::sync::Notify;

use crate::Messaging;
use crate::error::Error;
use crate::live;

/// The pause before each round.
const EVERY: Duration = Duration::from_secs(1);
/// Most readers of one round.
const EACH_ROUND: usize = 50;
/// Readers that may wait; more are not told until their badge changes again.
const MAX_WAITING: usize = 10_000;

/// Readers whose badge may have changed.
#[derive(Debug, Default)]
pub(crate) struct Badges {
    waiting: Mutex<VecDeque<UserId>>,
    filled: Notify,
}

impl Badges {
    pub(crate) fn put(&self, user: UserId) {
        let mut waiting = self.lock();
        if waiting.len() < MAX_WAITING && !waiting.contains(&user) {
            waiting.push_back(user);
        }
        drop(waiting);
        self.filled.notify_one();
    }

    fn take(&self) -> Vec<UserId> {
        let mut waiting = self.lock();
        let taken = waiting.len().min(EACH_ROUND);
        let users = waiting.drain(..taken).collect();
        if !waiting.is_empty() {
            self.filled.notify_one();
        }
        users
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<UserId>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts telling, until the process stops: nobody listens after that.
pub(crate) fn start(messaging: &Arc<Messaging>, lifecycle: &Lifecycle) {
    let badges = Arc::clone(&messaging.badges);
    let messaging = Arc::downgrade(messaging);
    let soft = lifecycle.soft().clone();
    let work = async move {
        tokio::select! {
            () = soft.cancelled() => {}
            () = tell(badges, messaging) => {}
        }
    };
    drop(runtime::spawn(lifecycle, "messaging.badges", work));
}

async fn tell(badges: Arc<Badges>, messaging: Weak<Messaging>) {
    loop {
        badges.filled.notified().await;
        tokio::time::sleep(EVERY).await;
        let Some(messaging) = messaging.upgrade() else {
            return;
        };
        for user in badges.take() {
            if let Err(error) = messaging.tell_badge(user).await {
                tracing::debug!(error = %kernel::Failure::from(error), "a badge was not told");
            }
        }
    }
}

impl Messaging {
    async fn tell_badge(&self, user: UserId) -> Result<(), Error> {
        let record = live::badge(self.badge(user).await?)?;
        live::publish(&*self.fanout, Topic::User(user), record).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reader_waits_once_and_rounds_are_bounded() {
        let badges = Badges::default();
        for user in 1..=60 {
            badges.put(UserId::new(user));
            badges.put(UserId::new(user));
        }
        assert_eq!(badges.take().len(), EACH_ROUND);
        let rest = badges.take();
        assert_eq!((rest.len(), rest[0]), (10, UserId::new(51)));
        for user in 0..=i64::try_from(MAX_WAITING).unwrap() {
            badges.put(UserId::new(user));
        }
        assert_eq!(badges.lock().len(), MAX_WAITING);
    }
}
