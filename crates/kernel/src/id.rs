//! Snowflake identifiers: `(ms since 2015-01-01T00:00Z) << 22 | worker (10 bits) | sequence (12)`.
//!
//! The layout and the epoch are those that stock Discord libraries decode (see Discord's API
//! reference, "Snowflakes"); the idea is Twitter's Snowflake of 2010. Time order lets one column
//! serve as key, as paging cursor and as partition bound.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering::SeqCst};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::SharedClock;

/// Milliseconds between the Unix epoch and 2015-01-01T00:00:00Z.
pub const EPOCH_MS: i64 = 1_420_070_400_000;
/// Bits below the time: ten for the worker, twelve for the sequence.
const TIME_SHIFT: u32 = 22;
const WORKER_SHIFT: u32 = 12;
const SEQUENCE_MASK: i64 = (1 << WORKER_SHIFT) - 1;
/// Highest worker number that fits into its ten bits.
pub const MAX_WORKER: u16 = 1023;
/// How far the clock may step back before ids are refused.
pub const MAX_STEP_BACK_MS: i64 = 5_000;
/// How far ids may run ahead of the clock when one worker makes more than 4,096 in a millisecond.
const MAX_RUN_AHEAD_MS: i64 = 5_000;

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
/// A thing without a type of its own.
pub type AnyId = Id<kind::Other>;
/// An event.
pub type EventId = Id<kind::Event>;

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
            .pattern(Some("^[0-9]{1,19}$"))
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

/// The worker number a process may use, and until when.
///
/// The lease keeper (crate `db`) fills it; [`Ids`] reads it. A lapsed lease stops identifiers at
/// once, so that two processes can never share a number.
#[derive(Debug)]
pub struct WorkerSlot {
    number: AtomicU16,
    valid_until_ms: AtomicI64,
}

impl WorkerSlot {
    /// A slot without a lease: every id is refused until [`WorkerSlot::renew`] is called.
    pub fn empty() -> Arc<Self> {
        Arc::new(WorkerSlot {
            number: AtomicU16::new(0),
            valid_until_ms: AtomicI64::new(i64::MIN),
        })
    }

    /// A slot that never lapses, for tools and tests that are alone.
    pub fn permanent(number: u16) -> Arc<Self> {
        let slot = Self::empty();
        slot.number.store(number.min(MAX_WORKER), SeqCst);
        slot.valid_until_ms.store(i64::MAX, SeqCst);
        slot
    }

    /// Records that `number` is ours until `until`. Numbers above [`MAX_WORKER`] leave it lapsed.
    pub fn renew(&self, number: u16, until: Timestamp) {
        if number > MAX_WORKER {
            return self.lapse();
        }
        self.number.store(number, SeqCst);
        self.valid_until_ms.store(until.as_millisecond(), SeqCst);
    }

    /// Gives the lease up.
    pub fn lapse(&self) {
        self.valid_until_ms.store(i64::MIN, SeqCst);
    }

    /// The number, while the lease holds at `now_ms`.
    fn number_at(&self, now_ms: i64) -> Option<u16> {
        (now_ms < self.valid_until_ms.load(SeqCst)).then(|| self.number.load(SeqCst))
    }
}

/// Why no identifier can be made at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The system clock went back further than [`MAX_STEP_BACK_MS`].
    #[error("the clock stepped back by {0} ms; ids are refused until it catches up")]
    ClockSteppedBack(i64),
    /// The worker number's lease ran out.
    #[error("the worker number's lease has lapsed; ids are refused until it is renewed")]
    LeaseLapsed,
    /// More ids were asked for than five seconds of sequence numbers hold.
    #[error("more than 4096 ids per millisecond were asked for, for five seconds")]
    Exhausted,
}

/// Makes identifiers. One per process; share it by `Arc`.
pub struct Ids {
    clock: SharedClock,
    slot: Arc<WorkerSlot>,
    /// `(ms since epoch) << 12 | sequence` of the last identifier.
    last: AtomicI64,
}

impl Ids {
    /// A generator over a clock and a leased worker number.
    pub fn new(clock: SharedClock, slot: Arc<WorkerSlot>) -> Arc<Self> {
        Arc::new(Ids {
            clock,
            slot,
            last: AtomicI64::new(0),
        })
    }

