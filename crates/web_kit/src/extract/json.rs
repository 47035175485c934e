//! Reading a JSON text into a type, and naming the field that is wrong without repeating what came.

use kernel::failure::INVALID_REQUEST;
use kernel::{Failure, FieldError};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

use crate::fail::{Fail, MALFORMED_JSON};

/// Finds out what a type is read from, without reading anything.
struct Probe<'a> {
    is_object: &'a mut bool,
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("nothing is read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.is_object = true;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Whether a type is read from an object. Serde would take an array for it as well, with the fields
/// in the order in which they stand in our code.
fn is_object<T: DeserializeOwned>() -> bool {
    let mut is_object = false;
    // It always fails.
    let _ = T::deserialize(Probe {
        is_object: &mut is_object,
    });
    is_object
}

pub(super) fn deserialize<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fail> {
    if bytes.trim_ascii_start().starts_with(b"[") && is_object::<T>() {
        let error = serde_json::Error::custom("invalid type: array, expected an object");
        return Err(Fail(refused("", error, bytes)));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = match serde_path_to_error::deserialize(&mut json) {
        Ok(value) => value,
        Err(error) => {
            let pointer = pointer(error.path());
            return Err(Fail(refused(&pointer, error.into_inner(), bytes)));
        }
    };
    match json.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(Fail(MALFORMED_JSON.fail().because(error))),
    }
}

fn refused(pointer: &str, error: serde_json::Error, bytes: &[u8]) -> Failure {
    // A wrong field may be met before the place where the text stops being JSON.
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    if !error.is_data() {
        return MALFORMED_JSON.fail().because(error);
    }
    if !is_json() {
        // The error itself may hold a value, which belongs into no log.
        return MALFORMED_JSON.fail().because("a wrong field came first");
    }
    let text = error.to_string();
    // The position says nothing to people who did not write the bytes by hand.
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    INVALID_REQUEST.fail().field(field_error(pointer, text))
}

/// Names the field that serde's message is about; the path alone ends at its parent.
pub(super) fn field_error(parent: &str, text: &str) -> FieldError {
    let named = |prefix: &str| {
        let rest = text.strip_prefix(prefix)?;
        rest.split('`')
            .nth(1)
            .map(|name| format!("{parent}/{}", escape(name)))
    };
    if let Some(pointer) = named("missing field ") {
        return FieldError::new(pointer, "REQUIRED", text);
    }
    if let Some(pointer) = named("unknown field ") {
        // Some versions of the path already end with the field itself.
        let doubled = parent.rsplit('/').next() == pointer.rsplit('/').next();
        let pointer = if doubled { parent.to_owned() } else { pointer };
        return FieldError::new(pointer, "UNKNOWN_FIELD", text);
    }
    if let Some(pointer) = named("duplicate field ") {
        return FieldError::new(pointer, "DUPLICATE_FIELD", text);
    }
    FieldError::new(parent, "INVALID", without_value(text))
}

/// What was expected, without what came instead: that may be a secret in the wrong place.
fn without_value(text: &str) -> String {
    let names_it = ["invalid type: ", "invalid value: ", "unknown variant "];
    match text.rsplit_once(", expected ") {
        Some((start, expected)) if names_it.iter().any(|begin| start.starts_with(begin)) => {
            format!("expected {expected}")
        }
        _ => text.to_owned(),
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escape(key),
            // An enum's variant is a key in the JSON only where it is tagged from outside.
            Segment::Enum { variant } => escape(variant),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
