//! `idle`: what a socket costs that only waits. Memory of the server and of the kernel, the CPU to
//! set one up, and whether all of them live through the window.

use std::time::Duration;

use super::Ground;
use crate::clock::Deadline;
use crate::fleet::Happening;
use crate::probe::between;
use crate::report::Counts;

const TURN: Duration = Duration::from_millis(50);

pub(super) fn run(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let sockets = ground.options.sockets;
    let room = ground.room(1)?;
    let tokens = room.tokens(sockets, ground.options.per_user);
    let mut fleet = ground.fleet()?;
    let before = ground.probe.sample();
    fleet.connect(&tokens, connect_within(sockets))?;
    // The first window begins with the connecting; each later one only waits.
    let mut start = before;
    let mut fresh = Some(sockets);
    let mut lost = 0;
    for _ in 0..ground.options.rounds {
        let frames = fleet.traffic;
        let window = Deadline::after(ground.options.window);
        while !window.passed() {
            fleet.turn(window.left(TURN), &mut |happening| {
                if matches!(happening, Happening::Lost { .. }) {
                    lost += 1;
                }
            })?;
        }
        let end = ground.probe.sample();
        let counts = Counts {
            n: sockets,
            rooms: 1,
            frames: fleet.traffic.frames - frames.frames,
            reads: fleet.traffic.reads - frames.reads,
            lost,
            new_sockets: fresh.take(),
            ..Counts::default()
        };
        ground.report(&counts, &between(&start, &end))?;
        start = end;
        lost = 0;
    }
    Ok(())
}

/// A second for every hundred sockets, and half a minute beside it.
pub(super) fn connect_within(sockets: usize) -> Duration {
    Duration::from_secs(30) + Duration::from_millis(10) * u32::try_from(sockets).unwrap_or(0)
}
