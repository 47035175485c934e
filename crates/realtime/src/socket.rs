//! The task of a socket: it only moves bytes. Frames go to the connection's machine, and what the
//! machine says is carried out.

use std::io::ErrorKind;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::Duration;

use crate::close::Close;
use crate::conn::{Conn, Flushed, Phase};
use crate::machine::{Act, Machine, Ms};
use crate::node::{Fresh, Handed, Intake};
use crate::worker::Worker;

/// A whole message must have come within this time of its first byte.
pub(crate) const MESSAGE_WITHIN: Ms = 30_000;
/// How long a closed socket is read to its end, so that the close frame is not lost to a reset.
const LINGER: Duration = Duration::from_secs(2);

/// How reading ended.
enum Read {
    /// Nothing more for now.
    Dry,
    /// The peer is gone.
    Gone,
}

/// What a run over decoded frames came to.
enum Fed {
    Went,
    Ended,
}

impl Worker {
    /// Takes a socket in and starts its task.
    pub(crate) async fn admit(self: &Rc<Self>, intake: Intake) {
        match intake {
            Intake::Fresh(fresh) => {
                if let Some(conn) = self.open(fresh) {
                    self.spawn_socket(&conn);
                }
            }
            Intake::Handed(handed) => self.take_over(*handed),
            Intake::Restored(spilled) => self.restore(*spilled).await,
            // Whoever asked may have given up waiting.
            Intake::Fence(reached) => drop(reached.send(())),
        }
    }

    pub(crate) fn spawn_socket(self: &Rc<Self>, conn: &Rc<Conn>) {
        let task = Rc::clone(self).run_socket(Rc::clone(conn));
        runtime::spawn_local(&self.node.lifecycle, "realtime-socket", task);
    }

    /// Makes a connection of a fresh socket and says HELLO.
    fn open(self: &Rc<Self>, fresh: Fresh) -> Option<Rc<Conn>> {
        let stream = TcpStream::from_std(fresh.stream).ok()?;
        let interval = self.node.settings.heartbeat_ms();
        let machine = Machine::new(interval, self.now());
        let carry = fresh.first_bytes.to_vec();
        let conn = Conn::new(
            stream,
            carry,
            machine,
            self.node.limits(),
            fresh.host,
            fresh.peer,
        );
        self.enter(&conn);
        let hello = format!(
            r#"{{"op":10,"d":{{"heartbeat_interval":{interval},"max_frame":{},"server_time":{}}}}}"#,
            self.node.settings.max_frame,
            self.node.clock.now().as_millisecond(),
        );
        conn.say(&hello);
        if !fresh.version_ok {
            conn.close(Close::BadVersion);
        }
        self.mark_dirty(&conn);
        Some(conn)
    }

    fn enter(&self, conn: &Rc<Conn>) {
        self.conns.borrow_mut().push(Rc::downgrade(conn));
        self.count_socket(1);
        self.watch_conn(conn);
    }

    /// A socket whose RESUME came to another worker.
    fn take_over(self: &Rc<Self>, handed: Handed) {
        let Ok(stream) = TcpStream::from_std(handed.stream) else {
            return;
        };
        let mut machine = Machine::new(self.node.settings.heartbeat_ms(), self.now());
        // The machine of the other worker has read the RESUME already.
        machine.resuming();
        let limits = self.node.limits();
        let conn = Conn::new(
            stream,
            handed.carry,
            machine,
            limits,
            handed.host,
            handed.peer,
        );
        self.enter(&conn);
        self.begin_resume(&conn, handed.resume);
        self.spawn_socket(&conn);
    }

    async fn run_socket(self: Rc<Self>, conn: Rc<Conn>) {
        // What came with the upgrade, or was handed over, is decoded before the first read.
        if !conn.carry.borrow().is_empty() {
            self.read_more(&conn, 0);
        }
        while conn.is_open() {
            let Some(stream) = conn.stream.borrow().clone() else {
                break;
            };
            let blocked = conn.blocked_since.get().is_some();
            tokio::select! {
                ready = stream.readable() => {
                    drop(stream);
                    if ready.is_err() || matches!(self.read(&conn), Read::Gone) {
                        break;
                    }
                }
                ready = stream.writable(), if blocked => {
                    drop(stream);
                    if ready.is_err() {
                        break;
                    }
                    self.flush(&conn);
                }
                () = conn.kick.notified() => {}
            }
        }
        self.leave(&conn).await;
    }

