//! When a delivery is tried again, and when an address is given up. Pure.

use std::time::Duration;

use jiff::Timestamp;
use kernel::Rng;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Pauses after each failure, in seconds; each is a fifth longer or shorter.
const PAUSES_S: [u64; 7] = [
    5,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    10 * HOUR,
];
/// How long an address may ask us to wait.
const LONGEST_WISH: Duration = Duration::from_secs(24 * HOUR);
/// An address that only fails for so long is given up.
pub(crate) const GIVEN_UP_AFTER: Duration = Duration::from_secs(120 * HOUR);

/// The pause after the `failed`-th failure, from 1; none after the last one. Whoever asked for more
/// patience gets it.
pub(crate) fn pause(failed: i32, wish: Option<Duration>, rng: &dyn Rng) -> Option<Duration> {
    let place = usize::try_from(failed).ok()?.checked_sub(1)?;
    let usual_s = *PAUSES_S.get(place)?;
    let fifth_ms = usual_s.saturating_mul(1_000) / 5;
    let random_ms = kernel::rng::below(rng, fifth_ms.saturating_mul(2).saturating_add(1));
    let least_ms = usual_s.saturating_mul(1_000).saturating_sub(fifth_ms);
    let pause = Duration::from_millis(least_ms.saturating_add(random_ms));
    let wish = wish.unwrap_or_default().min(LONGEST_WISH);
    Some(pause.max(wish))
}

/// Reads `Retry-After`: seconds, or a moment.
pub(crate) fn wish(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

/// Whether an address that fails since then is given up.
pub(crate) fn is_given_up(failing_since: Timestamp, now: Timestamp) -> bool {
    let failing = Duration::try_from(now.duration_since(failing_since));
    failing.is_ok_and(|failing| failing >= GIVEN_UP_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::SeededRng;

    #[test]
    fn seven_pauses_each_a_fifth_longer_or_shorter() {
        let rng = SeededRng::new(3);
        for (at, usual) in PAUSES_S.iter().enumerate() {
            let failed = i32::try_from(at + 1).unwrap();
            for _ in 0..200 {
                let pause = pause(failed, None, &*rng).unwrap().as_secs_f64();
                let usual = Duration::from_secs(*usual).as_secs_f64();
                assert!(pause >= usual * 0.8 - 0.001 && pause <= usual * 1.2 + 0.001);
            }
        }
        assert_eq!(pause(8, None, &*rng), None);
        assert_eq!(pause(0, None, &*rng), None);
    }

    #[test]
    fn a_wish_for_patience_is_granted_for_a_day_at_most() {
        let rng = SeededRng::new(3);
        let of = |seconds| pause(1, Some(Duration::from_secs(seconds)), &*rng).unwrap();
        assert!(of(1) < Duration::from_secs(7), "never earlier than planned");
        assert_eq!(of(100), Duration::from_secs(100));
        assert_eq!(of(9_999_999), Duration::from_secs(86_400));
        assert_eq!(pause(8, Some(Duration::from_secs(5)), &*rng), None);
    }

    #[test]
    fn wishes_are_seconds_or_moments() {
        let now: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Fri, 20 Nov 2026 07:01:00 GMT", Some(60)),
            ("Fri, 20 Nov 2026 06:59:00 GMT", None),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wish(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn five_days_of_failure_end_it() {
        let begun: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert!(!is_given_up(begun, after(120 * HOUR - 1)));
        assert!(is_given_up(begun, after(120 * HOUR)));
        assert!(!is_given_up(after(1), begun));
    }
}
