//! The one place that reads clocks: monotonic time and the processor time of this thread.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a host share.
pub(crate) fn now_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Nanoseconds of processor time that this thread has used.
pub(crate) fn thread_cpu_ns() -> u64 {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(id: ClockId) -> u64 {
    #[expect(
        clippy::expect_used,
        reason = "both clocks exist on every Linux; a wrong figure would be worse than the end"
    )]
    let time = clock_gettime(id).expect("the kernel has this clock");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// A point of time in nanoseconds after which a wait gives up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(u64);

impl Deadline {
    /// That far from now.
    pub(crate) fn after(wait: Duration) -> Self {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Deadline(now_ns().saturating_add(nanos))
    }

    /// Whether it is reached.
    pub(crate) fn passed(self) -> bool {
        now_ns() >= self.0
    }

    /// What is left, at most `most`.
    pub(crate) fn left(self, most: Duration) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now_ns())).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_moves_forward() {
        let before = now_ns();
        while now_ns() == before {}
        assert!(now_ns() > before);
        assert!(thread_cpu_ns() > 0);
    }

    #[test]
    fn deadline_is_capped_and_passes() {
        let now = Deadline::after(Duration::ZERO);
        assert!(now.passed());
        assert_eq!(now.left(Duration::from_secs(1)), Duration::ZERO);
        let later = Deadline::after(Duration::from_secs(3_600));
        assert!(!later.passed());
        assert_eq!(later.left(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
