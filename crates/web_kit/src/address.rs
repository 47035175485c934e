//! Where a request comes from, and what every part of its handling may know about it.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::header::{ACCEPT_LANGUAGE, FORWARDED, HOST, HeaderName, USER_AGENT, VIA};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Request, Version};
use kernel::{Locale, Rng};

use crate::render;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers a proxy adds. From anybody else they are removed before a handler sees them.
const FORWARDING: [HeaderName; 6] = [
    FORWARDED,
    FORWARDED_FOR,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
];

/// Longest host name with its port, as DNS allows and a little more.
const HOST_MAX: usize = 262;

/// Whether a request that came over a socket names one plain host. It ends up in addresses we give
/// out, and two of them let a proxy and us disagree on whom is meant (RFC 9112 §3.2).
pub(crate) fn host_is_sane<B>(request: &Request<B>) -> bool {
    // Calls into the router itself have no connection and need no host.
    if request.extensions().get::<crate::serve::Slot>().is_none() {
        return true;
    }
    if let Some(authority) = request.uri().authority() {
        return is_plain_host(authority.as_str());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_plain_host),
        (None, _) => request.version() == Version::HTTP_10,
        (Some(_), Some(_)) => false,
    }
}

/// `name`, `name:port`, `1.2.3.4` or `[::1]:port`; no user, no path.
fn is_plain_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    (1..=HOST_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && text
            .parse::<Authority>()
            .is_ok_and(|authority| !authority.host().is_empty())
}

/// Longest user agent that is kept.
const USER_AGENT_MAX: usize = 256;

/// The address at the other end of the connection; put into each request by [`crate::serve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What is known about a request before anybody looks at its content.
#[derive(Clone, Debug)]
pub struct Meta {
    /// The caller's `X-Request-Id`, or one of ours; in every log line and error.
    pub request_id: String,
    /// The language of texts, from `Accept-Language`.
    pub locale: Locale,
    /// The client's address, as told by trusted proxies only.
    pub ip: IpAddr,
    /// The client's name for itself, at most 256 bytes.
    pub user_agent: Option<String>,
    /// Whether the browser says that a page of ours asks; programs say nothing and are none.
    pub from_own_page: bool,
    /// Whether the path speaks the chat dialect.
    pub(crate) dialect: bool,
    /// Whether a process of this machine asks, without a proxy in between.
    pub(crate) direct_loopback: bool,
}

impl Meta {
    /// Reads the head of a request and removes forwarding headers nobody vouches for.
    pub fn take<B>(request: &mut Request<B>, proxies: &[Network], rng: &dyn Rng) -> Self {
        let peer = request
            .extensions()
            .get::<Peer>()
            .map(|peer| peer.0.ip().to_canonical());
        let dialect = render::is_dialect(request.uri().path());
        let headers = request.headers_mut();
        let forwarded = FORWARDING
            .iter()
            .chain([&VIA])
            .any(|name| headers.contains_key(name));
        let ip = client_address(peer, headers, proxies);
        if !peer.is_some_and(|ip| trusted(ip, proxies)) {
            for name in &FORWARDING {
                headers.remove(name);
            }
        }
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            request_id: text(REQUEST_ID)
                .filter(|id| sane(id))
                .map_or_else(|| fresh_id(rng), ToOwned::to_owned),
            locale: Locale::from_accept_language(text(ACCEPT_LANGUAGE).unwrap_or_default()),
            ip,
            user_agent: text(USER_AGENT).map(|agent| agent.chars().take(USER_AGENT_MAX).collect()),
            from_own_page: false,
            dialect,
            direct_loopback: !forwarded && peer.is_some_and(|ip| ip.is_loopback()),
        }
    }
}

impl Meta {
    /// Whether a process of this machine asks, without a proxy in between.
    pub fn is_from_this_machine(&self) -> bool {
        self.direct_loopback
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Meta {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        if let Some(meta) = parts.extensions.get::<Self>() {
            return Ok(meta.clone());
        }
        // Only a router outside of the stack gets here; it has no address and no id to give.
        Ok(Self {
            request_id: String::new(),
            locale: Locale::default(),
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            user_agent: None,
            from_own_page: false,
            dialect: render::is_dialect(parts.uri.path()),
            direct_loopback: false,
        })
    }
}

/// Walks `X-Forwarded-For` from the nearest hop outwards, as far as proxies vouch for each other.
fn client_address(peer: Option<IpAddr>, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let mut ip = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if peer.is_none() {
        return ip;
    }
    let hops = headers.get_all(&FORWARDED_FOR);
    let hops: Vec<&str> = hops
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
        .collect();
    for hop in hops.iter().rev() {
        if !trusted(ip, proxies) {
            break;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(next) => ip = next.to_canonical(),
            // A trusted proxy wrote something else; what lies beyond cannot be told.
            Err(_) => break,
        }
    }
    ip
}

fn trusted(ip: IpAddr, proxies: &[Network]) -> bool {
    proxies.iter().any(|network| network.contains(ip))
}

/// Takes ids that are safe to log and to repeat: 8 to 64 of `A–Z a–z 0–9 - _ .`.
fn sane(id: &str) -> bool {
    (8..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn fresh_id(rng: &dyn Rng) -> String {
    kernel::rng::token::<15>(rng)
}

/// A range of addresses, written `10.0.0.0/8`, `::1/128` or as a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a network is an address, or an address and its prefix length such as 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// Tells whether the range holds an address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let shift = 32_u32.saturating_sub(u32::from(self.prefix));
                let differing = net.to_bits() ^ ip.to_bits();
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let shift = 128_u32.saturating_sub(u32::from(self.prefix));
                let differing = net.to_bits() ^ ip.to_bits();
                differing.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().or(Err(NetworkError))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse::<u8>().or(Err(NetworkError))?,
            None => longest,
        };
        if prefix > longest {
            Err(NetworkError)
        } else {
            Ok(Self { address, prefix })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_they_say() {
        for (network, ip, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(ip.parse().unwrap()),
                holds,
                "{network:?} {ip}"
            );
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/x",
            "10.0.0.0/-1",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
    }

    #[test]
    fn only_trusted_hops_are_believed() {
        let proxies: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap()];
        for (peer, forwarded, client) in [
            ("203.0.113.1", "198.51.100.7", "203.0.113.1"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "junk", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7, junk, 10.0.0.2", "10.0.0.2"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, forwarded.parse().unwrap());
            let found = client_address(Some(peer.parse().unwrap()), &headers, &proxies);
            assert_eq!(
                found,
                client.parse::<IpAddr>().unwrap(),
                "{peer} {forwarded}"
            );
        }
    }

    #[test]
    fn request_ids_are_taken_only_when_sane() {
        assert!(sane("a1b2-c3_d4.e5"));
        for bad in [
            "",
            "short",
            "has space1",
            "line\nbreak1",
            &"x".repeat(65),
            "ünicode-id",
        ] {
            assert!(!sane(bad), "{bad:?}");
        }
    }
}
