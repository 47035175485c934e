//! Raw values as they stand in files and variables, and how each Rust type reads one.
//!
//! A type says once what it accepts ([`Setting::read`]), how it prints ([`Setting::show`]) and how
//! it appears in the documentation and the JSON Schema ([`Setting::KIND`]).

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A value before it is understood.
#[derive(Clone, PartialEq)]
pub(crate) enum Raw {
    /// A TOML string: only types written as text accept it.
    Text(String),
    /// A variable or a `--set` value: any type may read it.
    Loose(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Raw>),
    /// Anything else TOML knows; the text names it.
    Other(&'static str),
}

impl Raw {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Loose(text) => Some(text),
            Self::Integer(_) | Self::Flag(_) | Self::List(_) | Self::Other(_) => None,
        }
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Loose(text) => text.trim().parse().ok(),
            Self::Text(_) | Self::Flag(_) | Self::List(_) | Self::Other(_) => None,
        }
    }

    fn items(&self) -> Option<Vec<Raw>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Loose(text) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|part| !part.is_empty())
                    .map(|part| Self::Loose(part.to_owned()))
                    .collect(),
            ),
            Self::Text(_) | Self::Integer(_) | Self::Flag(_) | Self::Other(_) => None,
        }
    }

    /// The value as an error message shows it.
    pub(crate) fn found(&self) -> String {
        match self {
            Self::Text(text) | Self::Loose(text) => quote(&shorten(text)),
            Self::Integer(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::found).collect();
                format!("[{}]", shorten(&items.join(", ")))
            }
            Self::Other(what) => (*what).to_owned(),
        }
    }
}

/// An error message stays on one line whatever somebody pasted into the file.
const FOUND_CHARS: usize = 60;

fn shorten(text: &str) -> String {
    if text.chars().count() <= FOUND_CHARS {
        return text.to_owned();
    }
    text.chars().take(FOUND_CHARS).chain("…".chars()).collect()
}

/// Writes a string as TOML does.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// What a setting accepts, for people and for the JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Flag,
    Duration,
    Size,
    Address,
    SocketAddress,
    Path,
    Url,
    Secret,
    Choice(&'static [&'static str]),
    List(&'static Kind),
    Network,
    Country,
    Place,
}

impl Kind {
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Duration => "a duration such as 500ms, 10s, 15m, 2h or 7d".to_owned(),
            Self::Size => "a size such as 512KiB, 16MiB or 1GiB".to_owned(),
            Self::Address => "an IP address such as 127.0.0.1".to_owned(),
            Self::SocketAddress => "an address with a port such as 127.0.0.1:9464".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Url => "an http or https URL without a path".to_owned(),
            Self::Secret => "a secret text".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::List(item) => format!("a list; each item is {}", item.describe()),
            Self::Network => "an address or network such as 10.0.0.0/8".to_owned(),
            Self::Country => "two letters of a country such as TR".to_owned(),
            Self::Place => "a network such as 10.0.0.0/8 or a host with its port".to_owned(),
        }
    }
}

/// A value as `config print` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A TOML literal.
    Literal(String),
    Unset,
    /// Set, and never printed.
    Hidden,
}

/// A type that can be a setting.
pub(crate) trait Setting: Sized {
    const KIND: Kind;
    const OPTIONAL: bool = false;

    /// Reads the value; the error is what was expected instead.
    fn read(raw: &Raw) -> Result<Self, String>;

    fn show(&self) -> Shown;

    /// The number that a range limits: a count, milliseconds or bytes.
    fn magnitude(&self) -> Option<u128> {
        None
    }
}

fn expected<T: Setting>() -> String {
    T::KIND.describe()
}

/// Reads a whole number through `i64`, the only integer TOML has.
fn whole<T: Setting + TryFrom<i64>>(raw: &Raw) -> Result<T, String> {
    raw.integer()
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(expected::<T>)
}

impl Setting for u16 {
    const KIND: Kind = Kind::Integer;

    fn read(raw: &Raw) -> Result<Self, String> {
        whole(raw)
    }

    fn show(&self) -> Shown {
        Shown::Literal(self.to_string())
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(*self))
    }
}

impl Setting for u32 {
    const KIND: Kind = Kind::Integer;

    fn read(raw: &Raw) -> Result<Self, String> {
        whole(raw)
    }

    fn show(&self) -> Shown {
        Shown::Literal(self.to_string())
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(*self))
    }
}

impl Setting for usize {
    const KIND: Kind = Kind::Integer;

    fn read(raw: &Raw) -> Result<Self, String> {
        whole(raw)
    }

    fn show(&self) -> Shown {
        Shown::Literal(self.to_string())
    }

    fn magnitude(&self) -> Option<u128> {
        u128::try_from(*self).ok()
    }
}

impl Setting for bool {
    const KIND: Kind = Kind::Flag;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Flag(flag) => Ok(*flag),
            Raw::Loose(text) => match text.trim() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(expected::<Self>()),
            },
            Raw::Text(_) | Raw::Integer(_) | Raw::List(_) | Raw::Other(_) => {
                Err(expected::<Self>())
            }
        }
    }

    fn show(&self) -> Shown {
        Shown::Literal(self.to_string())
    }
}

