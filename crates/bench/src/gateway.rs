//! One WebSocket client of the gateway: upgrade, HELLO, IDENTIFY, READY, heartbeats.

use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::{Context, bail};
use mio::{Interest, Registry, Token};
use serde::Deserialize;
use ws::{Decoder, Event, Limits, Opcode, Role};

use crate::http::{self, Target};
use crate::marker;
use crate::wire::{Got, Wire};

/// Server frames may be large: a community comes in one.
const FRAME_BYTES: usize = 8 * 1_024 * 1_024;
/// What the generator asks for: communities, messages in them, and what they say.
const INTENTS: u64 = 1 | 1 << 9 | 1 << 15;
/// Bytes in which the head of a dispatch names its event.
const HEAD_BYTES: usize = 64;

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Upgrading,
    /// Waits for HELLO.
    Greeting,
    /// Waits for READY.
    Identifying,
    Ready,
    Gone,
}

/// What a client tells its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// READY came.
    Ready,
    /// A message with a marker came in a frame of that size.
    Message {
        seq: u64,
        sent_ns: u64,
        bytes: usize,
    },
}

/// Frames and reads of all clients.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) frames: u64,
    pub(crate) reads: u64,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Gateway {
    wire: Wire,
    phase: Phase,
    decoder: Decoder,
    /// The beginning of an unfinished frame, or of the answer to the upgrade.
    carry: Vec<u8>,
    key: String,
    token: Rc<str>,
    last_s: Option<u64>,
    interval_ns: u64,
    beat_at_ns: u64,
    mask: u32,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    op: u8,
    #[serde(borrow, default)]
    t: Option<&'a str>,
    #[serde(default)]
    s: Option<u64>,
    #[serde(borrow, default)]
    d: Option<&'a serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval: u64,
}

impl Gateway {
    /// Begins to connect. `random` makes the key of the upgrade and the first mask.
    pub(crate) fn open(
        target: &Target,
        source: Option<Ipv4Addr>,
        token: Rc<str>,
        random: [u8; 16],
    ) -> io::Result<Gateway> {
        let mut wire = Wire::open(target.address, source)?;
        let key = ws::handshake::client_key(random);
        wire.send(
            format!(
                "GET /gateway?v=10&encoding=json HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: {}\r\nSec-WebSocket-Key: {key}\r\n\r\n",
                target.host,
                ws::handshake::VERSION,
            )
            .as_bytes(),
        )?;
        let [a, b, c, d, ..] = random;
        Ok(Gateway {
            wire,
            phase: Phase::Upgrading,
            decoder: decoder(),
            carry: Vec::new(),
            key,
            token,
            last_s: None,
            interval_ns: 0,
            beat_at_ns: u64::MAX,
            mask: u32::from_le_bytes([a, b, c, d]),
        })
    }

