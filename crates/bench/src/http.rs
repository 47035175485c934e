//! As much of HTTP/1.1 as a load generator needs: requests with a JSON body, answers with a length
//! or in chunks, and one blocking client for setting a scenario up.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::clock::Deadline;

/// Longest head of an answer.
const HEAD_MAX: usize = 64 * 1_024;
/// Longest body of an answer.
const BODY_MAX: usize = 16 * 1_024 * 1_024;
/// How long the blocking client waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long it waits in all when it is told to come back later.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The value of `Host`.
    pub(crate) host: String,
}

impl Target {
    /// Reads `http://host:port` or `ws://host:port`; a path is dropped. Names other than
    /// `localhost` are refused, and so is every address beyond this computer.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Target> {
        let Some(rest) = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("ws://"))
        else {
            bail!("{url}: expected http:// or ws:// (TLS is not spoken here)");
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let numeric = host.replace("localhost", "127.0.0.1");
        let address = numeric
            .parse::<SocketAddr>()
            .or_else(|_| numeric.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 80)))
            .with_context(|| format!("{url}: expected an address such as 127.0.0.1:3000"))?;
        if !address.ip().is_loopback() {
            bail!("{url}: only servers on this computer are measured");
        }
        Ok(Target {
            address,
            host: host.to_owned(),
        })
    }
}

/// A request, ready to be written. `authorization` is the whole header value.
pub(crate) fn request(
    target: &Target,
    method: &str,
    path: &str,
    authorization: Option<&str>,
    body: Option<&str>,
) -> Vec<u8> {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: meydan-bench\r\n",
        target.host
    );
    if let Some(value) = authorization {
        text.push_str("Authorization: ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    if let Some(body) = body {
        text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
    } else {
        // A POST without a length would be waited for.
        text.push_str("Content-Length: 0\r\n\r\n");
    }
    text.into_bytes()
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first value of a header, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// How long to wait before coming back; a second when the server does not say.
    pub(crate) fn retry_after(&self) -> Duration {
        let from_body = serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|body| body.get("retry_after").and_then(Value::as_f64));
        let seconds = from_body
            .or_else(|| {
                self.header("retry-after")
                    .and_then(|text| text.parse().ok())
            })
            .unwrap_or(1.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1))
    }

    /// How long the sender has to rest before its next call, when this one was the last of a row.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let figure = |name: &str| self.header(name)?.parse::<f64>().ok();
        if figure("x-ratelimit-remaining")? > 0.0 {
            return None;
        }
        // The bucket fills evenly: one call is free again after its share of the time.
        let share = figure("x-ratelimit-reset-after")? / figure("x-ratelimit-limit")?;
        Duration::try_from_secs_f64(share).ok()
    }

    /// Whether the server ends the connection after this.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The body as JSON; null when there is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Reads one answer from the beginning of `bytes`: the answer and how many bytes it took, or none
/// when it is not whole yet.
pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Response, usize)>> {
    let Some(head_bytes) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        if bytes.len() > HEAD_MAX {
            bail!("the head of the answer is longer than {HEAD_MAX} bytes");
        }
        return Ok(None);
    };
    let head = bytes.get(..head_bytes).unwrap_or_default();
    let head = std::str::from_utf8(head).context("the head of the answer is not text")?;
    let mut lines = head.split("\r\n");
    let status = status(lines.next().unwrap_or_default())?;
    let mut response = Response {
        status,
        headers: lines.filter_map(header).collect(),
        body: Vec::new(),
    };
    let start = head_bytes + 4;
    let rest = bytes.get(start..).unwrap_or_default();
    if status == 101 || status == 204 || status == 304 {
        return Ok(Some((response, start)));
    }
    if response
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        let Some((body, used)) = chunks(rest)? else {
            return Ok(None);
        };
        response.body = body;
        return Ok(Some((response, start + used)));
    }
    let length: usize = match response.header("content-length") {
        Some(text) => text
            .parse()
            .context("the answer's length is not a number")?,
        None => bail!("the answer has neither a length nor chunks"),
    };
    if length > BODY_MAX {
        bail!("the body of the answer is longer than {BODY_MAX} bytes");
    }
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    response.body = body.to_vec();
    Ok(Some((response, start + length)))
}

fn status(line: &str) -> anyhow::Result<u16> {
    line.strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .with_context(|| format!("not an answer in HTTP/1.1: {line:?}"))
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// A chunked body and how many bytes it took.
fn chunks(bytes: &[u8]) -> anyhow::Result<Option<(Vec<u8>, usize)>> {
    let mut body = Vec::new();
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        let Some(line_bytes) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(rest.get(..line_bytes).unwrap_or_default())
            .context("a chunk's length is not text")?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length =
            usize::from_str_radix(digits, 16).context("a chunk's length is not a number")?;
        if body.len().saturating_add(length) > BODY_MAX {
            bail!("the body of the answer is longer than {BODY_MAX} bytes");
        }
        let from = line_bytes + 2;
        let Some(chunk) = rest.get(from..from + length + 2) else {
            return Ok(None);
        };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
            bail!("a chunk does not end where it said");
        };
        used += from + length + 2;
        if length == 0 {
            return Ok(Some((body, used)));
        }
        body.extend_from_slice(chunk);
    }
}

/// A blocking client on one connection, for setting up and looking after.
#[derive(Debug)]
pub(crate) struct Client {
    target: Target,
    source: Option<Ipv4Addr>,
    stream: Option<TcpStream>,
}

impl Client {
    /// A client that connects at its first call.
    pub(crate) fn new(target: Target, source: Option<Ipv4Addr>) -> Self {
        Client {
            target,
            source,
            stream: None,
        }
    }