    /// The next identifier: unique, and greater than every one this generator made before.
    pub fn next<K>(&self) -> Result<Id<K>, IdError> {
        let now_ms = self.clock.now().as_millisecond();
        let worker = self.slot.number_at(now_ms).ok_or(IdError::LeaseLapsed)?;
        let now = now_ms.saturating_sub(EPOCH_MS).max(0);
        let mut last = self.last.load(SeqCst);
        loop {
            let next = Self::after(last, now)?;
            match self.last.compare_exchange_weak(last, next, SeqCst, SeqCst) {
                Ok(_) => {
                    let time = next >> WORKER_SHIFT;
                    let raw = (time << TIME_SHIFT)
                        | (i64::from(worker) << WORKER_SHIFT)
                        | (next & SEQUENCE_MASK);
                    return Ok(Id::new(raw));
                }
                Err(seen) => last = seen,
            }
        }
    }

    /// The packed time and sequence that follow `last` when the clock says `now`.
    ///
    /// A small step back, or a full millisecond, keeps counting on from `last`: the sequence
    /// overflows into the time bits, so ids run ahead of the clock but stay ordered.
    fn after(last: i64, now: i64) -> Result<i64, IdError> {
        let last_ms = last >> WORKER_SHIFT;
        if now > last_ms {
            return Ok(now << WORKER_SHIFT);
        }
        let ahead = last_ms.saturating_sub(now);
        if last & SEQUENCE_MASK == SEQUENCE_MASK && ahead >= MAX_RUN_AHEAD_MS {
            return Err(IdError::Exhausted);
        }
        if ahead > MAX_STEP_BACK_MS {
            return Err(IdError::ClockSteppedBack(ahead));
        }
        Ok(last.saturating_add(1))
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::time::Duration;

    fn start() -> Timestamp {
        "2026-11-20T07:00:00Z".parse().unwrap()
    }

    #[test]
    fn layout_is_discords() {
        // The example of Discord's reference: 175928847299117063 was made 2016-04-30 11:18:25.796.
        let id = UserId::new(175_928_847_299_117_063);
        assert_eq!(id.made_at().to_string(), "2016-04-30T11:18:25.796Z");
    }

    #[test]
    fn ids_grow_and_carry_worker_and_time() {
        let clock = ManualClock::new(start());
        let ids = Ids::new(clock.clone(), WorkerSlot::permanent(7));
        let first: UserId = ids.next().unwrap();
        let second: UserId = ids.next().unwrap();
        assert!(second > first);
        assert_eq!(first.made_at(), clock.now());
        assert_eq!((first.get() >> 12) & 1023, 7);
    }

    #[test]
    fn small_step_back_keeps_order_and_large_one_refuses() {
        let clock = ManualClock::new(start());
        let ids = Ids::new(clock.clone(), WorkerSlot::permanent(1));
        let first: UserId = ids.next().unwrap();
        clock.set(start() - Duration::from_secs(5));
        assert!(ids.next::<kind::User>().unwrap() > first);
        clock.set(start() - Duration::from_millis(5_001));
        assert!(matches!(
            ids.next::<kind::User>(),
            Err(IdError::ClockSteppedBack(_))
        ));
        clock.set(start());
        assert!(ids.next::<kind::User>().is_ok());
    }

    #[test]
    fn lapsed_lease_refuses() {
        let clock = ManualClock::new(start());
        let slot = WorkerSlot::empty();
        let ids = Ids::new(clock.clone(), slot.clone());
        assert_eq!(ids.next::<kind::User>(), Err(IdError::LeaseLapsed));
        slot.renew(3, start() + Duration::from_secs(1));
        assert!(ids.next::<kind::User>().is_ok());
        clock.advance(Duration::from_secs(1));
        assert_eq!(ids.next::<kind::User>(), Err(IdError::LeaseLapsed));
        slot.renew(1024, start() + Duration::from_secs(60));
        assert_eq!(ids.next::<kind::User>(), Err(IdError::LeaseLapsed));
    }

    #[test]
    fn more_than_4096_in_a_millisecond_stay_unique_until_the_bound() {
        let clock = ManualClock::new(start());
        let ids = Ids::new(clock, WorkerSlot::permanent(1));
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(ids.next::<kind::User>().unwrap()));
        }
        let bound = (MAX_RUN_AHEAD_MS + 1) * 4096;
        let made = (0..=bound)
            .take_while(|_| ids.next::<kind::User>().is_ok())
            .count();
        assert_eq!(i64::try_from(made).unwrap(), bound - 10_000);
    }

    #[test]
    fn threads_share_without_doubles() {
        let ids = Ids::new(Arc::new(crate::SystemClock), WorkerSlot::permanent(1));
        let all: Vec<i64> = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..5_000)
                            .map(|_| ids.next::<kind::User>().unwrap().get())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            handles
                .into_iter()
                .flat_map(|h| h.join().unwrap())
                .collect()
        });
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
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