    /// The socket ends; its session, if it still has one, may be resumed.
    async fn leave(&self, conn: &Rc<Conn>) {
        if let Some(session) = conn.session() {
            self.detach(&session, conn);
        }
        let closing = conn.phase.replace(Phase::Closing) == Phase::Closing;
        self.count_socket(-1);
        if closing {
            // The close frame and the end of the stream. A peer that does not read is cut off.
            let farewell = tokio::time::timeout(LINGER, say_farewell(conn)).await;
            if let Ok(Err(error)) = farewell {
                tracing::debug!(%error, "a closing socket was reset");
            }
        }
        *conn.stream.borrow_mut() = None;
    }

    /// Reads until the socket is dry, at most one buffer a turn so that others get theirs.
    fn read(self: &Rc<Self>, conn: &Rc<Conn>) -> Read {
        let Some(stream) = conn.stream.borrow().clone() else {
            return Read::Gone;
        };
        let kept = conn.carry.borrow().len();
        let result = {
            let mut buffer = self.read_buffer.borrow_mut();
            match buffer.get_mut(kept..) {
                Some(free) if !free.is_empty() => stream.try_read(free),
                _ => return Read::Gone,
            }
        };
        drop(stream);
        match result {
            Ok(0) => Read::Gone,
            Ok(read) => {
                self.read_more(conn, read);
                Read::Dry
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Read::Dry
            }
            Err(_) => Read::Gone,
        }
    }

    /// Decodes the carry and `read` new bytes that stand behind its place in the buffer.
    fn read_more(self: &Rc<Self>, conn: &Rc<Conn>, read: usize) {
        let carry = conn.carry.take();
        let mut buffer = self.read_buffer.borrow_mut();
        let Some(filled) = buffer.get_mut(..carry.len() + read) else {
            return self.end(conn, Close::Decode);
        };
        if let Some((front, _)) = filled.split_at_mut_checked(carry.len()) {
            front.copy_from_slice(&carry);
        }
        let mut input = filled;
        // A handed-over socket leaves its rest to the other worker, so the rest is put back before
        // acts run that may take it along.
        let mut decoder = conn
            .decoder
            .replace(ws::Decoder::new(ws::Role::Server, self.node.limits()));
        let fed = self.feed(conn, &mut decoder, &mut input);
        let in_progress = decoder.message_in_progress() || !input.is_empty();
        conn.decoder.replace(decoder);
        if matches!(fed, Fed::Ended) {
            return;
        }
        *conn.carry.borrow_mut() = input.to_vec();
        drop(buffer);
        let since = conn.message_since.get();
        conn.message_since
            .set(in_progress.then(|| since.unwrap_or_else(|| self.now())));
        if in_progress && since.is_none() {
            self.watch_conn(conn);
        }
    }

    /// Gives every whole message to the machine.
    fn feed(
        self: &Rc<Self>,
        conn: &Rc<Conn>,
        decoder: &mut ws::Decoder,
        input: &mut &mut [u8],
    ) -> Fed {
        let mut pong = None;
        let mut resume = None;
        let ended = loop {
            if !conn.is_open() {
                break true;
            }
            match decoder.decode(input) {
                Ok(None) => break false,
                Ok(Some(ws::Event::Text(text))) => {
                    let act = conn.machine.borrow_mut().on_text(&text, self.now());
                    if let Act::Resume(asked) = act {
                        // Later frames of this read belong to whoever owns the session.
                        resume = Some(asked);
                        break false;
                    }
                    self.carry_out(conn, act);
                }
                Ok(Some(ws::Event::Binary(_))) => {
                    self.end(conn, Close::Decode);
                }
                Ok(Some(ws::Event::Ping(payload))) => {
                    conn.machine.borrow_mut().on_life(self.now());
                    // Only the newest ping needs an answer (RFC 6455 §5.5.3), so they cannot pile up.
                    pong = ws::encode::pong(payload);
                }
                Ok(Some(ws::Event::Pong(_))) => conn.machine.borrow_mut().on_life(self.now()),
                Ok(Some(ws::Event::Close(said))) => {
                    self.on_close_frame(conn, said.map(|close| close.code));
                    break true;
                }
                Err(violation) => {
                    self.on_violation(conn, violation);
                    break true;
                }
            }
        };
        if let (false, Some(pong)) = (ended, pong) {
            self.say_frame(conn, Bytes::copy_from_slice(&pong));
        }
        if let Some(resume) = resume {
            let rest = input.to_vec();
            return self.route_resume(conn, resume, rest);
        }
        if ended { Fed::Ended } else { Fed::Went }
    }

