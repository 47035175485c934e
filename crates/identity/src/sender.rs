//! Messages on their way to people: a bounded queue in memory, and the task that empties it.
//!
//! Not the outbox and not a job: those would write codes and links to disk and onto the bus. What
//! is lost in a crash is asked for again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use infra::mail::{Letter, MailError};
use infra::sms::{SmsError, Text};
use kernel::SharedRng;
use runtime::{Backoff, Lifecycle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::settings::DevCode;
use crate::{Identity, Senders};

/// Messages that wait; above it the answer is 503.
pub(crate) const QUEUE: usize = 1_024;
/// Messages that are handed over at the same time.
const IN_FLIGHT: usize = 8;
/// How long one hand-over may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long after the last request messages may still go out.
const DRAIN: Duration = Duration::from_secs(10);
/// A provider that is away is asked twice.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1), 2);

/// One message.
pub(crate) enum Parcel {
    /// To a phone.
    Text(Text),
    /// To an address.
    Letter(Letter),
    /// A code that a company makes.
    Code { to: String, locale: &'static str },
    /// Nothing: there is nobody to write to, and nobody may notice.
    Nothing,
}

/// Messages on their way.
pub(crate) struct Outgoing {
    queue: mpsc::Sender<Parcel>,
    /// The other end, until the task takes it.
    work: Mutex<Option<mpsc::Receiver<Parcel>>>,
}

/// A place in the queue.
pub(crate) struct Slot(mpsc::OwnedPermit<Parcel>);

impl Slot {
    /// Puts a message into the place.
    pub(crate) fn send(self, parcel: Parcel) {
        self.0.send(parcel);
    }
}

impl Outgoing {
    pub(crate) fn new(size: usize) -> Self {
        let (queue, work) = mpsc::channel(size.max(1));
        Outgoing {
            queue,
            work: Mutex::new(Some(work)),
        }
    }

    /// Takes a place before anything is counted or stored, so that a full queue costs nobody a
    /// code.
    pub(crate) fn reserve(&self) -> Result<Slot> {
        let slot = self.queue.clone().try_reserve_owned();
        slot.map(Slot).or(Err(Error::Busy))
    }

    fn take_work(&self) -> Option<mpsc::Receiver<Parcel>> {
        self.work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Identity {
    /// Begins to hand messages over, until `end` and what is queued then. A second call does
    /// nothing.
    pub fn begin_sending(&self, lifecycle: &Lifecycle, end: &CancellationToken) {
        let Some(work) = self.outgoing.take_work() else {
            return;
        };
        if self.settings.otp.dev_code == DevCode::Fixed {
            tracing::warn!("every one-time password is 123456, because of auth.dev_mode");
        }
        let carrier = self.carrier();
        let hard = lifecycle.hard().clone();
        let run = carrier.run(work, end.clone());
        runtime::spawn(lifecycle, "identity.sender", async move {
            if hard.run_until_cancelled(run).await.is_none() {
                tracing::warn!("messages that waited for their provider are lost");
            }
        });
    }
}

impl Identity {
    fn carrier(&self) -> Carrier {
        Carrier {
            senders: self.senders.clone(),
            rng: Arc::clone(&self.rng),
        }
    }

    /// Hands a message over at once and tells whether it was taken: for a process that ends soon.
    pub(crate) async fn hand_over(&self, parcel: Parcel) -> Result<()> {
        match self.carrier().carry(parcel).await {
            Carried::Sent => Ok(()),
            other => Err(Error::LetterNotTaken(other.word())),
        }
    }
}

/// Hands messages over.
struct Carrier {
    senders: Senders,
    rng: SharedRng,
}

impl Carrier {
    async fn run(self, mut work: mpsc::Receiver<Parcel>, end: CancellationToken) {
        let mut flying = FuturesUnordered::new();
        let mut open = true;
        // Cancel safe: `recv` and `next` lose nothing.
        while open || !flying.is_empty() {
            tokio::select! {
                () = end.cancelled() => break,
                parcel = work.recv(), if open && flying.len() < IN_FLIGHT => match parcel {
                    Some(parcel) => flying.push(self.carry(parcel)),
                    None => open = false,
                },
                Some(_) = flying.next(), if !flying.is_empty() => {}
            }
        }
        work.close();
        let rest = async {
            while let Some(parcel) = work.recv().await {
                if flying.len() >= IN_FLIGHT {
                    flying.next().await;
                }
                flying.push(self.carry(parcel));
            }
            while flying.next().await.is_some() {}
        };
        if tokio::time::timeout(DRAIN, rest).await.is_err() {
            tracing::warn!("messages that waited for their provider are lost");
        }
    }

    async fn carry(&self, parcel: Parcel) -> Carried {
        let (provider, sent) = match &parcel {
            Parcel::Nothing => return Carried::Sent,
            Parcel::Text(text) => ("sms", self.carry_text(text).await),
            Parcel::Code { to, locale } => ("verify", self.carry_code(to, locale).await),
            Parcel::Letter(letter) => ("mail", self.carry_letter(letter).await),
        };
        let result = sent.word();
        metrics::counter!("meydan_auth_otp_sent_total", "provider" => provider, "result" => result)
            .increment(1);
        if !matches!(sent, Carried::Sent) {
            // Without the cause: what a provider says may name the number.
            tracing::warn!(provider, result, "a message was not handed over");
        }
        sent
    }

    async fn carry_text(&self, text: &Text) -> Carried {
        let Some(sms) = &self.senders.sms else {
            return Carried::Refused;
        };
        let again = |error: &SmsError| matches!(error, SmsError::Unavailable(_));
        within(runtime::retry(RETRY, &*self.rng, again, || sms.send(text))).await
    }

    async fn carry_code(&self, to: &str, locale: &str) -> Carried {
        let Some(verify) = &self.senders.verify else {
            return Carried::Refused;
        };
        let again = |error: &SmsError| matches!(error, SmsError::Unavailable(_));
        let call = || verify.start(to, locale);
        within(runtime::retry(RETRY, &*self.rng, again, call)).await
    }

    async fn carry_letter(&self, letter: &Letter) -> Carried {
        let Some(mail) = &self.senders.mail else {
            return Carried::Refused;
        };
        let again = |error: &MailError| matches!(error, MailError::Unavailable(_));
        let call = || mail.send(letter);
        within(runtime::retry(RETRY, &*self.rng, again, call)).await
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    Sent,
    Refused,
    Unavailable,
    TooSlow,
}

impl Carried {
    fn word(self) -> &'static str {
        match self {
            Carried::Sent => "sent",
            Carried::Refused => "refused",
            Carried::Unavailable => "unavailable",
            Carried::TooSlow => "too_slow",
        }
    }
}

impl From<SmsError> for Carried {
    fn from(error: SmsError) -> Self {
        match error {
            SmsError::Refused(_) => Carried::Refused,
            SmsError::Unavailable(_) => Carried::Unavailable,
        }
    }
}

impl From<MailError> for Carried {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Refused(_) => Carried::Refused,
            MailError::Unavailable(_) => Carried::Unavailable,
        }
    }
}

async fn within<E: Into<Carried>>(
    call: impl Future<Output = std::result::Result<(), E>>,
) -> Carried {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(())) => Carried::Sent,
        Ok(Err(error)) => error.into(),
        Err(_) => Carried::TooSlow,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use async_trait::async_trait;
    use infra::mail::Mail;
    use kernel::SystemRng;
    use tokio::sync::Semaphore;

    use super::*;

    /// Fails the first `failures` times; takes a letter only with a permit.
    struct Post {
        failures: usize,
        asked: AtomicUsize,
        taken: AtomicUsize,
        permits: Semaphore,
    }

    impl Post {
        fn new(failures: usize, permits: usize) -> Arc<Self> {
            Arc::new(Post {
                failures,
                asked: AtomicUsize::new(0),
                taken: AtomicUsize::new(0),
                permits: Semaphore::new(permits),
            })
        }
    }

    #[async_trait]
    impl Mail for Post {
        async fn send(&self, _: &Letter) -> std::result::Result<(), MailError> {
            if self.asked.fetch_add(1, SeqCst) < self.failures {
                return Err(MailError::Unavailable("away".into()));
            }
            self.permits.acquire().await.unwrap().forget();
            self.taken.fetch_add(1, SeqCst);
            Ok(())
        }
    }

    fn letter() -> Parcel {
        Parcel::Letter(Letter {
            to: "a@example.com".to_owned(),
            subject: "Hello".to_owned(),
            text: "Hello".to_owned(),
        })
    }

    fn carrier(post: &Arc<Post>) -> Carrier {
        Carrier {
            senders: Senders {
                mail: Some(post.clone()),
                ..Senders::default()
            },
            rng: Arc::new(SystemRng),
        }
    }

    #[test]
    fn a_full_queue_refuses_the_next_message() {
        let outgoing = Outgoing::new(QUEUE);
        for _ in 0..QUEUE {
            outgoing.reserve().unwrap().send(letter());
        }
        assert!(matches!(outgoing.reserve(), Err(Error::Busy)));
        // A place that was taken and left is free again.
        let mut work = outgoing.take_work().unwrap();
        assert!(work.try_recv().is_ok());
        drop(outgoing.reserve().unwrap());
        assert!(outgoing.reserve().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_is_away_is_asked_once_more() {
        for (failures, taken, asked) in [(0, 1, 1), (1, 1, 2), (2, 0, 2)] {
            let post = Post::new(failures, 100);
            carrier(&post).carry(letter()).await;
            let seen = (post.taken.load(SeqCst), post.asked.load(SeqCst));
            assert_eq!(seen, (taken, asked), "after {failures} failures");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_at_the_end_still_goes_out_within_the_deadline() {
        for (permits, taken) in [(100, 30), (0, 0)] {
            let post = Post::new(0, permits);
            let outgoing = Outgoing::new(QUEUE);
            for _ in 0..30 {
                outgoing.reserve().unwrap().send(letter());
            }
            let end = CancellationToken::new();
            end.cancel();
            let begun = tokio::time::Instant::now();
            carrier(&post).run(outgoing.take_work().unwrap(), end).await;
            assert_eq!(post.taken.load(SeqCst), taken);
            assert!(begun.elapsed() <= DRAIN);
            assert!(matches!(outgoing.reserve(), Err(Error::Busy)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_eight_messages_are_handed_over_at_a_time() {
        let post = Post::new(0, 0);
        let outgoing = Outgoing::new(QUEUE);
        for _ in 0..30 {
            outgoing.reserve().unwrap().send(letter());
        }
        let (end, work) = (CancellationToken::new(), outgoing.take_work().unwrap());
        let run = tokio::time::timeout(Duration::from_secs(1), carrier(&post).run(work, end));
        assert!(run.await.is_err());
        assert_eq!(post.asked.load(SeqCst), IN_FLIGHT);
    }
}