    /// Calls once, again after a while when told so (429, 503), and gives any other answer.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Response> {
        let body = body.map(Value::to_string);
        let bytes = request(&self.target, method, path, authorization, body.as_deref());
        let patience = Deadline::after(PATIENCE);
        loop {
            let response = self
                .exchange(&bytes)
                .with_context(|| format!("{method} {path} on {}", self.target.address))?;
            if response.status != 429 && response.status != 503 {
                return Ok(response);
            }
            let wait = response.retry_after();
            if patience.left(wait) < wait {
                return Ok(response);
            }
            std::thread::park_timeout(wait);
        }
    }

    /// A kept connection may have been closed meanwhile: then nothing was read, and one new
    /// connection is tried.
    fn exchange(&mut self, bytes: &[u8]) -> anyhow::Result<Response> {
        if let Some(mut stream) = self.stream.take()
            && let Ok(Some(response)) = converse(&mut stream, bytes)
        {
            self.keep(stream, &response);
            return Ok(response);
        }
        let mut stream = crate::wire::connect_blocking(self.target.address, self.source)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let Some(response) = converse(&mut stream, bytes)? else {
            bail!("the server closed the connection without an answer");
        };
        self.keep(stream, &response);
        Ok(response)
    }

    fn keep(&mut self, stream: TcpStream, response: &Response) {
        self.stream = (!response.closes()).then_some(stream);
    }
}

/// None: the connection ended before the first byte of an answer.
fn converse(stream: &mut TcpStream, bytes: &[u8]) -> anyhow::Result<Option<Response>> {
    match stream.write_all(bytes) {
        Ok(()) => {}
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    let mut got = Vec::new();
    let mut buffer = [0; 16 * 1_024];
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset && got.is_empty() => 0,
            Err(error) => return Err(error.into()),
        };
        if read == 0 {
            if got.is_empty() {
                return Ok(None);
            }
            bail!("the server closed the connection within an answer");
        }
        got.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if let Some((response, _)) = parse(&got)? {
            return Ok(Some(response));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> (Response, usize) {
        parse(bytes).unwrap().unwrap()
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let with_length = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Two: a:b\r\n\r\n{}".to_vec();
        let in_chunks = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n".to_vec();
        let without_body = b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n".to_vec();
        for (bytes, status, body) in [
            (with_length, 200, "{}"),
            (in_chunks, 201, "abcd"),
            (without_body, 204, ""),
        ] {
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut]).unwrap(), None, "cut at {cut}");
            }
            let (response, used) = whole(&bytes);
            assert_eq!((response.status, used), (status, bytes.len()));
            assert_eq!(String::from_utf8(response.body).unwrap(), body);
        }
    }

    #[test]
    fn an_answer_ends_where_the_next_begins() {
        let two = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
        let (first, used) = whole(two);
        assert_eq!(first.body, b"1");
        assert_eq!(whole(&two[used..]).0.status, 500);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [
            &b"SSH-2.0-x\r\n\r\n"[..],
            b"HTTP/1.1 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        ] {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(parse(&vec![b'x'; HEAD_MAX + 1]).is_err());
        assert_eq!(parse(&vec![b'x'; HEAD_MAX]).unwrap(), None);
    }

    #[test]
    fn the_wait_is_in_the_body_or_the_header() {
        let (response, _) =
            whole(b"HTTP/1.1 429 X\r\nRetry-After: 2\r\nContent-Length: 21\r\n\r\n{\"retry_after\": 0.25}");
        assert_eq!(response.retry_after(), Duration::from_millis(250));
        let (response, _) = whole(b"HTTP/1.1 429 X\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(response.retry_after(), Duration::from_secs(2));
        let (response, _) = whole(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(response.retry_after(), Duration::from_secs(1));
    }

    #[test]
    fn a_sender_rests_after_the_last_of_a_row() {
        let answer = |remaining: u32, limit: &str| {
            let text = format!(
                "HTTP/1.1 200 OK\r\nX-RateLimit-Limit: {limit}\r\nX-RateLimit-Remaining: {remaining}\r\n\
                 X-RateLimit-Reset-After: 5.000\r\nContent-Length: 0\r\n\r\n"
            );
            whole(text.as_bytes()).0.rest()
        };
        assert_eq!(answer(1, "5"), None);
        assert_eq!(answer(0, "5"), Some(Duration::from_secs(1)));
        assert_eq!(answer(0, "0"), None);
        assert_eq!(whole(b"HTTP/1.1 204 X\r\n\r\n").0.rest(), None);
    }

    #[test]
    fn targets_are_on_this_computer() {
        let target = Target::parse("http://127.0.0.1:3000").unwrap();
        assert_eq!(target.address, "127.0.0.1:3000".parse().unwrap());
        assert_eq!(
            Target::parse("ws://localhost:1/gateway?v=10").unwrap().host,
            "localhost:1"
        );
        assert_eq!(Target::parse("http://[::1]:5").unwrap().address.port(), 5);
        assert_eq!(
            Target::parse("http://127.0.0.1").unwrap().address.port(),
            80
        );
        for bad in [
            "127.0.0.1:3000",
            "https://127.0.0.1",
            "http://10.0.0.1:80",
            "http://a.test:1",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn requests_carry_what_a_server_asks_for() {
        let target = Target::parse("http://127.0.0.1:3000").unwrap();
        let bytes = request(&target, "POST", "/x", Some("Bot t"), Some("{}"));
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "POST /x HTTP/1.1\r\nHost: 127.0.0.1:3000\r\nUser-Agent: meydan-bench\r\n\
             Authorization: Bot t\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        );
    }
}
