//! Notices credential stuffing: lists of names and passwords from elsewhere, tried one after the
//! other, each pair once. No limit on an account sees that, and one on an address comes too late.
//!
//! Two signs, both over ten minutes and both about *different* pairs of a name and a password that
//! failed (a program that repeats an old password is one pair):
//! 1. One network: twenty pairs. It logs nobody in with a password for an hour.
//! 2. The installation as a whole, when many networks take turns: more pairs than it ever sees
//!    otherwise (a setting). While that lasts, a network may fail for three different names.
//!
//! Whoever succeeds leaves no trace, and devices that an account knows are not asked (`login.rs`):
//! the attack locks nobody out.
//!
//! Kept per process, names and passwords as a keyed hash of eight bytes. A network is forgotten
//! when 100,000 newer ones came; the pairs of the installation are as many as its threshold.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Networks that are remembered.
const MAX_NETWORKS: u64 = 100_000;
/// Different pairs after which a network is refused.
pub(crate) const NETWORK_PAIRS: usize = 20;
/// Different names after which a network is refused while a wave lasts.
pub(crate) const WAVE_NAMES: usize = 4;
/// The time in which they are counted.
pub(crate) const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// How long a network is refused.
pub(crate) const REFUSED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// A name and a password that failed together, by keyed hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: [u8; 8],
    pub(crate) both: [u8; 8],
}

/// By what a network was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Its own pairs.
    Network,
    /// A few names, while the whole installation is under attack.
    Wave,
}

impl Sign {
    /// For labels and events.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Sign::Network => "network",
            Sign::Wave => "wave",
        }
    }
}

/// Pairs that failed lately, the oldest first; never two equal ones.
#[derive(Debug, Default)]
struct Recent(VecDeque<(Pair, Timestamp)>);

impl Recent {
    /// Adds a pair and forgets what is out of the window, or more than `most`.
    fn add(&mut self, pair: Pair, now: Timestamp, most: usize) {
        self.forget(now);
        self.0.retain(|(known, _)| *known != pair);
        self.0.push_back((pair, now));
        while self.0.len() > most {
            self.0.pop_front();
        }
    }

    fn forget(&mut self, now: Timestamp) {
        while self
            .0
            .front()
            .is_some_and(|(_, at)| now.duration_since(*at) >= WINDOW)
        {
            self.0.pop_front();
        }
    }

    fn names(&self) -> usize {
        let mut names: Vec<[u8; 8]> = self.0.iter().map(|(pair, _)| pair.name).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }
}

/// What is known of a network.
#[derive(Debug, Default)]
struct Network {
    recent: Recent,
    refused_until: Option<Timestamp>,
}

/// The pairs of the whole installation, as far as this process sees it.
#[derive(Debug, Default)]
struct Everywhere {
    recent: Recent,
    wave: bool,
}

/// Counts failed logins of networks.
pub(crate) struct Stuffing {
    networks: Cache<String, Arc<Mutex<Network>>>,
    everywhere: Mutex<Everywhere>,
    /// Different pairs in ten minutes that make a wave.
    wave_pairs: usize,
}

impl Stuffing {
    pub(crate) fn new(wave_pairs: u32) -> Self {
        Stuffing {
            networks: Cache::builder()
                .max_capacity(MAX_NETWORKS)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            everywhere: Mutex::default(),
            wave_pairs: usize::try_from(wave_pairs).unwrap_or(usize::MAX),
        }
    }

    /// For how long a network may not log in with passwords.
    pub(crate) fn refused(&self, network: &str, now: Timestamp) -> Option<Duration> {
        let known = self.networks.get(network)?;
        let until = locked(&known).refused_until?;
        let left = until.duration_since(now);
        if left <= SignedDuration::ZERO {
            return None;
        }
        metrics::counter!("meydan_auth_stuffing_refused_total").increment(1);
        Some(left.unsigned_abs())
    }

