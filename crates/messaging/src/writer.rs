//! The writers: every change of a channel goes through one of a few tasks, chosen by its id.
//!
//! A writer takes what queued while its last commit ran, commits it as one batch, publishes in the
//! order of `ev`, answers, and takes again. There is no timer: the running commit is the batching
//! window. `seq` and `ev` come from the database under the channel's row lock, so that a second
//! process writing the same channel does no harm.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::messaging::Message;
use futures::FutureExt;
use infra::fanout::Fanout;
use infra::outbound::Outbound;
use kernel::{ChannelId, MessageId};
use runtime::Lifecycle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::breaker::{Breaker, Turn};
use crate::change::{Changed, Planned};
use crate::error::Error;
use crate::live::{self, Audience};
use crate::log::{Appended, Log, NewRow};

/// How long the caller of a full but moving queue waits for its answer; then it does not know
/// whether its message is stored and comes again with its nonce.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How much the writers take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Writer tasks.
    pub writers: usize,
    /// Items that may wait for each writer; more are refused with 503.
    pub queue: usize,
    /// Most items of a batch.
    pub batch: usize,
    /// Largest JSON of a message.
    pub max_json: usize,
    /// Largest form with files and the JSON of their message.
    pub max_form: usize,
    /// Looks at the links of messages; none when that is switched off.
    pub previews: Option<Outbound>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            writers: 2,
            queue: 4_096,
            batch: 512,
            max_json: 1024 * 1024,
            max_form: 26 * 1024 * 1024,
            previews: None,
        }
    }
}

/// A message on its way.
pub(crate) struct Append {
    pub(crate) row: NewRow,
    /// As it will be shown, without `seq` and `ev`.
    pub(crate) message: Message,
    pub(crate) audience: Audience,
}

/// A change on its way.
pub(crate) struct Alter {
    pub(crate) planned: Planned,
    /// The messages that it makes or changes, as they will be shown, without `seq` and `ev`.
    pub(crate) shows: Vec<Message>,
    pub(crate) audience: Audience,
}

/// The answer to a message.
#[derive(Debug)]
pub(crate) enum Sent {
    /// As it is stored.
    Fresh(Box<Message>),
    /// It was sent before, as this one.
    Replay(MessageId),
}

type Answer<T> = oneshot::Sender<Result<T, Error>>;

enum Work {
    Append(Box<Append>, Answer<Sent>),
    Alter(Box<Alter>, Answer<Vec<Message>>),
}

/// The queues of the writers.
pub(crate) struct Writers {
    queues: Vec<mpsc::Sender<Work>>,
    breaker: Arc<Mutex<Breaker>>,
}

impl Writers {
    /// Starts the tasks.
    pub(crate) fn start(
        settings: &Settings,
        log: &Log,
        fanout: &Arc<dyn Fanout>,
        lifecycle: &Lifecycle,
        end: &CancellationToken,
    ) -> Self {
        let breaker = Arc::<Mutex<Breaker>>::default();
        let queues = (0..settings.writers.max(1))
            .map(|number| {
                // Full: the sender is told to come again in a second.
                let (queue, items) = mpsc::channel(settings.queue.max(1));
                let writer = Writer {
                    log: log.clone(),
                    fanout: Arc::clone(fanout),
                    breaker: Arc::clone(&breaker),
                    items,
                    batch: settings.batch.max(1),
                    label: number.to_string(),
                };
                let (end, hard) = (end.clone(), lifecycle.hard().clone());
                drop(runtime::spawn(
                    lifecycle,
                    "messaging.writer",
                    writer.run(end, hard),
                ));
                queue
            })
            .collect();
        Writers { queues, breaker }
    }

    /// Queues a message and waits until it is stored.
    pub(crate) async fn append(&self, append: Append) -> Result<Sent, Error> {
        let admitted = {
            let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            breaker.admits(Instant::now())
        };
        if !admitted {
            return Err(refused("breaker"));
        }
        let (answer, answered) = oneshot::channel();
        let channel = append.row.channel;
        self.queue(channel, Work::Append(Box::new(append), answer))?;
        wait(answered).await
    }

