//! `fan1k-*`: one channel, many sockets, a fixed number of messages in flight. A message is in
//! flight from the moment it is posted until it was acknowledged and has reached every member.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::json;

use super::{Ground, Room, idle::connect_within};
use crate::args::Options;
use crate::clock::{Deadline, now_ns};
use crate::fleet::{Fleet, Happening};
use crate::http;
use crate::ledger::{Ledger, Seen};
use crate::marker;
use crate::probe::between;
use crate::report::Counts;

const TURN: Duration = Duration::from_millis(20);

pub(super) fn run(ground: &mut Ground<'_>, in_flight: usize) -> anyhow::Result<()> {
    let sockets = ground.options.sockets;
    let senders = if in_flight == 1 { 200 } else { 600 };
    let room = ground.room(ground.options.senders.unwrap_or(senders))?;
    let tokens = room.tokens(sockets, ground.options.per_user);
    let mut fleet = ground.fleet()?;
    fleet.connect(&tokens, connect_within(sockets))?;
    fleet.open_posts(in_flight)?;
    let mut fan = Fan::new(room, in_flight, ground.options);
    fan.window(&mut fleet, ground.options.warm)?;
    for _ in 0..ground.options.rounds {
        fan.begin();
        let traffic = fleet.traffic;
        let before = ground.probe.sample();
        fan.window(&mut fleet, ground.options.window)?;
        let after = ground.probe.sample();
        fan.counts.frames = fleet.traffic.frames - traffic.frames;
        fan.counts.reads = fleet.traffic.reads - traffic.reads;
        let counts = fan.end();
        ground.report(&counts, &between(&before, &after))?;
    }
    Ok(())
}

/// One message on its way.
#[derive(Debug, Clone, Copy)]
struct Flight {
    seq: u64,
    sender: usize,
    acknowledged: bool,
    delivered: bool,
}

/// What one REST connection is doing.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Idle,
    Flying(Flight),
    /// Refused because of its sender's limit: nothing was stored, anybody may send it.
    Homeless(Flight),
    /// To be sent again by the same sender, not before a moment: it may be stored after all, and
    /// the nonce that tells is the sender's.
    Waiting(Flight, u64),
}

struct Fan {
    room: Room,
    members: usize,
    content_bytes: usize,
    /// How long what is in flight may take when a window is over; what is missing then is lost.
    drain: Duration,
    lanes: Vec<Lane>,
    /// Per person: not to be used before that moment; never while it waits for an answer, because
    /// only the answer tells what its limit leaves.
    rested_ns: Vec<u64>,
    next_sender: usize,
    ledger: Ledger,
    counts: Counts,
}

impl Fan {
    fn new(room: Room, in_flight: usize, options: &Options) -> Fan {
        Fan {
            members: options.sockets,
            content_bytes: options.content_bytes,
            drain: options.drain,
            lanes: vec![Lane::Idle; in_flight],
            rested_ns: vec![0; room.people.len()],
            next_sender: 0,
            ledger: Ledger::new(options.sockets, 0),
            counts: Counts::default(),
            room,
        }
    }

    /// A new ledger and new counts; numbers go on, so that late deliveries of an earlier window
    /// are never taken for ones of this.
    fn begin(&mut self) {
        self.ledger = Ledger::new(self.members, self.ledger.next());
        self.counts = Counts::default();
    }

    fn end(&mut self) -> Counts {
        let mut counts = std::mem::take(&mut self.counts);
        counts.n = self.members;
        counts.rooms = 1;
        counts.in_flight = Some(self.lanes.len());
        counts.messages = self.ledger.messages();
        counts.deliveries = self.ledger.delivered();
        counts.lost = self.ledger.missing();
        counts.dup = self.ledger.doubled();
        counts
    }

    /// Keeps all lanes busy for that long, then waits for what is in flight.
    fn window(&mut self, fleet: &mut Fleet, length: Duration) -> anyhow::Result<()> {
        let window = Deadline::after(length);
        while !window.passed() {
            self.fill(fleet)?;
            self.turn(fleet, window.left(TURN))?;
        }
        let drain = Deadline::after(self.drain);
        while !self.at_rest() && !drain.passed() {
            self.resend(fleet)?;
            self.turn(fleet, drain.left(TURN))?;
        }
        // What did not come is lost and counted as such; its lanes are free again, unless the
        // server does not even answer.
        for lane in &mut self.lanes {
            match lane {
                Lane::Idle => {}
                Lane::Flying(flight) if flight.acknowledged => *lane = Lane::Idle,
                Lane::Flying(_) | Lane::Homeless(_) | Lane::Waiting(..) => {
                    bail!("a message was not acknowledged within {:?}", self.drain)
                }
            }
        }
        Ok(())
    }

    fn at_rest(&self) -> bool {
        self.lanes.iter().all(|lane| matches!(lane, Lane::Idle))
    }

    fn fill(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        self.resend(fleet)?;
        for index in 0..self.lanes.len() {
            if !matches!(self.lanes.get(index), Some(Lane::Idle)) {
                continue;
            }
            let Some(sender) = self.sender(now_ns()) else {
                self.counts.starved = true;
                return Ok(());
            };
            let seq = self.ledger.open();
            self.fly(fleet, index, seq, sender)?;
        }
        Ok(())
    }

