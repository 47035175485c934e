//! Statements over the tables that every context's schema has.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kernel::SystemRng;

use crate::error::Error;
use crate::migrate::check_schema;
use crate::{Result, Sql};

/// How many texts may be made: schemas times statements.
const MAX_TEXTS: usize = 2_048;

/// A statement of the mechanics in one schema.
///
/// The schema's name cannot be a parameter. It is checked to be a plain identifier, and each
/// text is made once and kept for ever, which the bound keeps small.
pub(crate) fn statement(schema: &str, name: &'static str, text: &'static str) -> Result<Sql> {
    static TEXTS: OnceLock<Mutex<HashMap<(String, &'static str), &'static str>>> = OnceLock::new();
    check_schema(schema).map_err(|error| Error::Settings(error.to_string()))?;
    let mut texts = TEXTS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let key = (schema.to_owned(), name);
    if let Some(made) = texts.get(&key) {
        return Ok(Sql::new(name, made));
    }
    if texts.len() >= MAX_TEXTS {
        return Err(Error::Settings("too many schemas use the mechanics".into()));
    }
    let made: &'static str = Box::leak(text.replace("{schema}", schema).into_boxed_str());
    texts.insert(key, made);
    Ok(Sql::new(name, made))
}

/// The wait before the next try: doubling from `first`, at most `max`, with a random share so
/// that many waiters do not come back together.
pub(crate) fn backoff(first: Duration, max: Duration, failures: u32) -> Duration {
    let whole = first
        .saturating_mul(2_u32.saturating_pow(failures.min(20)))
        .min(max);
    let half = whole / 2;
    let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
    half.saturating_add(Duration::from_micros(random_below(span)))
}

/// A random number below `bound`, for spreading waits and starting points.
pub(crate) fn random_below(bound: u64) -> u64 {
    u64::from_le_bytes(kernel::rng::bytes(&SystemRng))
        .checked_rem(bound)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_stands_in_the_text_and_must_be_plain() {
        let sql = statement("shop", "test.text", "SELECT 1 FROM {schema}.x").unwrap();
        assert_eq!(sql.text(), "SELECT 1 FROM shop.x");
        let again = statement("shop", "test.text", "SELECT 1 FROM {schema}.x").unwrap();
        assert!(std::ptr::eq(sql.text(), again.text()));
        assert!(statement("shop; DROP", "test.text", "").is_err());
    }

    #[test]
    fn waits_grow_to_their_bound() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(30));
        for failures in 0..40 {
            let wait = backoff(first, max, failures);
            let whole = first
                .saturating_mul(2_u32.saturating_pow(failures.min(20)))
                .min(max);
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
        }
    }
}
