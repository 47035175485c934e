//! What a socket wants shown of its user (op 3, and `presence` of IDENTIFY), and how often it may
//! change its mind.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::close::Close;
use crate::machine::Ms;

/// Most activities of one socket.
const MAX_ACTIVITIES: usize = 8;
/// Longest name and state of an activity, in characters, and its address.
const MAX_TEXT: usize = 128;
const MAX_URL: usize = 512;
/// Changes of mind in each window.
const CHANGES: usize = 5;
const WINDOW: Ms = 20_000;

/// How somebody is shown, worst first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    #[default]
    Offline,
    Idle,
    Dnd,
    Online,
}

/// One activity, cut to what the dialect lets clients set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Activity {
    name: String,
    #[serde(rename = "type", default)]
    kind: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// What a socket wants shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// `Offline` = invisible: counts for nothing, and hides the user's other sockets.
    pub(crate) status: Status,
    /// As JSON; empty stands for none.
    pub(crate) activities: String,
}

impl Default for Wish {
    fn default() -> Self {
        Wish {
            status: Status::Online,
            activities: String::new(),
        }
    }
}

/// As clients write it.
#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    activities: Option<Vec<Activity>>,
}

impl Wish {
    /// Reads the `d` of op 3. Fields that say nothing to others (`since`, `afk`) are ignored.
    pub(crate) fn parse(d: &str) -> Result<Wish, Close> {
        let wire: Option<Wire> = serde_json::from_str(d).or(Err(Close::Decode))?;
        let Some(wire) = wire else {
            return Ok(Wish::default());
        };
        let status = match wire.status.as_deref() {
            None | Some("online") => Status::Online,
            Some("idle") => Status::Idle,
            Some("dnd") => Status::Dnd,
            Some("invisible" | "offline") => Status::Offline,
            Some(_) => return Err(Close::Decode),
        };
        let activities = wire.activities.unwrap_or_default();
        let too_long = |text: &Option<String>, most: usize| {
            text.as_ref()
                .is_some_and(|text| text.chars().count() > most)
        };
        let is_bad = |activity: &Activity| {
            activity.name.chars().count() > MAX_TEXT
                || activity.kind > 5
                || too_long(&activity.state, MAX_TEXT)
                || too_long(&activity.url, MAX_URL)
        };
        if activities.len() > MAX_ACTIVITIES || activities.iter().any(is_bad) {
            return Err(Close::Decode);
        }
        let activities = if activities.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&activities).or(Err(Close::Decode))?
        };
        Ok(Wish { status, activities })
    }
}

/// How often a socket may change what is shown: beyond it the newest wish waits.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// When the last changes took effect, oldest first.
    spent: VecDeque<Ms>,
    waiting: Option<Wish>,
}

impl Budget {
    /// A wish came: it takes effect now, or waits in place of one that waits already.
    pub(crate) fn ask(&mut self, wish: Wish, now: Ms) -> Option<Wish> {
        self.waiting = Some(wish);
        self.take(now)
    }

    /// The wish that waits, once the window lets it through.
    pub(crate) fn take(&mut self, now: Ms) -> Option<Wish> {
        while self.spent.front().is_some_and(|at| now >= at + WINDOW) {
            self.spent.pop_front();
        }
        if self.spent.len() >= CHANGES {
            return None;
        }
        let wish = self.waiting.take()?;
        self.spent.push_back(now);
        Some(wish)
    }

    /// When the wish that waits may take effect.
    pub(crate) fn due(&self) -> Option<Ms> {
        self.waiting.as_ref()?;
        Some(self.spent.front().map_or(0, |at| at + WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(status: Status) -> Wish {
        Wish {
            status,
            activities: String::new(),
        }
    }

    #[test]
    fn wishes_are_read_and_bounded() {
        let status = |d: &str| Wish::parse(d).map(|wish| wish.status);
        for (d, expected) in [
            ("null", Ok(Status::Online)),
            ("{}", Ok(Status::Online)),
            (
                r#"{"status":"idle","since":91879201,"afk":false}"#,
                Ok(Status::Idle),
            ),
            (r#"{"status":"dnd"}"#, Ok(Status::Dnd)),
            (r#"{"status":"invisible"}"#, Ok(Status::Offline)),
            (r#"{"status":"happy"}"#, Err(Close::Decode)),
            (r#"{"activities":[{"type":0}]}"#, Err(Close::Decode)),
            (
                r#"{"activities":[{"name":"x","type":6}]}"#,
                Err(Close::Decode),
            ),
            ("[1]", Err(Close::Decode)),
        ] {
            assert_eq!(status(d), expected, "{d}");
        }
        let named = |length: usize| {
            let name = "ş".repeat(length);
            Wish::parse(&format!(
                r#"{{"activities":[{{"name":"{name}","type":0,"id":"x"}}]}}"#
            ))
        };
        assert_eq!(
            named(MAX_TEXT).unwrap().activities.chars().count(),
            MAX_TEXT + r#"[{"name":"","type":0}]"#.len()
        );
        assert_eq!(named(MAX_TEXT + 1), Err(Close::Decode));
        let many = |count: usize| {
            let all = vec![r#"{"name":"x"}"#; count].join(",");
            Wish::parse(&format!(r#"{{"activities":[{all}]}}"#))
        };
        assert!(many(MAX_ACTIVITIES).is_ok());
        assert_eq!(many(MAX_ACTIVITIES + 1), Err(Close::Decode));
    }

    #[test]
    fn five_in_twenty_seconds_then_the_newest_waits() {
        let mut budget = Budget::default();
        for _ in 0..CHANGES {
            assert!(budget.ask(wish(Status::Idle), 1_000).is_some());
        }
        assert_eq!(budget.due(), None);
        assert_eq!(budget.ask(wish(Status::Dnd), 2_000), None);
        assert_eq!(budget.ask(wish(Status::Online), 3_000), None);
        assert_eq!(budget.due(), Some(21_000));
        assert_eq!(budget.take(20_999), None);
        assert_eq!(budget.take(21_000), Some(wish(Status::Online)));
        assert_eq!(budget.take(21_000), None, "only the newest was kept");
    }
}
