//! Messages in the form that Slack's incoming webhooks take, which Mattermost and Alertmanager
//! send, too; and what Alertmanager sends to a webhook of its own. Pure.

use serde_json::Value;

use super::embed::{Author, Calls, Embed, Field, Footer, Foreign, Picture, is_web_address};

/// Colours that have names there.
const COLOURS: [(&str, u32); 3] = [
    ("good", 0x002e_b886),
    ("warning", 0x00da_a038),
    ("danger", 0x00a3_0200),
];
const GREEN: u32 = 0x002e_b886;
const RED: u32 = 0x00a3_0200;

/// Reads a message; none when it is not of this form or says nothing.
pub(crate) fn read(sent: &Value) -> Option<Foreign> {
    let map = sent.as_object()?;
    let message = match map.get("alerts") {
        Some(Value::Array(alerts)) => of_alerts(sent, alerts),
        _ => of_slack(sent),
    };
    let message = message.fitted();
    (!message.is_empty()).then_some(message)
}

fn of_slack(sent: &Value) -> Foreign {
    let blocks = of_blocks(sent.get("blocks"));
    let mut embeds: Vec<Embed> = list(sent, "attachments").map(of_attachment).collect();
    if let Some(image) = blocks.image {
        let shown = Embed {
            image: Some(image),
            ..Embed::default()
        };
        embeds.insert(0, shown);
    }
    // Beside blocks, the text is what is read where they cannot be shown.
    let content = if blocks.words.is_empty() {
        markup(text(sent, "text"))
    } else {
        blocks.words
    };
    Foreign {
        username: owned(sent, "username"),
        avatar_url: owned(sent, "icon_url"),
        content,
        embeds,
        calls: Calls::Named,
    }
}

fn of_attachment(sent: &Value) -> Embed {
    let blocks = of_blocks(sent.get("blocks"));
    let parts = [text(sent, "pretext"), text(sent, "text")];
    let mut parts: Vec<String> = parts.into_iter().map(markup).collect();
    parts.push(blocks.words);
    parts.retain(|part| !part.trim().is_empty());
    let fields: Vec<Field> = list(sent, "fields").map(of_field).collect();
    if parts.is_empty() && text(sent, "title").is_empty() && fields.is_empty() {
        parts.push(markup(text(sent, "fallback")));
    }
    let author = Author {
        name: plain(text(sent, "author_name")),
        url: owned(sent, "author_link"),
        icon_url: owned(sent, "author_icon"),
    };
    let footer = Footer {
        text: plain(text(sent, "footer")),
        icon_url: owned(sent, "footer_icon"),
    };
    Embed {
        title: plain(text(sent, "title")),
        description: parts.join("\n"),
        url: owned(sent, "title_link"),
        color: colour(text(sent, "color")),
        timestamp: moment(sent.get("ts")),
        author: Some(author),
        footer: Some(footer),
        image: picture(sent, "image_url").or(blocks.image),
        thumbnail: picture(sent, "thumb_url"),
        fields,
    }
}

fn of_field(sent: &Value) -> Field {
    // Mattermost sends numbers as values.
    let value = match sent.get("value") {
        Some(Value::String(value)) => markup(value),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    Field {
        name: plain(text(sent, "title")),
        value,
        inline: sent.get("short").and_then(Value::as_bool) == Some(true),
    }
}

/// What blocks say, and their first picture.
#[derive(Default)]
struct Blocks {
    words: String,
    image: Option<Picture>,
}

fn of_blocks(blocks: Option<&Value>) -> Blocks {
    let mut lines = Vec::new();
    let mut image = None;
    for block in blocks.and_then(Value::as_array).into_iter().flatten() {
        let words = block.pointer("/text/text").and_then(Value::as_str);
        match text(block, "type") {
            "header" => lines.extend(words.map(|words| format!("**{}**", plain(words)))),
            "divider" => lines.push("───".to_owned()),
            "image" if image.is_none() => image = picture(block, "image_url"),
            "section" | "context" | "markdown" => {
                let alone = block.get("text").and_then(Value::as_str);
                let parts = list(block, "fields").chain(list(block, "elements"));
                let parts = parts.filter_map(|part| part.get("text").and_then(Value::as_str));
                lines.extend(words.into_iter().chain(alone).chain(parts).map(markup));
            }
            // Buttons and inputs lead nowhere here.
            _ => {}
        }
    }
    let words = lines.join("\n");
    Blocks { words, image }
}

fn of_alerts(sent: &Value, alerts: &[Value]) -> Foreign {
    let group = sent.get("groupLabels").unwrap_or(&Value::Null);
    Foreign {
        content: match alerts.len() {
            0 | 1 => String::new(),
            count => {
                let (state, name) = (state(sent), text(group, "alertname"));
                format!("**[{state}:{count}] {name}**")
            }
        },
        embeds: alerts.iter().map(of_alert).collect(),
        ..Foreign::default()
    }
}

fn of_alert(alert: &Value) -> Embed {
    let labels = alert.get("labels").unwrap_or(&Value::Null);
    let notes = alert.get("annotations").unwrap_or(&Value::Null);
    let words = ["summary", "description", "message"].map(|key| text(notes, key));
    let words: Vec<&str> = words
        .into_iter()
        .filter(|words| !words.is_empty())
        .collect();
    let shown = labels.as_object().into_iter().flatten();
    let mut fields: Vec<Field> = shown
        .filter(|(key, _)| *key != "alertname")
        .map(|(key, value)| Field {
            name: key.clone(),
            value: value.as_str().unwrap_or_default().to_owned(),
            inline: true,
        })
        .collect();
    // Their order depends on how JSON is read.
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    let (color, moment) = match state(alert) {
        "RESOLVED" => (GREEN, "endsAt"),
        _ => (RED, "startsAt"),
    };
    Embed {
        title: format!("[{}] {}", state(alert), text(labels, "alertname")),
        description: words.join("\n"),
        url: owned(alert, "generatorURL"),
        color: Some(color),
        timestamp: date(text(alert, moment)),
        fields,
        ..Embed::default()
    }
}

fn state(of: &Value) -> &'static str {
    if text(of, "status") == "resolved" {
        "RESOLVED"
    } else {
        "FIRING"
    }
}

