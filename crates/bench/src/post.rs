//! A keep-alive connection for REST calls, one at a time.

use std::io;
use std::net::Ipv4Addr;

use mio::{Interest, Registry, Token};

use crate::http::{self, Response, Target};
use crate::wire::{Got, Wire};

/// How often one call is sent again over a new connection.
const RETRIES: u32 = 3;

/// A call that was sent and not answered.
#[derive(Debug)]
struct Call {
    bytes: Vec<u8>,
    retries: u32,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Post {
    wire: Wire,
    inbox: Vec<u8>,
    call: Option<Call>,
}

impl Post {
    /// Begins to connect.
    pub(crate) fn open(target: &Target, source: Option<Ipv4Addr>) -> io::Result<Post> {
        Ok(Post {
            wire: Wire::open(target.address, source)?,
            inbox: Vec::new(),
            call: None,
        })
    }

    /// Registers with the poll.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut self.wire.stream, token, both)
    }

    /// Sends a request. The one before must have been answered.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let sent = self.wire.send(&bytes);
        self.call = Some(Call { bytes, retries: 0 });
        sent
    }

    /// Whether a call waits for its answer.
    pub(crate) fn busy(&self) -> bool {
        self.call.is_some()
    }

    /// Moves bytes; gives the answer when it is whole. An error means that the connection is of no
    /// more use; see [`Post::reopen`].
    pub(crate) fn on_ready(&mut self, buffer: &mut [u8]) -> anyhow::Result<Option<Response>> {
        self.wire.flush()?;
        loop {
            match self.wire.read(buffer)? {
                Got::Nothing => break,
                Got::End => anyhow::bail!("closed by the server"),
                Got::Bytes(bytes) => {
                    self.inbox
                        .extend_from_slice(buffer.get(..bytes).unwrap_or_default());
                }
            }
        }
        let Some((response, used)) = http::parse(&self.inbox)? else {
            return Ok(None);
        };
        self.inbox.drain(..used);
        self.call = None;
        Ok(Some(response))
    }

    /// Connects anew and sends an unanswered call again: all calls carry a nonce, so the server
    /// does nothing twice. False when that was tried often enough.
    pub(crate) fn reopen(
        &mut self,
        target: &Target,
        source: Option<Ipv4Addr>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<bool> {
        // The stream may never have been registered; dropping it is enough then.
        drop(registry.deregister(&mut self.wire.stream));
        self.wire = Wire::open(target.address, source)?;
        self.inbox.clear();
        self.register(registry, token)?;
        let Some(call) = self.call.as_mut() else {
            return Ok(true);
        };
        call.retries += 1;
        if call.retries > RETRIES {
            return Ok(false);
        }
        self.wire.send(&call.bytes).map(|()| true)
    }
}
