//! The protocol of one connection as a pure machine: frames and moments in, acts out.
//!
//! It knows no socket, no session and no clock. [`crate::socket`] feeds it and carries out what it
//! says; a table at the foot is its test.

use contracts::messaging::{Cursor, SyncFrom};
use kernel::CommunityId;

use crate::close::Close;
use crate::command::{Command, Identify, RequestMembers, Resume};
use crate::presence::Wish;
use crate::windows::Subscription;

/// Milliseconds since an arbitrary start of the worker.
pub(crate) type Ms = u64;

/// Until when IDENTIFY or RESUME must have come.
pub(crate) const IDENTIFY_WITHIN: Ms = 30_000;
/// How much later than the interval a heartbeat may come.
pub(crate) const HEARTBEAT_GRACE: Ms = 15_000;
/// The window in which commands are counted, and how many it may hold.
const COMMAND_WINDOW: Ms = 60_000;
pub(crate) const COMMANDS_PER_WINDOW: u32 = 120;

/// What the socket shall do about a frame.
#[derive(Debug)]
pub(crate) enum Act {
    /// Nothing.
    None,
    /// Answer with op 11; everything up to the number has arrived.
    Beat(Option<u64>),
    /// Begin a session.
    Identify(Box<Identify>),
    /// Go on with one.
    Resume(Resume),
    /// Show the user so.
    Wish(Wish),
    /// Send members.
    Members(Box<RequestMembers>),
    /// Show windows of a community from now on.
    Subscribe(CommunityId, Subscription),
    /// Tell what was missed.
    Sync(Vec<SyncFrom>),
    /// Note how far the reader has got.
    Receipts(Vec<Cursor>),
    /// End the connection.
    Close(Close),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// HELLO was sent.
    Fresh,
    /// A session is being made or found.
    Joining,
    /// A session is attached.
    Live,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    interval: Ms,
    opened_at: Ms,
    heard_at: Ms,
    window_from: Ms,
    window_count: u32,
}

impl Machine {
    /// A connection that was just told HELLO with this heartbeat interval.
    pub(crate) fn new(interval: Ms, now: Ms) -> Self {
        Machine {
            phase: Phase::Fresh,
            interval,
            opened_at: now,
            heard_at: now,
            window_from: now,
            window_count: 0,
        }
    }

    /// A text frame came.
    pub(crate) fn on_text(&mut self, text: &str, now: Ms) -> Act {
        self.heard_at = now;
        let command = match Command::parse(text) {
            Ok(command) => command,
            Err(close) => return Act::Close(close),
        };
        if let Command::Heartbeat(acknowledged) = command {
            // Also before IDENTIFY: libraries beat as soon as HELLO came.
            return Act::Beat(acknowledged.filter(|_| self.phase == Phase::Live));
        }
        if !self.admit(now) {
            return Act::Close(Close::RateLimited);
        }
        match (self.phase, command) {
            (Phase::Fresh, Command::Identify(identify)) => {
                self.phase = Phase::Joining;
                Act::Identify(identify)
            }
            (Phase::Fresh, Command::Resume(resume)) => {
                self.phase = Phase::Joining;
                Act::Resume(resume)
            }
            (Phase::Joining | Phase::Live, Command::Identify(_) | Command::Resume(_)) => {
                Act::Close(Close::AlreadyAuthenticated)
            }
            (Phase::Live, Command::RequestMembers(request)) => Act::Members(request),
            (Phase::Live, Command::Sync(from)) => Act::Sync(from),
            (Phase::Live, Command::Receipts(cursors)) => Act::Receipts(cursors),
            (Phase::Live, Command::Presence(wish)) => Act::Wish(wish),
            (Phase::Live, Command::Subscribe(community, subscription)) => {
                Act::Subscribe(community, subscription)
            }
            (Phase::Live, Command::Voice) => Act::None,
            (Phase::Fresh | Phase::Joining, _) => Act::Close(Close::NotAuthenticated),
            (Phase::Live, Command::Heartbeat(_)) => Act::None,
        }
    }

    /// A frame that is no command came (ping, pong): the peer lives.
    pub(crate) fn on_life(&mut self, now: Ms) {
        self.heard_at = now;
    }

    /// The session is attached.
    pub(crate) fn joined(&mut self) {
        self.phase = Phase::Live;
    }

    /// A RESUME was read elsewhere and is being looked at here.
    pub(crate) fn resuming(&mut self) {
        self.phase = Phase::Joining;
    }

    /// RESUME was answered with op 9: an IDENTIFY may follow.
    pub(crate) fn refused(&mut self, now: Ms) {
        self.phase = Phase::Fresh;
        self.opened_at = now;
    }

    /// When [`Machine::on_tick`] has to look again.
    pub(crate) fn deadline(&self) -> Ms {
        let silence = self.heard_at + self.interval + HEARTBEAT_GRACE;
        match self.phase {
            Phase::Fresh => silence.min(self.opened_at + IDENTIFY_WITHIN),
            Phase::Joining | Phase::Live => silence,
        }
    }

    /// Time has passed.
    pub(crate) fn on_tick(&self, now: Ms) -> Option<Close> {
        (now >= self.deadline()).then_some(Close::TimedOut)
    }

