//! The generator of identifiers, and the worker number it needs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering::SeqCst};

use jiff::Timestamp;

use crate::clock::SharedClock;
use crate::id::{EPOCH_MS, Id, TIME_SHIFT};

/// Bits of the sequence, below those of the worker.
const WORKER_SHIFT: u32 = 12;
const SEQUENCE_MASK: i64 = (1 << WORKER_SHIFT) - 1;
/// Highest worker number that fits into its ten bits.
pub const MAX_WORKER: u16 = 1023;
/// How far the clock may step back before ids are refused.
pub const MAX_STEP_BACK_MS: i64 = 5_000;
/// How far ids may run ahead of the clock when one worker makes more than 4,096 in a millisecond.
const MAX_RUN_AHEAD_MS: i64 = 5_000;

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
    use crate::id::{UserId, kind};
    use std::collections::HashSet;
    use std::time::Duration;

    fn start() -> Timestamp {
        "2026-11-20T07:00:00Z".parse().unwrap()
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
}
