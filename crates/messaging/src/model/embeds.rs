//! Embeds and components as they are sent: free-form JSON within bounds. Pure.

use kernel::FieldError;
use serde_json::Value;

use super::MAX_EMBEDS;

/// Most characters of all embeds together.
const MAX_EMBED_CHARS: usize = 6_000;
/// Most rows of components.
const MAX_COMPONENT_ROWS: usize = 40;
/// Most bytes of embeds and of components as JSON, each.
const MAX_JSON_BYTES: usize = 64 * 1024;

pub(super) fn check_embeds(embeds: &[Value], errors: &mut Vec<FieldError>) {
    if embeds.len() > MAX_EMBEDS {
        let detail = "Must be 10 or fewer in length.";
        errors.push(FieldError::new("/embeds", "BASE_TYPE_MAX_LENGTH", detail));
        return;
    }
    let mut chars = 0_usize;
    for (at, embed) in embeds.iter().enumerate() {
        match embed_chars(embed) {
            Ok(count) => chars = chars.saturating_add(count),
            Err((field, detail)) => {
                let pointer = format!("/embeds/{at}{field}");
                errors.push(FieldError::new(pointer, "INVALID", detail));
            }
        }
    }
    if chars > MAX_EMBED_CHARS {
        let detail = "Embed size exceeds maximum size of 6000";
        errors.push(FieldError::new(
            "/embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
            detail,
        ));
    }
    check_json("/embeds", embeds, errors);
}

/// Counts the characters of an embed, or names the field that breaks a rule.
fn embed_chars(embed: &Value) -> Result<usize, (String, String)> {
    if !embed.is_object() {
        return Err((
            String::new(),
            "Only objects may be used as embeds.".to_owned(),
        ));
    }
    let mut chars = 0_usize;
    let limits = [
        ("/title", 256),
        ("/description", 4_096),
        ("/footer/text", 2_048),
        ("/author/name", 256),
    ];
    for (pointer, limit) in limits {
        chars = chars.saturating_add(text_chars(embed, pointer, limit)?);
    }
    let fields = match embed.get("fields") {
        None | Some(Value::Null) => return Ok(chars),
        Some(Value::Array(fields)) if fields.len() <= 25 => fields,
        Some(_) => {
            return Err((
                "/fields".to_owned(),
                "a list of at most 25 fields".to_owned(),
            ));
        }
    };
    for (at, field) in fields.iter().enumerate() {
        for (pointer, limit) in [("/name", 256), ("/value", 1_024)] {
            let count = text_chars(field, pointer, limit)
                .map_err(|(inner, detail)| (format!("/fields/{at}{inner}"), detail))?;
            chars = chars.saturating_add(count);
        }
    }
    Ok(chars)
}

fn text_chars(value: &Value, pointer: &str, limit: usize) -> Result<usize, (String, String)> {
    let count = match value.pointer(pointer) {
        None | Some(Value::Null) => return Ok(0),
        Some(Value::String(text)) => text.chars().count(),
        Some(_) => return Err((pointer.to_owned(), "a text".to_owned())),
    };
    if count > limit {
        return Err((
            pointer.to_owned(),
            format!("Must be {limit} or fewer in length."),
        ));
    }
    Ok(count)
}

pub(super) fn check_components(components: &[Value], errors: &mut Vec<FieldError>) {
    if components.len() > MAX_COMPONENT_ROWS {
        let detail = "Must be 40 or fewer in length.";
        errors.push(FieldError::new(
            "/components",
            "BASE_TYPE_MAX_LENGTH",
            detail,
        ));
        return;
    }
    for (at, component) in components.iter().enumerate() {
        if !component.get("type").is_some_and(Value::is_u64) {
            let pointer = format!("/components/{at}/type");
            errors.push(FieldError::new(
                pointer,
                "REQUIRED",
                "the number of a component type",
            ));
        }
    }
    check_json("/components", components, errors);
}

/// Bounds free-form JSON, and keeps out what PostgreSQL's `jsonb` cannot hold.
fn check_json(pointer: &str, list: &[Value], errors: &mut Vec<FieldError>) {
    let text = serde_json::to_string(list).unwrap_or_default();
    if text.len() > MAX_JSON_BYTES {
        errors.push(FieldError::new(
            pointer,
            "TOO_LARGE",
            "at most 64 KiB as JSON",
        ));
    }
    if list.iter().any(holds_nul) {
        errors.push(FieldError::new(pointer, "INVALID", "no NUL characters"));
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(map) => map
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
