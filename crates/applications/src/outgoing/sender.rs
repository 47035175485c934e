//! Carries deliveries out.
//!
//! Whoever claims a delivery moves its due moment half a minute ahead: if this process dies, the next one
//! finds it due again and sends it under the same `webhook-id`, so that nothing is lost and receivers
//! can tell a double. Few deliveries of one address are under way at a time, one of an address that
//! fails: nobody waits behind somebody else's slow server.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use infra::outbound::{Answer, Call, Outbound, OutboundError};
use jiff::Timestamp;
use kernel::SubscriptionId;
use runtime::Lifecycle;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::delivery::{Attempt, Claim, State};
use super::model::{Off, Owner, SubscriptionRow};
use super::render::Rendered;
use super::{schedule, signature};
use crate::Applications;
use crate::error::Result;
use crate::sql::deliveries::{self, Settled, Take};
use crate::sql::subscriptions;

/// Most deliveries under way in this process; more wait in their table.
const IN_FLIGHT: usize = 256;
/// Most of one address, in each process.
const OF_ONE: usize = 4;
/// Longer than the longest attempt, see the bounds of the calls.
const CLAIMED_FOR: Duration = Duration::from_secs(30);
/// How often what nobody announced is looked for.
const POLL: Duration = Duration::from_secs(1);
/// What of an answer is kept, in characters.
const ANSWER_CHARS: usize = 500;
/// The status of an address that wants nothing ever again.
const GONE: u16 = 410;

/// The way out.
pub struct Outgoing {
    outbound: Outbound,
    filled: Notify,
}

/// How an attempt ended.
struct Ended {
    attempt: Attempt,
    status: Option<u16>,
    wish: Option<Duration>,
}

/// What became of a claim.
struct Carried {
    subscription: SubscriptionId,
    /// Whether its address took it, if it was asked.
    taken: Option<bool>,
}

impl Outgoing {
    /// Calls go out this way; its bounds limit how long one takes and what of an answer is read.
    pub fn new(outbound: Outbound) -> Self {
        Outgoing {
            outbound,
            filled: Notify::new(),
        }
    }

    /// Something may be due.
    pub(crate) fn wake(&self) {
        self.filled.notify_one();
    }

    /// Whether an address may be called.
    pub(crate) fn check(&self, url: &str) -> std::result::Result<(), OutboundError> {
        self.outbound.check(url)
    }
}

/// Who is under way, and who failed last.
#[derive(Default)]
struct Lanes {
    flying: HashMap<SubscriptionId, usize>,
    failing: HashSet<SubscriptionId>,
}

impl Lanes {
    fn begin(&mut self, claim: &Claim) {
        *self.flying.entry(claim.subscription_id).or_default() += 1;
    }

    fn end(&mut self, carried: &Carried) {
        let id = carried.subscription;
        if let Some(count) = self.flying.get_mut(&id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.flying.remove(&id);
            }
        }
        match carried.taken {
            Some(true) => drop(self.failing.remove(&id)),
            // Bounded: only what is under way is remembered.
            Some(false) if self.failing.len() < IN_FLIGHT * OF_ONE => {
                self.failing.insert(id);
            }
            Some(false) | None => {}
        }
    }

    /// Addresses that get no more for now.
    fn busy(&self) -> Vec<SubscriptionId> {
        let most = |id| if self.failing.contains(id) { 1 } else { OF_ONE };
        let full = self.flying.iter().filter(|(id, count)| **count >= most(id));
        full.map(|(id, _)| *id).collect()
    }
}

/// Starts carrying deliveries out, until the process drains: what is under way then is finished.
pub fn begin_delivering(this: &Arc<Applications>, lifecycle: &Lifecycle) {
    let app = Arc::clone(this);
    let (soft, hard) = (lifecycle.soft().clone(), lifecycle.hard().clone());
    let work = async move {
        if hard.run_until_cancelled(app.deliver(soft)).await.is_none() {
            tracing::warn!("deliveries under way were cut; they go out again");
        }
    };
    drop(runtime::spawn(lifecycle, "applications.deliveries", work));
}

impl Applications {
    /// Carries out what is due at this moment, and waits for it; how many it were.
    pub async fn deliver_due(&self) -> Result<usize> {
        let claims = self.claim(&[], IN_FLIGHT).await?;
        let count = claims.len();
        let all = claims.into_iter().map(|claim| self.carry(claim));
        futures::future::join_all(all).await;
        Ok(count)
    }

