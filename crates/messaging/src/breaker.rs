//! Sheds new messages while the database commits too slowly. Pure; times are given.
//!
//! Opens when the 99th percentile of the last ten seconds' commits has stood above a second for
//! ten seconds. While it is open, one message each half second may try; the first commit below a
//! quarter of a second closes it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// A commit slower than this is too slow.
const SLOW: Duration = Duration::from_secs(1);
/// How long the commits must be too slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// A commit faster than this closes.
const FAST: Duration = Duration::from_millis(250);
/// The pause between tries while open.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// Commits remembered; older ones are forgotten when there are more.
const REMEMBERED: usize = 1_024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    commits: VecDeque<(Instant, Duration)>,
    slow_since: Option<Instant>,
    open: bool,
    probed: Option<Instant>,
}

impl Breaker {
    /// Whether a new message may be queued at `now`.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        if !self.open {
            return true;
        }
        let due = self
            .probed
            .is_none_or(|last| now.duration_since(last) >= PROBE_EVERY);
        if due {
            self.probed = Some(now);
        }
        due
    }

    /// Notes a commit that ended at `now`. Tells whether the breaker opened or closed.
    pub(crate) fn note(&mut self, now: Instant, took: Duration) -> Option<Turn> {
        if self.commits.len() >= REMEMBERED {
            self.commits.pop_front();
        }
        self.commits.push_back((now, took));
        while let Some((at, _)) = self.commits.front()
            && now.duration_since(*at) > PATIENCE
        {
            self.commits.pop_front();
        }
        if self.open {
            if took >= FAST {
                return None;
            }
            *self = Breaker::default();
            return Some(Turn::Closed);
        }
        if self.percentile_99() <= SLOW {
            self.slow_since = None;
            return None;
        }
        let since = *self.slow_since.get_or_insert(now);
        if now.duration_since(since) < PATIENCE {
            return None;
        }
        self.open = true;
        Some(Turn::Opened)
    }

    fn percentile_99(&self) -> Duration {
        let mut times: Vec<Duration> = self.commits.iter().map(|(_, took)| *took).collect();
        times.sort_unstable();
        // The smallest time that at least 99 of 100 do not exceed.
        let place = times
            .len()
            .saturating_mul(99)
            .div_ceil(100)
            .saturating_sub(1);
        times.get(place).copied().unwrap_or_default()
    }
}

/// A change of the breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// New messages are refused.
    Opened,
    /// New messages are taken again.
    Closed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Opens a breaker with a slow commit each second, and returns it with the time.
    fn opened() -> (Breaker, Instant) {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        for second in 0..10 {
            let now = start + ms(second * 1_000);
            assert_eq!(breaker.note(now, ms(1_001)), None, "second {second}");
            assert!(breaker.admits(now));
        }
        let now = start + PATIENCE;
        assert_eq!(breaker.note(now, ms(1_001)), Some(Turn::Opened));
        (breaker, now)
    }

    #[test]
    fn ten_slow_seconds_open_it_and_one_fast_commit_closes_it() {
        let (mut breaker, now) = opened();
        assert!(breaker.admits(now), "the first probe");
        assert!(!breaker.admits(now + ms(499)));
        assert!(breaker.admits(now + ms(500)), "the next probe");
        assert_eq!(
            breaker.note(now + ms(750), ms(250)),
            None,
            "not below a quarter"
        );
        assert!(!breaker.admits(now + ms(751)));
        assert_eq!(breaker.note(now + ms(900), ms(249)), Some(Turn::Closed));
        assert!(breaker.admits(now + ms(901)));
        assert!(breaker.admits(now + ms(902)));
    }

    #[test]
    fn commits_of_exactly_a_second_never_open_it() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        for second in 0..60 {
            assert_eq!(breaker.note(start + ms(second * 1_000), SLOW), None);
        }
    }

    #[test]
    fn one_slow_commit_in_a_hundred_does_not_count() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        for tick in 0..2_000 {
            let took = if tick % 100 == 99 { ms(3_000) } else { ms(5) };
            assert_eq!(
                breaker.note(start + ms(tick * 10), took),
                None,
                "tick {tick}"
            );
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        for _ in 0..REMEMBERED + 10 {
            breaker.note(now, ms(1));
        }
        assert_eq!(breaker.commits.len(), REMEMBERED);
    }
}
