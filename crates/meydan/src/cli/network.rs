//! Looking at this computer's network: addresses, who holds a port, asking a node over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;

use super::exit::{Exit, Fail};

/// The answer of a node is small; more is somebody else on that port.
const ANSWER_BYTES: usize = 1024 * 1024;

/// The addresses of this computer that others may reach.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let mut list: Vec<IpAddr> = interfaces
        .filter_map(|interface| interface.address)
        .filter_map(|address| {
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|address| match address {
            IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
            IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
        })
        .collect();
    list.sort();
    list.dedup();
    list
}

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) program: String,
}

/// Finds who listens on a TCP port; only what `/proc` shows to this user.
pub(crate) fn holder_of(port: u16) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| listening_inodes(&text, port))
        .collect();
    let entries = std::fs::read_dir("/proc").ok()?;
    for entry in entries.filter_map(Result::ok) {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(descriptors) = std::fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let holds = descriptors
            .filter_map(Result::ok)
            .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
            .filter_map(|target| target.to_str().map(str::to_owned))
            .any(|target| {
                inodes
                    .iter()
                    .any(|inode| target == format!("socket:[{inode}]"))
            });
        if holds {
            let program = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(Holder {
                pid,
                program: program.trim().to_owned(),
            });
        }
    }
    None
}

/// Inodes of sockets that listen on the port, from the table of `/proc/net/tcp`.
fn listening_inodes(table: &str, port: u16) -> Vec<String> {
    const LISTEN: &str = "0A";
    let ending = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1)?;
            let state = fields.get(3)?;
            let inode = fields.get(9)?;
            (local.ends_with(&ending) && *state == LISTEN).then(|| (*inode).to_owned())
        })
        .collect()
}

/// Says what is wrong with a port that could not be bound, and what to do: the setting that chooses
/// another one.
pub(crate) fn port_in_use(address: SocketAddr, setting: &str) -> Fail {
    let by = holder_of(address.port())
        .map(|holder| format!(" by {} (pid {})", holder.program, holder.pid))
        .unwrap_or_default();
    let next = if address.port() == u16::MAX {
        address.port() - 1
    } else {
        address.port() + 1
    };
    let choice = match setting {
        "http.port" => format!("--port {next}"),
        "http.ops_listen" | "internal.bind" => {
            format!("--set {setting}={}", SocketAddr::new(address.ip(), next))
        }
        _ => format!("--set {setting}={next}"),
    };
    Fail::new(Exit::Conflict, format!("{address} is already in use{by}"))
        .hint(format!("meydan up {choice}"))
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks `GET path` of a plain HTTP server, all within `limit`.
pub(crate) async fn get(base: &str, path: &str, limit: Duration) -> Result<Answer, Fail> {
    match tokio::time::timeout(limit, ask(base, path)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(Fail::new(
            Exit::Missing,
            format!("no answer from {base}{path} within {} s", limit.as_secs()),
        )),
    }
}

async fn ask(base: &str, path: &str) -> Result<Answer, Fail> {
    let unreachable = |error: &(dyn std::error::Error + 'static)| {
        Fail::caused(Exit::Missing, &format!("asking {base}{path}"), error)
    };
    let uri: http::Uri = base.parse().map_err(|error: http::uri::InvalidUri| {
        Fail::caused(
            Exit::Usage,
            &format!("reading the address {base:?}"),
            &error,
        )
    })?;
    if uri.scheme_str() != Some("http") {
        return Err(Fail::new(
            Exit::Usage,
            format!("{base}: only http:// addresses can be asked"),
        ));
    }
    let host = uri.host().unwrap_or("127.0.0.1");
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let stream = tokio::net::TcpStream::connect((bare, port))
        .await
        .map_err(|error| unreachable(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(&error))?;
    let request = http::Request::get(path)
        .header(http::header::HOST, format!("{host}:{port}"))
        .header(http::header::CONNECTION, "close")
        .body(Body::empty())
        .map_err(|error| unreachable(&error))?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| unreachable(&*error))?
            .to_bytes();
        Ok(Answer {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    // The connection must be driven while the answer is awaited; it may end first or last.
    tokio::pin!(exchange);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        _ended = &mut connection => exchange.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_found_in_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
            1: 0100007F:0BB8 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
            2: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(listening_inodes(table, 3000), ["4711"]);
        assert_eq!(listening_inodes(table, 3002), Vec::<String>::new());
    }

    #[test]
    fn the_holder_of_a_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let holder = holder_of(address.port()).unwrap();
        assert_eq!(holder.pid, std::process::id());
        let fail = port_in_use(address, "http.port");
        assert!(
            fail.message.contains(&format!("pid {}", holder.pid)),
            "{fail}"
        );
        assert!(fail.hint.unwrap().starts_with("meydan up --port "));
        let hint = |setting| port_in_use(address, setting).hint.unwrap();
        assert!(hint("grpc.port").starts_with("meydan up --set grpc.port="));
        assert!(hint("http.ops_listen").starts_with("meydan up --set http.ops_listen=127.0.0.1:"));
        drop(listener);
        assert_eq!(holder_of(address.port()), None);
    }
}
