//! Spam: too many messages of one member in a short time, or the same again and again. Kept in memory
//! by the process that takes the messages; bounded per member and in all.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kernel::{CommunityId, UserId};

/// Messages of a member that are remembered.
const REMEMBERED: usize = 30;
/// Members that are remembered; the least active are forgotten beyond.
const MEMBERS: u64 = 50_000;
/// After how long without a message a member is forgotten; longer than any limit looks back.
const FORGOTTEN: Duration = Duration::from_secs(300);
/// Pieces of a text that are compared.
const MAX_PIECES: usize = 256;

/// When messages are spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// More messages than this …
    pub(crate) messages: usize,
    /// … within this many seconds.
    pub(crate) seconds: i64,
    /// More messages that say nearly the same than this …
    pub(crate) similar: usize,
    /// … within this many seconds.
    pub(crate) similar_seconds: i64,
}

struct Seen {
    at: Timestamp,
    pieces: Vec<u64>,
}

/// What members said lately.
pub(crate) struct Recent {
    members: moka::sync::Cache<(CommunityId, UserId), Arc<Mutex<VecDeque<Seen>>>>,
}

impl Recent {
    pub(crate) fn new() -> Self {
        let members = moka::sync::Cache::builder()
            .max_capacity(MEMBERS)
            .time_to_idle(FORGOTTEN)
            .build();
        Recent { members }
    }

    /// Remembers a message and tells whether it is spam, for each of several limits.
    pub(crate) fn judge(
        &self,
        who: (CommunityId, UserId),
        folded: &str,
        at: Timestamp,
        limits: &[Limits],
    ) -> Vec<bool> {
        let seen = self.members.get_with(who, Arc::default);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push_back(Seen {
            at,
            pieces: pieces(folded),
        });
        if seen.len() > REMEMBERED {
            seen.pop_front();
        }
        limits
            .iter()
            .map(|limits| is_spam(&seen, at, *limits))
            .collect()
    }
}

fn is_spam(seen: &VecDeque<Seen>, now: Timestamp, limits: Limits) -> bool {
    let within = |one: &&Seen, seconds: i64| {
        now.as_millisecond().saturating_sub(one.at.as_millisecond()) < seconds.saturating_mul(1_000)
    };
    let messages = seen
        .iter()
        .filter(|one| within(one, limits.seconds))
        .count();
    let Some(last) = seen.back() else {
        return false;
    };
    let alike = |one: &&Seen| is_similar(&one.pieces, &last.pieces);
    let recent = seen
        .iter()
        .filter(|one| within(one, limits.similar_seconds));
    messages > limits.messages || recent.filter(alike).count() > limits.similar
}

/// Runs of three characters, hashed, sorted, each once; a short text is one piece.
fn pieces(folded: &str) -> Vec<u64> {
    let chars: Vec<char> = folded
        .chars()
        .filter(|char| !char.is_whitespace())
        .collect();
    let mut pieces: Vec<u64> = if chars.len() < 3 {
        vec![hash(&chars)]
    } else {
        chars.windows(3).take(MAX_PIECES).map(hash).collect()
    };
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// FNV-1a; collisions only make two texts a little more alike.
fn hash(chars: &[char]) -> u64 {
    chars.iter().fold(0xcbf2_9ce4_8422_2325, |hash, char| {
        (hash ^ u64::from(u32::from(*char))).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether two texts share four of five pieces.
fn is_similar(one: &[u64], other: &[u64]) -> bool {
    let shared = one
        .iter()
        .filter(|piece| other.binary_search(piece).is_ok())
        .count();
    let all = one.len() + other.len() - shared;
    shared * 5 >= all * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: (CommunityId, UserId) = (CommunityId::new(1), UserId::new(2));
    const LIMITS: Limits = Limits {
        messages: 3,
        seconds: 5,
        similar: 2,
        similar_seconds: 60,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000 + seconds).unwrap()
    }

    fn said(recent: &Recent, text: &str, second: i64) -> bool {
        recent.judge(WHO, text, at(second), &[LIMITS])[0]
    }

    #[test]
    fn the_fourth_message_in_five_seconds_is_spam_at_its_edge() {
        let recent = Recent::new();
        for (text, second) in [("bir", 0), ("iki elma", 1), ("armut var", 2)] {
            assert!(!said(&recent, text, second), "{text}");
        }
        assert!(said(&recent, "dört mevsim", 4));
        let recent = Recent::new();
        for (text, second) in [("bir", 0), ("iki elma", 1), ("armut var", 2)] {
            said(&recent, text, second);
        }
        assert!(
            !said(&recent, "dört mevsim", 5),
            "the first is out of sight"
        );
        let other = (CommunityId::new(1), UserId::new(3));
        assert!(
            !recent.judge(other, "x", at(5), &[LIMITS])[0],
            "others are others"
        );
    }

    #[test]
    fn nearly_the_same_three_times_is_spam() {
        let recent = Recent::new();
        assert!(!said(&recent, "ucuz araba burada hemen gel", 0));
        assert!(!said(&recent, "ucuz araba burada hemen gel!", 20));
        assert!(said(&recent, "ucuz  araba burada hemen gel !", 40));
        assert!(!said(&recent, "bambaska bir cumle yazdim simdi", 50));
        assert!(
            !said(&recent, "ucuz araba burada hemen gel", 110),
            "long ago"
        );
    }

    #[test]
    fn likeness_is_measured() {
        for (one, other, alike) in [
            ("merhaba dunya", "merhaba dunya", true),
            ("merhaba dunya", "merhaba dunyaa", true),
            ("merhaba dunya", "gule gule", false),
            ("ok", "ok", true),
            ("ok", "no", false),
            ("", "", true),
        ] {
            assert_eq!(
                is_similar(&pieces(one), &pieces(other)),
                alike,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let recent = Recent::new();
        for second in 0..100 {
            said(&recent, "x", second * 100);
        }
        let seen = recent.members.get(&WHO).unwrap();
        assert_eq!(seen.lock().unwrap().len(), REMEMBERED);
        assert!(pieces(&"abcdefghij".repeat(1_000)).len() <= MAX_PIECES);
    }
}
