//! `durable`: acknowledged sends per second over many channels. After each window every channel is
//! read again: an acknowledged id that is not there is lost, a number that is there twice is
//! doubled.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::Ground;
use crate::args::Options;
use crate::clock::{Deadline, now_ns};
use crate::fleet::{Fleet, Happening};
use crate::http;
use crate::marker;
use crate::num::count;
use crate::probe::between;
use crate::report::Counts;
use crate::setup::Account;

const TURN: Duration = Duration::from_millis(20);
/// People who send, unless the command line says otherwise.
const USERS: usize = 24;
/// Sends under way at once.
const CONNECTIONS: usize = 64;
/// Channels of one community.
const CHANNELS_EACH: usize = 400;

pub(super) fn run(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let (people, channels) = prepare(ground)?;
    let options = ground.options;
    let mut fleet = ground.fleet()?;
    let connections = options.connections.unwrap_or(CONNECTIONS);
    fleet.open_posts(connections)?;
    let mut durable = Durable::new(people, channels, connections, options);
    durable.window(&mut fleet, options.warm)?;
    for _ in 0..options.rounds {
        durable.begin();
        let before = ground.probe.sample();
        durable.window(&mut fleet, options.window)?;
        let after = ground.probe.sample();
        let counts = durable.end(ground)?;
        ground.report(&counts, &between(&before, &after))?;
    }
    Ok(())
}

/// People who are all members of everything, and the channels.
fn prepare(ground: &mut Ground<'_>) -> anyhow::Result<(Vec<Account>, Vec<String>)> {
    let people = (0..ground.options.users.unwrap_or(USERS))
        .map(|_| ground.setup.sign_up())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (owner, others) = people.split_first().context("nobody would send")?;
    let mut channels = Vec::new();
    while channels.len() < ground.options.channels {
        let community = ground.setup.community(owner)?;
        let here = CHANNELS_EACH.min(ground.options.channels - channels.len());
        let first = channels.len();
        for number in 0..here {
            let name = format!("bench-{number}");
            channels.push(ground.setup.channel(owner, &community, &name)?);
        }
        let channel = channels.get(first).context("no channel was made")?;
        let code = ground.setup.invite(owner, channel)?;
        for person in others {
            ground.setup.join(person, &code)?;
        }
    }
    Ok((people, channels))
}

/// A message to be stored: its number, and which of the pairs sends it.
#[derive(Debug, Clone, Copy)]
struct Send {
    seq: u64,
    pair: usize,
    begun_ns: u64,
}

#[derive(Debug, Clone, Copy)]
enum Lane {
    Idle,
    Sent(Send),
    /// To be sent again, not before a moment.
    Waiting(Send, u64),
}

struct Durable {
    people: Vec<Account>,
    channels: Vec<String>,
    content_bytes: usize,
    drain: Duration,
    lanes: Vec<Lane>,
    /// Per (channel, person): not to be used before that moment; never while it waits for an
    /// answer, because only the answer tells what its limit leaves.
    rested_ns: Vec<u64>,
    next_pair: usize,
    next_seq: u64,
    /// Numbers from here on belong to this window.
    first_seq: u64,
    acknowledged: HashSet<u64>,
    counts: Counts,
}

impl Durable {
    fn new(
        people: Vec<Account>,
        channels: Vec<String>,
        connections: usize,
        options: &Options,
    ) -> Durable {
        Durable {
            rested_ns: vec![0; people.len().saturating_mul(channels.len())],
            people,
            channels,
            content_bytes: options.content_bytes,
            drain: options.drain,
            lanes: vec![Lane::Idle; connections],
            next_pair: 0,
            next_seq: 0,
            first_seq: 0,
            acknowledged: HashSet::new(),
            counts: Counts::default(),
        }
    }

    fn begin(&mut self) {
        self.first_seq = self.next_seq;
        self.acknowledged.clear();
        self.counts = Counts::default();
    }

    /// Looks at what is stored, and gives the counts of the window.
    fn end(&mut self, ground: &mut Ground<'_>) -> anyhow::Result<Counts> {
        let mut counts = std::mem::take(&mut self.counts);
        counts.n = self.lanes.len();
        counts.rooms = self.channels.len();
        counts.in_flight = Some(self.lanes.len());
        counts.messages = count(self.acknowledged.len());
        let reader = self.people.first().context("nobody would read")?;
        let mut missing = self.acknowledged.clone();
        let mut numbers = HashSet::new();
        for channel in &self.channels {
            for (id, content) in ground.setup.messages(reader, channel)? {
                missing.remove(&id);
                if let Some((seq, _)) = marker::find(content.as_bytes())
                    && seq >= self.first_seq
                    && !numbers.insert(seq)
                {
                    counts.dup += 1;
                }
            }
        }
        counts.lost = count(missing.len());
        Ok(counts)
    }

