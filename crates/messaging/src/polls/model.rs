//! What a poll asks: as it is sent, stored and shown. Pure.

use contracts::messaging::{Poll, PollAnswer, PollCount, PollMedia, PollResults};
use jiff::{SignedDuration, Timestamp};
use kernel::{AnyId, FieldError};
use serde::{Deserialize, Serialize};

use crate::emoji::{self, Emoji};

/// Longest question.
const MAX_QUESTION_CHARS: usize = 300;
/// Most answers.
const MAX_ANSWERS: usize = 10;
/// Longest answer.
const MAX_ANSWER_CHARS: usize = 55;
/// How many hours a poll lasts unless it says so, and at most.
const USUAL_HOURS: u32 = 24;
const MAX_HOURS: u32 = 768;

/// A poll as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SentPoll {
    /// The question: a text of at most 300 characters.
    pub question: SentMedia,
    /// 1 to 10 answers.
    #[schema(min_items = 1, max_items = 10)]
    pub answers: Vec<SentAnswer>,
    /// Hours until it ends: 1 to 768, 24 when absent.
    #[schema(minimum = 1, maximum = 768)]
    pub duration: Option<u32>,
    /// Whether one may choose several answers.
    pub allow_multiselect: Option<bool>,
    /// 1, when there.
    pub layout_type: Option<i32>,
}

/// An answer as it is sent.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SentAnswer {
    /// What it says: a text of at most 55 characters.
    pub poll_media: SentMedia,
}

/// A text and an emoji.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SentMedia {
    /// The text.
    pub text: Option<String>,
    /// The emoji; of answers only.
    pub emoji: Option<SentEmoji>,
}

/// An emoji: of a community by its id, a character by its name.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SentEmoji {
    /// Of a community's emoji.
    pub id: Option<AnyId>,
    /// The character.
    pub name: Option<String>,
}

/// A checked poll.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewPoll {
    question: String,
    answers: Vec<StoredAnswer>,
    hours: u32,
    several: bool,
}

/// A poll as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredPoll {
    pub(crate) question: String,
    pub(crate) answers: Vec<StoredAnswer>,
    pub(crate) ends_at: Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) several: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) closed: bool,
}

/// An answer as it is stored; its number is its place, from 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredAnswer {
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) emoji: Option<String>,
}

impl SentPoll {
    /// Checks it; what is wrong goes to `errors`.
    pub(crate) fn check(self, errors: &mut Vec<FieldError>) -> Option<NewPoll> {
        let before = errors.len();
        let mut refuse = |pointer: String, detail: &str| {
            errors.push(FieldError::new(pointer, "INVALID", detail));
        };
        let question = self.question.text.unwrap_or_default();
        if !is_text(&question, MAX_QUESTION_CHARS) {
            refuse("/poll/question/text".to_owned(), "1 to 300 characters");
        }
        if !(1..=MAX_ANSWERS).contains(&self.answers.len()) {
            refuse("/poll/answers".to_owned(), "1 to 10 answers");
        }
        let hours = self.duration.unwrap_or(USUAL_HOURS);
        if !(1..=MAX_HOURS).contains(&hours) {
            refuse("/poll/duration".to_owned(), "1 to 768 hours");
        }
        if !matches!(self.layout_type, None | Some(1)) {
            refuse("/poll/layout_type".to_owned(), "1");
        }
        let mut answers = Vec::new();
        for (at, SentAnswer { poll_media }) in self.answers.into_iter().enumerate() {
            let text = poll_media.text.unwrap_or_default();
            if !is_text(&text, MAX_ANSWER_CHARS) {
                refuse(
                    format!("/poll/answers/{at}/poll_media/text"),
                    "1 to 55 characters",
                );
            }
            let sent = poll_media.emoji;
            let emoji = sent.as_ref().map(SentEmoji::read);
            if emoji == Some(None) {
                refuse(format!("/poll/answers/{at}/poll_media/emoji"), "an emoji");
            }
            let emoji = emoji.flatten().map(|emoji| emoji.key());
            answers.push(StoredAnswer { text, emoji });
        }
        let several = self.allow_multiselect == Some(true);
        (errors.len() == before).then_some(NewPoll {
            question,
            answers,
            hours,
            several,
        })
    }
}

impl SentEmoji {
    fn read(&self) -> Option<Emoji> {
        match (self.id, self.name.as_deref()) {
            // Its name is looked up.
            (Some(id), _) => Emoji::read(&format!("__:{id}")),
            (None, Some(name)) => Emoji::read(name),
            (None, None) => None,
        }
    }
}

fn is_text(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && !text.contains('\0')
}

impl NewPoll {
    /// The poll that begins now.
    pub(crate) fn starting(&self, now: Timestamp) -> StoredPoll {
        let lasts = SignedDuration::from_hours(i64::from(self.hours));
        StoredPoll {
            question: self.question.clone(),
            answers: self.answers.clone(),
            ends_at: now.checked_add(lasts).unwrap_or(Timestamp::MAX),
            several: self.several,
            closed: false,
        }
    }
}

