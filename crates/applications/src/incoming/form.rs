//! The JSON that a program of others sends, by itself or in a form. Pure.

use serde_json::Value;

/// The field of a form that holds the JSON.
const FIELD: &str = "payload";

/// Reads a body; what is wrong when it is neither.
pub(crate) fn read(body: &[u8]) -> Result<Value, String> {
    let read = serde_json::from_slice(body).or_else(|error| {
        let payload = field(body).ok_or(error)?;
        serde_json::from_str(&payload)
    });
    read.map_err(|error: serde_json::Error| format!("neither JSON nor a form with it: {error}"))
}

/// The field of an `application/x-www-form-urlencoded` body.
fn field(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut fields = text.split('&').filter_map(|field| field.split_once('='));
    let (_, value) = fields.find(|(name, _)| *name == FIELD)?;
    web_kit::percent_decode(value.replace('+', " ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_comes_alone_or_in_a_form() {
        for (body, expected) in [
            (r#"{"a": 1}"#, Some(json!({"a": 1}))),
            ("payload=%7B%22a%22%3A+1%7D", Some(json!({"a": 1}))),
            (
                "x=1&payload=%7B%22a%22%3A%22%C5%9F%22%7D&y",
                Some(json!({"a": "ş"})),
            ),
            ("payload={\"a\":1}", Some(json!({"a": 1}))),
            ("", None),
            ("payload=", None),
            ("payload=%7B%00%7D", None),
            ("other=%7B%7D", None),
            ("{", None),
        ] {
            assert_eq!(read(body.as_bytes()).ok(), expected, "{body}");
        }
        assert!(read(b"\xff\xfe").is_err());
    }
}
