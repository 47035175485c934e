//! One worker: an OS thread with its own single-threaded runtime, its sessions and their sockets.
//! All of a session lives on one worker, so nothing here is locked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use infra::fanout::{Follower, Topic};
use kernel::{CommunityId, DeviceId};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Duration, Instant};

use crate::close::Close;
use crate::conn::{Conn, Flushed};
use crate::machine::Ms;
use crate::node::{Intake, Node};
use crate::presence::outlet::Outlet;
use crate::rights::Rights;
use crate::ring::{Push, Tail};
use crate::session::{Session, SessionKey, Stage};
use crate::subscribe::Watched;
use crate::topics::{Change, Topics};
use crate::wheel::Wheel;

/// Bytes read at once, into the one buffer of all sockets of a worker; the begin of a frame stands
/// before them.
pub(crate) const READ_BUFFER: usize = 64 * 1024;
/// How long a socket may take no bytes before it counts as slow.
const STUCK_WRITE: Ms = 10_000;
/// How often the flusher lets others run.
const FLUSHES_PER_TURN: usize = 1_024;
/// How many records are given out before others run: far fewer than a socket's queue holds.
pub(crate) const RECORDS_PER_TURN: usize = 64;

/// What the wheel looks at; void when the number is not the newest of its owner.
enum Due {
    Conn(Weak<Conn>, u32),
    Session(Weak<Session>, u32),
}

/// See the module's text.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) node: Arc<Node>,
    pub(crate) sessions: RefCell<HashMap<String, Rc<Session>>>,
    pub(crate) devices: RefCell<HashMap<DeviceId, Vec<Weak<Session>>>>,
    pub(crate) topics: RefCell<Topics>,
    pub(crate) rights: RefCell<HashMap<CommunityId, Rights>>,
    pub(crate) conns: RefCell<Vec<Weak<Conn>>>,
    pub(crate) follower: Follower,
    /// Changes of the node's subscription, done in order by one task.
    subscriptions: mpsc::Sender<(Topic, Change)>,
    pub(crate) identifies: Rc<Semaphore>,
    pub(crate) resumes: Rc<Semaphore>,
    /// Rights that are fetched before they are needed.
    pub(crate) foresight: Semaphore,
    pub(crate) joining: Cell<usize>,
    pub(crate) read_buffer: RefCell<Vec<u8>>,
    /// What is still to be said of who is here, and who wakes it.
    pub(crate) outlet: RefCell<Outlet<Weak<Session>>>,
    pub(crate) wake_outlet: Notify,
    /// Communities whose member lists somebody looks at.
    pub(crate) watched: RefCell<HashMap<CommunityId, Watched>>,
    wheel: RefCell<Wheel<Due>>,
    dirty: RefCell<Vec<Rc<Conn>>>,
    wake_flusher: Notify,
    started: Instant,
    next_key: Cell<SessionKey>,
}

impl Worker {
    pub(crate) fn new(
        index: usize,
        node: Arc<Node>,
        follower: Follower,
        subscriptions: mpsc::Sender<(Topic, Change)>,
    ) -> Rc<Self> {
        let longest = READ_BUFFER.saturating_add(node.settings.max_frame);
        let share = node.settings.presence_per_second / node.workers.len().max(1);
        Rc::new(Worker {
            index,
            node,
            sessions: RefCell::default(),
            devices: RefCell::default(),
            topics: RefCell::default(),
            rights: RefCell::default(),
            conns: RefCell::default(),
            follower,
            subscriptions,
            identifies: Rc::new(Semaphore::new(64)),
            resumes: Rc::new(Semaphore::new(256)),
            foresight: Semaphore::new(8),
            joining: Cell::new(0),
            read_buffer: RefCell::new(vec![0; longest]),
            outlet: RefCell::new(Outlet::new(share)),
            wake_outlet: Notify::new(),
            watched: RefCell::default(),
            wheel: RefCell::new(Wheel::new(0)),
            dirty: RefCell::default(),
            wake_flusher: Notify::new(),
            started: Instant::now(),
            next_key: Cell::new(0),
        })
    }

    /// Milliseconds since the worker began.
    pub(crate) fn now(&self) -> Ms {
        Ms::try_from(self.started.elapsed().as_millis()).unwrap_or(Ms::MAX)
    }

