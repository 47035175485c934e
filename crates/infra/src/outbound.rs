//! Calls to servers of others over HTTP: the only place that makes such a client.
//!
//! [`Outbound::trusted`] is for addresses that the operator wrote into the settings.
//! [`Outbound::guarded`] is for addresses that users or other servers name: it connects to public
//! addresses alone, judged after the name was resolved and by the very lookup the connection uses,
//! so that a name which changes its address between two looks gains nothing.
//!
//! # Invariants
//! 1. No redirect is followed, and no proxy is taken from the environment.
//! 2. Every call ends within its deadline, and every answer is bounded.
//! 3. No error shows the address called: it may hold what is told to nobody.
//!
//! Deliberately absent: retries. The caller knows what may be repeated.

mod call;
mod places;

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use call::Wanted;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, redirect};
use thiserror::Error;

pub use call::Call;
pub use places::{Permit, PermitError, Permits};
pub use reqwest::Url;

/// How long a call may take and how much it may bring.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Until the connection stands.
    pub connect: Duration,
    /// Until the last byte of the answer.
    pub total: Duration,
    /// The longest answer; a longer one is an error.
    pub body_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(10),
            body_bytes: 1 << 20,
        }
    }
}

/// Why a call brought no answer.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// The client cannot be made, for example without any trusted certificate on this computer.
    #[error("set up the client for calls to other servers")]
    Setup(#[source] reqwest::Error),
    /// The address is not one, or of another scheme.
    #[error("read the address of another server")]
    Malformed,
    /// The address is not public, the port or the scheme is not one of the web's.
    #[error("call an address that is not permitted")]
    Refused,
    /// It took too long.
    #[error("call another server within its time")]
    TimedOut,
    /// No connection, or it broke.
    #[error("call another server")]
    Unreachable(#[source] reqwest::Error),
    /// The answer is longer than its bound.
    #[error("read an answer of at most {0} bytes")]
    TooLong(usize),
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, also of failures and redirects.
    pub status: u16,
    /// At most as much as the bounds allow.
    pub body: Bytes,
    /// What the server says of when to come again, as it says it.
    pub retry_after: Option<String>,
    /// What the body is, as it says it.
    pub content_type: Option<String>,
    /// Where it sends the caller instead, as it says it; nobody has judged that.
    pub location: Option<String>,
}

/// Makes calls.
#[derive(Debug, Clone)]
pub struct Outbound {
    reach: Reach,
    bounds: Bounds,
}

#[derive(Debug, Clone)]
enum Reach {
    Anywhere(Client),
    /// `inside` is for what a permit names in so many words; `public` looks at every address.
    Public {
        permits: Arc<Permits>,
        public: Client,
        inside: Client,
    },
}

/// Turns a name into addresses; another one in tests.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

impl Outbound {
    /// For addresses that the operator configured, wherever they are.
    pub fn trusted(bounds: Bounds) -> Result<Self, OutboundError> {
        Ok(Outbound {
            reach: Reach::Anywhere(client(bounds, None)?),
            bounds,
        })
    }

    /// For addresses that others name: https on public addresses, and what `permits` says.
    ///
    /// A permitted host may be called on its port with or without TLS. A permitted network widens
    /// the addresses; plain http and other ports only for addresses written as numbers.
    pub fn guarded(bounds: Bounds, permits: Permits) -> Result<Self, OutboundError> {
        Self::guarded_by(bounds, permits, Arc::new(|name| Box::pin(look_up(name))))
    }

    fn guarded_by(bounds: Bounds, permits: Permits, lookup: Lookup) -> Result<Self, OutboundError> {
        let permits = Arc::new(permits);
        let resolver = PublicOnly {
            permits: Arc::clone(&permits),
            lookup,
        };
        Ok(Outbound {
            reach: Reach::Public {
                permits,
                public: client(bounds, Some(resolver))?,
                inside: client(bounds, None)?,
            },
            bounds,
        })
    }

    /// Whether an address may be called at all, as far as it tells without being resolved.
    pub fn check(&self, url: &str) -> Result<(), OutboundError> {
        let url: Url = url.parse().or(Err(OutboundError::Malformed))?;
        self.reach.client(&url).map(drop)
    }

    /// Makes a call. Cancel safe in the sense that nothing goes on after it is dropped; what the
    /// other server did by then is done.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that sends, after the address was judged"
    )]
    pub async fn send(&self, call: Call) -> Result<Answer, OutboundError> {
        let url: Url = call.url.parse().or(Err(OutboundError::Malformed))?;
        let client = self.reach.client(&url)?;
        let answer = call.answer;
        let response = call.request(client, url).send().await.map_err(failed)?;
        self.read(response, answer).await
    }

    async fn read(
        &self,
        mut response: reqwest::Response,
        wanted: Wanted,
    ) -> Result<Answer, OutboundError> {
        let status = response.status().as_u16();
        let said = |name: HeaderName| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let retry_after = said(RETRY_AFTER);
        let (content_type, location) = (said(CONTENT_TYPE), said(LOCATION));
        let limit = self.bounds.body_bytes;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            let left = limit.saturating_sub(body.len());
            if chunk.len() > left && wanted == Wanted::Whole {
                return Err(OutboundError::TooLong(limit));
            }
            body.extend_from_slice(chunk.get(..left).unwrap_or(&chunk));
            if chunk.len() > left {
                break;
            }
        }
        let body = body.freeze();
        Ok(Answer {
            status,
            body,
            retry_after,
            content_type,
            location,
        })
    }
}

