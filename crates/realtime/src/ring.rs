//! What a session still owes its client, and what it may have to send again: one deque is both the
//! send queue and the resume buffer.
//!
//! `s = base + index` of a slot. Slots before the `written` cursor have left through a socket and
//! are kept for RESUME; those from it on are still to be written. READY and GUILD_CREATE stand in
//! front as the *prelude*: they are written first and never kept, so that a user with many
//! communities cannot overflow the queue; a RESUME from before their end is refused.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use kernel::{ChannelId, CommunityId, UserId};

/// Bounds of a [`Ring`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Most written slots kept for RESUME, and their bytes.
    pub(crate) kept: usize,
    pub(crate) kept_bytes: usize,
    /// Most slots waiting to be written, and their bytes.
    pub(crate) queued: usize,
    pub(crate) queued_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            kept: 1_024,
            kept_bytes: 256 * 1024,
            queued: 256,
            queued_bytes: 1024 * 1024,
        }
    }
}

/// The part of a dispatch that all its receivers share.
#[derive(Debug)]
pub(crate) struct Tail {
    /// `"op":0,"t":…,"d":…}`.
    pub(crate) bytes: Bytes,
    /// Not kept once written, and the first to be dropped.
    pub(crate) ephemeral: bool,
    /// Of whom it tells the newest state, if that is all it does.
    pub(crate) subject: Option<Subject>,
}

/// Whose newest state replaces an older one that still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A user, as shown in a community or to those who know them.
    Presence(UserId, Option<CommunityId>),
    /// How far a user has got in a channel.
    Receipt(ChannelId, UserId),
}

impl Tail {
    /// Of an event that nobody gets later.
    pub(crate) fn passing(bytes: Bytes) -> Self {
        Tail {
            bytes,
            ephemeral: true,
            subject: None,
        }
    }

    /// Of an event that is kept for RESUME.
    pub(crate) fn kept(bytes: Bytes) -> Self {
        Tail {
            bytes,
            ephemeral: false,
            subject: None,
        }
    }
}

/// What happened to a pushed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Push {
    /// It waits, or was dropped as ephemeral.
    Done,
    /// Too much waits for a state that passes: it may come later.
    Late,
    /// It waits, but the queue is beyond its bounds: the socket has to go.
    Overflow,
}

/// Why a RESUME cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeRefused {
    /// Events after the number are gone, or it lies inside the prelude.
    TooOld,
    /// The number was never given out.
    NeverSent,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Ring {
    bounds: Bounds,
    prelude: VecDeque<Bytes>,
    /// Number of the prelude's first waiting element.
    prelude_s: u64,
    slots: VecDeque<Option<Rc<Tail>>>,
    base: u64,
    written: usize,
    kept_bytes: usize,
    queued_bytes: usize,
    /// Waiting slots that are not empty.
    queued: usize,
    /// Those of them that a RESUME brought back, and their bytes: they were paid for once and do not
    /// count against the queue again.
    replayed: usize,
    replayed_bytes: usize,
}

