//! What the fuzz targets and the replay of their corpus do with an input, and what must hold for
//! every input. Each function gives how it ended, and panics when something does not hold.

use applications::fuzz;
use serde_json::Value;

/// A body in the form of Slack's webhooks.
pub(crate) fn slack(body: &[u8]) -> &'static str {
    match fuzz::slack(body) {
        None => "nothing",
        Some(message) => {
            sound(&message);
            "message"
        }
    }
}

/// An event of GitHub: its name, a line feed, and the body.
pub(crate) fn github(data: &[u8]) -> &'static str {
    let end = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (name, body) = data.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    match fuzz::github(&String::from_utf8_lossy(name), body) {
        None => "nothing",
        Some(None) => "silent",
        Some(Some(message)) => {
            sound(&message);
            let nobody = message.pointer("/allowed_mentions/parse");
            let called = nobody.and_then(Value::as_array).map(Vec::len);
            assert_eq!(called, Some(0), "strangers call nobody");
            "message"
        }
    }
}

/// Every message is within the bounds of a message and says something.
fn sound(message: &Value) {
    let chars = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let text = message.to_string();
    assert!(!text.contains("\\u0000"), "PostgreSQL takes no NUL");
    assert!(chars(&message["content"]) <= 4_000);
    assert!(chars(&message["username"]) <= 80);
    let embeds = message["embeds"].as_array().expect("a list");
    assert!(embeds.len() <= 10);
    assert!(
        !embeds.is_empty() || chars(&message["content"]) > 0,
        "says nothing"
    );
    let mut all = 0;
    for embed in embeds {
        let parts = [
            (&embed["title"], 256),
            (&embed["description"], 4_096),
            (&embed["author"]["name"], 256),
            (&embed["footer"]["text"], 2_048),
        ];
        let fields = embed["fields"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        assert!(fields.len() <= 25);
        let fields = fields
            .iter()
            .flat_map(|field| [(&field["name"], 256), (&field["value"], 1_024)]);
        for (part, most) in parts.into_iter().chain(fields) {
            assert!(chars(part) <= most, "{part}");
            all += chars(part);
        }
        let urls = [
            "/url",
            "/author/url",
            "/author/icon_url",
            "/image/url",
            "/thumbnail/url",
        ];
        for url in urls.iter().filter_map(|at| embed.pointer(at)?.as_str()) {
            let of_the_web = url.starts_with("https://") || url.starts_with("http://");
            assert!(of_the_web && url.chars().count() <= 2_048, "{url}");
        }
    }
    assert!(all <= 6_000, "{all} characters in all embeds");
}