impl Reach {
    /// The client for an address, if it may be called at all.
    fn client(&self, url: &Url) -> Result<&Client, OutboundError> {
        let host = url.host_str().ok_or(OutboundError::Malformed)?;
        let port = url.port_or_known_default();
        let (true, Some(port)) = (matches!(url.scheme(), "http" | "https"), port) else {
            return Err(OutboundError::Malformed);
        };
        let (permits, public, inside) = match self {
            Reach::Anywhere(client) => return Ok(client),
            Reach::Public {
                permits,
                public,
                inside,
            } => (permits, public, inside),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Refused);
        }
        let host = places::bare(host);
        if permits.host(host, port) {
            return Ok(inside);
        }
        // A number is never resolved, so it is judged here; `Url` has made one form of all.
        if let Ok(address) = host.parse::<IpAddr>() {
            if permits.network(address) {
                return Ok(inside);
            }
            if !places::is_public(address) {
                return Err(OutboundError::Refused);
            }
        }
        if url.scheme() != "https" || !matches!(port, 80 | 443) {
            return Err(OutboundError::Refused);
        }
        Ok(public)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes clients, with deadlines and rules of addresses"
)]
fn client(bounds: Bounds, resolver: Option<PublicOnly>) -> Result<Client, OutboundError> {
    let mut builder: ClientBuilder = Client::builder()
        .user_agent("meydan")
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(bounds.connect)
        .timeout(bounds.total)
        .pool_max_idle_per_host(4)
        .pool_idle_timeout(Duration::from_secs(30));
    if let Some(resolver) = resolver {
        builder = builder.dns_resolver(Arc::new(resolver));
    }
    builder.build().map_err(OutboundError::Setup)
}

/// What became of a call, without the address.
fn failed(error: reqwest::Error) -> OutboundError {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.is::<Inside>() {
            return OutboundError::Refused;
        }
        cause = inner.source();
    }
    if error.is_timeout() {
        return OutboundError::TimedOut;
    }
    OutboundError::Unreachable(error.without_url())
}

/// A name that has no address which may be called.
#[derive(Debug, Error)]
#[error("the name has no public address")]
struct Inside;