    /// Registers with the poll.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.wire.stream, token, both)
    }

    /// How far it has come.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes it out of use.
    pub(crate) fn give_up(&mut self, registry: &Registry) {
        // It may have been taken out before.
        drop(registry.deregister(&mut self.wire.stream));
        self.phase = Phase::Gone;
        self.carry = Vec::new();
    }

    /// Moves bytes and tells what came; an error says why the client is lost.
    pub(crate) fn on_ready(
        &mut self,
        now_ns: u64,
        buffer: &mut [u8],
        traffic: &mut Traffic,
        tell: &mut dyn FnMut(Note),
    ) -> anyhow::Result<()> {
        self.wire.flush()?;
        loop {
            let bytes = match self.wire.read(buffer)? {
                Got::Nothing => return Ok(()),
                Got::End => bail!("closed without a word"),
                Got::Bytes(bytes) => bytes,
            };
            traffic.reads += 1;
            let fresh = buffer.get_mut(..bytes).unwrap_or_default();
            if self.carry.is_empty() && self.phase != Phase::Upgrading {
                let kept = self.take(fresh, now_ns, traffic, tell)?;
                let from = bytes.saturating_sub(kept);
                self.carry = buffer.get(from..bytes).unwrap_or_default().to_vec();
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(fresh);
                let kept = self.take(&mut whole, now_ns, traffic, tell)?;
                whole.drain(..whole.len().saturating_sub(kept));
                self.carry = whole;
            }
        }
    }

    /// Sends a heartbeat when one is due; it also acknowledges all that came.
    pub(crate) fn beat(&mut self, now_ns: u64) -> io::Result<()> {
        if now_ns < self.beat_at_ns || self.phase == Phase::Gone {
            return Ok(());
        }
        self.beat_at_ns = now_ns.saturating_add(self.interval_ns);
        let text = match self.last_s {
            Some(s) => format!(r#"{{"op":1,"d":{s}}}"#),
            None => r#"{"op":1,"d":null}"#.to_owned(),
        };
        self.send(&text)
    }

    /// Reads what is whole in `input` and gives how many bytes at its end are not.
    fn take(
        &mut self,
        mut input: &mut [u8],
        now_ns: u64,
        traffic: &mut Traffic,
        tell: &mut dyn FnMut(Note),
    ) -> anyhow::Result<usize> {
        if self.phase == Phase::Upgrading {
            let Some((answer, used)) = http::parse(input)? else {
                return Ok(input.len());
            };
            let headers = answer
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes()));
            ws::handshake::check_answer(&self.key, answer.status, headers)
                .context("the upgrade was not answered with 101")?;
            self.phase = Phase::Greeting;
            self.key = String::new();
            input = input.get_mut(used..).unwrap_or_default();
        }
        // The decoder borrows the input, the reaction borrows the client: take the one out.
        let mut decoder = std::mem::replace(&mut self.decoder, decoder());
        loop {
            match decoder.decode(&mut input)? {
                None => break,
                Some(Event::Text(text)) => {
                    traffic.frames += 1;
                    self.on_text(&text, now_ns, tell)?;
                }
                Some(Event::Close(Some(close))) => {
                    bail!("closed with {}: {}", close.code.get(), close.reason)
                }
                Some(Event::Close(None)) => bail!("closed without a code"),
                Some(Event::Binary(_)) => bail!("a binary frame came"),
                Some(Event::Ping(_) | Event::Pong(_)) => {}
            }
        }
        self.decoder = decoder;
        Ok(input.len())
    }

    fn on_text(
        &mut self,
        text: &str,
        now_ns: u64,
        tell: &mut dyn FnMut(Note),
    ) -> anyhow::Result<()> {
        // The way of nearly all frames: no JSON is read.
        let bytes = text.as_bytes();
        let head = bytes.get(..HEAD_BYTES.min(bytes.len())).unwrap_or_default();
        if let Some(s) = marker::sequence(bytes)
            && contains(head, br#""t":"MESSAGE_CREATE""#)
        {
            self.last_s = Some(s);
            if let Some((seq, sent_ns)) = marker::find(bytes) {
                tell(Note::Message {
                    seq,
                    sent_ns,
                    bytes: bytes.len(),
                });
            }
            return Ok(());
        }
        let envelope: Envelope<'_> = serde_json::from_str(text).context("a frame is not JSON")?;
        if envelope.s.is_some() {
            self.last_s = envelope.s;
        }
        match envelope.op {
            0 => self.on_dispatch(&envelope, bytes, tell),
            1 => {
                self.beat_at_ns = 0;
                self.beat(now_ns)?;
            }
            7 => bail!("asked to reconnect"),
            9 => bail!("the session was refused (op 9)"),
            10 => {
                let raw = envelope.d.context("HELLO says nothing")?;
                let hello: Hello = serde_json::from_str(raw.get())?;
                self.interval_ns = hello.heartbeat_interval.saturating_mul(1_000_000);
                // Spread over the interval, so that thousands do not beat in one turn.
                let share = self.interval_ns / 64;
                let spread = share.saturating_mul(u64::from(self.mask % 64));
                self.beat_at_ns = now_ns.saturating_add(spread);
                self.phase = Phase::Identifying;
                let identify = serde_json::json!({"op": 2, "d": {"token": &*self.token,
                    "intents": INTENTS, "large_threshold": 50,
                    "properties": {"os": "linux", "browser": "bench", "device": "bench"}}});
                self.send(&identify.to_string())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_dispatch(&mut self, envelope: &Envelope<'_>, bytes: &[u8], tell: &mut dyn FnMut(Note)) {
        match envelope.t {
            Some("READY") => {
                self.phase = Phase::Ready;
                tell(Note::Ready);
            }
            // A server that orders its fields in another way.
            Some("MESSAGE_CREATE") => {
                if let Some((seq, sent_ns)) = marker::find(bytes) {
                    let bytes = bytes.len();
                    tell(Note::Message {
                        seq,
                        sent_ns,
                        bytes,
                    });
                }
            }
            _ => {}
        }
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        // The key only has to differ; nobody attacks a load generator through its own proxy.
        self.mask = self
            .mask
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let mut frame = Vec::new();
        let key = self.mask.to_le_bytes();
        ws::encode::append_masked_frame(&mut frame, Opcode::Text, text.as_bytes(), key);
        self.wire.send(&frame)
    }
}

fn decoder() -> Decoder {
    Decoder::new(
        Role::Client,
        Limits {
            frame_bytes: FRAME_BYTES,
            message_bytes: FRAME_BYTES,
            fragments: 64,
        },
    )
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
