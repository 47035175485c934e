//! One connection: its socket, the frames that belong to it alone, and how bytes leave.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::net::IpAddr;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::close::{Close, Dialect};
use crate::encoded::append_head;
use crate::machine::{Machine, Ms};
use crate::ring::Ring;
use crate::session::Session;

/// Most frames in one write.
const FRAMES_PER_WRITE: usize = 64;
/// Most bytes in one write.
const BYTES_PER_WRITE: usize = 256 * 1024;
/// Most control frames (HELLO, heartbeat answers, pongs) that may wait. A peer that asks for more
/// without reading is slow.
const CONTROL_FRAMES: usize = 32;

/// Op 11 as a whole frame: head, then `{"op":11,"d":null}`.
const HEARTBEAT_ACK: &[u8] = b"\x81\x12{\"op\":11,\"d\":null}";

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// A close frame was queued; its task ends the socket.
    Closing,
}

/// Which queue's oldest frame has left in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Control,
    Session,
}

/// Frames of this connection alone, and how far into a frame the last write came.
#[derive(Default)]
struct Wire {
    control: VecDeque<Bytes>,
    /// The frame whose first `offset` bytes have left.
    begun: Option<Source>,
    offset: usize,
}

/// See the module's text.
pub(crate) struct Conn {
    pub(crate) stream: RefCell<Option<Rc<TcpStream>>>,
    pub(crate) machine: RefCell<Machine>,
    pub(crate) decoder: RefCell<ws::Decoder>,
    /// The begin of a frame that is not whole yet.
    pub(crate) carry: RefCell<Vec<u8>>,
    /// Since when a message has been coming in.
    pub(crate) message_since: Cell<Option<Ms>>,
    wire: RefCell<Wire>,
    session: RefCell<Weak<Session>>,
    pub(crate) dialect: Cell<Dialect>,
    pub(crate) phase: Cell<Phase>,
    /// Newest entry on the worker's wheel; older ones are void.
    pub(crate) watch: Cell<u32>,
    /// When that entry is looked at.
    pub(crate) watch_at: Cell<Ms>,
    /// Wakes the connection's task.
    pub(crate) kick: Notify,
    /// Since when the socket takes no more bytes.
    pub(crate) blocked_since: Cell<Option<Ms>>,
    /// The connection stands on the worker's dirty list.
    pub(crate) dirty: Cell<bool>,
    /// `Host` of the upgrade, from which the resume address is made.
    pub(crate) host: String,
    pub(crate) peer: IpAddr,
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Everything left.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The socket is broken.
    Broken,
}