impl Ring {
    /// A ring that begins with a prelude; its numbers are 1, 2, ….
    pub(crate) fn new(bounds: Bounds, prelude: Vec<Bytes>) -> Self {
        let base = u64::try_from(prelude.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        Ring {
            bounds,
            prelude: prelude.into(),
            prelude_s: 1,
            slots: VecDeque::new(),
            base,
            written: 0,
            kept_bytes: 0,
            queued_bytes: 0,
            queued: 0,
            replayed: 0,
            replayed_bytes: 0,
        }
    }

    /// A ring as it was spilled: these slots have left or would have, from number `base` on.
    pub(crate) fn restored(bounds: Bounds, base: u64, tails: Vec<Option<Rc<Tail>>>) -> Self {
        let mut ring = Ring::new(bounds, Vec::new());
        ring.base = base;
        for tail in tails {
            ring.queued_bytes += size(tail.as_ref());
            ring.queued += usize::from(tail.is_some());
            ring.slots.push_back(tail);
        }
        ring
    }

    /// Appends an event for a client that is connected.
    pub(crate) fn push(&mut self, tail: Rc<Tail>) -> Push {
        if let Some(subject) = tail.subject
            && self.is_crowded()
        {
            if self.merge(subject, &tail) {
                return Push::Done;
            }
            if tail.ephemeral {
                return Push::Late;
            }
        } else if tail.ephemeral && tail.subject.is_none() && self.is_half_full() {
            return Push::Done;
        }
        self.append(tail);
        if self.is_over() {
            Push::Overflow
        } else {
            Push::Done
        }
    }

    /// Whether more waits than may.
    pub(crate) fn is_over(&self) -> bool {
        let (queued, bytes) = self.load();
        queued > self.bounds.queued || bytes > self.bounds.queued_bytes
    }

    /// Whether nothing that should follow the prelude was dropped.
    pub(crate) fn is_whole(&self) -> bool {
        let ahead = u64::try_from(self.prelude.len()).unwrap_or(u64::MAX);
        self.prelude_s.saturating_add(ahead) == self.base
    }

    /// Appends an event while no client is connected: the oldest make room.
    pub(crate) fn push_detached(&mut self, tail: Rc<Tail>) {
        if tail.ephemeral {
            return;
        }
        self.append(tail);
        self.trim_detached();
    }

    /// The client says that everything up to `s` arrived.
    pub(crate) fn acknowledge(&mut self, s: u64) {
        while self.written > 0 && self.base <= s {
            self.drop_oldest();
        }
    }

    /// What is to be written, oldest first: number and shared part.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        let prelude = (self.prelude_s..).zip(self.prelude.iter());
        let first = self
            .base
            .saturating_add(u64::try_from(self.written).unwrap_or(0));
        let queue = (first..)
            .zip(self.slots.range(self.written..))
            .filter_map(|(s, slot)| slot.as_ref().map(|tail| (s, &tail.bytes)));
        prelude.chain(queue)
    }