impl Setting for String {
    const KIND: Kind = Kind::Text;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text().map(str::trim) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(expected::<Self>()),
        }
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(self))
    }
}

impl Item for String {
    const ITEM: &'static Kind = &Kind::Text;
}

impl Setting for PathBuf {
    const KIND: Kind = Kind::Path;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some(text) if !text.is_empty() => Ok(Self::from(text)),
            _ => Err(expected::<Self>()),
        }
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.to_string_lossy()))
    }
}

impl Setting for IpAddr {
    const KIND: Kind = Kind::Address;

    fn read(raw: &Raw) -> Result<Self, String> {
        raw.text()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(expected::<Self>)
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.to_string()))
    }
}

impl Setting for SocketAddr {
    const KIND: Kind = Kind::SocketAddress;

    fn read(raw: &Raw) -> Result<Self, String> {
        raw.text()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(expected::<Self>)
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.to_string()))
    }
}

/// Units from large to small, so that printing picks the largest that divides evenly.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Setting for Duration {
    const KIND: Kind = Kind::Duration;

    fn read(raw: &Raw) -> Result<Self, String> {
        raw.text()
            .and_then(|text| scaled(text, &DURATION_UNITS))
            .map(Self::from_millis)
            .ok_or_else(expected::<Self>)
    }

    fn show(&self) -> Shown {
        let ms = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let text = if ms == 0 {
            "0s".to_owned()
        } else {
            unscaled(ms, &DURATION_UNITS)
        };
        Shown::Literal(quote(&text))
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.as_millis())
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(u64);

impl Size {
    pub(crate) fn bytes(self) -> u64 {
        self.0
    }

    /// The size as memory; a machine that cannot address it gets its own maximum.
    pub(crate) fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    pub(crate) fn kibibytes(self) -> u32 {
        u32::try_from(self.0 / 1024).unwrap_or(u32::MAX)
    }
}

const SIZE_UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Setting for Size {
    const KIND: Kind = Kind::Size;

    fn read(raw: &Raw) -> Result<Self, String> {
        let bytes = match raw {
            Raw::Integer(number) => u64::try_from(*number).ok(),
            Raw::Text(text) | Raw::Loose(text) => text
                .trim()
                .parse()
                .ok()
                .or_else(|| scaled(text, &SIZE_UNITS)),
            Raw::Flag(_) | Raw::List(_) | Raw::Other(_) => None,
        };
        bytes.map(Self).ok_or_else(expected::<Self>)
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&unscaled(self.0, &SIZE_UNITS)))
    }

    fn magnitude(&self) -> Option<u128> {
        Some(u128::from(self.0))
    }
}

/// Reads `<number><unit>`; the unit is never optional, so that nobody guesses it.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim();
    let (_, factor) = units
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

fn unscaled(number: u64, units: &[(&str, u64)]) -> String {
    units
        .iter()
        .find(|(_, factor)| number != 0 && number.is_multiple_of(*factor))
        .map_or_else(
            || format!("{number}{}", units.last().map_or("", |(name, _)| name)),
            |(name, factor)| format!("{}{name}", number / factor),
        )
}

impl<T: Setting> Setting for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            // Compose files hand empty variables on; for these settings that means "not set".
            Raw::Loose(text) if text.is_empty() => Ok(None),
            raw => T::read(raw).map(Some),
        }
    }

    fn show(&self) -> Shown {
        self.as_ref().map_or(Shown::Unset, T::show)
    }

    fn magnitude(&self) -> Option<u128> {
        self.as_ref().and_then(T::magnitude)
    }
}

/// A type that may stand in a list.
///
/// Lists need their item's kind as a constant with an address.
pub(crate) trait Item: Setting {
    const ITEM: &'static Kind;
}

impl<T: Item> Setting for Vec<T> {
    const KIND: Kind = Kind::List(T::ITEM);

    fn read(raw: &Raw) -> Result<Self, String> {
        raw.items()
            .ok_or_else(expected::<Self>)?
            .iter()
            .map(T::read)
            .collect()
    }

    fn show(&self) -> Shown {
        let mut items = Vec::with_capacity(self.len());
        for item in self {
            match item.show() {
                Shown::Literal(literal) => items.push(literal),
                Shown::Hidden => return Shown::Hidden,
                Shown::Unset => {}
            }
        }
        Shown::Literal(format!("[{}]", items.join(", ")))
    }
}

/// An enum whose values are words.
pub(crate) trait Choice: Copy + PartialEq + 'static {
    const WORDS: &'static [&'static str];
    const ALL: &'static [Self];
}

impl<T: Choice> Setting for T {
    const KIND: Kind = Kind::Choice(T::WORDS);

    fn read(raw: &Raw) -> Result<Self, String> {
        let word = raw.text().map(str::trim).unwrap_or_default();
        T::WORDS
            .iter()
            .zip(T::ALL)
            .find_map(|(name, value)| (*name == word).then_some(*value))
            .ok_or_else(expected::<Self>)
    }

    fn show(&self) -> Shown {
        let word = T::WORDS
            .iter()
            .zip(T::ALL)
            .find_map(|(name, value)| (value == self).then_some(*name));
        Shown::Literal(quote(word.unwrap_or_default()))
    }
}