    pub(crate) fn next_key(&self) -> SessionKey {
        self.next_key.set(self.next_key.get() + 1);
        self.next_key.get()
    }

    /// Takes sockets in until the node stops.
    pub(crate) async fn take_in(self: Rc<Self>, mut mailbox: mpsc::Receiver<Intake>) {
        while let Some(intake) = mailbox.recv().await {
            self.admit(intake).await;
        }
    }

    /// Brings records from the fanout to the sessions, until the node finishes; what was published
    /// by then is delivered first.
    pub(crate) async fn deliver(self: Rc<Self>, mut deliveries: infra::fanout::Deliveries) {
        loop {
            let first = tokio::select! {
                biased;
                next = deliveries.next() => next,
                () = self.node.finish.cancelled() => deliveries.try_next(),
            };
            let Some(first) = first else { return };
            self.on_delivery(first);
            for _ in 0..RECORDS_PER_TURN {
                let Some(next) = deliveries.try_next() else {
                    break;
                };
                self.on_delivery(next);
            }
            for topic in deliveries.take_gaps() {
                self.on_gap(topic);
            }
            // Sockets get their turn between batches of records.
            tokio::task::yield_now().await;
        }
    }

    /// Subscribes and unsubscribes the node, one change after the other.
    pub(crate) async fn subscribe(self: Rc<Self>, mut changes: mpsc::Receiver<(Topic, Change)>) {
        while let Some((topic, change)) = changes.recv().await {
            match change {
                Change::None => {}
                // A topic that has followers again was followed again in the meantime.
                Change::First | Change::Last if self.is_followed(topic) => {
                    if let Err(error) = self.follower.follow(&[topic]).await {
                        tracing::error!(%error, topic = %topic, "the fanout refused a topic");
                        self.on_gap(topic);
                    }
                }
                Change::First | Change::Last => self.follower.unfollow(&[topic]).await,
            }
        }
    }

    fn is_followed(&self, topic: Topic) -> bool {
        topic == Topic::Revoked || !self.topics.borrow().followers(topic).is_empty()
    }

    /// Lets a session follow a topic and waits until the node is subscribed.
    pub(crate) async fn follow(
        &self,
        session: &Rc<Session>,
        topics: &[(Topic, i32)],
    ) -> Result<(), Close> {
        for (topic, class) in topics {
            self.topics.borrow_mut().add(*topic, session, *class);
        }
        let names: Vec<_> = topics.iter().map(|(topic, _)| *topic).collect();
        self.follower.follow(&names).await.or(Err(Close::TryAgain))
    }

    /// The same without waiting, for topics that announce themselves.
    pub(crate) fn follow_soon(&self, session: &Rc<Session>, topic: Topic, class: i32) {
        let change = self.topics.borrow_mut().add(topic, session, class);
        self.change_subscription(topic, change);
    }

    pub(crate) fn unfollow(&self, session: &Session, topic: Topic) {
        let change = self.topics.borrow_mut().remove(topic, session.key);
        if change == Change::Last
            && let Topic::Community(community) = topic
        {
            self.rights.borrow_mut().remove(&community);
        }
        self.change_subscription(topic, change);
    }

    fn change_subscription(&self, topic: Topic, change: Change) {
        if change == Change::None {
            return;
        }
        // The queue is as long as a mailbox may have topics; beyond it the fanout would refuse too.
        if self.subscriptions.try_send((topic, change)).is_err() && change == Change::First {
            self.on_gap(topic);
        }
    }

    /// Puts an event into a session's ring and its socket on the list of those to flush.
    pub(crate) fn push(&self, session: &Session, tail: Rc<Tail>) {
        if !matches!(*session.stage.borrow(), Stage::Live) {
            return self.owe(session, &tail);
        }
        let Some(conn) = session.conn() else {
            self.owe(session, &tail);
            return session.ring.borrow_mut().push_detached(tail);
        };
        let pushed = session.ring.borrow_mut().push(Rc::clone(&tail));
        if pushed == Push::Late {
            return self.owe(session, &tail);
        }
        if pushed == Push::Overflow {
            // The flusher may not have come round yet: slow is only who does not take it now.
            self.flush(&conn);
            if session.ring.borrow().is_over() {
                metrics::counter!("meydan_realtime_slow_consumer_disconnects_total").increment(1);
                return self.end(&conn, Close::SlowConsumer);
            }
        }
        self.mark_dirty(&conn);
    }

