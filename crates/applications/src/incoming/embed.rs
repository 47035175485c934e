//! What programs of others send, as a message of ours: texts are cut to what a message may hold.
//! Pure.

use serde::Serialize;
use serde_json::{Value, json};

/// Most embeds of a message.
const MAX_EMBEDS: usize = 10;
/// Most fields of an embed.
const MAX_FIELDS: usize = 25;
/// Most characters of all embeds together.
const MAX_EMBED_CHARS: usize = 6_000;
/// Most characters of a text.
const MAX_CONTENT_CHARS: usize = 4_000;
/// Most characters of an address.
const MAX_URL_CHARS: usize = 2_048;
/// Most characters of a name.
const MAX_NAME_CHARS: usize = 80;

/// A message that a program of others sent in its own form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// As whom it wants to speak.
    pub(crate) username: Option<String>,
    /// With which picture.
    pub(crate) avatar_url: Option<String>,
    pub(crate) content: String,
    pub(crate) embeds: Vec<Embed>,
    pub(crate) calls: Calls,
}

/// Whom a message may call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Nobody: its words are those of strangers.
    #[default]
    Nobody,
    /// Whom it names.
    Named,
}

/// An embed in the dialect's form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Embed {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<Author>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) footer: Option<Footer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<Picture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thumbnail: Option<Picture>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Field>,
}

/// Whose words an embed holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Author {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icon_url: Option<String>,
}

/// The last line of an embed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Footer {
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icon_url: Option<String>,
}

/// A picture of an embed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Picture {
    pub(crate) url: String,
}

/// A name with a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) inline: bool,
}

impl Foreign {
    /// Whether there is nothing to be said.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.trim().is_empty() && self.embeds.is_empty()
    }

    /// The same within the bounds of a message.
    pub(crate) fn fitted(mut self) -> Self {
        self.username = self.username.and_then(|name| {
            let name = cut(name.trim(), MAX_NAME_CHARS);
            (!name.is_empty()).then_some(name)
        });
        self.avatar_url = self.avatar_url.filter(|url| is_web_address(url));
        self.content = cut(&self.content, MAX_CONTENT_CHARS);
        let mut left = MAX_EMBED_CHARS;
        let embeds = std::mem::take(&mut self.embeds).into_iter();
        let fitted = embeds.map(|embed| embed.fitted(&mut left));
        self.embeds = fitted
            .filter(|embed| !embed.is_empty())
            .take(MAX_EMBEDS)
            .collect();
        self
    }

    /// Its fields in the dialect's form.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({ "content": self.content, "embeds": self.embeds });
        if let (Calls::Nobody, Some(map)) = (self.calls, body.as_object_mut()) {
            map.insert("allowed_mentions".to_owned(), json!({ "parse": [] }));
        }
        body
    }
}

impl Embed {
    fn is_empty(&self) -> bool {
        self.title.is_empty()
            && self.description.is_empty()
            && self.fields.is_empty()
            && self.author.is_none()
            && self.footer.is_none()
            && self.image.is_none()
            && self.thumbnail.is_none()
    }

    /// Cut to its own bounds and to what is `left` for all; a text that loses all of itself is gone.
    fn fitted(self, left: &mut usize) -> Self {
        let web = |url: Option<String>| url.filter(|url| is_web_address(url));
        let mut take = |text: &str, most: usize| {
            let text = cut(text.trim(), most.min(*left));
            *left = left.saturating_sub(text.chars().count());
            text
        };
        let title = take(&self.title, 256);
        let author = self.author.map(|author| Author {
            name: take(&author.name, 256),
            url: web(author.url),
            icon_url: web(author.icon_url),
        });
        let description = take(&self.description, 4_096);
        let footer = self.footer.map(|footer| Footer {
            text: take(&footer.text, 2_048),
            icon_url: web(footer.icon_url),
        });
        let fields = self.fields.into_iter().take(MAX_FIELDS).map(|field| Field {
            name: take(&field.name, 256),
            value: take(&field.value, 1_024),
            inline: field.inline,
        });
        let fields: Vec<Field> = fields
            .filter(|field| !field.name.is_empty() && !field.value.is_empty())
            .collect();
        let picture = |picture: Option<Picture>| picture.filter(|one| is_web_address(&one.url));
        Embed {
            title,
            description,
            url: web(self.url),
            color: self.color.map(|color| color & 0x00ff_ffff),
            timestamp: self.timestamp,
            author: author.filter(|author| !author.name.is_empty()),
            footer: footer.filter(|footer| !footer.text.is_empty()),
            image: picture(self.image),
            thumbnail: picture(self.thumbnail),
            fields,
        }
    }
}