/// Their markup as ours: `<address|words>`, `<!everyone>`, `*bold*`, `~struck~`, three entities.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(&emphasis(before));
        let Some((inner, tail)) = after.split_once('>') else {
            out.push('<');
            rest = after;
            continue;
        };
        out.push_str(&reference(inner));
        rest = tail;
    }
    out.push_str(&emphasis(rest));
    out
}

/// What stands between `<` and `>`.
fn reference(inner: &str) -> String {
    let (target, label) = inner.split_once('|').unwrap_or((inner, ""));
    let (target, label) = (plain(target), plain(label));
    let or = |word: &str| {
        if label.is_empty() {
            word.to_owned()
        } else {
            label.clone()
        }
    };
    if let Some(word) = target.strip_prefix('!') {
        return match word {
            "everyone" | "channel" => "@everyone".to_owned(),
            "here" => "@here".to_owned(),
            _ => or(&format!("@{word}")),
        };
    }
    if let Some(id) = target.strip_prefix('@') {
        // Ids of ours are numbers; theirs are only words.
        let ours = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        return if ours {
            format!("<@{id}>")
        } else {
            format!("@{}", or(id))
        };
    }
    if let Some(id) = target.strip_prefix('#') {
        return format!("#{}", or(id));
    }
    match (label.is_empty(), is_web_address(&target)) {
        (true, _) => target,
        (false, true) => format!("[{label}]({target})"),
        (false, false) => format!("{label} ({target})"),
    }
}

/// `*bold*` and `~struck~` are doubled; what stands alone stays. Code is left as it is.
fn emphasis(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, piece) in text.split('`').enumerate() {
        if at > 0 {
            out.push('`');
        }
        let piece = plain(piece);
        if at % 2 == 1 {
            out.push_str(&piece);
        } else {
            out.push_str(&double(&double(&piece, '*'), '~'));
        }
    }
    out
}

/// Doubles pairs of a mark that surround words of one line.
fn double(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(mark) {
        out.push_str(before);
        let last = before.chars().next_back();
        let opens = last.is_none_or(|c| !c.is_alphanumeric());
        let closed = after.split_once(mark).filter(|(inner, _)| {
            opens && !inner.is_empty() && *inner == inner.trim() && !inner.contains('\n')
        });
        let Some((inner, tail)) = closed else {
            out.push(mark);
            rest = after;
            continue;
        };
        out.extend([mark, mark]);
        out.push_str(inner);
        out.extend([mark, mark]);
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The three entities they use; the ampersand last, so that nothing is read twice.
fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn owned(value: &Value, key: &str) -> Option<String> {
    let text = text(value, key);
    (!text.is_empty()).then(|| text.to_owned())
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn picture(value: &Value, key: &str) -> Option<Picture> {
    owned(value, key).map(|url| Picture { url })
}

fn colour(text: &str) -> Option<u32> {
    let named = COLOURS.iter().find(|(name, _)| *name == text);
    let digits = text.strip_prefix('#').unwrap_or(text);
    let read = || u32::from_str_radix(digits, 16).ok();
    named
        .map(|(_, colour)| *colour)
        .or_else(|| (digits.len() == 6).then(read).flatten())
}

/// Seconds since 1970, as a number or as text.
fn moment(sent: Option<&Value>) -> Option<String> {
    let seconds = match sent? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let whole = seconds.split('.').next()?.parse().ok()?;
    let at = jiff::Timestamp::from_second(whole).ok()?;
    Some(at.to_string())
}

/// A moment as Alertmanager writes it; the first year stands for none.
pub(super) fn date(text: &str) -> Option<String> {
    let at: jiff::Timestamp = text.parse().ok()?;
    (at.as_second() > 0).then(|| at.to_string())
}

#[cfg(test)]
#[path = "slack_tests.rs"]
mod tests;
