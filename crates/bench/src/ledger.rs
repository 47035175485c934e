//! Who has received which message: the proof that nothing was lost and nothing came twice.

/// One message.
#[derive(Debug)]
enum Entry {
    /// Some members wait for it: one bit per member that has it, and how many have not.
    Open { have: Vec<u64>, missing: usize },
    /// Every member has it.
    Done,
}

/// What one delivery meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The member had not had it.
    First,
    /// The same, and now everybody has it.
    Last,
    /// The member had it already.
    Again,
    /// Nobody sent such a message, or nobody by that number is a member.
    Stray,
}

/// The messages of one window, numbered from its first number on.
#[derive(Debug)]
pub(crate) struct Ledger {
    members: usize,
    first: u64,
    entries: Vec<Entry>,
    delivered: u64,
    doubled: u64,
}

impl Ledger {
    /// A ledger in which message `first` will be the first one.
    pub(crate) fn new(members: usize, first: u64) -> Self {
        Ledger {
            members,
            first,
            entries: Vec::new(),
            delivered: 0,
            doubled: 0,
        }
    }

    /// Notes a new message and gives its number.
    pub(crate) fn open(&mut self) -> u64 {
        let seq = self.next();
        self.entries.push(if self.members == 0 {
            Entry::Done
        } else {
            Entry::Open {
                have: vec![0; self.members.div_ceil(64)],
                missing: self.members,
            }
        });
        seq
    }

    /// The number that the next message will get.
    pub(crate) fn next(&self) -> u64 {
        self.first
            .saturating_add(crate::num::count(self.entries.len()))
    }

    /// Notes that `member` received `seq`. Numbers from before this ledger are none of its
    /// business when they come late: their own window has counted them as lost.
    pub(crate) fn deliver(&mut self, member: usize, seq: u64) -> Seen {
        let entry = seq
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| self.entries.get_mut(index));
        let Some(entry) = entry.filter(|_| member < self.members) else {
            return Seen::Stray;
        };
        let Entry::Open { have, missing } = entry else {
            self.doubled = self.doubled.saturating_add(1);
            return Seen::Again;
        };
        let bit = 1_u64 << (member % 64);
        let Some(word) = have.get_mut(member / 64) else {
            return Seen::Stray;
        };
        if *word & bit != 0 {
            self.doubled = self.doubled.saturating_add(1);
            return Seen::Again;
        }
        *word |= bit;
        *missing -= 1;
        self.delivered = self.delivered.saturating_add(1);
        if *missing > 0 {
            return Seen::First;
        }
        *entry = Entry::Done;
        Seen::Last
    }

    /// How many messages were opened.
    pub(crate) fn messages(&self) -> u64 {
        crate::num::count(self.entries.len())
    }

    /// How many deliveries were the first of their kind.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// How many deliveries came again.
    pub(crate) fn doubled(&self) -> u64 {
        self.doubled
    }

    /// How many deliveries are still missing.
    pub(crate) fn missing(&self) -> u64 {
        self.entries
            .iter()
            .map(|entry| match entry {
                Entry::Open { missing, .. } => crate::num::count(*missing),
                Entry::Done => 0,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_once_is_whole() {
        let mut ledger = Ledger::new(130, 7);
        let seq = ledger.open();
        assert_eq!(seq, 7);
        for member in 0..129 {
            assert_eq!(ledger.deliver(member, seq), Seen::First);
        }
        assert_eq!(ledger.missing(), 1);
        assert_eq!(ledger.deliver(129, seq), Seen::Last);
        assert_eq!(
            (ledger.missing(), ledger.doubled(), ledger.delivered()),
            (0, 0, 130)
        );
    }

    #[test]
    fn doubles_are_counted_before_and_after_the_last() {
        let mut ledger = Ledger::new(2, 0);
        let seq = ledger.open();
        assert_eq!(ledger.deliver(0, seq), Seen::First);
        assert_eq!(ledger.deliver(0, seq), Seen::Again);
        assert_eq!(ledger.deliver(1, seq), Seen::Last);
        assert_eq!(ledger.deliver(1, seq), Seen::Again);
        assert_eq!((ledger.doubled(), ledger.delivered()), (2, 2));
    }

    #[test]
    fn unknown_numbers_and_members_are_strays() {
        let mut ledger = Ledger::new(2, 10);
        ledger.open();
        assert_eq!(ledger.deliver(0, 9), Seen::Stray);
        assert_eq!(ledger.deliver(0, 11), Seen::Stray);
        assert_eq!(ledger.deliver(2, 10), Seen::Stray);
        assert_eq!(ledger.missing(), 2);
    }
}
