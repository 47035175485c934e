//! All sockets of the generator in one epoll: gateway clients and REST connections.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use kernel::{Rng, SystemRng};
use mio::{Events, Poll, Token};

use crate::clock::{Deadline, now_ns};
use crate::gateway::{Gateway, Note, Phase, Traffic};
use crate::http::{Response, Target};
use crate::post::Post;

/// Connections that are being made at the same time: as many as a worker identifies at once.
const CONNECTING: usize = 64;
/// Tokens of REST connections begin here.
const FIRST_POST: usize = 1 << 20;
/// How often heartbeats are looked for.
const BEAT_SCAN_NS: u64 = 250_000_000;
const EVENTS: usize = 1_024;
/// One read takes at most this much.
const BUFFER: usize = 64 * 1_024;

/// What happened in a turn.
#[derive(Debug)]
pub(crate) enum Happening<'a> {
    /// A message with a marker reached a member.
    Message {
        member: usize,
        seq: u64,
        sent_ns: u64,
        at_ns: u64,
        bytes: usize,
    },
    /// A member is gone.
    Lost { member: usize, why: String },
    /// A REST call was answered.
    Answer { post: usize, response: &'a Response },
    /// A REST call could not be made, also not over new connections.
    Failed { post: usize, why: String },
}

/// The sockets.
pub(crate) struct Fleet {
    poll: Poll,
    events: Events,
    target: Target,
    sources: Vec<Ipv4Addr>,
    gateways: Vec<Gateway>,
    posts: Vec<Post>,
    buffer: Vec<u8>,
    pub(crate) traffic: Traffic,
    scan_at_ns: u64,
    ready: usize,
}

impl Fleet {
    /// No sockets yet. With several sources they take turns.
    pub(crate) fn new(target: Target, sources: Vec<Ipv4Addr>) -> anyhow::Result<Fleet> {
        Ok(Fleet {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS),
            target,
            sources,
            gateways: Vec::new(),
            posts: Vec::new(),
            buffer: vec![0; BUFFER],
            traffic: Traffic::default(),
            scan_at_ns: 0,
            ready: 0,
        })
    }

    /// Connects one client per token and waits until all are READY. Any loss is an error: a
    /// scenario with fewer sockets than it says measures something else.
    pub(crate) fn connect(&mut self, tokens: &[Rc<str>], within: Duration) -> anyhow::Result<()> {
        let deadline = Deadline::after(within);
        let mut lost = None;
        while self.ready < tokens.len() {
            while self.gateways.len() < self.ready + CONNECTING
                && let Some(token) = tokens.get(self.gateways.len())
            {
                self.open_gateway(Rc::clone(token))?;
            }
            self.turn(deadline.left(Duration::from_millis(50)), &mut |happening| {
                if let Happening::Lost { member, why } = happening {
                    lost = Some(format!("socket {member}: {why}"));
                }
            })?;
            if let Some(why) = lost {
                bail!("{why} ({} of {} were ready)", self.ready, tokens.len());
            }
            if deadline.passed() && self.ready < tokens.len() {
                bail!(
                    "only {} of {} sockets were ready in time",
                    self.ready,
                    tokens.len()
                );
            }
        }
        Ok(())
    }

    /// Opens REST connections.
    pub(crate) fn open_posts(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            let index = self.posts.len();
            let mut post = Post::open(&self.target, self.source(index))?;
            post.register(self.poll.registry(), Token(FIRST_POST + index))?;
            self.posts.push(post);
        }
        Ok(())
    }

    /// Sends a request over REST connection `post`.
    pub(crate) fn post(&mut self, post: usize, bytes: Vec<u8>) -> anyhow::Result<()> {
        let connection = self.posts.get_mut(post).context("no such connection")?;
        if connection.busy() {
            bail!("connection {post} still waits for an answer");
        }
        if connection.send(bytes).is_err() {
            // The server may have closed a kept connection; the call is sent again.
            self.reopen(post)?;
        }
        Ok(())
    }

    /// The server it talks to.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Waits at most `wait` and tells what came.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        tell: &mut dyn FnMut(Happening<'_>),
    ) -> anyhow::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(1));
        match self.poll.poll(&mut events, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("waiting for sockets"),
        }
        for event in &events {
            match event.token().0.checked_sub(FIRST_POST) {
                Some(post) => self.on_post(post, tell)?,
                None => self.on_gateway(event.token().0, tell),
            }
        }
        self.events = events;
        self.beat(tell);
        Ok(())
    }

    fn open_gateway(&mut self, token: Rc<str>) -> anyhow::Result<()> {
        let index = self.gateways.len();
        let mut random = [0; 16];
        SystemRng.fill(&mut random);
        let mut gateway = Gateway::open(&self.target, self.source(index), token, random)
            .with_context(|| format!("opening socket {index}"))?;
        gateway.register(self.poll.registry(), Token(index))?;
        self.gateways.push(gateway);
        Ok(())
    }

    fn source(&self, index: usize) -> Option<Ipv4Addr> {
        let turn = index.checked_rem(self.sources.len())?;
        self.sources.get(turn).copied()
    }

    fn on_gateway(&mut self, member: usize, tell: &mut dyn FnMut(Happening<'_>)) {
        let Some(gateway) = self.gateways.get_mut(member) else {
            return;
        };
        if gateway.phase() == Phase::Gone {
            return;
        }
        // One reading of the clock for all frames of this socket.
        let at_ns = now_ns();
        let ready = &mut self.ready;
        let moved =
            gateway.on_ready(
                at_ns,
                &mut self.buffer,
                &mut self.traffic,
                &mut |note| match note {
                    Note::Ready => *ready += 1,
                    Note::Message {
                        seq,
                        sent_ns,
                        bytes,
                    } => tell(Happening::Message {
                        member,
                        seq,
                        sent_ns,
                        at_ns,
                        bytes,
                    }),
                },
            );
        if let Err(error) = moved {
            gateway.give_up(self.poll.registry());
            let why = format!("{error:#}");
            tell(Happening::Lost { member, why });
        }
    }

    fn on_post(&mut self, post: usize, tell: &mut dyn FnMut(Happening<'_>)) -> anyhow::Result<()> {
        let Some(connection) = self.posts.get_mut(post) else {
            return Ok(());
        };
        match connection.on_ready(&mut self.buffer) {
            Ok(Some(response)) => {
                let closes = response.closes();
                tell(Happening::Answer {
                    post,
                    response: &response,
                });
                if closes {
                    self.reopen(post)?;
                }
            }
            Ok(None) => {}
            Err(error) => {
                let why = format!("{error:#}");
                if !self.reopen(post).unwrap_or(false) {
                    tell(Happening::Failed { post, why });
                }
            }
        }
        Ok(())
    }

    fn reopen(&mut self, post: usize) -> anyhow::Result<bool> {
        let source = self.source(post);
        let connection = self.posts.get_mut(post).context("no such connection")?;
        let token = Token(FIRST_POST + post);
        Ok(connection.reopen(&self.target, source, self.poll.registry(), token)?)
    }

    fn beat(&mut self, tell: &mut dyn FnMut(Happening<'_>)) {
        let now = now_ns();
        if now < self.scan_at_ns {
            return;
        }
        self.scan_at_ns = now.saturating_add(BEAT_SCAN_NS);
        for (member, gateway) in self.gateways.iter_mut().enumerate() {
            if let Err(error) = gateway.beat(now) {
                gateway.give_up(self.poll.registry());
                let why = error.to_string();
                tell(Happening::Lost { member, why });
            }
        }
    }
}
