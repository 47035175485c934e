//! Which addresses may be called: the public ones, and what the operator permits beyond them.
//! Pure; nothing here resolves a name or opens a socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A place that is not public and may be called all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// Every address in it.
    Network {
        /// Any address in it.
        address: IpAddr,
        /// How many of its bits count.
        prefix: u8,
    },
    /// One host as addresses are written, on one port, with or without TLS.
    Host {
        /// Lower case; an IPv6 address without brackets.
        name: String,
        /// Its port.
        port: u16,
    },
}

/// The text is neither a network nor a host with a port.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("read a permitted place such as 10.0.0.0/8 or intranet.example:8443")]
pub struct PermitError;

impl FromStr for Permit {
    type Err = PermitError;

    fn from_str(text: &str) -> Result<Self, PermitError> {
        let text = text.trim();
        if let Some((address, prefix)) = text.split_once('/') {
            let prefix = prefix.parse().or(Err(PermitError))?;
            return network(address, prefix).ok_or(PermitError);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Permit::Network { address, prefix });
        }
        let (name, port) = text.rsplit_once(':').ok_or(PermitError)?;
        let port: u16 = port.parse().or(Err(PermitError))?;
        let name = bare(name).to_ascii_lowercase();
        let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if port == 0 || name.is_empty() || !name.chars().all(clean) {
            return Err(PermitError);
        }
        if name.contains(':') && name.parse::<Ipv6Addr>().is_err() {
            return Err(PermitError);
        }
        Ok(Permit::Host { name, port })
    }
}

impl std::fmt::Display for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Permit::Network { address, prefix } => write!(f, "{address}/{prefix}"),
            Permit::Host { name, port } if name.contains(':') => write!(f, "[{name}]:{port}"),
            Permit::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

fn network(address: &str, prefix: u8) -> Option<Permit> {
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= longest).then_some(Permit::Network { address, prefix })
}

/// A host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Everything that is permitted beyond public addresses.
#[derive(Debug, Clone, Default)]
pub struct Permits(Vec<Permit>);

impl Permits {
    /// Only these.
    pub fn new(permits: Vec<Permit>) -> Self {
        Permits(permits)
    }

    /// Whether this host may be called on this port, whatever its address and scheme.
    pub(super) fn host(&self, wanted: &str, wanted_port: u16) -> bool {
        self.0.iter().any(|permit| match permit {
            Permit::Host { name, port } => {
                *port == wanted_port && name.eq_ignore_ascii_case(wanted)
            }
            Permit::Network { .. } => false,
        })
    }

    /// Whether a permitted network holds the address.
    pub(super) fn network(&self, wanted: IpAddr) -> bool {
        self.0.iter().any(|permit| match permit {
            Permit::Network { address, prefix } => holds(*address, *prefix, wanted),
            Permit::Host { .. } => false,
        })
    }
}

fn holds(network: IpAddr, prefix: u8, wanted: IpAddr) -> bool {
    let prefix = u32::from(prefix);
    match (network, wanted) {
        (IpAddr::V4(network), IpAddr::V4(wanted)) => {
            let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            network.to_bits() & mask == wanted.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(wanted)) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            network.to_bits() & mask == wanted.to_bits() & mask
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Networks that no server of the public internet is in.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8), // this network; 0.0.0.0 reaches loopback
    (Ipv4Addr::new(10, 0, 0, 0), 8), // private
    (Ipv4Addr::new(100, 64, 0, 0), 10), // behind a carrier's NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8), // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local, with the metadata services of clouds
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private
    (Ipv4Addr::new(192, 0, 0, 0), 24), // protocols
    (Ipv4Addr::new(192, 0, 2, 0), 24), // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24), // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private
    (Ipv4Addr::new(198, 18, 0, 0), 15), // measurements
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4), // reserved, and broadcast
];

/// Parts of the global unicast space that lead elsewhere than they look.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u8)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // Teredo and other protocols
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4: an IPv4 address in disguise
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Global unicast; beyond it lie loopback, IPv4-mapped, NAT64, unique local, link-local, multicast.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Whether a server of the public internet can have this address.
pub(super) fn is_public(address: IpAddr) -> bool {
    let within = |network: IpAddr, prefix| holds(network, prefix, address);
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4
            .iter()
            .any(|(network, prefix)| within(IpAddr::V4(*network), *prefix)),
        IpAddr::V6(_) => {
            within(IpAddr::V6(GLOBAL_V6.0), GLOBAL_V6.1)
                && !NOT_PUBLIC_V6
                    .iter()
                    .any(|(network, prefix)| within(IpAddr::V6(*network), *prefix))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s16_no_range_inside_a_network_is_public() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn addresses_beside_those_ranges_are_public() {
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450:4017::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn permits_are_networks_or_hosts_with_a_port() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 127.0.0.1 ", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("Intranet.Example:8443", "intranet.example:8443"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            let permit: Permit = text.parse().unwrap();
            assert_eq!(permit.to_string(), shown);
        }
        for bad in [
            "",
            "intranet",
            "intranet:0",
            "intranet:70000",
            "10.0.0.0/33",
            "fd00::/129",
            "a b:80",
            "http://a:80",
            "a/b:80",
            ":80",
            "::zz:80",
        ] {
            assert_eq!(bad.parse::<Permit>(), Err(PermitError), "{bad}");
        }
    }

    #[test]
    fn a_permit_covers_itself_and_nothing_beside() {
        let permits =
            |texts: &[&str]| Permits::new(texts.iter().map(|text| text.parse().unwrap()).collect());
        let address = |text: &str| text.parse().unwrap();
        let networks = permits(&["10.1.0.0/16", "fd00::/8", "0.0.0.0/0"]);
        assert!(networks.network(address("10.1.255.255")));
        assert!(networks.network(address("fdff::1")));
        let one = permits(&["10.1.0.0/16"]);
        assert!(!one.network(address("10.2.0.0")));
        assert!(!one.network(address("::ffff:10.1.0.1")));
        assert!(!one.host("10.1.0.1", 443));
        let host = permits(&["idp.example:8443"]);
        assert!(host.host("IDP.example", 8443));
        assert!(!host.host("idp.example", 443));
        assert!(!host.host("other.example", 8443));
        assert!(!host.network(address("10.1.0.1")));
    }
}
