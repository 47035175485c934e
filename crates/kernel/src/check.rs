//! The rules that fields of requests share.

use crate::FieldError;
use crate::text::{is_disguise, is_invisible};

/// Collects what is wrong with the fields of one request, to tell all of it at once.
#[derive(Debug, Default)]
pub struct Check(Vec<FieldError>);

impl Check {
    /// The text without blanks around it, to be of `min` to `max` characters: `TOO_SHORT`, `TOO_LONG`,
    /// or `INVALID` if it holds a NUL, which the database cannot store.
    pub fn text(&mut self, pointer: &str, text: &str, min: usize, max: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length < min {
            let detail = format!("must have at least {min} characters");
            self.refuse(pointer, "TOO_SHORT", detail);
        } else if length > max {
            let detail = format!("must have at most {max} characters");
            self.refuse(pointer, "TOO_LONG", detail);
        } else if text.contains('\0') {
            self.refuse(pointer, "INVALID", "must not hold a NUL character");
        }
        text.to_owned()
    }

    /// As [`text`](Self::text), for a name that stands for somebody: also `INVALID` if it cannot be
    /// seen or changes how the text around it is shown.
    pub fn name(&mut self, pointer: &str, name: &str, min: usize, max: usize) -> String {
        let name = self.text(pointer, name, min, max);
        if !name.is_empty() && is_invisible(&name) || name.contains(is_disguise) {
            let detail = "must be visible, on one line, and may not turn the direction of writing";
            self.refuse(pointer, "INVALID", detail);
        }
        name
    }

    /// `OUT_OF_RANGE` unless `value` is from `min` to `max`.
    pub fn range(&mut self, pointer: &str, value: impl Into<i64>, min: i64, max: i64) {
        if !(min..=max).contains(&value.into()) {
            self.refuse(
                pointer,
                "OUT_OF_RANGE",
                format!("must be from {min} to {max}"),
            );
        }
    }

    /// A field that breaks a rule of its own.
    pub fn refuse(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.0.push(FieldError::new(pointer, code, detail));
    }

    /// What was wrong, if anything.
    pub fn done(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(check: Check) -> Vec<&'static str> {
        let errors = check.done().err().unwrap_or_default();
        errors.iter().map(|error| error.code).collect()
    }

    #[test]
    fn lengths_are_counted_in_characters_without_the_blanks_around() {
        for (text, expected) in [
            (" ş ", vec!["TOO_SHORT"]),
            (" şş ", vec![]),
            ("şşşş", vec![]),
            ("şşşşş", vec!["TOO_LONG"]),
            ("a\0b", vec!["INVALID"]),
            ("a\nb", vec![]),
        ] {
            let mut check = Check::default();
            assert_eq!(check.text("/x", text, 2, 4), text.trim());
            assert_eq!(codes(check), expected, "{text:?}");
        }
    }

    #[test]
    fn names_can_be_seen_and_change_nothing_around_them() {
        for (name, expected) in [
            ("", vec![]),
            ("Ada", vec![]),
            ("\u{200b}", vec!["INVALID"]),
            ("a\u{202e}b", vec!["INVALID"]),
            ("a\nb", vec!["INVALID"]),
        ] {
            let mut check = Check::default();
            check.name("/x", name, 0, 4);
            assert_eq!(codes(check), expected, "{name:?}");
        }
    }

    #[test]
    fn ranges_hold_both_ends_and_all_errors_are_told() {
        let mut check = Check::default();
        for value in [0, 1, 3, 4] {
            check.range("/x", value, 1, 3);
        }
        check.refuse("/y", "ODD", "is odd");
        assert_eq!(codes(check), ["OUT_OF_RANGE", "OUT_OF_RANGE", "ODD"]);
    }
}