impl StoredPoll {
    /// Whether votes are taken no more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.closed || self.ends_at <= now
    }

    /// Whether there is an answer with this number.
    pub(crate) fn has(&self, answer: i16) -> bool {
        usize::try_from(answer).is_ok_and(|number| (1..=self.answers.len()).contains(&number))
    }

    /// Whether somebody may choose these answers together.
    pub(crate) fn takes(&self, answers: &[i16]) -> bool {
        let count = answers.len() <= 1 || self.several;
        count && answers.iter().all(|answer| self.has(*answer))
    }

    /// As the dialect shows it.
    pub(crate) fn shown(self, answer_counts: Vec<PollCount>) -> Poll {
        let answer = |(at, answer): (i16, StoredAnswer)| PollAnswer {
            answer_id: at,
            poll_media: PollMedia {
                text: Some(answer.text),
                emoji: answer.emoji.map(|key| emoji::shown(&key)),
            },
        };
        Poll {
            question: PollMedia {
                text: Some(self.question),
                emoji: None,
            },
            answers: (1..).zip(self.answers).map(answer).collect(),
            expiry: self.ends_at,
            allow_multiselect: self.several,
            layout_type: 1,
            results: PollResults {
                is_finalized: self.closed,
                answer_counts,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(poll: Value) -> Result<NewPoll, Vec<String>> {
        let sent: SentPoll = serde_json::from_value(poll).unwrap();
        let mut errors = Vec::new();
        let checked = sent.check(&mut errors);
        checked.ok_or_else(|| {
            errors
                .into_iter()
                .map(|error| error.pointer.to_string())
                .collect()
        })
    }

    fn answers(count: usize) -> Value {
        let answer = |n| json!({"poll_media": {"text": format!("a{n}")}});
        (0..count).map(answer).collect()
    }

    #[test]
    fn bounds_of_a_poll() {
        let poll = |over: Value| {
            let mut poll = json!({"question": {"text": "?"}, "answers": answers(2)});
            for (key, value) in over.as_object().unwrap() {
                poll[key] = value.clone();
            }
            checked(poll)
        };
        for good in [
            json!({}),
            json!({"question": {"text": "ü".repeat(300)}}),
            json!({"answers": answers(1)}),
            json!({"answers": answers(10)}),
            json!({"answers": [{"poll_media": {"text": "ü".repeat(55)}}]}),
            json!({"duration": 1}),
            json!({"duration": 768, "layout_type": 1}),
            json!({"answers": [{"poll_media": {"text": "a", "emoji": {"name": "🔥"}}}]}),
            json!({"answers": [{"poll_media": {"text": "a", "emoji": {"id": "7"}}}]}),
        ] {
            assert!(poll(good.clone()).is_ok(), "{good}");
        }
        for (bad, pointer) in [
            (
                json!({"question": {"text": "ü".repeat(301)}}),
                "/poll/question/text",
            ),
            (json!({"question": {}}), "/poll/question/text"),
            (json!({"answers": []}), "/poll/answers"),
            (json!({"answers": answers(11)}), "/poll/answers"),
            (
                json!({"answers": [{"poll_media": {"text": "ü".repeat(56)}}]}),
                "/poll/answers/0/poll_media/text",
            ),
            (
                json!({"answers": [{"poll_media": {"text": "a", "emoji": {"name": "x"}}}]}),
                "/poll/answers/0/poll_media/emoji",
            ),
            (json!({"duration": 0}), "/poll/duration"),
            (json!({"duration": 769}), "/poll/duration"),
            (json!({"layout_type": 2}), "/poll/layout_type"),
        ] {
            assert_eq!(poll(bad.clone()), Err(vec![pointer.to_owned()]), "{bad}");
        }
    }

    #[test]
    fn one_answer_or_several_and_none_that_is_not_there() {
        let now: Timestamp = "2026-11-20T07:00:00Z".parse().unwrap();
        let poll = |several: bool| {
            let poll = json!({"question": {"text": "?"}, "answers": answers(2),
                "allow_multiselect": several, "duration": 2});
            checked(poll).unwrap().starting(now)
        };
        for (chosen, one, many) in [
            (vec![], true, true),
            (vec![1], true, true),
            (vec![2], true, true),
            (vec![1, 2], false, true),
            (vec![0], false, false),
            (vec![3], false, false),
            (vec![-1], false, false),
        ] {
            assert_eq!(poll(false).takes(&chosen), one, "{chosen:?}");
            assert_eq!(poll(true).takes(&chosen), many, "{chosen:?}");
        }
        let end = now + SignedDuration::from_hours(2);
        assert_eq!(poll(false).ends_at, end);
        assert!(!poll(false).is_over(end - SignedDuration::from_millis(1)));
        assert!(poll(false).is_over(end));
    }
}