/// At most `most` characters, the last of them `…` when some are missing; NULs, which cannot be
/// stored, are left out.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut clean = text.chars().filter(|c| *c != '\0');
    let mut kept: String = clean.by_ref().take(most).collect();
    if clean.next().is_some() && kept.pop().is_some() {
        kept.push('…');
    }
    kept
}

/// The first line, without blanks around it.
pub(crate) fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default().trim()
}

/// Whether a text looks like an address of the web. Nobody calls it here.
pub(crate) fn is_web_address(url: &str) -> bool {
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'))
        && url.chars().count() <= MAX_URL_CHARS
        && !url
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_characters_and_lose_their_nuls() {
        for (text, most, expected) in [
            ("şekil", 5, "şekil"),
            ("şekil", 4, "şek…"),
            ("a\0b", 2, "ab"),
            ("ab", 0, ""),
            ("ab", 1, "…"),
            ("", 3, ""),
        ] {
            assert_eq!(cut(text, most), expected, "{text:?} {most}");
        }
    }

    #[test]
    fn addresses_are_of_the_web_and_bounded() {
        let long = format!("https://e.example/{}", "a".repeat(2_030));
        for (url, good) in [
            ("https://example.com/a.png", true),
            ("http://example.com", true),
            ("https://", false),
            ("https:///x", false),
            ("javascript:alert(1)", false),
            ("data:image/png;base64,AA", false),
            ("https://a b", false),
            ("https://a\">", false),
            (&long, true),
            (&format!("{long}a"), false),
        ] {
            assert_eq!(is_web_address(url), good, "{url}");
        }
    }

    #[test]
    fn a_message_keeps_within_all_bounds() {
        let field = Field {
            name: "n".repeat(300),
            value: "v".repeat(2_000),
            inline: true,
        };
        let embed = Embed {
            title: "t".repeat(300),
            description: "d".repeat(5_000),
            fields: vec![field; 30],
            ..Embed::default()
        };
        let message = Foreign {
            username: Some("u".repeat(100)),
            avatar_url: Some("file:///etc".to_owned()),
            content: "c".repeat(5_000),
            embeds: vec![embed; 12],
            calls: Calls::Nobody,
        };
        let fitted = message.fitted();
        assert_eq!(fitted.content.chars().count(), 4_000);
        let name = fitted.username.as_deref().unwrap_or_default();
        assert_eq!(name.chars().count(), 80);
        assert_eq!(fitted.avatar_url, None);
        let first = &fitted.embeds[0];
        assert_eq!(first.title.chars().count(), 256);
        assert_eq!(first.description.chars().count(), 4_096);
        let chars = |embed: &Embed| {
            let fields = embed.fields.iter();
            let fields =
                fields.map(|field| field.name.chars().count() + field.value.chars().count());
            embed.title.chars().count() + embed.description.chars().count() + fields.sum::<usize>()
        };
        let all: usize = fitted.embeds.iter().map(chars).sum();
        assert!(all <= 6_000, "{all}");
        assert!(fitted.embeds.iter().all(|embed| embed.fields.len() <= 25));
        assert_eq!(fitted.body()["allowed_mentions"], json!({"parse": []}));
    }

    #[test]
    fn ten_embeds_and_no_eleventh() {
        let embed = Embed {
            title: "t".to_owned(),
            ..Embed::default()
        };
        for (given, kept) in [(10, 10), (11, 10)] {
            let message = Foreign {
                embeds: vec![embed.clone(); given],
                calls: Calls::Named,
                ..Foreign::default()
            };
            let fitted = message.fitted();
            assert_eq!(fitted.embeds.len(), kept);
            assert!(fitted.body().get("allowed_mentions").is_none());
        }
    }
}