    async fn deliver(&self, soft: CancellationToken) {
        let mut flying = FuturesUnordered::new();
        let mut lanes = Lanes::default();
        while !soft.is_cancelled() {
            let room = IN_FLIGHT.saturating_sub(flying.len());
            let claimed = if room == 0 {
                Ok(Vec::new())
            } else {
                self.claim(&lanes.busy(), room).await
            };
            match claimed {
                Ok(claims) => {
                    for claim in claims {
                        lanes.begin(&claim);
                        flying.push(self.carry(claim));
                    }
                }
                Err(error) => tracing::warn!(
                    error = %kernel::Failure::from(error), "deliveries cannot be looked for"
                ),
            }
            // Cancel safe: a notice and an end that are not taken here are taken next time.
            tokio::select! {
                () = soft.cancelled() => {}
                () = self.outgoing.filled.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(carried) = flying.next(), if !flying.is_empty() => lanes.end(&carried),
            }
        }
        while flying.next().await.is_some() {}
    }

    async fn claim(&self, busy: &[SubscriptionId], room: usize) -> Result<Vec<Claim>> {
        let now = self.clock.now();
        let take = Take {
            each: i64::try_from(OF_ONE).unwrap_or(1),
            most: i64::try_from(room).unwrap_or(0),
        };
        let until = now + CLAIMED_FOR;
        Ok(deliveries::claim_deliveries(&self.db, now, until, busy, take).await?)
    }

    async fn carry(&self, claim: Claim) -> Carried {
        let subscription = claim.subscription_id;
        let taken = match self.attempt(&claim).await {
            Ok(taken) => taken,
            Err(error) => {
                // It is due again when the claim runs out.
                tracing::warn!(
                    delivery.id = claim.id.get(),
                    error = %kernel::Failure::from(error),
                    "a delivery could not be prepared or noted"
                );
                None
            }
        };
        Carried {
            subscription,
            taken,
        }
    }

    /// Makes one attempt and notes it; none when there was nobody to ask.
    async fn attempt(&self, claim: &Claim) -> Result<Option<bool>> {
        let data = match self.render(claim).await? {
            Rendered::Data(data) => data,
            Rendered::Dropped => return self.drop_delivery(claim, None).await.map(|()| None),
            Rendered::Forbidden => {
                let off = Some(Off::Rights);
                return self.drop_delivery(claim, off).await.map(|()| None);
            }
        };
        let body = json!({
            "type": claim.event,
            "timestamp": claim.at.to_string(),
            "data": data,
        });
        let ended = self.call(claim, Bytes::from(body.to_string())).await?;
        let taken = ended
            .status
            .is_some_and(|status| (200..300).contains(&status));
        if taken {
            self.note_taken(claim, ended).await?;
        } else {
            self.note_failed(claim, ended).await?;
        }
        Ok(Some(taken))
    }

