//! What requests about rules of automatic moderation ask for.

use contracts::moderation::{AutomodAction, AutomodTrigger, action_kind, trigger_kind};
use kernel::{ChannelId, Check, RoleId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::automod::matcher::core;
use crate::error::{Error, Result};

/// Most words of a rule.
const MAX_WORDS: usize = 1_000;
/// Most exceptions of a rule.
const MAX_ALLOWED: usize = 100;
/// Longest word or host, in characters.
const MAX_WORD: usize = 60;
/// Most actions of a rule.
const MAX_ACTIONS: usize = 5;
/// Longest time-out, in seconds.
const MAX_TIMEOUT_S: i64 = 28 * 86_400;

/// A new rule, or changes of one; absent fields stay or get their default.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = communities::AutomodRuleRequest)]
pub struct AutomodRuleRequest {
    /// Name, 1 to 100 characters.
    #[schema(format = "line", min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// 1: when a member sends a message.
    #[schema(minimum = 1, maximum = 1)]
    pub event_type: Option<i16>,
    /// 1 words, 3 spam, 5 mentions, 100 links; it cannot be changed.
    pub trigger_type: Option<i16>,
    /// What is looked for.
    pub trigger_metadata: Option<AutomodTrigger>,
    /// What happens then, 1 to 5.
    #[schema(min_items = 1, max_items = 5)]
    pub actions: Option<Vec<AutomodAction>>,
    /// Whether it is in force; no when absent in a new one.
    pub enabled: Option<bool>,
    /// Members with one of these roles are not judged.
    #[schema(max_items = 20)]
    pub exempt_roles: Option<Vec<RoleId>>,
    /// Messages in these channels are not judged.
    #[schema(max_items = 50)]
    pub exempt_channels: Option<Vec<ChannelId>>,
}

impl AutomodRuleRequest {
    /// Checks what does not depend on the kind of the trigger.
    pub(crate) fn checked(mut self) -> Result<Self> {
        let mut check = Check::default();
        if let Some(name) = &self.name {
            self.name = Some(check.text("/name", name, 1, 100));
        }
        if self.event_type.is_some_and(|kind| kind != 1) {
            check.refuse("/event_type", "INVALID", "must be 1");
        }
        for (pointer, count, most) in [
            (
                "/exempt_roles",
                self.exempt_roles.as_ref().map(Vec::len),
                20,
            ),
            (
                "/exempt_channels",
                self.exempt_channels.as_ref().map(Vec::len),
                50,
            ),
        ] {
            if count.is_some_and(|count| count > most) {
                check.refuse(pointer, "TOO_LONG", format!("at most {most}"));
            }
        }
        if let Some(actions) = &mut self.actions {
            check_actions(&mut check, actions);
        }
        check.done().map_err(Error::Invalid).map(|()| self)
    }
}

fn check_actions(check: &mut Check, actions: &mut [AutomodAction]) {
    if actions.is_empty() || actions.len() > MAX_ACTIONS {
        check.refuse("/actions", "OUT_OF_RANGE", format!("1 to {MAX_ACTIONS}"));
        return;
    }
    for (at, action) in (0..).zip(actions.iter_mut()) {
        let pointer = format!("/actions/{at}");
        let metadata = &mut action.metadata;
        if let Some(text) = metadata.custom_message.take() {
            let text = check.text(&format!("{pointer}/metadata/custom_message"), &text, 0, 150);
            metadata.custom_message = (!text.is_empty()).then_some(text);
        }
        match action.kind {
            action_kind::BLOCK | action_kind::QUARANTINE => {}
            action_kind::ALERT if metadata.channel_id.is_none() => {
                let detail = "says in which channel";
                check.refuse(
                    &format!("{pointer}/metadata/channel_id"),
                    "REQUIRED",
                    detail,
                );
            }
            action_kind::ALERT => {}
            action_kind::TIMEOUT => {
                let seconds = metadata.duration_seconds.unwrap_or(0);
                let pointer = format!("{pointer}/metadata/duration_seconds");
                check.range(&pointer, seconds, 1, MAX_TIMEOUT_S);
            }
            _ => check.refuse(
                &format!("{pointer}/type"),
                "INVALID",
                "must be 1, 2, 3 or 100",
            ),
        }
    }
    let mut kinds: Vec<i16> = actions.iter().map(|action| action.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() != actions.len() {
        check.refuse("/actions", "DUPLICATE", "each kind once");
    }
}

/// Checks what a rule of a kind looks for.
pub(crate) fn checked_trigger(kind: i16, mut trigger: AutomodTrigger) -> Result<AutomodTrigger> {
    let mut check = Check::default();
    let at = "/trigger_metadata";
    if !trigger.regex_patterns.is_empty() {
        let detail = "patterns are words with * at their ends; regular expressions are not offered";
        check.refuse(&format!("{at}/regex_patterns"), "NOT_SUPPORTED", detail);
    }
    match kind {
        trigger_kind::WORDS | trigger_kind::LINKS => {
            let (words, allowed) = (&mut trigger.keyword_filter, &mut trigger.allow_list);
            check_words(
                &mut check,
                &format!("{at}/keyword_filter"),
                words,
                MAX_WORDS,
            );
            check_words(
                &mut check,
                &format!("{at}/allow_list"),
                allowed,
                MAX_ALLOWED,
            );
            if words.is_empty() {
                let detail = "must name something";
                check.refuse(&format!("{at}/keyword_filter"), "REQUIRED", detail);
            }
            let links = kind == trigger_kind::LINKS;
            for (pointer, list) in [("keyword_filter", words), ("allow_list", allowed)] {
                if links {
                    list.iter_mut().for_each(|host| *host = host.to_lowercase());
                }
                let nothing = |word: &String| core(word).is_empty() && !(links && word == "*");
                if list.iter().any(nothing) {
                    check.refuse(&format!("{at}/{pointer}"), "INVALID", "a word is empty");
                }
            }
        }
        trigger_kind::MENTIONS => {
            let most = trigger.mention_total_limit.unwrap_or(0);
            check.range(&format!("{at}/mention_total_limit"), most, 1, 50);
        }
        trigger_kind::SPAM => check_spam(&mut check, at, &trigger),
        _ => check.refuse("/trigger_type", "INVALID", "must be 1, 3, 5 or 100"),
    }
    check.done().map_err(Error::Invalid).map(|()| trigger)
}

fn check_words(check: &mut Check, pointer: &str, words: &mut [String], most: usize) {
    if words.len() > most {
        check.refuse(pointer, "TOO_LONG", format!("at most {most}"));
        return;
    }
    for (at, word) in (0..).zip(words.iter_mut()) {
        *word = check.text(&format!("{pointer}/{at}"), word, 1, MAX_WORD);
    }
}

fn check_spam(check: &mut Check, at: &str, trigger: &AutomodTrigger) {
    for (name, value, max) in [
        ("message_limit", trigger.message_limit, 20),
        ("interval_seconds", trigger.interval_seconds, 60),
        ("similar_limit", trigger.similar_limit, 20),
        ("similar_seconds", trigger.similar_seconds, 300),
    ] {
        if let Some(value) = value {
            check.range(&format!("{at}/{name}"), value, 1, max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn trigger(kind: i16, body: Value) -> bool {
        checked_trigger(kind, serde_json::from_value(body).unwrap()).is_ok()
    }

    #[test]
    fn triggers_hold_their_bounds() {
        let words =
            |count: usize| -> Value { (0..count).map(|at| json!(format!("w{at}"))).collect() };
        for (kind, body, good) in [
            (1, json!({"keyword_filter": words(1_000)}), true),
            (1, json!({"keyword_filter": words(1_001)}), false),
            (1, json!({"keyword_filter": ["ş".repeat(60)]}), true),
            (1, json!({"keyword_filter": ["ş".repeat(61)]}), false),
            (1, json!({"keyword_filter": ["*"]}), false),
            (1, json!({"keyword_filter": []}), false),
            (
                1,
                json!({"keyword_filter": ["a"], "allow_list": words(100)}),
                true,
            ),
            (
                1,
                json!({"keyword_filter": ["a"], "allow_list": words(101)}),
                false,
            ),
            (
                1,
                json!({"keyword_filter": ["a"], "regex_patterns": ["a+"]}),
                false,
            ),
            (100, json!({"keyword_filter": ["*"]}), true),
            (100, json!({"keyword_filter": [""]}), false),
            (5, json!({"mention_total_limit": 1}), true),
            (5, json!({"mention_total_limit": 50}), true),
            (5, json!({"mention_total_limit": 51}), false),
            (5, json!({}), false),
            (3, json!({}), true),
            (
                3,
                json!({"message_limit": 20, "interval_seconds": 60}),
                true,
            ),
            (3, json!({"message_limit": 21}), false),
            (3, json!({"similar_seconds": 301}), false),
            (4, json!({"presets": [1]}), false),
        ] {
            assert_eq!(trigger(kind, body.clone()), good, "{kind} {body}");
        }
    }

    #[test]
    fn actions_hold_their_bounds() {
        for (actions, good) in [
            (json!([{"type": 1}]), true),
            (
                json!([{"type": 1, "metadata": {"custom_message": "x".repeat(150)}}]),
                true,
            ),
            (
                json!([{"type": 1, "metadata": {"custom_message": "x".repeat(151)}}]),
                false,
            ),
            (json!([]), false),
            (json!([{"type": 1}, {"type": 1}]), false),
            (json!([{"type": 2}]), false),
            (json!([{"type": 2, "metadata": {"channel_id": "5"}}]), true),
            (
                json!([{"type": 3, "metadata": {"duration_seconds": 2_419_200}}]),
                true,
            ),
            (
                json!([{"type": 3, "metadata": {"duration_seconds": 2_419_201}}]),
                false,
            ),
            (json!([{"type": 3}]), false),
            (json!([{"type": 100}]), true),
            (json!([{"type": 4}]), false),
        ] {
            let body = json!({"name": "n", "actions": actions});
            let request: AutomodRuleRequest = serde_json::from_value(body).unwrap();
            assert_eq!(request.checked().is_ok(), good, "{actions}");
        }
    }
}