impl Conn {
    pub(crate) fn new(
        stream: TcpStream,
        carry: Vec<u8>,
        machine: Machine,
        limits: ws::Limits,
        host: String,
        peer: IpAddr,
    ) -> Rc<Self> {
        Rc::new(Conn {
            stream: RefCell::new(Some(Rc::new(stream))),
            machine: RefCell::new(machine),
            decoder: RefCell::new(ws::Decoder::new(ws::Role::Server, limits)),
            carry: RefCell::new(carry),
            message_since: Cell::new(None),
            wire: RefCell::default(),
            session: RefCell::default(),
            dialect: Cell::new(Dialect::Stock),
            phase: Cell::new(Phase::Open),
            watch: Cell::new(0),
            watch_at: Cell::new(Ms::MAX),
            kick: Notify::new(),
            blocked_since: Cell::new(None),
            dirty: Cell::new(false),
            host,
            peer,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open && self.stream.borrow().is_some()
    }

    pub(crate) fn session(&self) -> Option<Rc<Session>> {
        self.session.borrow().upgrade()
    }

    pub(crate) fn attach(&self, session: &Rc<Session>) {
        *self.session.borrow_mut() = Rc::downgrade(session);
    }

    pub(crate) fn detach(&self) {
        *self.session.borrow_mut() = Weak::new();
    }

    /// Queues a text frame of this connection alone. False: too many wait already.
    pub(crate) fn say(&self, json: &str) -> bool {
        let mut frame = Vec::with_capacity(json.len() + 4);
        ws::encode::append_frame(&mut frame, ws::Opcode::Text, json.as_bytes());
        self.say_frame(frame.into())
    }

    /// Queues the answer to a heartbeat, unless one waits already: a burst of heartbeats needs one.
    pub(crate) fn acknowledge(&self) -> bool {
        let wire = &mut *self.wire.borrow_mut();
        let begun = usize::from(wire.begun == Some(Source::Control));
        if wire
            .control
            .iter()
            .skip(begun)
            .any(|frame| **frame == *HEARTBEAT_ACK)
        {
            return true;
        }
        wire.control.push_back(Bytes::from_static(HEARTBEAT_ACK));
        wire.control.len() <= CONTROL_FRAMES
    }

    /// The same for a whole frame.
    pub(crate) fn say_frame(&self, frame: Bytes) -> bool {
        let control = &mut self.wire.borrow_mut().control;
        if control.len() >= CONTROL_FRAMES {
            return false;
        }
        control.push_back(frame);
        true
    }

    /// Queues a close frame behind what already waits for this connection alone and wakes the task,
    /// which writes what the socket takes and ends it. What waits in the session stays there.
    pub(crate) fn close(&self, close: Close) {
        let code = ws::CloseCode::new(close.code(self.dialect.get()));
        self.close_with(match code {
            Some(code) => ws::encode::close(code, close.reason()),
            None => ws::encode::close_without_code(),
        });
    }

    pub(crate) fn close_with(&self, frame: ws::encode::ControlFrame) {
        if self.phase.replace(Phase::Closing) == Phase::Open {
            let control = &mut self.wire.borrow_mut().control;
            control.push_back(Bytes::copy_from_slice(&frame));
        }
        self.kick.notify_one();
    }

    /// Writes as much as the socket takes and notes since when it takes nothing. A thin line is not
    /// stuck as long as something moves.
    pub(crate) fn flush(&self, now: Ms, written: &mut dyn FnMut(usize)) -> Flushed {
        let mut moved = false;
        let flushed = self.write(&mut |frames| {
            moved = true;
            written(frames);
        });
        let blocked_since = match flushed {
            Flushed::Blocked if moved => Some(now),
            Flushed::Blocked => self.blocked_since.get().or(Some(now)),
            Flushed::All | Flushed::Broken => None,
        };
        self.blocked_since.set(blocked_since);
        flushed
    }

    /// Writes as much as the socket takes, in as few calls as possible.
    pub(crate) fn write(&self, written: &mut dyn FnMut(usize)) -> Flushed {
        let Some(stream) = self.stream.borrow().clone() else {
            return Flushed::Broken;
        };
        // A closing connection no longer speaks for its session.
        let session = if self.phase.get() == Phase::Open {
            self.session()
        } else {
            None
        };
        let mut wire = self.wire.borrow_mut();
        loop {
            let result = match &session {
                Some(session) => wire.write(&stream, Some(&mut session.ring.borrow_mut()), written),
                None => wire.write(&stream, None, written),
            };
            match result {
                Ok(true) => {}
                Ok(false) => return Flushed::All,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Broken,
            }
        }
    }
}

impl Wire {
    /// One write. False: there was nothing to write.
    fn write(
        &mut self,
        stream: &TcpStream,
        mut ring: Option<&mut Ring>,
        written: &mut dyn FnMut(usize),
    ) -> std::io::Result<bool> {
        if self.begun == Some(Source::Session) && ring.is_none() {
            // Half a session's frame is out and its session is gone: a close frame now would land
            // inside it. The peer sees the end of the stream instead.
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut heads = Vec::new();
        let plan = self.plan(ring.as_deref(), &mut heads);
        if plan.is_empty() {
            return Ok(false);
        }
        let mut slices = Vec::with_capacity(plan.len() * 2);
        let mut skip = self.offset;
        for frame in &plan {
            let head = heads.get(frame.head.clone()).unwrap_or_default();
            for part in [head, frame.body] {
                let (skipped, rest) = part.split_at(skip.min(part.len()));
                skip -= skipped.len();
                if !rest.is_empty() {
                    slices.push(IoSlice::new(rest));
                }
            }
        }
        let mut left = stream.try_write_vectored(&slices)?;
        let lengths: Vec<_> = plan
            .iter()
            .map(|f| (f.source, f.head.len() + f.body.len()))
            .collect();
        drop(slices);
        drop(plan);
        let mut frames = 0;
        for (source, length) in lengths {
            let missing = length - self.offset;
            if left < missing {
                self.offset += left;
                self.begun = (self.offset > 0).then_some(source);
                break;
            }
            left -= missing;
            self.offset = 0;
            self.begun = None;
            frames += 1;
            match (source, ring.as_deref_mut()) {
                (Source::Control, _) => drop(self.control.pop_front()),
                (Source::Session, Some(ring)) => ring.mark_written(),
                (Source::Session, None) => {}
            }
        }
        written(frames);
        Ok(true)
    }

    /// The frames of the next write, in order: the begun one, then control frames, then the
    /// session's.
    fn plan<'a>(&'a self, ring: Option<&'a Ring>, heads: &mut Vec<u8>) -> Vec<Frame<'a>> {
        let mut plan = Vec::new();
        let mut bytes = 0;
        let mut waiting = ring.into_iter().flat_map(Ring::waiting);
        let mut session_frame = |heads: &mut Vec<u8>| {
            let (s, body) = waiting.next()?;
            let from = heads.len();
            append_head(heads, s, body.len());
            Some(Frame {
                source: Source::Session,
                head: from..heads.len(),
                body: body.as_ref(),
            })
        };
        if self.begun == Some(Source::Session) {
            plan.extend(session_frame(heads));
        }
        for body in &self.control {
            plan.push(Frame {
                source: Source::Control,
                head: 0..0,
                body: body.as_ref(),
            });
        }
        while plan.len() < FRAMES_PER_WRITE && bytes < BYTES_PER_WRITE {
            let Some(frame) = session_frame(heads) else {
                break;
            };
            bytes += frame.body.len();
            plan.push(frame);
        }
        plan
    }
}

/// A frame of the next write.
struct Frame<'a> {
    source: Source,
    head: std::ops::Range<usize>,
    body: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn socket_is_stuck_only_while_nothing_moves() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, peer) = tokio::join!(listener.accept(), TcpStream::connect(address));
        let (stream, from) = accepted.unwrap();
        let mut peer = peer.unwrap();
        let machine = Machine::new(41_250, 0);
        let limits = ws::Limits::DEFAULT;
        let host = String::new();
        let conn = Conn::new(stream, Vec::new(), machine, limits, host, from.ip());
        let frame = Bytes::from(vec![0; 1 << 20]);
        let frames = 24;
        for _ in 0..frames {
            assert!(conn.say_frame(frame.clone()));
        }
        assert_eq!(conn.flush(1_000, &mut |_| {}), Flushed::Blocked);
        assert_eq!(conn.blocked_since.get(), Some(1_000));
        assert_eq!(conn.flush(2_000, &mut |_| {}), Flushed::Blocked);
        assert_eq!(conn.blocked_since.get(), Some(1_000), "nothing moved");
        let mut left = frames * frame.len();
        let mut now = 10_000;
        while left > 0 {
            left -= peer.read(&mut vec![0; 1 << 20]).await.unwrap();
            now += 1_000;
            let mut moved = false;
            match conn.flush(now, &mut |_| moved = true) {
                Flushed::Blocked if moved => assert_eq!(conn.blocked_since.get(), Some(now)),
                Flushed::Blocked => assert!(conn.blocked_since.get().is_some()),
                Flushed::All => assert_eq!(conn.blocked_since.get(), None),
                Flushed::Broken => panic!("the peer reads"),
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(conn.flush(now, &mut |_| {}), Flushed::All);
    }
}
