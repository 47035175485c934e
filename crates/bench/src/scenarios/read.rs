//! `unread200` and `history`: reads over REST, one under way on each connection. Every answer is
//! looked at: a channel or a message that is not in it is lost.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use super::Ground;
use crate::args::Reading;
use crate::clock::{Deadline, now_ns};
use crate::fleet::{Fleet, Happening};
use crate::http;
use crate::num::count;
use crate::probe::between;
use crate::report::Counts;
use crate::setup::Account;

const TURN: Duration = Duration::from_millis(20);
/// Reads under way at once.
const CONNECTIONS: usize = 64;
/// Channels whose read states are asked for: with the silent one that a community begins with, 200.
const UNREAD_CHANNELS: usize = 199;
/// Channels whose newest messages are asked for, and how many.
const HISTORY_CHANNELS: usize = 20;
const PAGE: usize = 50;
/// Messages that one person sends to a channel in a row: as many as the limit lets through.
const IN_A_ROW: usize = 5;

pub(super) fn run(ground: &mut Ground<'_>, reading: Reading) -> anyhow::Result<()> {
    let (readers, channels) = prepare(ground, reading)?;
    let options = ground.options;
    let mut fleet = ground.fleet()?;
    let connections = options.connections.unwrap_or(CONNECTIONS);
    fleet.open_posts(connections)?;
    let mut reads = Reads {
        rested_ns: vec![0; readers.len()],
        lanes: vec![None; connections],
        readers,
        channels,
        reading,
        next: 0,
        counts: Counts::default(),
    };
    reads.window(&mut fleet, options.warm)?;
    for _ in 0..options.rounds {
        reads.counts = Counts::default();
        let before = ground.probe.sample();
        reads.window(&mut fleet, options.window)?;
        let after = ground.probe.sample();
        let mut counts = std::mem::take(&mut reads.counts);
        counts.n = connections;
        counts.rooms = reads.channels.len();
        counts.in_flight = Some(connections);
        ground.report(&counts, &between(&before, &after))?;
    }
    Ok(())
}

/// People who read, and channels with messages of somebody else.
fn prepare(
    ground: &mut Ground<'_>,
    reading: Reading,
) -> anyhow::Result<(Vec<Account>, Vec<String>)> {
    // Read states are limited per reader, so it takes more of them to load a server.
    let (rooms, messages, people) = match reading {
        Reading::Unread => (UNREAD_CHANNELS, 1, 240),
        Reading::History => (HISTORY_CHANNELS, PAGE, 24),
    };
    let readers = (0..ground.options.users.unwrap_or(people))
        .map(|_| ground.setup.sign_up())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let writers = (0..messages.div_ceil(IN_A_ROW))
        .map(|_| ground.setup.sign_up())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let owner = writers.first().context("nobody would write")?;
    let community = ground.setup.community(owner)?;
    let mut channels = Vec::with_capacity(rooms);
    for number in 0..rooms {
        let name = format!("bench-{number}");
        channels.push(ground.setup.channel(owner, &community, &name)?);
    }
    let first = channels.first().context("no channel was made")?;
    let code = ground.setup.invite(owner, first)?;
    for person in readers.iter().chain(writers.iter().skip(1)) {
        ground.setup.join(person, &code)?;
    }
    for channel in &channels {
        let turns = writers
            .iter()
            .flat_map(|writer| std::iter::repeat_n(writer, IN_A_ROW));
        for writer in turns.take(messages) {
            ground.setup.say(writer, channel)?;
        }
    }
    Ok((readers, channels))
}

/// A read under way.
#[derive(Debug, Clone, Copy)]
struct Read {
    reader: usize,
    begun_ns: u64,
}

struct Reads {
    readers: Vec<Account>,
    channels: Vec<String>,
    reading: Reading,
    /// Per reader: not to be used before that moment.
    rested_ns: Vec<u64>,
    lanes: Vec<Option<Read>>,
    /// How many reads began; readers and channels take turns by it.
    next: usize,
    counts: Counts,
}

impl Reads {
    fn window(&mut self, fleet: &mut Fleet, length: Duration) -> anyhow::Result<()> {
        let window = Deadline::after(length);
        while !window.passed() {
            self.fill(fleet)?;
            self.turn(fleet, window.left(TURN))?;
        }
        let drain = Deadline::after(Duration::from_secs(30));
        while self.lanes.iter().any(Option::is_some) {
            if drain.passed() {
                bail!("reads were not answered within half a minute");
            }
            self.turn(fleet, drain.left(TURN))?;
        }
        Ok(())
    }

    fn fill(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        for lane in 0..self.lanes.len() {
            if !matches!(self.lanes.get(lane), Some(None)) {
                continue;
            }
            let begun_ns = now_ns();
            let Some(reader) = self.reader(begun_ns) else {
                self.counts.starved = true;
                return Ok(());
            };
            let path = self.path()?;
            let person = self.readers.get(reader).context("no such reader")?;
            let authorization = Some(person.authorization.as_str());
            let bytes = http::request(fleet.target(), "GET", &path, authorization, None);
            fleet.post(lane, bytes)?;
            if let Some(lane) = self.lanes.get_mut(lane) {
                *lane = Some(Read { reader, begun_ns });
            }
        }
        Ok(())
    }

    /// The next reader in turn whom no limit holds back.
    fn reader(&mut self, now: u64) -> Option<usize> {
        for _ in 0..self.readers.len() {
            self.next = self.next.wrapping_add(1);
            let reader = self.next.checked_rem(self.readers.len())?;
            if self.rested_ns.get(reader).is_some_and(|at| now >= *at) {
                return Some(reader);
            }
        }
        None
    }

    fn path(&self) -> anyhow::Result<String> {
        match self.reading {
            Reading::Unread => Ok("/api/v10/users/@me/read-states?limit=200".to_owned()),
            Reading::History => {
                let turn = self.next.checked_rem(self.channels.len());
                let channel = turn.and_then(|at| self.channels.get(at));
                let channel = channel.context("no such channel")?;
                Ok(format!("/api/v10/channels/{channel}/messages?limit={PAGE}"))
            }
        }
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
        let Some(read) = self.lanes.get_mut(post).and_then(Option::take) else {
            bail!("connection {post} got an answer that it did not wait for");
        };
        let now = now_ns();
        let wait = match response.status {
            200 => {
                self.counts.messages += 1;
                self.counts.latency.add(now.saturating_sub(read.begun_ns));
                self.counts.lost += self.missing(&response.json());
                response.rest().unwrap_or_default()
            }
            429 => {
                self.counts.throttled += 1;
                response.retry_after()
            }
            503 => {
                self.counts.refused += 1;
                response.retry_after()
            }
            status => bail!("a read was answered with {status}: {}", response.json()),
        };
        if let Some(rested) = self.rested_ns.get_mut(read.reader) {
            *rested = now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// How many of the channels, or messages, are not in an answer as they should be.
    fn missing(&self, answer: &Value) -> u64 {
        let (found, expected) = match self.reading {
            Reading::Unread => {
                let states = answer.get("items").and_then(Value::as_array);
                let unread =
                    |state: &&Value| state.get("unread_count").and_then(Value::as_u64) == Some(1);
                let found = states.map_or(0, |states| states.iter().filter(unread).count());
                (found, UNREAD_CHANNELS)
            }
            Reading::History => (answer.as_array().map_or(0, Vec::len), PAGE),
        };
        count(expected.saturating_sub(found))
    }
}