    /// Queues a change and waits until it is stored. Gives the messages it made or changed; none
    /// when all was so before.
    pub(crate) async fn alter(&self, alter: Alter) -> Result<Vec<Message>, Error> {
        let (answer, answered) = oneshot::channel();
        let channel = alter.planned.channel;
        self.queue(channel, Work::Alter(Box::new(alter), answer))?;
        wait(answered).await
    }

    fn queue(&self, channel: ChannelId, work: Work) -> Result<(), Error> {
        let queue = self
            .queues
            .get(shard(channel, self.queues.len()))
            .ok_or(Error::Overloaded)?;
        queue.try_send(work).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => refused("queue"),
            mpsc::error::TrySendError::Closed(_) => refused("closed"),
        })
    }
}

fn refused(reason: &'static str) -> Error {
    metrics::counter!("meydan_writer_refused_total", "reason" => reason).increment(1);
    Error::Overloaded
}

async fn wait<T>(answered: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_LIMIT, answered).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_gone)) => Err(refused("lost")),
        Err(_elapsed) => Err(refused("late")),
    }
}

/// Which of `writers` a channel goes to. The low bits of ids are much alike: they are mixed first.
fn shard(channel: ChannelId, writers: usize) -> usize {
    let mixed = channel
        .get()
        .cast_unsigned()
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        >> 32;
    usize::try_from(mixed)
        .unwrap_or(0)
        .checked_rem(writers)
        .unwrap_or(0)
}

struct Writer {
    log: Log,
    fanout: Arc<dyn Fanout>,
    breaker: Arc<Mutex<Breaker>>,
    items: mpsc::Receiver<Work>,
    batch: usize,
    label: String,
}

impl Writer {
    /// Until `end`, and then until the queue is empty.
    async fn run(mut self, end: CancellationToken, hard: CancellationToken) {
        let depth = metrics::gauge!("meydan_writer_queue_depth", "writer" => self.label.clone());
        let mut batch = Vec::with_capacity(self.batch);
        let mut closed = false;
        loop {
            // Receiving is cancel safe: what was not taken stays in the queue.
            let taken = tokio::select! {
                biased;
                () = hard.cancelled() => return,
                taken = self.items.recv_many(&mut batch, self.batch) => taken,
                () = end.cancelled(), if !closed => {
                    self.items.close();
                    closed = true;
                    continue;
                }
            };
            if taken == 0 {
                return;
            }
            depth.set(f64::from(
                u32::try_from(self.items.len()).unwrap_or(u32::MAX),
            ));
            let work = AssertUnwindSafe(self.handle(std::mem::take(&mut batch)));
            tokio::select! {
                () = hard.cancelled() => return,
                // A panic is logged by the hook; whoever waited sees its answer lost, and the
                // writer goes on.
                _panicked = work.catch_unwind() => {}
            }
        }
    }

    async fn handle(&self, batch: Vec<Work>) {
        let (mut appends, mut alters) = (Vec::new(), Vec::new());
        for work in batch {
            match work {
                Work::Append(append, answer) => appends.push((append, answer)),
                Work::Alter(alter, answer) => alters.push((alter, answer)),
            }
        }
        if !appends.is_empty() {
            self.handle_appends(appends).await;
        }
        if !alters.is_empty() {
            self.handle_alters(alters).await;
        }
    }

