//! How moments look on the wire.

use jiff::Timestamp;

/// A moment in the chat dialect: `2026-11-20T07:00:00.000000+00:00`, six digits and never `Z`,
/// because Python before 3.11 refuses that letter.
pub fn dialect(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.%6f+00:00", at).unwrap_or_default()
}

/// `#[serde(with = "kernel::time::dialect_form")]` for a [`Timestamp`].
pub mod dialect_form {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the dialect's form.
    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::dialect(*at))
    }

    /// Reads any RFC 3339 moment.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }

    /// The same for `Option<Timestamp>`.
    pub mod option {
        use jiff::Timestamp;
        use serde::{Deserialize, Deserializer, Serializer};

        /// Writes the dialect's form or null.
        pub fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.serialize_some(&super::super::dialect(*at)),
                None => serializer.serialize_none(),
            }
        }

        /// Reads any RFC 3339 moment or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::deserialize(deserializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialect_has_six_digits_and_an_offset() {
        let at: Timestamp = "2026-11-20T07:00:00.1234567Z".parse().unwrap();
        assert_eq!(dialect(at), "2026-11-20T07:00:00.123456+00:00");
        assert_eq!(
            dialect("2026-11-20T07:00:00Z".parse().unwrap()),
            "2026-11-20T07:00:00.000000+00:00"
        );
    }
}
