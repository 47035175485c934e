//! Spares callers the wait while nobody answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many questions in a row without an answer open it.
const OPENS_AT: u32 = 5;
/// While it is open, one question in this time is let through to see; an answer closes it.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// See the module's text. Times are given.
#[derive(Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    unanswered: u32,
    probe_at: Option<Instant>,
}

impl Breaker {
    /// Whether to ask at all.
    pub(super) fn admits(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.probe_at {
            Some(at) if now < at => false,
            Some(_) => {
                state.probe_at = Some(now + PROBE_EVERY);
                true
            }
            None => true,
        }
    }

    /// Notes that somebody answered.
    pub(super) fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    /// Notes that nobody did.
    pub(super) fn unanswered(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unanswered = state.unanswered.saturating_add(1);
        if state.unanswered >= OPENS_AT {
            state.probe_at = Some(now + PROBE_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_unanswered_questions_open_it_and_one_answer_closes_it() {
        let breaker = Breaker::default();
        let start = Instant::now();
        let ms = |ms| start + Duration::from_millis(ms);
        for _ in 0..4 {
            breaker.unanswered(start);
            assert!(breaker.admits(start));
        }
        breaker.answered();
        for _ in 0..4 {
            breaker.unanswered(start);
        }
        assert!(breaker.admits(start), "only those in a row count");
        breaker.unanswered(start);
        assert!(!breaker.admits(ms(499)));
        assert!(breaker.admits(ms(500)), "a probe");
        assert!(!breaker.admits(ms(501)), "and one alone");
        breaker.unanswered(ms(600));
        assert!(!breaker.admits(ms(1_099)));
        assert!(breaker.admits(ms(1_100)));
        breaker.answered();
        for _ in 0..3 {
            assert!(breaker.admits(ms(1_201)));
        }
    }
}
