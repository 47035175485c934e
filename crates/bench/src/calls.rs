//! Calls over keep-alive connections: each connection is a lane that calls, waits for the answer and
//! calls again, so as many calls are under way as there are lanes.

use std::time::Duration;

use anyhow::bail;

use crate::clock::{Deadline, now_ns};
use crate::fleet::{Fleet, Happening};
use crate::histogram::Histogram;
use crate::http::{Response, Target};

const TURN: Duration = Duration::from_millis(20);

/// What one scenario calls.
pub(crate) trait Caller {
    /// The next call of a lane; none when it has nothing (more) to call.
    fn next(&mut self, target: &Target, lane: usize) -> Option<Vec<u8>>;

    /// Judges the answer to the lane's last call. An error ends the run.
    fn judge(&mut self, lane: usize, response: &Response) -> anyhow::Result<Judgement>;
}

/// What an answer meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It was what the call was for.
    Done,
    /// The server had no room: 503.
    Refused,
    /// A limit was met: 429.
    Throttled,
}

impl Judgement {
    /// Judges by status alone: one is expected, others are errors.
    pub(crate) fn by_status(response: &Response, expected: u16) -> anyhow::Result<Self> {
        match response.status {
            status if status == expected => Ok(Judgement::Done),
            503 => Ok(Judgement::Refused),
            429 => Ok(Judgement::Throttled),
            status => bail!("expected {expected}, got {status}: {}", response.json()),
        }
    }
}

/// What came of the calls of one window.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Calls that were answered as they should be.
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) throttled: u64,
    /// Nanoseconds, of those that were done.
    pub(crate) latency: Histogram,
}

#[derive(Debug, Clone, Copy)]
enum Lane {
    Idle,
    /// Called at that moment.
    Waiting(u64),
    /// Told to come back at that moment.
    Resting(u64),
    Done,
}

/// Lanes that call until `window` is over; every call is waited for, at most `drain` longer.
pub(crate) fn run(
    fleet: &mut Fleet,
    lanes: usize,
    (window, drain): (Duration, Duration),
    caller: &mut dyn Caller,
) -> anyhow::Result<Tally> {
    let mut calls = Calls {
        lanes: vec![Lane::Idle; lanes],
        tally: Tally::default(),
        caller,
    };
    let end = Deadline::after(window);
    while !end.passed() && !calls.lanes.iter().all(|lane| matches!(lane, Lane::Done)) {
        calls.fill(fleet)?;
        calls.turn(fleet, end.left(TURN))?;
    }
    let drain_end = Deadline::after(drain);
    while calls
        .lanes
        .iter()
        .any(|lane| matches!(lane, Lane::Waiting(_)))
    {
        if drain_end.passed() {
            bail!("calls were not answered within {drain:?}");
        }
        calls.turn(fleet, drain_end.left(TURN))?;
    }
    Ok(calls.tally)
}

struct Calls<'a> {
    lanes: Vec<Lane>,
    tally: Tally,
    caller: &'a mut dyn Caller,
}

impl Calls<'_> {
    fn fill(&mut self, fleet: &mut Fleet) -> anyhow::Result<()> {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let due = match *lane {
                Lane::Idle => true,
                Lane::Resting(until_ns) => now_ns() >= until_ns,
                Lane::Waiting(_) | Lane::Done => false,
            };
            if !due {
                continue;
            }
            *lane = match self.caller.next(fleet.target(), index) {
                Some(bytes) => {
                    let at_ns = now_ns();
                    fleet.post(index, bytes)?;
                    Lane::Waiting(at_ns)
                }
                None => Lane::Done,
            };
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

    fn on_answer(&mut self, post: usize, response: &Response) -> anyhow::Result<()> {
        let Some(Lane::Waiting(since_ns)) = self.lanes.get(post).copied() else {
            bail!("connection {post} got an answer that it did not wait for");
        };
        let now = now_ns();
        let rested = || {
            let wait = u64::try_from(response.retry_after().as_nanos()).unwrap_or(u64::MAX);
            Lane::Resting(now.saturating_add(wait))
        };
        let next = match self.caller.judge(post, response)? {
            Judgement::Done => {
                self.tally.done += 1;
                self.tally.latency.add(now.saturating_sub(since_ns));
                Lane::Idle
            }
            Judgement::Refused => {
                self.tally.refused += 1;
                rested()
            }
            Judgement::Throttled => {
                self.tally.throttled += 1;
                rested()
            }
        };
        if let Some(lane) = self.lanes.get_mut(post) {
            *lane = next;
        }
        Ok(())
    }
}
