//! What a page says of itself: its title, or what it says for previews. Pure.

use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};
use infra::outbound::Url;
use serde_json::{Map, Value, json};

/// Longest texts that are shown, in characters.
const MAX_TITLE: usize = 256;
const MAX_DESCRIPTION: usize = 1_024;
const MAX_PROVIDER: usize = 256;
/// Longest address of a picture, in bytes.
const MAX_ADDRESS: usize = 2_048;

/// What was read so far; the first of each counts.
#[derive(Default)]
struct Said {
    title: Option<String>,
    og_title: Option<String>,
    description: Option<String>,
    og_description: Option<String>,
    site_name: Option<String>,
    image: Option<String>,
}

/// The embed of a page that `link` led to at `address`; none when it has no title.
pub(crate) fn read(link: &str, address: &Url, page: &[u8]) -> Option<Value> {
    let said = said(page);
    let title = clean(said.og_title.or(said.title)?, MAX_TITLE)?;
    let mut embed = Map::new();
    embed.insert("type".to_owned(), json!("link"));
    embed.insert("url".to_owned(), json!(link));
    embed.insert("title".to_owned(), json!(title));
    let description = said.og_description.or(said.description);
    if let Some(text) = description.and_then(|text| clean(text, MAX_DESCRIPTION)) {
        embed.insert("description".to_owned(), json!(text));
    }
    if let Some(name) = said.site_name.and_then(|text| clean(text, MAX_PROVIDER)) {
        embed.insert("provider".to_owned(), json!({"name": name}));
    }
    if let Some(image) = said.image.and_then(|image| picture(address, &image)) {
        embed.insert("thumbnail".to_owned(), json!({"url": image}));
    }
    Some(Value::Object(embed))
}

fn said(page: &[u8]) -> Said {
    let mut emitter = DefaultEmitter::default();
    // Else a script would be read as tags.
    emitter.naively_switch_states(true);
    let mut said = Said::default();
    let mut in_title = false;
    for token in Tokenizer::new_with_emitter(page, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                // What it says of itself stands before its body.
                if tag.name.as_slice() == b"body" {
                    break;
                }
                in_title = tag.name.as_slice() == b"title";
                if tag.name.as_slice() == b"meta" {
                    said.take(&tag);
                }
            }
            Token::String(text) if in_title && said.title.is_none() => {
                said.title = Some(text_of(&text));
            }
            Token::EndTag(_) => in_title = false,
            Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    said
}

impl Said {
    fn take(&mut self, tag: &StartTag<()>) {
        let value = |name: &[u8]| {
            let found = tag
                .attributes
                .iter()
                .find(|(key, _)| key.as_slice() == name);
            found.map(|(_, value)| text_of(value))
        };
        let (Some(name), Some(content)) = (
            value(b"property").or_else(|| value(b"name")),
            value(b"content"),
        ) else {
            return;
        };
        let slot = match name.to_ascii_lowercase().as_str() {
            "og:title" => &mut self.og_title,
            "og:description" => &mut self.og_description,
            "og:site_name" => &mut self.site_name,
            "og:image" | "og:image:url" => &mut self.image,
            "description" => &mut self.description,
            _ => return,
        };
        slot.get_or_insert(content);
    }
}

fn text_of(text: &HtmlString) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// One line, without what cannot be stored or seen; none when nothing is left.
fn clean(text: String, max: usize) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let shown: String = line.chars().filter(|c| !c.is_control()).take(max).collect();
    (!shown.trim().is_empty()).then_some(shown)
}

/// The address of a picture, if it is one of the web.
fn picture(page: &Url, image: &str) -> Option<String> {
    let image = page.join(image.trim()).ok()?;
    let is_web = matches!(image.scheme(), "http" | "https") && image.as_str().len() <= MAX_ADDRESS;
    is_web.then(|| image.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &str) -> Value {
        let address: Url = "https://a.example/b/c".parse().unwrap();
        read("https://a.example/x", &address, page.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn what_is_said_for_previews_goes_before_the_title() {
        let page = r#"<!doctype html><html><head><title>Başlık &amp; co</title>
            <meta name="description" content="düz">
            <meta property="og:title" content="Önizleme"><meta property="og:title" content="iki">
            <META PROPERTY='OG:Description' content="  çok
                satır ">
            <meta property="og:site_name" content="Örnek">
            <meta property="og:image" content="../p.png">
            </head><body><meta property="og:title" content="gövde"></body>"#;
        assert_eq!(
            shown(page),
            json!({
                "type": "link", "url": "https://a.example/x", "title": "Önizleme",
                "description": "çok satır", "provider": {"name": "Örnek"},
                "thumbnail": {"url": "https://a.example/p.png"}
            })
        );
        assert_eq!(
            shown("<title>Başlık &amp; co</title><meta name=description content=d>"),
            json!({"type": "link", "url": "https://a.example/x", "title": "Başlık & co",
                "description": "d"})
        );
    }

    #[test]
    fn what_is_no_page_shows_nothing() {
        for page in [
            "",
            "merhaba",
            "<title> </title>",
            "<script>'<title>x</title>'</script>",
            "<!-- <title>x</title> -->",
            "<body><title>x</title>",
            "\u{0}\u{1}<title",
        ] {
            assert_eq!(shown(page), Value::Null, "{page:?}");
        }
        let bytes = read(
            "x",
            &"https://a.example".parse().unwrap(),
            b"<title>\xff\xfea\0b</title>",
        );
        assert_eq!(
            bytes.unwrap()["title"]
                .as_str()
                .unwrap()
                .matches('\0')
                .count(),
            0
        );
    }

    #[test]
    fn texts_and_addresses_have_bounds() {
        let long = "ü".repeat(5_000);
        let page = format!(
            "<title>{long}</title><meta name=description content='{long}'>
             <meta property='og:image' content='javascript:alert(1)'>"
        );
        let embed = shown(&page);
        let chars = |name: &str| embed[name].as_str().unwrap().chars().count();
        assert_eq!((chars("title"), chars("description")), (256, 1_024));
        assert!(embed.get("thumbnail").is_none());
    }
}
