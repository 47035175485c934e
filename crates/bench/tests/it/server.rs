//! The routes and opcodes that the generator uses, from memory, on one thread.

use std::collections::{BTreeMap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use serde_json::{Value, json};
use ws::{CloseCode, Decoder, Event, Limits, Opcode, Role, encode, handshake};

use crate::accounts::{AccountFaults, Accounts};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);

/// Mistakes, each at every nth occasion.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) lose_delivery: Option<u64>,
    pub(crate) double_delivery: Option<u64>,
    /// Acknowledges a message and does not store it.
    pub(crate) forget_message: Option<u64>,
    /// Stores a message twice.
    pub(crate) store_twice: Option<u64>,
    pub(crate) throttle: Option<u64>,
    /// So many messages per sender and channel, then none for a minute.
    pub(crate) in_a_row: Option<u64>,
    /// Stores a message, then closes the connection instead of answering.
    pub(crate) hang_up: Option<u64>,
    /// Once so many have identified, closes every socket at its next heartbeat.
    pub(crate) drop_sockets: Option<u64>,
    /// Refuses IDENTIFY.
    pub(crate) refuse: bool,
    pub(crate) accounts: AccountFaults,
}

/// Ends with its thread when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "generator and server have to run at the same time"
    )]
    pub(crate) fn start(faults: Faults) -> Server {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut listener = TcpListener::bind(address).unwrap();
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut world = World {
            poll,
            listener,
            faults,
            connections: BTreeMap::new(),
            next_token: 2,
            last_id: 1_000,
            identified: 0,
            sent: HashMap::new(),
            messages: HashMap::new(),
            nonces: HashMap::new(),
            occasions: HashMap::new(),
            accounts: Accounts::default(),
        };
        let thread = std::thread::spawn(move || world.run());
        Server {
            url,
            waker,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.waker.wake().unwrap();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

enum Kind {
    Http,
    Socket { decoder: Decoder, s: Option<u64> },
}

struct Connection {
    stream: TcpStream,
    kind: Kind,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    closing: bool,
}

pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    query: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

struct World {
    poll: Poll,
    listener: TcpListener,
    faults: Faults,
    connections: BTreeMap<usize, Connection>,
    next_token: usize,
    last_id: u64,
    identified: u64,
    sent: HashMap<String, u64>,
    messages: HashMap<String, Vec<(u64, String)>>,
    nonces: HashMap<String, u64>,
    occasions: HashMap<&'static str, u64>,
    accounts: Accounts,
}

impl World {
    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            self.poll.poll(&mut events, None).unwrap();
            for event in &events {
                match event.token() {
                    WAKER => return,
                    LISTENER => self.accept(),
                    Token(index) => self.serve(index),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let index = self.next_token;
            self.next_token += 1;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut stream, Token(index), both)
                .unwrap();
            self.connections.insert(
                index,
                Connection {
                    stream,
                    kind: Kind::Http,
                    inbox: Vec::new(),
                    outbox: Vec::new(),
                    closing: false,
                },
            );
        }
    }

    fn serve(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        let mut buffer = [0; 16_384];
        loop {
            match connection.stream.read(&mut buffer) {
                Ok(0) => connection.closing = true,
                Ok(bytes) => {
                    connection.inbox.extend_from_slice(&buffer[..bytes]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => connection.closing = true,
            }
            break;
        }
        while self.one(index) {}
        self.flush(index);
    }

    /// Handles one request or frame; false when there is none.
    fn one(&mut self, index: usize) -> bool {
        let Some(connection) = self.connections.get_mut(&index) else {
            return false;
        };
        match &mut connection.kind {
            Kind::Http => {
                let Some(request) = take_request(&mut connection.inbox) else {
                    return false;
                };
                self.on_request(index, &request);
            }
            Kind::Socket { decoder, .. } => {
                let mut input = connection.inbox.as_mut_slice();
                let text = match decoder.decode(&mut input).unwrap() {
                    None => return false,
                    Some(Event::Text(text)) => text.into_owned(),
                    Some(_) => String::new(),
                };
                let left = input.len();
                let whole = connection.inbox.len();
                connection.inbox.drain(..whole - left);
                if !text.is_empty() {
                    self.on_frame(index, &serde_json::from_str(&text).unwrap());
                }
            }
        }
        true
    }

    fn on_request(&mut self, index: usize, request: &Request) {
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["gateway"]) => self.upgrade(index, request),
            (_, ["v1", ..]) | (_, [".well-known", ..]) => {
                let reply = self.accounts.answer(&self.faults.accounts, request);
                self.answer(index, reply.0, &reply.1);
            }
            ("POST", ["api", "v10", "channels", _, "invites"]) => {
                self.answer(index, 200, &json!({"code": "abc"}));
            }
            ("POST", ["api", "v10", "channels", channel, "messages"]) => {
                self.on_message(index, channel, request);
            }
            ("GET", ["api", "v10", "channels", channel, "messages"]) => {
                self.on_history(index, channel, &request.query);
            }
            ("GET", ["api", "v10", "users", "@me", "read-states"]) => self.on_states(index),
            ("POST" | "PUT" | "PATCH", ["api", "v10", ..]) => {
                let id = self.id().to_string();
                self.answer(index, 200, &json!({ "id": id }));
            }
            other => panic!("unexpected call {other:?}"),
        }
    }

    fn on_message(&mut self, index: usize, channel: &str, request: &Request) {
        let authorization = &header(request, "authorization");
        assert!(authorization.starts_with("Bearer eyJ"), "{authorization}");
        assert_eq!(request.body["enforce_nonce"], true);
        if self.due("throttle", self.faults.throttle) {
            return self.answer(index, 429, &json!({"retry_after": 0.01}));
        }
        let content = request.body["content"].as_str().unwrap().to_owned();
        let nonce = format!("{authorization} {channel} {}", request.body["nonce"]);
        if let Some(id) = self.nonces.get(&nonce) {
            let id = id.to_string();
            return self.answer(index, 200, &json!({"id": id, "content": content}));
        }
        let left = match self.left(authorization, channel) {
            Some(0) => return self.answer(index, 429, &json!({"retry_after": 60})),
            left => left.map(|left| left - 1),
        };
        let id = self.id();
        self.nonces.insert(nonce, id);
        let mut copies = vec![id];
        if self.due("forget", self.faults.forget_message) {
            copies.clear();
        }
        if self.due("twice", self.faults.store_twice) {
            copies.push(self.id());
        }
        let stored = self.messages.entry(channel.to_owned()).or_default();
        stored.extend(copies.into_iter().map(|id| (id, content.clone())));
        if self.due("hang up", self.faults.hang_up) {
            self.connections.get_mut(&index).unwrap().closing = true;
        } else {
            let body = json!({"id": id.to_string(), "content": content});
            self.limited_answer(index, left, &body);
        }
        self.deliver(&json!({"id": id.to_string(), "channel_id": channel, "content": content}));
    }

    fn deliver(&mut self, message: &Value) {
        let sockets: Vec<usize> = self.connections.keys().copied().collect();
        for index in sockets {
            let Some(Kind::Socket { s: Some(_), .. }) =
                self.connections.get(&index).map(|other| &other.kind)
            else {
                continue;
            };
            let mut copies = 1;
            if self.due("lose", self.faults.lose_delivery) {
                copies = 0;
            } else if self.due("double", self.faults.double_delivery) {
                copies = 2;
            }
            for _ in 0..copies {
                self.dispatch(index, "MESSAGE_CREATE", message);
            }
            self.flush(index);
        }
    }

    fn on_history(&mut self, index: usize, channel: &str, query: &str) {
        let before = query
            .split("before=")
            .nth(1)
            .map_or(u64::MAX, |id| id.parse().unwrap());
        let stored = self.messages.get(channel).cloned().unwrap_or_default();
        let mut page: Vec<_> = stored.into_iter().filter(|(id, _)| *id < before).collect();
        page.sort_unstable();
        page.reverse();
        page.truncate(if query.contains("limit=50") { 50 } else { 100 });
        let page: Vec<Value> = page
            .into_iter()
            .map(|(id, content)| json!({"id": id.to_string(), "content": content}))
            .collect();
        self.answer(index, 200, &Value::Array(page));
    }

    fn on_states(&mut self, index: usize) {
        let stored = self
            .messages
            .iter()
            .filter(|(_, stored)| !stored.is_empty());
        let items: Vec<Value> = stored
            .map(|(channel, stored)| json!({"channel_id": channel, "unread_count": stored.len()}))
            .collect();
        self.answer(index, 200, &json!({ "items": items }));
    }

    fn upgrade(&mut self, index: usize, request: &Request) {
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let accept = handshake::accept("GET", handshake::HttpVersion::Http11, headers).unwrap();
        let connection = self.connections.get_mut(&index).unwrap();
        let mut head = String::from("HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in accept.headers() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        connection.outbox.extend_from_slice(head.as_bytes());
        connection.outbox.extend_from_slice(b"\r\n");
        connection.kind = Kind::Socket {
            decoder: Decoder::new(Role::Server, Limits::DEFAULT),
            s: None,
        };
        // Short enough that a window of a test sees heartbeats.
        self.frame(index, &json!({"op": 10, "d": {"heartbeat_interval": 100}}));
    }

    fn on_frame(&mut self, index: usize, frame: &Value) {
        match frame["op"].as_u64().unwrap() {
            1 if self.faults.drop_sockets == Some(self.identified) => {
                self.connections.get_mut(&index).unwrap().closing = true;
            }
            1 => self.frame(index, &json!({"op": 11})),
            2 if self.faults.refuse => {
                let close = encode::close(CloseCode::new(4004).unwrap(), "bad token");
                let connection = self.connections.get_mut(&index).unwrap();
                connection.outbox.extend_from_slice(&close);
                connection.closing = true;
            }
            2 => {
                assert!(frame["d"]["token"].as_str().unwrap().starts_with("eyJ"));
                self.identified += 1;
                if let Some(connection) = self.connections.get_mut(&index)
                    && let Kind::Socket { s, .. } = &mut connection.kind
                {
                    *s = Some(0);
                }
                self.dispatch(index, "READY", &json!({"v": 10}));
                // Larger than one read of the generator.
                let filler = "x".repeat(70_000);
                self.dispatch(index, "GUILD_CREATE", &json!({"id": "1", "topic": filler}));
            }
            other => panic!("unexpected opcode {other}"),
        }
    }

    fn dispatch(&mut self, index: usize, name: &str, d: &Value) {
        let connection = self.connections.get_mut(&index).unwrap();
        let Kind::Socket { s: Some(s), .. } = &mut connection.kind else {
            return;
        };
        *s += 1;
        let text = format!(r#"{{"s":{s},"op":0,"t":"{name}","d":{d}}}"#);
        encode::append_frame(&mut connection.outbox, Opcode::Text, text.as_bytes());
    }

    fn frame(&mut self, index: usize, frame: &Value) {
        let connection = self.connections.get_mut(&index).unwrap();
        let text = frame.to_string();
        encode::append_frame(&mut connection.outbox, Opcode::Text, text.as_bytes());
    }

    fn answer(&mut self, index: usize, status: u16, body: &Value) {
        self.answer_with(index, status, "", body);
    }

    fn limited_answer(&mut self, index: usize, left: Option<u64>, body: &Value) {
        let headers = left.map_or_else(String::new, |left| {
            format!(
                "X-RateLimit-Limit: 5\r\nX-RateLimit-Remaining: {left}\r\n\
                 X-RateLimit-Reset-After: 300\r\n"
            )
        });
        self.answer_with(index, 200, &headers, body);
    }

    fn answer_with(&mut self, index: usize, status: u16, headers: &str, body: &Value) {
        let body = body.to_string();
        let connection = self.connections.get_mut(&index).unwrap();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
        connection.outbox.extend_from_slice(head.as_bytes());
        connection.outbox.extend_from_slice(body.as_bytes());
    }

    /// How many messages this sender may still send here; takes one.
    fn left(&mut self, sender: &str, channel: &str) -> Option<u64> {
        let in_a_row = self.faults.in_a_row?;
        let sent = self.sent.entry(format!("{sender} {channel}")).or_default();
        *sent += 1;
        Some((in_a_row + 1).saturating_sub(*sent))
    }

    fn flush(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(&index) else {
            return;
        };
        while !connection.outbox.is_empty() {
            match connection.stream.write(&connection.outbox) {
                Ok(bytes) => drop(connection.outbox.drain(..bytes)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    connection.closing = true;
                    break;
                }
            }
        }
        if connection.closing {
            self.connections.remove(&index);
        }
    }

    fn id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn due(&mut self, occasion: &'static str, every: Option<u64>) -> bool {
        let Some(every) = every else {
            return false;
        };
        let times = self.occasions.entry(occasion).or_default();
        *times += 1;
        times.is_multiple_of(every)
    }
}

pub(crate) fn header(request: &Request, name: &str) -> String {
    let found = request.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn take_request(inbox: &mut Vec<u8>) -> Option<Request> {
    let head_bytes = inbox.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(inbox[..head_bytes].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    let method = first.next().unwrap().to_owned();
    let path = first.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let end = head_bytes + 4 + length;
    let body = inbox.get(head_bytes + 4..end)?;
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    inbox.drain(..end);
    let (path, query) = path.split_once('?').unwrap_or((&path, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    Some(Request {
        method,
        path,
        query,
        headers,
        body,
    })
}
