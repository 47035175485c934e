//! Rules of what people type: addresses, names, texts. Pure.

use kernel::{FieldError, UserId};

use crate::error::{Error, Result};
use crate::model::DeviceInfo;

/// Names nobody may take: the program speaks with them.
const RESERVED_NAMES: &[&str] = &["everyone", "here", "system", "unknown", "meydan"];
/// Longest e-mail address (RFC 5321 §4.5.3.1.3 less the brackets).
const MAX_EMAIL_BYTES: usize = 254;
/// Longest display name.
pub(crate) const MAX_DISPLAY_NAME_CHARS: usize = 64;
/// Longest text about oneself.
pub(crate) const MAX_ABOUT_CHARS: usize = 500;
/// Most consents in one request.
pub(crate) const MAX_CONSENTS: usize = 16;

/// An e-mail address that keeps the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// As it was typed.
    pub text: String,
    /// The key it is found by.
    pub key: String,
}

impl Email {
    /// Reads an address: ASCII, one `@`, a local part of at most 64 and a dotted domain.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let local_ok = (1..=64).contains(&local.len())
            && local
                .bytes()
                .all(|b| b.is_ascii_graphic() && !b"@\"(),:;<>[\\]".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_ok = domain.contains('.') && domain.split('.').all(label_ok);
        (text.len() <= MAX_EMAIL_BYTES && local_ok && domain_ok).then(|| Email {
            text: text.to_owned(),
            key: key(text),
        })
    }
}

/// The form names and addresses are compared in: ASCII letters lowered, nothing else. A
/// `to_lowercase` would turn `İ` into two characters, a Turkish one `I` into `ı`.
pub(crate) fn key(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// How an account is named at login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identifier {
    Email(String),
    Phone(String),
    Username(String),
}

impl Identifier {
    pub(crate) fn parse(text: &str) -> Self {
        // PostgreSQL takes no NUL in text. No account bears the character in its place.
        let text = text.replace('\0', "\u{FFFD}");
        let text = text.trim();
        if text.contains('@') {
            Identifier::Email(key(text))
        } else if text.starts_with('+') {
            let digits = text.chars().filter(|c| !" -()".contains(*c)).collect();
            Identifier::Phone(digits)
        } else {
            Identifier::Username(key(text))
        }
    }

    /// Text in which equal identifiers are equal; for limiter keys.
    pub(crate) fn text(&self) -> &str {
        match self {
            Identifier::Email(text) | Identifier::Phone(text) | Identifier::Username(text) => text,
        }
    }
}

/// Whether the characters of a username keep the rule of the table.
pub(crate) fn is_username(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.';
    (2..=32).contains(&name.len()) && name.bytes().all(allowed)
}

/// Whether the program keeps this name for itself.
pub(crate) fn is_reserved(name: &str) -> bool {
    // Erased accounts are called so; whoever took such a name could keep another from being erased.
    RESERVED_NAMES.contains(&name) || name.starts_with("erased_")
}

/// The username `wish` becomes when its owner did not choose one: its plain letters, or with the
/// id at the end where these are too few or kept.
pub(crate) fn made_username(wish: &str, id: UserId) -> String {
    let plain = plain_name(wish, 32);
    if is_username(&plain) && !is_reserved(&plain) {
        plain
    } else {
        username_from(wish, id)
    }
}

/// A username close to `wish` that nobody else can have, because it ends with the id.
pub(crate) fn username_from(wish: &str, id: UserId) -> String {
    let suffix = base36(id.get());
    let room = 32usize.saturating_sub(suffix.len() + 1);
    format!("{}_{suffix}", plain_name(wish, room))
}

/// The username of an account made by phone, until its owner chooses one.
pub(crate) fn phone_username(id: UserId) -> String {
    format!("u{}", base36(id.get()))
}

