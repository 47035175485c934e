//! Emoji as reactions and polls name them: one character, however many code points it has, or
//! `name:id` of a community's emoji. Pure.

use contracts::messaging::PartialEmoji;
use kernel::AnyId;

/// Longest form of a character, in bytes: flags of regions are the longest, with 28.
const MAX_BYTES: usize = 64;
/// Lengths of the name of a community's emoji.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 2..=32;
const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
/// Ends a sequence of tags, as in flags of regions.
const LAST_TAG: char = '\u{e007f}';

/// An emoji, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Emoji {
    /// A character.
    Unicode(String),
    /// A community's.
    Custom { name: String, id: AnyId },
}

impl Emoji {
    /// Reads the form of paths and of stored rows; none when it names no emoji.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if let Some((name, id)) = text.rsplit_once(':') {
            // An animated one is written `a:name:id`.
            let name = name.strip_prefix("a:").unwrap_or(name);
            return Self::custom(name, id.parse().ok()?);
        }
        (text.len() <= MAX_BYTES && is_one_emoji(text)).then(|| Emoji::Unicode(text.to_owned()))
    }

    fn custom(name: &str, id: AnyId) -> Option<Self> {
        let clean = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = NAME_CHARS.contains(&name.len()) && name.chars().all(clean);
        (is_name && id.get() > 0).then(|| Emoji::Custom {
            name: name.to_owned(),
            id,
        })
    }

    /// The stored form.
    pub(crate) fn key(&self) -> String {
        match self {
            Emoji::Unicode(text) => text.clone(),
            Emoji::Custom { name, id } => format!("{name}:{id}"),
        }
    }

    /// As the dialect shows it.
    pub(crate) fn shown(self) -> PartialEmoji {
        match self {
            Emoji::Unicode(name) => PartialEmoji { id: None, name },
            Emoji::Custom { name, id } => PartialEmoji { id: Some(id), name },
        }
    }
}

/// The dialect's form of a stored emoji.
pub(crate) fn shown(key: &str) -> PartialEmoji {
    Emoji::read(key).map_or_else(
        || PartialEmoji {
            id: None,
            name: key.to_owned(),
        },
        Emoji::shown,
    )
}

/// Whether a text is one emoji: pictures joined to one, a keycap, or a flag of two letters.
fn is_one_emoji(text: &str) -> bool {
    let plain: Vec<char> = text.chars().filter(|c| *c != '\u{fe0f}').collect();
    match plain.as_slice() {
        ['0'..='9' | '#' | '*', KEYCAP] => true,
        [first, second] if is_letter(*first) && is_letter(*second) => true,
        [] => false,
        _ => plain.split(|c| *c == JOINER).all(is_picture),
    }
}

/// A picture, with the colour of a skin or with tags.
fn is_picture(part: &[char]) -> bool {
    let Some((first, rest)) = part.split_first() else {
        return false;
    };
    let is_skin = |c: char| matches!(c, '\u{1f3fb}'..='\u{1f3ff}');
    let is_tag = |c: char| matches!(c, '\u{e0020}'..='\u{e007e}');
    let decorated = match rest {
        [] => true,
        [skin] => is_skin(*skin),
        [tags @ .., last] => *last == LAST_TAG && tags.iter().copied().all(is_tag),
    };
    is_base(*first) && !is_letter(*first) && decorated
}

fn is_letter(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// Blocks in which Unicode has pictures. A few of their places are plain symbols: harmless.
fn is_base(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}'
        | '\u{25aa}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b05}'..='\u{2b55}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one_emoji() {
        for text in [
            "🔥",
            "👍",
            "👍🏽",
            "❤",
            "❤️",
            "🇹🇷",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "1️⃣",
            "#⃣",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "🧑🏿‍🚀",
        ] {
            assert_eq!(Emoji::read(text).unwrap().key(), text, "{text}");
        }
        for text in [
            "",
            "a",
            "1",
            "🔥🔥",
            "🔥a",
            "🇹",
            "🇹🇷🇹🇷",
            "\u{200d}",
            "🔥\u{200d}",
            "\u{fe0f}",
            "<🔥>",
            " ",
            "\u{0}",
            "🏽a",
        ] {
            assert_eq!(Emoji::read(text), None, "{text:?}");
        }
        assert_eq!(Emoji::read(&"👩‍".repeat(20)), None, "too long");
    }

    #[test]
    fn a_communitys_emoji_has_a_name_and_an_id() {
        let emoji = Emoji::read("gul:42").unwrap();
        assert_eq!(emoji, Emoji::read("a:gul:42").unwrap());
        assert_eq!(emoji.key(), "gul:42");
        assert_eq!(
            serde_json::to_value(emoji.shown()).unwrap(),
            serde_json::json!({"id": "42", "name": "gul"})
        );
        let long = "x".repeat(33);
        for text in ["g:42", "gül:42", "gul:", "gul:x", "gul:0", "gul:-1", ":42"] {
            assert_eq!(Emoji::read(text), None, "{text}");
        }
        assert_eq!(Emoji::read(&format!("{long}:1")), None);
        let longest = "x".repeat(32);
        assert!(Emoji::read(&format!("{longest}:1")).is_some());
    }
}