    /// Counts a pair that failed; by what the network is refused from now on, if this was one too
    /// many.
    pub(crate) fn failed(&self, network: &str, pair: Pair, now: Timestamp) -> Option<Sign> {
        metrics::counter!("meydan_auth_login_failures_total").increment(1);
        let wave = self.is_wave(pair, now);
        let known = self.networks.get_with_by_ref(network, Arc::default);
        let mut known = locked(&known);
        known.recent.add(pair, now, NETWORK_PAIRS);
        let sign = if known.recent.0.len() >= NETWORK_PAIRS {
            Sign::Network
        } else if wave && known.recent.names() >= WAVE_NAMES {
            Sign::Wave
        } else {
            return None;
        };
        known.recent = Recent::default();
        known.refused_until = now.checked_add(REFUSED_FOR).ok();
        metrics::counter!("meydan_auth_stuffing_networks_total", "sign" => sign.word())
            .increment(1);
        Some(sign)
    }

    /// Whether, with this pair, the installation as a whole is under attack.
    fn is_wave(&self, pair: Pair, now: Timestamp) -> bool {
        let mut everywhere = locked(&self.everywhere);
        everywhere.recent.add(pair, now, self.wave_pairs);
        let wave = everywhere.recent.0.len() >= self.wave_pairs;
        if wave != everywhere.wave {
            everywhere.wave = wave;
            metrics::gauge!("meydan_auth_stuffing_wave").set(if wave { 1.0 } else { 0.0 });
        }
        wave
    }

    #[cfg(test)]
    fn networks(&self) -> u64 {
        self.networks.run_pending_tasks();
        self.networks.entry_count()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: u64, password: u64) -> Pair {
        Pair {
            name: name.to_be_bytes(),
            both: (name << 32 | password).to_be_bytes(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    const NET: &str = "203.0.113.0/24";

    #[test]
    fn nineteen_pairs_are_allowed_and_the_twentieth_is_the_last_for_an_hour() {
        let stuffing = Stuffing::new(1_000);
        for number in 0..19 {
            assert_eq!(stuffing.failed(NET, pair(number, 1), at(0)), None);
        }
        assert_eq!(stuffing.refused(NET, at(0)), None);
        assert_eq!(
            stuffing.failed(NET, pair(19, 1), at(1)),
            Some(Sign::Network)
        );
        assert_eq!(
            stuffing.refused(NET, at(1)),
            Some(Duration::from_secs(3_600))
        );
        assert_eq!(
            stuffing.refused(NET, at(3_600)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(stuffing.refused(NET, at(3_601)), None);
        assert_eq!(stuffing.refused("198.51.100.0/24", at(1)), None);
    }

    #[test]
    fn one_pair_repeated_is_one_and_old_ones_do_not_count() {
        let stuffing = Stuffing::new(1_000);
        for second in 0..500 {
            assert_eq!(stuffing.failed(NET, pair(1, 1), at(second)), None);
        }
        for number in 0..18 {
            stuffing.failed(NET, pair(2, number), at(500));
        }
        // The first one was seen last at 499.
        assert_eq!(stuffing.failed(NET, pair(3, 1), at(499 + 600)), None);
        for number in 0..30 {
            let late = at(2_000 + 60 * number);
            let one = pair(4, number.unsigned_abs());
            assert_eq!(stuffing.failed(NET, one, late), None, "ten at a time");
        }
    }

    #[test]
    fn in_a_wave_few_names_are_enough_and_one_name_is_not() {
        let stuffing = Stuffing::new(50);
        for number in 0..50 {
            stuffing.failed(&format!("net {number}"), pair(number, 1), at(0));
        }
        for number in 0..10 {
            // Somebody who forgot which of their passwords it was.
            assert_eq!(stuffing.failed(NET, pair(7_000, number), at(1)), None);
        }
        for number in 0..2 {
            assert_eq!(stuffing.failed(NET, pair(8_000 + number, 1), at(1)), None);
        }
        assert_eq!(
            stuffing.failed(NET, pair(9_000, 1), at(1)),
            Some(Sign::Wave)
        );
        // Ten minutes later it is over.
        let other = "198.51.100.0/24";
        for number in 0..10 {
            assert_eq!(stuffing.failed(other, pair(number, 2), at(700)), None);
        }
    }

    #[test]
    fn networks_are_forgotten_beyond_the_bound() {
        let stuffing = Stuffing::new(10);
        for number in 0..MAX_NETWORKS + 1_000 {
            stuffing.failed(&number.to_string(), pair(1, 1), at(0));
        }
        assert!(stuffing.networks() <= MAX_NETWORKS);
    }
}
