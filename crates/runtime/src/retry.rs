//! Retrying calls that may be repeated.

use std::future::Future;
use std::time::Duration;

use kernel::Rng;

/// How often, and after which pauses, a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The pause before the second attempt.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
    /// By how much each pause is longer than the one before.
    pub factor: u32,
    /// The random part of a pause, in percent of it (0 to 100): the pause is shortened by up to
    /// that much, so that callers that failed together do not come back together.
    pub jitter_percent: u8,
    /// How many attempts in all, at least one.
    pub attempts: u32,
}

impl Backoff {
    /// Pauses from `first` to `max`, doubling, with half of each random.
    pub const fn new(first: Duration, max: Duration, attempts: u32) -> Self {
        Self {
            first,
            max,
            factor: 2,
            jitter_percent: 50,
            attempts,
        }
    }

    /// Returns the pause after the `failed`-th failure (from 1), or none when it was the last.
    pub fn pause(&self, failed: u32, rng: &dyn Rng) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let grown = self
            .factor
            .checked_pow(failed.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let full = self.first.saturating_mul(grown).min(self.max);
        let percent = u32::from(self.jitter_percent.min(100));
        let random = full.saturating_mul(percent) / 100;
        let nanos = u64::try_from(random.as_nanos()).unwrap_or(u64::MAX);
        let cut = Duration::from_nanos(kernel::rng::below(rng, nanos.saturating_add(1)));
        Some(full.saturating_sub(cut))
    }
}

/// Tries `call` until it succeeds, its error is not worth another try, or the attempts are used up.
///
/// Only for calls that may be repeated. `again` says whether an error may pass; the last error is
/// returned. Cancel safe when `call` is: dropping the future drops the attempt or the pause.
///
/// # Errors
///
/// The error of the last attempt.
pub async fn retry<T, E, C, F, A>(
    backoff: Backoff,
    rng: &dyn Rng,
    again: A,
    mut call: C,
) -> Result<T, E>
where
    C: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
    A: Fn(&E) -> bool,
{
    let mut failed = 0;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed += 1;
        match backoff.pause(failed, rng) {
            Some(pause) if again(&error) => tokio::time::sleep(pause).await,
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SeededRng;

    #[test]
    fn pauses_double_up_to_the_maximum_and_end() {
        let rng = SeededRng::new(1);
        let second = Duration::from_secs(1);
        let plain = Backoff {
            jitter_percent: 0,
            ..Backoff::new(second, 5 * second, 6)
        };
        let pauses: Vec<_> = (1..=6).map(|n| plain.pause(n, &*rng)).collect();
        let seconds = |n| Some(Duration::from_secs(n));
        let expected = [
            seconds(1),
            seconds(2),
            seconds(4),
            seconds(5),
            seconds(5),
            None,
        ];
        assert_eq!(pauses, expected);
        assert_eq!(plain.pause(u32::MAX, &*rng), None);
    }

    #[test]
    fn jitter_only_shortens_and_stays_in_its_part() {
        let rng = SeededRng::new(2);
        let backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(10), 3);
        let pauses: Vec<_> = (0..200).filter_map(|_| backoff.pause(1, &*rng)).collect();
        assert_eq!(pauses.len(), 200);
        assert!(pauses.iter().all(|p| (5..=10).contains(&p.as_secs())));
        assert!(pauses.iter().any(|p| p.as_millis() < 6_000));
        assert!(pauses.iter().any(|p| p.as_millis() > 9_000));
    }
}
