//! Wake-ups between processes: only a hint, the slow poll of the relays remains.
//!
//! NOTIFY takes a lock of the whole database until its transaction ends, so it never stands in a
//! writer's transaction: it leaves alone, at most once per 100 ms for all contexts together.

use std::time::Duration;

use futures::StreamExt;
use tokio_postgres::AsyncMessage;
use tokio_util::sync::CancellationToken;

use crate::connect::{self, Settings};
use crate::mechanics::backoff;
use crate::{Db, Error, Result, Sql};

/// Shortest time between two notifications of a process.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest time between two tries to listen.
const MAX_WAIT: Duration = Duration::from_secs(30);

const NOTIFY: Sql = Sql::new("wakeup.notify", "SELECT pg_notify('meydan_outbox', $1)");

/// The statements, for the test that prepares them.
#[doc(hidden)]
pub static STATEMENTS: &[&Sql] = &[&NOTIFY];

/// Tells other processes which outboxes have grown; see [`Db::announce`].
pub struct Notifier {
    db: Db,
}

impl Notifier {
    /// For the contexts of this pool.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Notifier { db }
    }

    /// Works until `soft` is cancelled.
    pub async fn run(self, soft: CancellationToken) {
        loop {
            tokio::select! {
                () = soft.cancelled() => return,
                () = self.db.announced().notified() => {}
            }
            let schemas = self.db.take_announced();
            if !schemas.is_empty() {
                // Lost with the connection: the slow poll of the others finds the events.
                if let Err(error) = NOTIFY.bind(&schemas.join(",")).execute(&self.db).await {
                    tracing::debug!(error = %error, "other processes were not notified");
                }
            }
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Turns notifications of other processes into the wake-ups of this one.
pub struct Listener {
    direct: Settings,
    db: Db,
}

impl Listener {
    /// `direct` must reach the server without a pooler; behind one nothing arrives and the slow
    /// poll remains.
    #[must_use]
    pub fn new(direct: Settings, db: Db) -> Self {
        Listener { direct, db }
    }

    /// Works until `soft` is cancelled; connects again when the connection breaks.
    pub async fn run(self, soft: CancellationToken) {
        let mut failures = 0;
        loop {
            let mut heard = false;
            let error = tokio::select! {
                () = soft.cancelled() => return,
                ended = self.listen(&mut heard) => ended.err(),
            };
            failures = if heard { 0 } else { failures + 1 };
            if let Some(error) = error {
                tracing::debug!(error = %error, "listening for wake-ups was interrupted");
            }
            tokio::select! {
                () = soft.cancelled() => return,
                () = tokio::time::sleep(backoff(Duration::from_millis(200), MAX_WAIT, failures)) => {}
            }
        }
    }

    async fn listen(&self, heard: &mut bool) -> Result<()> {
        let (client, mut messages) = connect::single(&self.direct).await?;
        let mut asking = std::pin::pin!(client.batch_execute("LISTEN meydan_outbox"));
        let mut asked = false;
        loop {
            tokio::select! {
                done = &mut asking, if !asked => {
                    done.map_err(|error| Error::from_driver("LISTEN", error))?;
                    asked = true;
                    *heard = true;
                    // What was announced before we listened.
                    self.db.wake_all();
                }
                message = messages.next() => match message {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        for schema in notification.payload().split(',') {
                            self.db.wake(schema);
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(Error::from_driver("LISTEN", error)),
                    None => return Err(Error::unavailable("LISTEN")),
                },
            }
        }
    }
}
