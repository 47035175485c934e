//! Deadlines of many connections with one timer: a ring of one-second slots, looked at lazily.
//!
//! An entry fires at the end of its slot; its owner then says whether its real deadline has moved
//! on, and is put into a later slot. So a heartbeat costs nothing here.

use crate::machine::Ms;

const SLOT: Ms = 1_000;
/// Slots in the wheel; deadlines farther away wait in the last one and are looked at again.
const SLOTS: u64 = 64;

/// A timer wheel over keys.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    slots: Vec<Vec<K>>,
    /// The slot number up to which everything has fired.
    turned_to: u64,
}

impl<K> Wheel<K> {
    /// A wheel that begins at `now`.
    pub(crate) fn new(now: Ms) -> Self {
        Wheel {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            turned_to: now / SLOT,
        }
    }

    /// Looks at `key` at `deadline`, or a second later at most; never in the past.
    pub(crate) fn insert(&mut self, key: K, deadline: Ms) {
        let slot = (deadline.div_ceil(SLOT)).clamp(self.turned_to + 1, self.turned_to + SLOTS - 1);
        let index = usize::try_from(slot % SLOTS).unwrap_or(0);
        if let Some(entries) = self.slots.get_mut(index) {
            entries.push(key);
        }
    }

    /// The keys whose slots have passed at `now`.
    pub(crate) fn turn(&mut self, now: Ms) -> Vec<K> {
        let target = now / SLOT;
        let mut due = Vec::new();
        // More than one round means that every slot has passed.
        let first = (self.turned_to + 1).max((target + 1).saturating_sub(SLOTS));
        for slot in first..=target {
            let index = usize::try_from(slot % SLOTS).unwrap_or(0);
            if let Some(entries) = self.slots.get_mut(index) {
                due.append(entries);
            }
        }
        self.turned_to = self.turned_to.max(target);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fires_in_the_second_after_the_deadline() {
        let mut wheel = Wheel::new(0);
        wheel.insert('a', 1_500);
        wheel.insert('b', 0);
        assert!(wheel.turn(999).is_empty());
        assert_eq!(wheel.turn(1_000), ['b']);
        assert!(wheel.turn(1_999).is_empty());
        assert_eq!(wheel.turn(2_000), ['a']);
    }

    #[test]
    fn far_deadlines_are_looked_at_early_and_a_late_turn_loses_none() {
        let mut wheel = Wheel::new(0);
        wheel.insert('a', 1_000_000);
        assert_eq!(wheel.turn(63_000), ['a']);
        wheel.insert('b', 64_000);
        wheel.insert('c', 100_000);
        assert_eq!(wheel.turn(10_000_000).len(), 2);
    }

    proptest! {
        #[test]
        fn never_early_beyond_the_horizon_and_never_lost(deadlines in prop::collection::vec(0u64..60_000, 1..50)) {
            let mut wheel = Wheel::new(0);
            for deadline in &deadlines { wheel.insert(*deadline, *deadline); }
            let mut fired = 0;
            for now in (0..=61_000).step_by(250) {
                for deadline in wheel.turn(now) {
                    prop_assert!(deadline <= now);
                    prop_assert!(now < deadline + 2_000 || deadline < 1_000);
                    fired += 1;
                }
            }
            prop_assert_eq!(fired, deadlines.len());
        }
    }
}