/// Gives a connection only addresses that may be called, so that there is no second lookup.
struct PublicOnly {
    permits: Arc<Permits>,
    lookup: Lookup,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let (permits, lookup) = (Arc::clone(&self.permits), Arc::clone(&self.lookup));
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await?;
            let may = |ip: &IpAddr| places::is_public(*ip) || permits.network(*ip);
            let addresses: Vec<SocketAddr> = found
                .into_iter()
                .filter(may)
                .map(|ip| SocketAddr::new(ip, 0))
                .collect();
            if addresses.is_empty() {
                return Err(Inside.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

async fn look_up(name: String) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    use secrecy::SecretString;

    use super::*;

    fn permits(texts: &[&str]) -> Permits {
        Permits::new(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn judged(url: &str, allowed: &[&str]) -> bool {
        let outbound = Outbound::guarded(Bounds::default(), permits(allowed)).unwrap();
        outbound.reach.client(&url.parse().unwrap()).is_ok()
    }

    #[test]
    fn s16_numbers_in_any_spelling_are_judged_before_a_call() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://0/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
        ] {
            assert!(!judged(url, &[]), "{url}");
        }
        assert!(judged("https://1.1.1.1/", &[]));
        assert!(judged("https://[2606:4700::1111]/", &[]));
    }

    #[test]
    fn s16_only_the_ports_and_the_scheme_of_the_web_are_called() {
        assert!(judged("https://example.com/", &[]));
        for url in [
            "http://example.com/",
            "https://example.com:22/",
            "https://example.com:6379/",
            "http://example.com:443/",
            "https://user@example.com/",
            "https://:secret@example.com/",
            "ftp://example.com/",
            "gopher://example.com:443/",
        ] {
            assert!(!judged(url, &[]), "{url}");
        }
    }

    #[test]
    fn a_permit_opens_its_own_place_only() {
        let host = ["idp.example:8443"];
        assert!(judged("http://idp.example:8443/", &host));
        assert!(judged("https://IDP.example:8443/", &host));
        assert!(!judged("http://idp.example:8444/", &host));
        assert!(!judged("https://user@idp.example:8443/", &host));
        let network = ["127.0.0.0/8"];
        assert!(judged("http://127.0.0.1:8080/", &network));
        assert!(!judged("http://localhost:8080/", &network));
        assert!(!judged("https://10.0.0.1/", &network));
    }

    /// Addresses that a name has, one after the other: what rebinding does.
    fn changing(addresses: Vec<IpAddr>) -> (Lookup, Arc<Mutex<usize>>) {
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        let lookup: Lookup = Arc::new(move |_name| {
            let mut asked = count.lock().unwrap();
            let address = addresses[(*asked).min(addresses.len() - 1)];
            *asked += 1;
            Box::pin(async move { Ok(vec![address]) })
        });
        (lookup, asked)
    }

    #[tokio::test]
    async fn s16_a_name_that_leads_inside_is_refused_at_the_connection() {
        let inside = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            "169.254.169.254".parse().unwrap(),
            "::1".parse().unwrap(),
            "::ffff:127.0.0.1".parse().unwrap(),
        ];
        for address in inside {
            let (lookup, asked) = changing(vec![address]);
            let outbound =
                Outbound::guarded_by(Bounds::default(), Permits::default(), lookup).unwrap();
            let outcome = outbound.send(Call::get("https://rebound.example/")).await;
            assert!(
                matches!(outcome, Err(OutboundError::Refused)),
                "{outcome:?}"
            );
            assert_eq!(*asked.lock().unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn s16_a_name_is_judged_anew_at_each_connection() {
        // The first address may be called and nobody is there; the second one may not.
        let (lookup, asked) = changing(vec![
            "127.0.0.2".parse().unwrap(),
            IpAddr::V4(Ipv4Addr::LOCALHOST),
        ]);
        let allowed = permits(&["127.0.0.2"]);
        let outbound = Outbound::guarded_by(Bounds::default(), allowed, lookup).unwrap();
        let first = outbound.send(Call::get("https://rebound.example/")).await;
        assert!(
            matches!(first, Err(OutboundError::Unreachable(_))),
            "{first:?}"
        );
        let second = outbound.send(Call::get("https://rebound.example/")).await;
        assert!(matches!(second, Err(OutboundError::Refused)), "{second:?}");
        assert_eq!(*asked.lock().unwrap(), 2);
    }

    #[test]
    fn nothing_told_in_confidence_is_shown() {
        let password = SecretString::from("hunter2");
        let call = Call::form("https://a.example/", &[("Code", "482913")]).basic("AC1", &password);
        let shown = format!("{call:?}");
        assert!(
            !shown.contains("482913") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