    pub(crate) fn mark_dirty(&self, conn: &Rc<Conn>) {
        if conn.blocked_since.get().is_none() && !conn.dirty.replace(true) {
            self.dirty.borrow_mut().push(Rc::clone(conn));
            self.wake_flusher.notify_one();
        }
    }

    /// Writes what sessions have, after everything readable was read: under load each write carries
    /// many frames, on an idle node a write follows its event at once.
    pub(crate) async fn flush_dirty(self: Rc<Self>) {
        loop {
            self.wake_flusher.notified().await;
            tokio::task::yield_now().await;
            let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
            for (index, conn) in dirty.into_iter().enumerate() {
                conn.dirty.set(false);
                self.flush(&conn);
                if index % FLUSHES_PER_TURN == FLUSHES_PER_TURN - 1 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Writes what a connection has; its task waits for the socket when it takes no more.
    pub(crate) fn flush(&self, conn: &Rc<Conn>) {
        let mut written = |frames: usize| {
            let frames = u32::try_from(frames).unwrap_or(u32::MAX);
            metrics::histogram!("meydan_realtime_frames_per_write").record(f64::from(frames));
        };
        let was_blocked = conn.blocked_since.get().is_some();
        match conn.flush(self.now(), &mut written) {
            Flushed::All => {}
            Flushed::Blocked => {
                if !was_blocked {
                    self.watch_conn(conn);
                }
                conn.kick.notify_one();
            }
            Flushed::Broken => {
                *conn.stream.borrow_mut() = None;
                conn.kick.notify_one();
            }
        }
        if let Some(session) = conn.session() {
            session.drained.notify_waiters();
            self.pay_owed(&session);
        }
    }

    /// Looks at a connection at the earliest of its deadlines.
    pub(crate) fn watch_conn(&self, conn: &Rc<Conn>) {
        let stuck = conn.blocked_since.get().map(|since| since + STUCK_WRITE);
        let message = conn
            .message_since
            .get()
            .map(|since| since + crate::socket::MESSAGE_WITHIN);
        let deadline = conn.machine.borrow().deadline();
        let next = [stuck, message]
            .into_iter()
            .flatten()
            .fold(deadline, Ms::min);
        // An earlier look sees to it; a peer must not be able to fill the wheel.
        if next >= conn.watch_at.replace(next.min(conn.watch_at.get())) {
            return;
        }
        conn.watch.set(conn.watch.get().wrapping_add(1));
        let due = Due::Conn(Rc::downgrade(conn), conn.watch.get());
        self.wheel.borrow_mut().insert(due, next);
    }

    /// Looks at a session when its time without a socket is over, or its device is to be checked.
    pub(crate) fn watch_session(&self, session: &Rc<Session>) {
        let gone = session.conn().is_none().then(|| self.gone_at(session));
        let wish = session.wishes.borrow().due();
        let times = [gone, session.recheck_at.get(), wish];
        let Some(next) = times.into_iter().flatten().min() else {
            return;
        };
        session.watch.set(session.watch.get().wrapping_add(1));
        let due = Due::Session(Rc::downgrade(session), session.watch.get());
        self.wheel.borrow_mut().insert(due, next);
    }

    fn gone_at(&self, session: &Session) -> Ms {
        let keep = self.node.settings.keep_detached.as_millis();
        session
            .detached_at
            .get()
            .saturating_add(Ms::try_from(keep).unwrap_or(Ms::MAX))
    }

    /// Looks at deadlines once a second.
    pub(crate) async fn keep_time(self: Rc<Self>) {
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        loop {
            interval.tick().await;
            let now = self.now();
            let due = self.wheel.borrow_mut().turn(now);
            for entry in due {
                match entry {
                    Due::Conn(conn, watch) => {
                        let conn = conn.upgrade().filter(|conn| conn.watch.get() == watch);
                        conn.into_iter()
                            .for_each(|conn| self.look_at_conn(&conn, now));
                    }
                    Due::Session(session, watch) => {
                        let session = session.upgrade().filter(|s| s.watch.get() == watch);
                        session
                            .into_iter()
                            .for_each(|s| self.look_at_session(&s, now));
                    }
                }
            }
            self.conns
                .borrow_mut()
                .retain(|conn| conn.strong_count() > 0);
        }
    }

    fn look_at_conn(&self, conn: &Rc<Conn>, now: Ms) {
        if !conn.is_open() {
            return;
        }
        conn.watch_at.set(Ms::MAX);
        let is_over = |since: Option<Ms>, within| since.is_some_and(|since| now >= since + within);
        if is_over(conn.blocked_since.get(), STUCK_WRITE) {
            metrics::counter!("meydan_realtime_slow_consumer_disconnects_total").increment(1);
            return self.end(conn, Close::SlowConsumer);
        }
        let timed_out = conn.machine.borrow().on_tick(now).is_some();
        if timed_out || is_over(conn.message_since.get(), crate::socket::MESSAGE_WITHIN) {
            return self.end(conn, Close::TimedOut);
        }
        self.watch_conn(conn);
    }

    fn look_at_session(self: &Rc<Self>, session: &Rc<Session>, now: Ms) {
        if matches!(*session.stage.borrow(), Stage::Ended) {
            return;
        }
        if session.conn().is_none() && now >= self.gone_at(session) {
            return self.forget(session);
        }
        if session.recheck_at.get().is_some_and(|at| now >= at) {
            self.recheck(session);
        }
        if session.wishes.borrow().due().is_some_and(|at| now >= at) {
            // Looks for the next deadline too.
            return self.look_at_wishes(session);
        }
        self.watch_session(session);
    }

    /// Ends a connection for a reason of ours; the session stays or goes as the reason says.
    pub(crate) fn end(&self, conn: &Rc<Conn>, close: Close) {
        if !conn.is_open() {
            return;
        }
        let session = conn.session();
        conn.close(close);
        if let Some(session) = session {
            self.detach(&session, conn);
            if !close.keeps_session() {
                self.forget(&session);
            }
        }
    }

    /// The session goes on without a socket for a while.
    pub(crate) fn detach(&self, session: &Rc<Session>, conn: &Rc<Conn>) {
        let is_current = session
            .conn()
            .is_some_and(|current| Rc::ptr_eq(&current, conn));
        conn.detach();
        if !is_current {
            return;
        }
        *session.conn.borrow_mut() = None;
        session.drained.notify_waiters();
        session.ring.borrow_mut().detach();
        session.detached_at.set(self.now());
        self.node.release_socket(session.profile.user);
        self.hide_self(session);
        self.watch_session(session);
    }

    /// The session is over: nothing can resume it.
    pub(crate) fn forget(&self, session: &Rc<Session>) {
        *session.stage.borrow_mut() = Stage::Ended;
        if let Some(conn) = session.conn.borrow_mut().take() {
            conn.detach();
            session.drained.notify_waiters();
            self.node.release_socket(session.profile.user);
        }
        self.hide_self(session);
        self.sessions.borrow_mut().remove(&session.profile.id);
        if let Some(device) = session.profile.device {
            let mut devices = self.devices.borrow_mut();
            if let Some(list) = devices.get_mut(&device) {
                list.retain(|other| other.upgrade().is_some_and(|o| o.key != session.key));
                if list.is_empty() {
                    devices.remove(&device);
                }
            }
        }
        self.unfollow(session, Topic::User(session.profile.user));
        for (community, _) in session.communities.take() {
            self.unfollow(session, Topic::Community(community));
        }
        for channel in session.channels.take() {
            self.unfollow(session, Topic::Channel(channel));
        }
    }

    /// Enters a session into the worker's indexes.
    pub(crate) fn register(&self, session: &Rc<Session>) {
        let id = session.profile.id.clone();
        self.sessions.borrow_mut().insert(id, Rc::clone(session));
        if let Some(device) = session.profile.device {
            let weak = Rc::downgrade(session);
            self.devices
                .borrow_mut()
                .entry(device)
                .or_default()
                .push(weak);
        }
    }

    pub(crate) fn count_socket(&self, by: isize) {
        let Some(handle) = self.node.workers.get(self.index) else {
            return;
        };
        if by > 0 {
            handle.sockets.fetch_add(1, Relaxed);
            metrics::gauge!("meydan_realtime_connections", "transport" => "gateway").increment(1.0);
        } else {
            handle.sockets.fetch_sub(1, Relaxed);
            metrics::gauge!("meydan_realtime_connections", "transport" => "gateway").decrement(1.0);
        }
    }
}