    /// Whether nothing waits.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.prelude.is_empty() && self.queued == 0
    }

    /// The oldest waiting element has left whole.
    pub(crate) fn mark_written(&mut self) {
        if self.prelude.pop_front().is_some() {
            self.prelude_s += 1;
            if self.prelude.is_empty() {
                self.prelude.shrink_to_fit();
            }
            return;
        }
        // Empty slots before it were dropped while they waited.
        while let Some(slot) = self.slots.get_mut(self.written) {
            self.written += 1;
            let Some(tail) = slot else { continue };
            let bytes = tail.bytes.len();
            self.queued -= 1;
            self.queued_bytes -= bytes;
            self.replayed = self.replayed.saturating_sub(1);
            self.replayed_bytes = self.replayed_bytes.saturating_sub(bytes);
            if tail.ephemeral {
                *slot = None;
            } else {
                self.kept_bytes += bytes;
            }
            break;
        }
        self.trim_kept();
    }

    /// The socket is gone: the next one begins where its RESUME says.
    pub(crate) fn detach(&mut self) {
        for slot in self.slots.range_mut(self.written..) {
            if slot.as_ref().is_some_and(|tail| tail.ephemeral) {
                self.queued -= 1;
                self.queued_bytes -= size(slot.as_ref());
                *slot = None;
            }
        }
        self.trim_detached();
    }

    /// Goes on after `seq`: everything behind it waits again.
    pub(crate) fn resume(&mut self, seq: u64) -> Result<(), ResumeRefused> {
        let next = self
            .base
            .saturating_add(u64::try_from(self.slots.len()).unwrap_or(u64::MAX));
        if seq >= next {
            return Err(ResumeRefused::NeverSent);
        }
        let Some(written) = seq.saturating_add(1).checked_sub(self.base) else {
            return Err(ResumeRefused::TooOld);
        };
        if !self.prelude.is_empty() {
            return Err(ResumeRefused::TooOld);
        }
        self.written = usize::try_from(written)
            .unwrap_or(usize::MAX)
            .min(self.slots.len());
        self.recount();
        self.replayed = self.queued;
        self.replayed_bytes = self.queued_bytes;
        Ok(())
    }

    /// The number the next event gets.
    #[cfg(test)]
    pub(crate) fn next_s(&self) -> u64 {
        self.base
            .saturating_add(u64::try_from(self.slots.len()).unwrap_or(0))
    }

    /// Everything a successor needs: the first number and the slots; none while the prelude is not
    /// out, because such a session cannot be resumed anyway.
    pub(crate) fn spill(&self) -> Option<(u64, impl Iterator<Item = Option<&Rc<Tail>>>)> {
        self.prelude
            .is_empty()
            .then(|| (self.base, self.slots.iter().map(Option::as_ref)))
    }

    fn append(&mut self, tail: Rc<Tail>) {
        self.queued += 1;
        self.queued_bytes += tail.bytes.len();
        self.slots.push_back(Some(tail));
    }

    /// What counts against the bounds of the queue.
    fn load(&self) -> (usize, usize) {
        let queued = self.queued.saturating_sub(self.replayed);
        (
            queued,
            self.queued_bytes.saturating_sub(self.replayed_bytes),
        )
    }

    /// Whether half of what may wait does.
    pub(crate) fn is_half_full(&self) -> bool {
        let (queued, bytes) = self.load();
        queued * 2 >= self.bounds.queued || bytes * 2 >= self.bounds.queued_bytes
    }

    /// Whether 60 % of what may wait does: states replace each other from here on.
    pub(crate) fn is_crowded(&self) -> bool {
        let (queued, bytes) = self.load();
        queued * 5 >= self.bounds.queued * 3 || bytes * 5 >= self.bounds.queued_bytes * 3
    }

    /// Puts a state in the place of an older one of the same subject. The oldest that waits may have
    /// left in part and stays as it is.
    fn merge(&mut self, subject: Subject, tail: &Rc<Tail>) -> bool {
        let mut waiting = self.slots.range_mut(self.written..).flatten();
        if self.prelude.is_empty() {
            waiting.next();
        }
        let Some(slot) = waiting.find(|slot| slot.subject == Some(subject)) else {
            return false;
        };
        self.queued_bytes = self.queued_bytes - slot.bytes.len() + tail.bytes.len();
        *slot = Rc::clone(tail);
        true
    }

    fn trim_kept(&mut self) {
        while self.written > self.bounds.kept || self.kept_bytes > self.bounds.kept_bytes {
            self.drop_oldest();
        }
        if self.slots.is_empty() {
            self.slots.shrink_to_fit();
        }
    }

    fn trim_detached(&mut self) {
        let slots = self.bounds.kept + self.bounds.queued;
        let bytes = self.bounds.kept_bytes + self.bounds.queued_bytes;
        while self.slots.len() > slots || self.kept_bytes + self.queued_bytes > bytes {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(slot) = self.slots.pop_front() else {
            return;
        };
        self.base += 1;
        let bytes = size(slot.as_ref());
        if self.written > 0 {
            self.written -= 1;
            self.kept_bytes -= bytes;
        } else {
            self.queued_bytes -= bytes;
            self.queued -= usize::from(slot.is_some());
        }
    }

    fn recount(&mut self) {
        self.kept_bytes = self
            .slots
            .range(..self.written)
            .map(|slot| size(slot.as_ref()))
            .sum();
        self.queued_bytes = self
            .slots
            .range(self.written..)
            .map(|slot| size(slot.as_ref()))
            .sum();
        self.queued = self
            .slots
            .range(self.written..)
            .filter(|slot| slot.is_some())
            .count();
    }
}

fn size(slot: Option<&Rc<Tail>>) -> usize {
    slot.map_or(0, |tail| tail.bytes.len())
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