    async fn call(&self, claim: &Claim, body: Bytes) -> Result<Ended> {
        let (begun, at) = (Instant::now(), self.clock.now());
        let (id, seconds) = (format!("msg_{}", claim.id), at.as_second());
        let signature = signature::sign(&self.secrets(claim, at)?, &id, seconds, &body);
        let call = Call::json(&claim.url, body)
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature)
            .beginning();
        let outcome = self.outgoing.outbound.send(call).await;
        let took = begun.elapsed();
        metrics::histogram!("meydan_webhook_attempt_seconds").record(took.as_secs_f64());
        let answer = outcome.as_ref().ok();
        Ok(Ended {
            attempt: Attempt {
                number: claim.attempts.saturating_add(1),
                at,
                duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
                status: answer.map(|answer| i32::from(answer.status)),
                error: outcome.as_ref().err().map(|error| word(error).to_owned()),
                answer: answer.map(beginning).unwrap_or_default(),
            },
            status: answer.map(|answer| answer.status),
            wish: answer
                .and_then(|answer| answer.retry_after.as_deref())
                .and_then(|text| schedule::wish(text, at)),
        })
    }

    /// The secrets that sign: the present one, and for a while the one before.
    fn secrets(&self, claim: &Claim, now: Timestamp) -> Result<Vec<Vec<u8>>> {
        let bound = SubscriptionRow::bound(claim.subscription_id);
        let open = |sealed: &[u8]| {
            let keys = &self.settings.keys;
            keys.open(&claim.secret_kek, &bound, sealed)
        };
        let mut secrets = vec![open(&claim.secret_enc)?];
        let old = claim.old_secret_enc.as_deref();
        if let Some(old) = old.filter(|_| claim.old_secret_until.is_some_and(|until| now < until)) {
            secrets.push(open(old)?);
        }
        Ok(secrets)
    }

    async fn note_taken(&self, claim: &Claim, ended: Ended) -> Result<()> {
        let tx = self.db.begin().await?;
        let to = settled(claim, State::Delivered, ended.attempt.at);
        if deliveries::settle_delivery(&tx, claim, to).await? == 1 {
            deliveries::insert_attempt(&tx, claim.id, &ended.attempt).await?;
            subscriptions::note_success(&tx, claim.subscription_id).await?;
        }
        tx.commit().await?;
        count("delivered");
        Ok(())
    }

    async fn note_failed(&self, claim: &Claim, ended: Ended) -> Result<()> {
        let now = self.clock.now();
        let failed = claim.tries.saturating_add(1);
        let pause = schedule::pause(failed, ended.wish, &*self.rng);
        let to = match pause {
            Some(pause) => settled(claim, State::Waits, now + pause),
            None => settled(claim, State::Failed, now),
        };
        let tx = self.db.begin().await?;
        if deliveries::settle_delivery(&tx, claim, to).await? == 1 {
            deliveries::insert_attempt(&tx, claim.id, &ended.attempt).await?;
            let since = subscriptions::note_failure(&tx, claim.subscription_id, now).await?;
            let off = match since {
                _ if ended.status == Some(GONE) => Some(Off::Gone),
                Some(since) if schedule::is_given_up(since, now) => Some(Off::Failing),
                Some(_) | None => None,
            };
            self.switch_off_claimed(&tx, claim, off).await?;
        }
        tx.commit().await?;
        count(if pause.is_some() { "retried" } else { "failed" });
        Ok(())
    }

    async fn drop_delivery(&self, claim: &Claim, off: Option<Off>) -> Result<()> {
        let tx = self.db.begin().await?;
        let to = Settled {
            attempts: claim.attempts,
            tries: claim.tries,
            ..settled(claim, State::Dropped, self.clock.now())
        };
        deliveries::settle_delivery(&tx, claim, to).await?;
        self.switch_off_claimed(&tx, claim, off).await?;
        tx.commit().await?;
        count("dropped");
        Ok(())
    }

    async fn switch_off_claimed(&self, tx: &db::Tx, claim: &Claim, off: Option<Off>) -> Result<()> {
        let owner = Owner::of(claim.application_id, claim.community_id);
        if let (Some(off), Some(owner)) = (off, owner) {
            let of = (owner, claim.subscription_id, claim.creator_id);
            self.switch_off(tx, of, off).await?;
        }
        Ok(())
    }
}

fn settled(claim: &Claim, state: State, due_at: Timestamp) -> Settled {
    Settled {
        state,
        attempts: claim.attempts.saturating_add(1),
        tries: claim.tries.saturating_add(1),
        due_at,
    }
}

fn count(result: &'static str) {
    metrics::counter!("meydan_webhook_deliveries_total", "result" => result).increment(1);
}

/// Why there was no answer, in a word that shows no address.
fn word(error: &OutboundError) -> &'static str {
    match error {
        OutboundError::TimedOut => "timeout",
        OutboundError::Refused => "refused",
        OutboundError::Malformed => "malformed",
        OutboundError::Unreachable(_) | OutboundError::Setup(_) | OutboundError::TooLong(_) => {
            "unreachable"
        }
    }
}

/// The first characters of an answer; bytes that are no text become signs for that.
fn beginning(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    text.chars()
        .filter(|c| *c != '\0')
        .take(ANSWER_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(id: i64, taken: Option<bool>) -> Carried {
        Carried {
            subscription: SubscriptionId::new(id),
            taken,
        }
    }

    #[test]
    fn an_address_has_four_lanes_and_one_while_it_fails() {
        let mut lanes = Lanes::default();
        let id = SubscriptionId::new(7);
        for count in 1..=OF_ONE {
            *lanes.flying.entry(id).or_default() += 1;
            assert_eq!(lanes.busy().is_empty(), count < OF_ONE, "{count}");
        }
        for _ in 0..3 {
            lanes.end(&carried(7, Some(false)));
        }
        assert_eq!(lanes.busy(), [id], "one of an address that fails");
        lanes.end(&carried(7, Some(true)));
        assert!(lanes.busy().is_empty() && lanes.flying.is_empty() && lanes.failing.is_empty());
        lanes.end(&carried(7, None));
        assert!(lanes.flying.is_empty());
    }

    #[test]
    fn an_answer_is_cut_and_stays_text() {
        let answer = |body: &[u8]| Answer {
            status: 200,
            body: Bytes::copy_from_slice(body),
            retry_after: None,
            content_type: None,
            location: None,
        };
        assert_eq!(beginning(&answer(b"o\0k\xff")), "ok\u{fffd}");
        let long = "ş".repeat(600);
        assert_eq!(beginning(&answer(long.as_bytes())).chars().count(), 500);
    }
}
