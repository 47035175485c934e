//! One TCP connection that never blocks: what is to be written, and reads into a shared buffer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use socket2::{Domain, Protocol, Socket, Type};

/// How long a blocking connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// That many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The other end is done.
    End,
}

/// A connection and what waits to be written to it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pending: Vec<u8>,
    connected: bool,
}

impl Wire {
    /// Begins to connect.
    pub(crate) fn open(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<Wire> {
        let socket = socket(target, source)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&target.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(Wire {
            stream: TcpStream::from_std(socket.into()),
            pending: Vec::new(),
            connected: false,
        })
    }

    /// Writes `bytes`, now as far as the socket takes them and the rest when it is writable.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pending.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what waits. To be called when the socket became writable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.connected {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            match self.stream.peer_addr() {
                Ok(_) => self.connected = true,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let mut written = 0;
        while let Some(rest) = self.pending.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if written == self.pending.len() {
            // Thousands of idle sockets hold nothing.
            self.pending = Vec::new();
        } else {
            self.pending.drain(..written);
        }
        Ok(())
    }

    /// Reads once.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<Got> {
        loop {
            return match self.stream.read(into) {
                Ok(0) => Ok(Got::End),
                Ok(bytes) => Ok(Got::Bytes(bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Got::Nothing),
                Err(error) if error.kind() == ErrorKind::NotConnected => Ok(Got::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }
}

/// A connected socket that blocks.
pub(crate) fn connect_blocking(
    target: SocketAddr,
    source: Option<Ipv4Addr>,
) -> io::Result<std::net::TcpStream> {
    let socket = socket(target, source)?;
    socket.connect_timeout(&target.into(), CONNECT_WITHIN)?;
    Ok(socket.into())
}

fn socket(target: SocketAddr, source: Option<Ipv4Addr>) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(target),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        // Without this every bound socket takes a port of its own, whoever it talks to.
        setsockopt(&socket, IpBindAddressNoPort, &true)?;
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    Ok(socket)
}