    fn window(&mut self, fleet: &mut Fleet, length: Duration) -> anyhow::Result<()> {
        let window = Deadline::after(length);
        while !window.passed() {
            self.fill(fleet)?;
            self.turn(fleet, window.left(TURN))?;
        }
        let drain = Deadline::after(self.drain);
        while self.lanes.iter().any(|lane| !matches!(lane, Lane::Idle)) {
            if drain.passed() {
                bail!("messages were not acknowledged within {:?}", self.drain);
            }
            self.resend(fleet)?;
            self.turn(fleet, drain.left(TURN))?;
        }
        Ok(())
    }

    fn fill(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        self.resend(fleet)?;
        for lane in 0..self.lanes.len() {
            if !matches!(self.lanes.get(lane), Some(Lane::Idle)) {
                continue;
            }
            let begun_ns = now_ns();
            let Some(pair) = self.pair(begun_ns) else {
                self.counts.starved = true;
                return Ok(());
            };
            let seq = self.next_seq;
            self.next_seq += 1;
            self.send(
                fleet,
                lane,
                Send {
                    seq,
                    pair,
                    begun_ns,
                },
            )?;
        }
        Ok(())
    }

    fn resend(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        for lane in 0..self.lanes.len() {
            if let Some(Lane::Waiting(send, at_ns)) = self.lanes.get(lane).copied()
                && now_ns() >= at_ns
            {
                self.send(fleet, lane, send)?;
            }
        }
        Ok(())
    }

    /// The next pair in turn that no limit holds back: channels first, then people, so that a
    /// pair rests as long as possible.
    fn pair(&mut self, now: u64) -> Option<usize> {
        let pairs = self.rested_ns.len();
        for step in 0..pairs {
            let pair = self.next_pair.wrapping_add(step).checked_rem(pairs)?;
            if self.rested_ns.get(pair).is_some_and(|at| now >= *at) {
                self.next_pair = pair + 1;
                return Some(pair);
            }
        }
        None
    }

    fn send(&mut self, fleet: &mut Fleet, lane: usize, send: Send) -> anyhow::Result<()> {
        let channels = self.channels.len();
        let channel = send
            .pair
            .checked_rem(channels)
            .and_then(|index| self.channels.get(index))
            .context("no such channel")?;
        let person = send
            .pair
            .checked_div(channels)
            .and_then(|index| self.people.get(index))
            .context("no such person")?;
        let text = marker::make(send.seq, send.begun_ns);
        let body = json!({
            "content": format!("{text:.<0$}", self.content_bytes),
            "nonce": format!("bench{}", send.seq),
            "enforce_nonce": true,
        });
        let bytes = http::request(
            fleet.target(),
            "POST",
            &format!("/api/v10/channels/{channel}/messages"),
            Some(&person.authorization),
            Some(&body.to_string()),
        );
        fleet.post(lane, bytes)?;
        if let Some(rested) = self.rested_ns.get_mut(send.pair) {
            *rested = u64::MAX;
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            *lane = Lane::Sent(send);
        }
        Ok(())
    }

    fn turn(&mut self, fleet: &mut Fleet, wait: Duration) -> anyhow::Result<()> {
        let mut wrong = None;
        fleet.turn(wait, &mut |happening| {
            let result = match happening {
                Happening::Answer { post, response } => self.on_answer(post, response),
                Happening::Failed { post, why } => Err(anyhow::anyhow!("connection {post}: {why}")),
                Happening::Message { .. } | Happening::Lost { .. } => Ok(()),
            };
            if let Err(error) = result {
                wrong = Some(error);
            }
        })?;
        wrong.map_or(Ok(()), Err)
    }

    fn on_answer(&mut self, post: usize, response: &http::Response) -> anyhow::Result<()> {
        let Some(Lane::Sent(send)) = self.lanes.get(post).copied() else {
            bail!("connection {post} got an answer that it did not wait for");
        };
        let now = now_ns();
        let after =
            |wait: Duration| now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        let next = match response.status {
            200 | 201 => {
                if let Some(rested) = self.rested_ns.get_mut(send.pair) {
                    *rested = after(response.rest().unwrap_or_default());
                }
                self.acknowledge(&response.json())?;
                self.counts.latency.add(now.saturating_sub(send.begun_ns));
                Lane::Idle
            }
            429 => {
                self.counts.throttled += 1;
                Lane::Waiting(send, after(response.retry_after()))
            }
            503 => {
                self.counts.refused += 1;
                Lane::Waiting(send, after(response.retry_after()))
            }
            status => bail!("a message was answered with {status}: {}", response.json()),
        };
        if let Some(lane) = self.lanes.get_mut(post) {
            *lane = next;
        }
        Ok(())
    }

    /// An id that is given out twice would be one message for two.
    fn acknowledge(&mut self, message: &Value) -> anyhow::Result<()> {
        let id = message
            .get("id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse().ok())
            .context("a stored message has no id")?;
        if !self.acknowledged.insert(id) {
            bail!("two messages were acknowledged with the id {id}");
        }
        Ok(())
    }
}