    fn resend(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        for index in 0..self.lanes.len() {
            let now = now_ns();
            match self.lanes.get(index).copied() {
                Some(Lane::Waiting(flight, at_ns)) if now >= at_ns => {
                    self.fly(fleet, index, flight.seq, flight.sender)?;
                }
                Some(Lane::Homeless(flight)) => {
                    if let Some(sender) = self.sender(now) {
                        self.fly(fleet, index, flight.seq, sender)?;
                    }
                }
                Some(Lane::Idle | Lane::Flying(_) | Lane::Waiting(..)) | None => {}
            }
        }
        Ok(())
    }

    /// The next person in turn that no limit holds back.
    fn sender(&mut self, now: u64) -> Option<usize> {
        let people = self.rested_ns.len();
        for step in 0..people {
            let person = self.next_sender.wrapping_add(step).checked_rem(people)?;
            if self.rested_ns.get(person).is_some_and(|at| now >= *at) {
                self.next_sender = person + 1;
                return Some(person);
            }
        }
        None
    }

    fn fly(
        &mut self,
        fleet: &mut Fleet,
        lane: usize,
        seq: u64,
        sender: usize,
    ) -> anyhow::Result<()> {
        let person = self.room.people.get(sender).context("no such person")?;
        let content = format!("{:.<1$}", marker::make(seq, now_ns()), self.content_bytes);
        let body = json!({
            "content": content,
            "nonce": format!("bench{seq}"),
            "enforce_nonce": true,
        });
        let path = format!("/api/v10/channels/{}/messages", self.room.channel);
        let who = Some(person.authorization.as_str());
        let bytes = http::request(fleet.target(), "POST", &path, who, Some(&body.to_string()));
        fleet.post(lane, bytes)?;
        self.rest(sender, u64::MAX);
        if let Some(lane) = self.lanes.get_mut(lane) {
            *lane = Lane::Flying(Flight {
                seq,
                sender,
                acknowledged: false,
                delivered: false,
            });
        }
        Ok(())
    }

    fn turn(&mut self, fleet: &mut Fleet, wait: Duration) -> anyhow::Result<()> {
        let mut wrong = None;
        fleet.turn(wait, &mut |happening| {
            if let Err(error) = self.on(happening) {
                wrong = Some(error);
            }
        })?;
        wrong.map_or(Ok(()), Err)
    }

    fn on(&mut self, happening: Happening<'_>) -> anyhow::Result<()> {
        match happening {
            Happening::Message {
                member,
                seq,
                sent_ns,
                at_ns,
                bytes,
            } => match self.ledger.deliver(member, seq) {
                seen @ (Seen::First | Seen::Last) => {
                    let counts = &mut self.counts;
                    counts.latency.add(at_ns.saturating_sub(sent_ns));
                    counts.delivered_bytes += crate::num::count(bytes);
                    if seen == Seen::Last {
                        self.step(|flight| flight.seq == seq, |flight| flight.delivered = true);
                    }
                }
                Seen::Again | Seen::Stray => {}
            },
            Happening::Lost { member, why } => bail!("socket {member} was lost: {why}"),
            Happening::Failed { post, why } => bail!("connection {post}: {why}"),
            Happening::Answer { post, response } => self.on_answer(post, response)?,
        }
        Ok(())
    }

    fn on_answer(&mut self, post: usize, response: &http::Response) -> anyhow::Result<()> {
        let Some(Lane::Flying(flight)) = self.lanes.get(post).copied() else {
            bail!("connection {post} got an answer that it did not wait for");
        };
        let wait = u64::try_from(response.retry_after().as_nanos()).unwrap_or(u64::MAX);
        let later = now_ns().saturating_add(wait);
        match response.status {
            200 | 201 => {
                let rest = response.rest().map_or(0, |rest| rest.as_nanos());
                let rest = u64::try_from(rest).unwrap_or(u64::MAX);
                self.rest(flight.sender, now_ns().saturating_add(rest));
                self.step(
                    |other| other.seq == flight.seq,
                    |flight| flight.acknowledged = true,
                );
            }
            429 => {
                self.counts.throttled += 1;
                self.rest(flight.sender, later);
                self.wait(post, Lane::Homeless(flight));
            }
            503 => {
                self.counts.refused += 1;
                self.wait(post, Lane::Waiting(flight, later));
            }
            status => bail!("a message was answered with {status}: {}", response.json()),
        }
        Ok(())
    }

    fn wait(&mut self, lane: usize, how: Lane) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            *lane = how;
        }
    }

    fn rest(&mut self, sender: usize, until_ns: u64) {
        if let Some(rested) = self.rested_ns.get_mut(sender) {
            *rested = until_ns;
        }
    }

    /// Changes the flight that fits, and frees its lane when it is over.
    fn step(&mut self, fits: impl Fn(&Flight) -> bool, change: impl Fn(&mut Flight)) {
        for lane in &mut self.lanes {
            if let Lane::Flying(flight) = lane
                && fits(flight)
            {
                change(flight);
                if flight.acknowledged && flight.delivered {
                    *lane = Lane::Idle;
                }
                return;
            }
        }
    }
}
