//! A client of the gateway over a real socket, with nothing between a test and the frames.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long a test waits for a frame before it has failed.
const DEADLINE: Duration = Duration::from_secs(20);
/// Key of the client's mask; its value does not matter on loopback.
const MASK: [u8; 4] = [7, 11, 13, 17];

/// What came from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// A text frame, as JSON.
    Json(Value),
    /// A pong with this payload.
    Pong(Vec<u8>),
    /// A close frame with this code; 1005 without one.
    Closed(u16),
    /// The stream ended without a close frame.
    Gone,
}

/// A connected client.
pub struct Gateway {
    stream: TcpStream,
    decoder: ws::Decoder,
    buffer: Vec<u8>,
    /// The last `s` that came.
    pub last: Option<u64>,
}

impl Gateway {
    /// Connects and upgrades; does not wait for HELLO.
    pub async fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        let key = ws::handshake::client_key([9; 16]);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(DEADLINE, stream.read_u8()).await;
            head.push(byte.context("no answer to the upgrade")??);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if !head.starts_with("HTTP/1.1 101") {
            bail!("not upgraded: {head}");
        }
        let limits = ws::Limits {
            frame_bytes: 16 << 20,
            message_bytes: 16 << 20,
            fragments: 1_024,
        };
        let decoder = ws::Decoder::new(ws::Role::Client, limits);
        Ok(Gateway {
            stream,
            decoder,
            buffer: Vec::new(),
            last: None,
        })
    }

    /// Connects and reads HELLO.
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let mut gateway = Self::open(address, "/gateway?v=10&encoding=json").await?;
        let hello = gateway.json().await?;
        if hello.get("op") != Some(&json!(10)) {
            bail!("expected HELLO, got {hello}");
        }
        Ok(gateway)
    }

    /// Connects, identifies with `d` and reads READY.
    pub async fn identify(address: SocketAddr, d: Value) -> Result<(Self, Value)> {
        let mut gateway = Self::connect(address).await?;
        gateway.send(2, d).await?;
        let ready = gateway.expect("READY").await?;
        Ok((gateway, ready))
    }

    /// Connects and resumes; the next events are the missed ones and RESUMED.
    pub async fn resume(address: SocketAddr, token: &str, id: &str, seq: u64) -> Result<Self> {
        let mut gateway = Self::connect(address).await?;
        gateway
            .send(6, json!({"token": token, "session_id": id, "seq": seq}))
            .await?;
        Ok(gateway)
    }

    /// Sends a command.
    pub async fn send(&mut self, op: u8, d: Value) -> Result<()> {
        self.send_text(&json!({"op": op, "d": d}).to_string()).await
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        let mut frame = Vec::new();
        ws::encode::append_masked_frame(&mut frame, ws::Opcode::Text, text.as_bytes(), MASK);
        self.send_bytes(&frame).await
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .write_all(bytes)
            .await
            .context("send to the gateway")
    }

    /// Sends a close frame with this code.
    pub async fn close(&mut self, code: u16) -> Result<()> {
        let code = ws::CloseCode::new(code).context("a close code")?;
        let mut frame = Vec::new();
        let close = ws::encode::close(code, "");
        ws::encode::append_masked_frame(&mut frame, ws::Opcode::Close, close.payload(), MASK);
        self.send_bytes(&frame).await
    }

    /// The next frame of any kind.
    pub async fn frame(&mut self) -> Result<Frame> {
        loop {
            let mut input = self.buffer.as_mut_slice();
            let before = input.len();
            let decoded = self.decoder.decode(&mut input)?.map(|event| match event {
                ws::Event::Text(text) => serde_json::from_str(&text).map(Frame::Json),
                ws::Event::Pong(payload) => Ok(Frame::Pong(payload.to_vec())),
                ws::Event::Close(said) => {
                    Ok(Frame::Closed(said.map_or(1005, |close| close.code.get())))
                }
                ws::Event::Binary(_) | ws::Event::Ping(_) => Ok(Frame::Gone),
            });
            let used = before - input.len();
            self.buffer.drain(..used);
            if let Some(frame) = decoded {
                return frame.context("a text frame that is no JSON");
            }
            let mut more = vec![0; 16 * 1024];
            let read = tokio::time::timeout(DEADLINE, self.stream.read(&mut more)).await;
            match read.context("no frame came in time")? {
                Ok(0) | Err(_) => return Ok(Frame::Gone),
                Ok(read) => self
                    .buffer
                    .extend_from_slice(more.get(..read).unwrap_or_default()),
            }
        }
    }

    /// The next text frame.
    pub async fn json(&mut self) -> Result<Value> {
        match self.frame().await? {
            Frame::Json(value) => {
                self.last = value.get("s").and_then(Value::as_u64).or(self.last);
                Ok(value)
            }
            other => bail!("expected a text frame, got {other:?}"),
        }
    }

    /// The next text frame that is no presence: those come when they come.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            let frame = self.json().await?;
            if !is_presence(&frame) {
                return Ok(frame);
            }
        }
    }

    /// The next dispatch, skipping heartbeat answers and presences, which come when they come; fails
    /// when it bears another name.
    pub async fn expect(&mut self, name: &str) -> Result<Value> {
        loop {
            let frame = self.json().await?;
            let is_asked_for = frame.get("t") == Some(&json!(name));
            if is_ack(&frame) || (is_presence(&frame) && !is_asked_for) {
                continue;
            }
            if !is_asked_for {
                bail!("expected {name}, got {frame}");
            }
            return Ok(frame.get("d").cloned().unwrap_or_default());
        }
    }

    /// The next dispatch of this name, skipping whatever comes before it.
    pub async fn skip_to(&mut self, name: &str) -> Result<Value> {
        loop {
            let frame = self.json().await?;
            if frame.get("t") == Some(&json!(name)) {
                return Ok(frame.get("d").cloned().unwrap_or_default());
            }
        }
    }

    /// Proves that nothing but presences is on its way: a heartbeat is answered before any other
    /// dispatch comes.
    pub async fn expect_nothing(&mut self) -> Result<()> {
        self.send(1, json!(self.last)).await?;
        let frame = self.next().await?;
        if !is_ack(&frame) {
            bail!("expected nothing, got {frame}");
        }
        Ok(())
    }

    /// Reads to the close frame and gives its code.
    pub async fn closed(&mut self) -> Result<u16> {
        loop {
            match self.frame().await? {
                Frame::Closed(code) => return Ok(code),
                Frame::Gone => bail!("the stream ended without a close frame"),
                Frame::Json(_) | Frame::Pong(_) => {}
            }
        }
    }

    /// Cuts the connection without a word.
    pub fn cut(self) {
        drop(self);
    }
}

fn is_presence(frame: &Value) -> bool {
    frame.get("t") == Some(&json!("PRESENCE_UPDATE"))
}

fn is_ack(frame: &Value) -> bool {
    frame.get("op") == Some(&json!(11))
}