    fn route_resume(
        self: &Rc<Self>,
        conn: &Rc<Conn>,
        resume: crate::command::Resume,
        rest: Vec<u8>,
    ) -> Fed {
        let owner = self.node.worker_of(&resume.session_id);
        if owner.is_none_or(|owner| owner == self.index) {
            self.begin_resume(conn, resume);
            *conn.carry.borrow_mut() = rest;
            // The rest is decoded with the next bytes, or at once when a frame is already whole.
            conn.message_since.set(None);
            self.redecode(conn);
            return Fed::Ended;
        }
        self.hand_over(conn, resume, rest, owner.unwrap_or(self.index));
        Fed::Ended
    }

    /// Decodes what stands in the carry, in a turn of its own: the shared buffer is in use now.
    fn redecode(self: &Rc<Self>, conn: &Rc<Conn>) {
        if conn.carry.borrow().is_empty() {
            return;
        }
        let worker = Rc::clone(self);
        let conn = Rc::clone(conn);
        runtime::spawn_local(&self.node.lifecycle, "realtime-redecode", async move {
            if conn.is_open() {
                worker.read_more(&conn, 0);
            }
        });
    }

    /// Gives the socket to the worker that owns the session.
    fn hand_over(
        &self,
        conn: &Rc<Conn>,
        resume: crate::command::Resume,
        carry: Vec<u8>,
        owner: usize,
    ) {
        conn.write(&mut |_| {});
        let stream = conn.stream.borrow_mut().take();
        conn.kick.notify_one();
        let stream = stream.map(Rc::try_unwrap).and_then(Result::ok);
        let Some(Ok(stream)) = stream.map(TcpStream::into_std) else {
            return;
        };
        let handed = Handed {
            stream,
            carry,
            resume,
            host: conn.host.clone(),
            peer: conn.peer,
        };
        // A full mailbox drops the socket: the client comes back.
        self.node.send(owner, Intake::Handed(Box::new(handed)));
    }

    fn carry_out(self: &Rc<Self>, conn: &Rc<Conn>, act: Act) {
        match act {
            Act::None | Act::Resume(_) => {}
            Act::Beat(acknowledged) => {
                if let (Some(s), Some(session)) = (acknowledged, conn.session()) {
                    session.ring.borrow_mut().acknowledge(s);
                }
                if !conn.acknowledge() {
                    return self.end(conn, Close::SlowConsumer);
                }
                self.mark_dirty(conn);
            }
            Act::Identify(identify) => self.begin_identify(conn, identify),
            Act::Wish(wish) => self.on_wish(conn, wish),
            Act::Members(request) => self.begin_members(conn, request),
            Act::Subscribe(community, subscription) => {
                self.on_subscribe(conn, community, subscription);
            }
            Act::Sync(from) => self.begin_sync(conn, from),
            Act::Receipts(cursors) => self.begin_receipts(conn, cursors),
            Act::Close(close) => self.end(conn, close),
        }
    }

    fn say_frame(&self, conn: &Rc<Conn>, frame: Bytes) {
        if !conn.say_frame(frame) {
            return self.end(conn, Close::SlowConsumer);
        }
        self.mark_dirty(conn);
    }

    fn on_close_frame(&self, conn: &Rc<Conn>, code: Option<ws::CloseCode>) {
        // 1000 and 1001 mean "I am done"; libraries that want to resume close with other codes.
        let done = matches!(code.map(ws::CloseCode::get), None | Some(1000 | 1001));
        if let Some(session) = conn.session() {
            self.detach(&session, conn);
            if done {
                self.forget(&session);
            }
        }
        conn.close_with(match code {
            Some(code) => ws::encode::close(code, ""),
            None => ws::encode::close_without_code(),
        });
    }

    fn on_violation(&self, conn: &Rc<Conn>, violation: ws::Violation) {
        let code = violation.close_code();
        if code == ws::CloseCode::TOO_BIG {
            return self.end(conn, Close::Decode);
        }
        if let Some(session) = conn.session() {
            self.detach(&session, conn);
        }
        conn.close_with(ws::encode::close(code, violation.reason()));
    }
}

/// Writes what waits for this connection alone, then ends the stream and reads it to its end, so
/// that the close frame is not lost to a reset.
async fn say_farewell(conn: &Conn) -> std::io::Result<()> {
    let Some(stream) = conn.stream.borrow().clone() else {
        return Ok(());
    };
    while conn.write(&mut |_| {}) == Flushed::Blocked {
        stream.writable().await?;
    }
    socket2::SockRef::from(&*stream).shutdown(std::net::Shutdown::Write)?;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut [0; 1024]) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
