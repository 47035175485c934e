//! Snowflake identifiers: `(ms since 2015-01-01T00:00Z) << 22 | worker (10 bits) | sequence (12)`.
//!
//! The layout and the epoch are those that stock Discord libraries decode (see Discord's API
//! reference, "Snowflakes"); the idea is Twitter's Snowflake of 2010. Time order lets one column
//! serve as key, as paging cursor and as partition bound. [`crate::ids`] makes them.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds between the Unix epoch and 2015-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_420_070_400_000;
/// Bits below the time: ten for the worker, twelve for the sequence.
pub(crate) const TIME_SHIFT: u32 = 22;

/// An identifier of one kind of thing; `K` only marks the kind.
pub struct Id<K> {
    raw: i64,
    kind: PhantomData<fn() -> K>,
}

/// Marker types, one per kind of identifier. They have no values.
pub mod kind {
    /// A person or a bot.
    pub enum User {}
    /// One login of a user.
    pub enum Device {}
    /// A community (guild on the chat wire).
    pub enum Community {}
    /// A channel, DM, group or thread.
    pub enum Channel {}
    /// A message.
    pub enum Message {}
    /// A role of a community.
    pub enum Role {}
    /// An application, that is a bot.
    pub enum Application {}
    /// An event on the bus.
    pub enum Event {}
    /// An address by which programs write into a channel.
    pub enum Webhook {}
    /// A wish to be told of events at an address.
    pub enum Subscription {}
    /// One event on its way to one address.
    pub enum Delivery {}
    /// A file that somebody uploaded.
    pub enum Media {}
    /// An emoji of a community.
    pub enum Emoji {}
    /// A tag of a forum.
    pub enum Tag {}
    /// A rule of automatic moderation.
    pub enum AutomodRule {}
    /// A report about a message.
    pub enum Report {}
    /// A thing without a type of its own (audit entries, tokens).
    pub enum Other {}
}

/// A person or a bot.
pub type UserId = Id<kind::User>;
/// One login of a user.
pub type DeviceId = Id<kind::Device>;
/// A community.
pub type CommunityId = Id<kind::Community>;
/// A channel of any kind.
pub type ChannelId = Id<kind::Channel>;
/// A message.
pub type MessageId = Id<kind::Message>;
/// A role.
pub type RoleId = Id<kind::Role>;
/// An application.
pub type ApplicationId = Id<kind::Application>;
/// A file that somebody uploaded.
pub type MediaId = Id<kind::Media>;
/// A thing without a type of its own.
pub type AnyId = Id<kind::Other>;
/// An emoji of a community.
pub type EmojiId = Id<kind::Emoji>;
/// A tag of a forum.
pub type TagId = Id<kind::Tag>;
/// A rule of automatic moderation.
pub type AutomodRuleId = Id<kind::AutomodRule>;
/// A report about a message.
pub type ReportId = Id<kind::Report>;
/// An event.
pub type EventId = Id<kind::Event>;
/// An address by which programs write into a channel.
pub type WebhookId = Id<kind::Webhook>;
/// A wish to be told of events at an address.
pub type SubscriptionId = Id<kind::Subscription>;
/// One event on its way to one address.
pub type DeliveryId = Id<kind::Delivery>;

impl<K> Id<K> {
    /// Wraps a stored number. Negative numbers never come from a generator but are kept as they are.
    pub const fn new(raw: i64) -> Self {
        Id {
            raw,
            kind: PhantomData,
        }
    }

    /// The stored number.
    pub const fn get(self) -> i64 {
        self.raw
    }

    /// The same number as the identifier of another kind.
    ///
    /// The chat dialect needs it: the everyone role bears the community's id, an application its
    /// bot user's.
    pub const fn cast<L>(self) -> Id<L> {
        Id::new(self.raw)
    }

    /// The moment the identifier was made, to the millisecond.
    pub fn made_at(self) -> Timestamp {
        let ms = (self.raw >> TIME_SHIFT).saturating_add(EPOCH_MS);
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The lowest identifier that can be made at `at`: a bound for ranges over time.
    pub fn floor_at(at: Timestamp) -> Self {
        let ms = at.as_millisecond().saturating_sub(EPOCH_MS).max(0);
        Id::new(ms.checked_mul(1 << TIME_SHIFT).unwrap_or(i64::MAX))
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is a decimal number from 0 to 9223372036854775807")]
pub struct ParseIdError;

impl<K> FromStr for Id<K> {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        // `i64::from_str` also takes a sign; an id on the wire has none.
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseIdError);
        }
        text.parse().map(Id::new).or(Err(ParseIdError))
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.raw)
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    /// Takes a string or a number: some libraries send ids as numbers.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<K>(PhantomData<K>);
        impl<K> serde::de::Visitor<'_> for Visitor<K> {
            type Value = Id<K>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id as a decimal string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Id<K>, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Id<K>, E> {
                i64::try_from(number).map(Id::new).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Id<K>, E> {
                if number < 0 {
                    Err(E::custom(ParseIdError))
                } else {
                    Ok(Id::new(number))
                }
            }
        }
        deserializer.deserialize_any(Visitor(PhantomData))
    }
}

impl<K> utoipa::PartialSchema for Id<K> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-8]?[0-9]{1,18}$"))
            .description(Some(
                "A 64-bit identifier as a decimal string; time ordered.",
            ))
            .examples([serde_json::json!("1310720000000000001")])
            .into()
    }
}
impl<K> utoipa::ToSchema for Id<K> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
}

mod sql {
    use std::error::Error;

    use bytes::BytesMut;
    use postgres_types::{FromSql, IsNull, ToSql, Type};

    use super::Id;

    impl<K> ToSql for Id<K> {
        fn to_sql(
            &self,
            ty: &Type,
            out: &mut BytesMut,
        ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
            self.raw.to_sql(ty, out)
        }
        fn accepts(ty: &Type) -> bool {
            <i64 as ToSql>::accepts(ty)
        }
        postgres_types::to_sql_checked!();
    }

    impl<'a, K> FromSql<'a> for Id<K> {
        fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            i64::from_sql(ty, raw).map(Id::new)
        }
        fn accepts(ty: &Type) -> bool {
            <i64 as FromSql<'_>>::accepts(ty)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layout_is_discords() {
        // The example of Discord's reference: 175928847299117063 was made 2016-04-30 11:18:25.796.
        let id = UserId::new(175_928_847_299_117_063);
        assert_eq!(id.made_at().to_string(), "2016-04-30T11:18:25.796Z");
    }

    #[test]
    fn wire_form_is_a_string_and_numbers_are_taken() {
        assert_eq!(serde_json::to_string(&UserId::new(42)).unwrap(), "\"42\"");
        assert_eq!(
            serde_json::from_str::<UserId>("\"42\"").unwrap(),
            UserId::new(42)
        );
        assert_eq!(
            serde_json::from_str::<UserId>("42").unwrap(),
            UserId::new(42)
        );
        for bad in [
            "-1",
            "\"-1\"",
            "\"+1\"",
            "\"\"",
            "\"9223372036854775808\"",
            "1.5",
            "null",
            "9223372036854775808",
        ] {
            assert!(serde_json::from_str::<UserId>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trip(raw in 0..=i64::MAX) {
            prop_assert_eq!(raw.to_string().parse::<UserId>().unwrap(), UserId::new(raw));
        }

        #[test]
        fn floor_is_not_above_ids_of_its_millisecond(ms in 0i64..(1 << 41), low in 0i64..(1 << 22)) {
            let id = UserId::new((ms << 22) | low);
            prop_assert!(UserId::floor_at(id.made_at()) <= id);
        }
    }
}
