//! What the scenarios of single calls share: a fleet, windows one after the other, their lines.

use super::Ground;
use crate::call_report::{CallWindow, Called, Overload, us_per_call};
use crate::calls::{self, Caller, Tally};
use crate::fleet::Fleet;
use crate::probe::{Between, between};
use crate::report;

/// Connections, and the windows of one round.
pub(super) struct Rounds {
    fleet: Fleet,
    /// Processor time per call of the round's first window.
    base_us: Option<f64>,
    round: u32,
}

impl Rounds {
    /// Opens as many connections as any window needs.
    pub(super) fn new(ground: &Ground<'_>, most_lanes: usize) -> anyhow::Result<Self> {
        let mut fleet = ground.fleet()?;
        fleet.open_posts(most_lanes)?;
        Ok(Rounds {
            fleet,
            base_us: None,
            round: 0,
        })
    }

    /// Begins a round: its next window is what the others are compared with.
    pub(super) fn begin(&mut self) {
        self.round += 1;
        self.base_us = None;
    }

    /// Calls without counting, until caches and pools are as they stay.
    pub(super) fn warm(
        &mut self,
        ground: &Ground<'_>,
        lanes: usize,
        caller: &mut dyn Caller,
    ) -> anyhow::Result<()> {
        let times = (ground.options.warm, ground.options.drain);
        calls::run(&mut self.fleet, lanes, times, caller).map(drop)
    }

    /// One window; its line is printed by [`Rounds::report`] when its effects were looked at.
    pub(super) fn window(
        &mut self,
        ground: &Ground<'_>,
        (what, lanes): (&'static str, usize),
        caller: &mut dyn Caller,
    ) -> anyhow::Result<(Called, Between)> {
        let before = ground.probe.sample();
        let times = (ground.options.window, ground.options.drain);
        let tally: Tally = calls::run(&mut self.fleet, lanes, times, caller)?;
        let after = ground.probe.sample();
        let called = Called {
            what,
            lanes,
            tally,
            lost: 0,
            dup: 0,
            overload: Overload::Unwanted,
        };
        Ok((called, between(&before, &after)))
    }

    /// Prints a window and keeps what the exit code depends on.
    pub(super) fn report(
        &mut self,
        ground: &mut Ground<'_>,
        (called, between): (Called, Between),
    ) -> anyhow::Result<()> {
        let base_us = self.base_us.or_else(|| us_per_call(&called, &between));
        self.base_us = base_us;
        let line = CallWindow::new(
            (ground.scenario.name(), self.round),
            ground.options,
            &ground.probe,
            &called,
            &between,
            base_us,
        );
        report::print(&line, ground.options.output, ground.out)?;
        ground.outcomes.push(line.outcome());
        Ok(())
    }
}