    async fn handle_appends(&self, items: Vec<(Box<Append>, Answer<Sent>)>) {
        let mut rows = Vec::with_capacity(items.len());
        let mut rest = Vec::with_capacity(items.len());
        for (append, answer) in items {
            let Append {
                row,
                message,
                audience,
            } = *append;
            rows.push(row);
            rest.push((message, audience, answer));
        }
        let began = Instant::now();
        let results = self.log.append(&rows).await;
        self.measure(rows.len(), began.elapsed());
        let mut done: Vec<_> = results.into_iter().zip(rest).collect();
        // Within a channel in the order of `ev`; between channels there is none.
        done.sort_by_key(|(result, (message, ..))| match result {
            Appended::Fresh { ev, .. } => (message.channel_id, *ev),
            _ => (message.channel_id, i64::MAX),
        });
        for (result, (mut message, audience, answer)) in done {
            let sent = match result {
                Appended::Fresh {
                    seq,
                    ev,
                    expires_at,
                } => {
                    (message.seq, message.ev) = (seq, ev);
                    message.expires_at = expires_at;
                    let record = audience.message(live::CREATED, &mut message);
                    self.publish(&audience, record).await;
                    Ok(Sent::Fresh(Box::new(message)))
                }
                Appended::Replay(id) => Ok(Sent::Replay(id)),
                Appended::UnknownChannel => Err(Error::UnknownChannel),
                Appended::Refused => Err(Error::Refused),
                Appended::Away => Err(refused("database")),
            };
            // Whoever asked may have gone; the message stays.
            drop(answer.send(sent));
        }
    }

    async fn handle_alters(&self, items: Vec<(Box<Alter>, Answer<Vec<Message>>)>) {
        let mut plans = Vec::with_capacity(items.len());
        let mut rest = Vec::with_capacity(items.len());
        for (alter, answer) in items {
            let Alter {
                planned,
                shows,
                audience,
            } = *alter;
            plans.push(planned);
            rest.push((shows, audience, answer));
        }
        let began = Instant::now();
        let results = self.log.change(&plans).await;
        self.measure(plans.len(), began.elapsed());
        let mut done: Vec<(Changed, _)> = results.into_iter().zip(rest).collect();
        done.sort_by_key(|(result, (_, audience, _))| {
            let first = result.as_ref().ok().and_then(|happened| happened.first());
            (audience.channel, first.map_or(i64::MAX, |first| first.ev))
        });
        for (result, (mut shows, audience, answer)) in done {
            let altered = match result {
                Ok(happened) => {
                    for happened in &happened {
                        let record = audience.happened(happened, &mut shows);
                        self.publish(&audience, record).await;
                    }
                    if happened.is_empty() {
                        shows.clear();
                    }
                    Ok(shows)
                }
                Err(Error::Overloaded) => Err(refused("database")),
                Err(error) => Err(error),
            };
            drop(answer.send(altered));
        }
    }

    async fn publish(&self, audience: &Audience, record: Result<infra::fanout::Record, Error>) {
        match record {
            Ok(record) => live::publish(&*self.fanout, audience.topic, record).await,
            Err(error) => tracing::error!(%error, "what is stored cannot be told"),
        }
    }

    fn measure(&self, size: usize, took: Duration) {
        metrics::histogram!("meydan_writer_batch_size")
            .record(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
        metrics::histogram!("meydan_writer_commit_seconds").record(took.as_secs_f64());
        let turn = {
            let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
            breaker.note(Instant::now(), took)
        };
        match turn {
            Some(Turn::Opened) => {
                tracing::error!(
                    "commits are too slow; new messages are refused until they are not"
                );
            }
            Some(Turn::Closed) => tracing::info!("commits are fast again; new messages are taken"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_spread_over_the_writers() {
        for writers in 1..=4 {
            let mut counts = vec![0_usize; writers];
            for n in 0..1_000_i64 {
                // Ids as generators make them: low bits all zero.
                counts[shard(ChannelId::new((n * 977) << 22), writers)] += 1;
            }
            let fair = 1_000 / writers;
            assert!(
                counts.iter().all(|count| *count > fair / 2),
                "{writers}: {counts:?}"
            );
        }
        assert_eq!(shard(ChannelId::new(7), 0), 0);
    }
}