/// The letters of `wish` that a username may have, at most `room`.
fn plain_name(wish: &str, room: usize) -> String {
    let name: String = wish
        .chars()
        .map(|c| {
            if c == ' ' || c == '-' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || *c == '.')
        .take(room)
        .collect();
    if name.is_empty() {
        "u".to_owned()
    } else {
        name
    }
}

fn base36(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(rest % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    digits.iter().rev().collect()
}

/// Collects what is wrong with the fields of a request.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    pub(crate) fn username(&mut self, pointer: &str, name: &str) {
        if !is_username(name) {
            let detail = "2 to 32 of a-z, 0-9, underscore and dot";
            self.0.push(FieldError::new(pointer, "BAD_FORMAT", detail));
        }
    }

    /// One line of text that can be seen: no control characters, no blanks at its ends.
    pub(crate) fn line(&mut self, pointer: &str, text: &str, max_chars: usize) {
        if text.trim() != text || kernel::text::is_invisible(text) {
            let detail = "may not be empty or invisible, or begin or end with blanks";
            self.0.push(FieldError::new(pointer, "BLANK", detail));
        }
        self.text(pointer, text, max_chars, kernel::text::is_disguise);
    }

    /// Text of several lines.
    pub(crate) fn lines(&mut self, pointer: &str, text: &str, max_chars: usize) {
        self.text(pointer, text, max_chars, |c| c.is_control() && c != '\n');
    }

    fn text(&mut self, pointer: &str, text: &str, max_chars: usize, bad: fn(char) -> bool) {
        if text.chars().count() > max_chars {
            let detail = format!("at most {max_chars} characters");
            self.0.push(FieldError::new(pointer, "TOO_LONG", detail));
        }
        if text.chars().any(bad) {
            self.0.push(FieldError::new(
                pointer,
                "CONTROL_CHARACTER",
                "has control characters, or some that turn the direction of writing",
            ));
        }
    }

    pub(crate) fn locale(&mut self, pointer: &str, tag: &str) {
        if kernel::Locale::from_tag(tag).is_none_or(|locale| locale.tag() != tag) {
            self.0
                .push(FieldError::new(pointer, "UNKNOWN", "`tr` or `en`"));
        }
    }

    pub(crate) fn device(&mut self, pointer: &str, device: &DeviceInfo) {
        if let Some(name) = &device.device_name {
            self.line(&format!("{pointer}/device_name"), name, 100);
        }
        if let Some(token) = &device.push_notification_token {
            self.line(&format!("{pointer}/push_notification_token"), token, 4096);
        }
    }

    pub(crate) fn add(&mut self, error: FieldError) {
        self.0.push(error);
    }

    pub(crate) fn done(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn email_addresses() {
        for good in [
            "a@b.co",
            "Ayse.Kaya+x@Example.com",
            "o'neil@a-b.example.org",
        ] {
            let email = Email::parse(good).unwrap();
            assert_eq!(email.text, good);
            assert_eq!(email.key, good.to_ascii_lowercase());
        }
        let long_local = format!("{}@example.com", "x".repeat(65));
        let labels = format!("{}.{}.{}", "b".repeat(63), "c".repeat(63), "d".repeat(61));
        let at_limit = format!("{}@{labels}", "x".repeat(64));
        assert_eq!(at_limit.len(), 254);
        assert!(Email::parse(&at_limit).is_some());
        let beyond = format!("{at_limit}d");
        for bad in [
            "",
            "@",
            "a@",
            "@b.co",
            "a@b",
            "a b@c.co",
            "a@b..co",
            "a@-b.co",
            ".a@b.co",
            "a.@b.co",
            "a..b@c.co",
            "a@b@c.co",
            "ayşe@example.com",
            "a@exämple.com",
            &long_local,
            &beyond,
        ] {
            assert_eq!(Email::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_lower_ascii_only() {
        assert_eq!(key("IBRAHIM@Example.COM"), "ibrahim@example.com");
        assert_eq!(key("İı"), "İı");
    }

    #[test]
    fn usernames() {
        for (name, good) in [
            ("a", false),
            ("ab", true),
            ("a_b.c9", true),
            ("Ab", false),
            ("a b", false),
            ("ışık", false),
        ] {
            assert_eq!(is_username(name), good, "{name}");
        }
        assert!(is_username(&"x".repeat(32)) && !is_username(&"x".repeat(33)));
    }

    #[test]
    fn identifiers() {
        assert_eq!(
            Identifier::parse(" Ayse@X.com "),
            Identifier::Email("ayse@x.com".into())
        );
        assert_eq!(
            Identifier::parse("+90 (532) 1"),
            Identifier::Phone("+905321".into())
        );
        assert_eq!(
            Identifier::parse("Ayse"),
            Identifier::Username("ayse".into())
        );
        for (text, known) in [
            ("ay\0se", "ayse"),
            ("a\0@x.com", "a@x.com"),
            ("+9\x000", "+90"),
        ] {
            let named = Identifier::parse(text);
            assert!(!named.text().contains('\0') && named.text() != known);
        }
    }

    proptest! {
        #[test]
        fn made_usernames_keep_the_rule(wish in ".{0,80}", id in 0i64..) {
            prop_assert!(is_username(&username_from(&wish, UserId::new(id))));
            prop_assert!(is_username(&made_username(&wish, UserId::new(id))));
            prop_assert!(is_username(&phone_username(UserId::new(id))));
        }
    }
}