    fn admit(&mut self, now: Ms) -> bool {
        if now.saturating_sub(self.window_from) >= COMMAND_WINDOW {
            self.window_from = now;
            self.window_count = 0;
        }
        self.window_count += 1;
        self.window_count <= COMMANDS_PER_WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTIFY: &str = r#"{"op":2,"d":{"token":"t","intents":0}}"#;
    const RESUME: &str = r#"{"op":6,"d":{"token":"t","session_id":"s","seq":1}}"#;
    const BEAT: &str = r#"{"op":1,"d":5}"#;
    const PRESENCE: &str = r#"{"op":3,"d":{}}"#;
    const MEMBERS: &str = r#"{"op":8,"d":{"guild_id":"1","query":"","limit":0}}"#;

    const SUBSCRIBE: &str = r#"{"op":60,"d":{"guild":"1","typing":true}}"#;
    const SYNC: &str = r#"{"op":61,"d":{"channels":{"1":{"ev":0}}}}"#;
    const RECEIPTS: &str = r#"{"op":65,"d":{"1":{"read":"5"}}}"#;

    fn at(phase: Phase) -> Machine {
        Machine {
            phase,
            ..Machine::new(41_250, 0)
        }
    }

    fn name(act: &Act) -> String {
        match act {
            Act::Close(close) => format!("{close:?}"),
            Act::Beat(acknowledged) => format!("Beat {acknowledged:?}"),
            Act::None => "None".into(),
            Act::Identify(_) => "Identify".into(),
            Act::Resume(_) => "Resume".into(),
            Act::Wish(_) => "Wish".into(),
            Act::Members(_) => "Members".into(),
            Act::Subscribe(..) => "Subscribe".into(),
            Act::Sync(_) => "Sync".into(),
            Act::Receipts(_) => "Receipts".into(),
        }
    }

    #[test]
    fn every_phase_and_command() {
        use Phase::{Fresh, Joining, Live};
        for (phase, text, act, then) in [
            (Fresh, BEAT, "Beat None", Fresh),
            (Fresh, IDENTIFY, "Identify", Joining),
            (Fresh, RESUME, "Resume", Joining),
            (Fresh, PRESENCE, "NotAuthenticated", Fresh),
            (Fresh, MEMBERS, "NotAuthenticated", Fresh),
            (Fresh, SYNC, "NotAuthenticated", Fresh),
            (Joining, RECEIPTS, "NotAuthenticated", Joining),
            (Fresh, "{", "Decode", Fresh),
            (Joining, BEAT, "Beat None", Joining),
            (Joining, IDENTIFY, "AlreadyAuthenticated", Joining),
            (Joining, PRESENCE, "NotAuthenticated", Joining),
            (Live, BEAT, "Beat Some(5)", Live),
            (Live, IDENTIFY, "AlreadyAuthenticated", Live),
            (Live, RESUME, "AlreadyAuthenticated", Live),
            (Live, PRESENCE, "Wish", Live),
            (Live, MEMBERS, "Members", Live),
            (Live, SUBSCRIBE, "Subscribe", Live),
            (Joining, SUBSCRIBE, "NotAuthenticated", Joining),
            (Live, SYNC, "Sync", Live),
            (Live, RECEIPTS, "Receipts", Live),
            (Live, r#"{"op":99}"#, "UnknownOpcode", Live),
        ] {
            let mut machine = at(phase);
            assert_eq!(name(&machine.on_text(text, 1)), act, "{phase:?} {text}");
            assert_eq!(machine.phase, then, "{phase:?} {text}");
        }
    }

    #[test]
    fn commands_are_limited_and_heartbeats_are_not() {
        let mut machine = at(Phase::Live);
        for _ in 0..COMMANDS_PER_WINDOW {
            assert_eq!(name(&machine.on_text(PRESENCE, 10)), "Wish");
        }
        assert_eq!(name(&machine.on_text(BEAT, 10)), "Beat Some(5)");
        assert_eq!(name(&machine.on_text(PRESENCE, 59_999)), "RateLimited");
        assert_eq!(name(&machine.on_text(PRESENCE, 60_000)), "Wish");
    }

    #[test]
    fn deadlines() {
        let mut machine = at(Phase::Fresh);
        assert_eq!(machine.on_tick(29_999), None);
        assert_eq!(machine.on_tick(30_000), Some(Close::TimedOut));
        machine.on_text(IDENTIFY, 20_000);
        machine.joined();
        assert_eq!(machine.on_tick(20_000 + 41_250 + 14_999), None);
        assert_eq!(
            machine.on_tick(20_000 + 41_250 + 15_000),
            Some(Close::TimedOut)
        );
        machine.on_text(BEAT, 60_000);
        assert_eq!(machine.deadline(), 60_000 + 41_250 + 15_000);
        machine.on_life(70_000);
        assert_eq!(machine.deadline(), 70_000 + 41_250 + 15_000);
    }

    #[test]
    fn refused_resume_may_identify() {
        let mut machine = at(Phase::Fresh);
        machine.on_text(RESUME, 1);
        machine.refused(2);
        assert_eq!(name(&machine.on_text(IDENTIFY, 3)), "Identify");
    }
}
