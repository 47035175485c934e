//! The value types that only settings use.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use identity::{Approver, EmailVerification};
use infra::outbound::Permit;
use secrecy::{ExposeSecret as _, SecretString};
use web_kit::OnStale;

use super::value::{Choice, Item, Kind, Raw, Setting, Shown, quote};

/// A secret: it can be handed on, and no way of printing it exists.
#[derive(Clone)]
pub(crate) struct Secret(SecretString);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    pub(crate) fn to_secret_string(&self) -> SecretString {
        self.0.clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl Setting for Secret {
    const KIND: Kind = Kind::Secret;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) if !text.is_empty() => Ok(Self::new(text.clone())),
            _ => Err(Self::KIND.describe()),
        }
    }

    fn show(&self) -> Shown {
        Shown::Hidden
    }
}

/// What kind of installation this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Env {
    Dev,
    Prod,
}

impl Choice for Env {
    const WORDS: &'static [&'static str] = &["dev", "prod"];
    const ALL: &'static [Self] = &[Self::Dev, Self::Prod];
}

/// Where files are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Disk,
    S3,
}

impl Choice for StoreKind {
    const WORDS: &'static [&'static str] = &["disk", "s3"];
    const ALL: &'static [Self] = &[Self::Disk, Self::S3];
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    Pretty,
    Json,
}

impl Choice for LogFormat {
    const WORDS: &'static [&'static str] = &["auto", "pretty", "json"];
    const ALL: &'static [Self] = &[Self::Auto, Self::Pretty, Self::Json];
}

/// What signs tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtAlg {
    EdDsa,
    Hs256,
}

impl Choice for JwtAlg {
    const WORDS: &'static [&'static str] = &["EdDSA", "HS256"];
    const ALL: &'static [Self] = &[Self::EdDsa, Self::Hs256];
}

// Choices that a context has a type for are read into that type.

impl Choice for EmailVerification {
    const WORDS: &'static [&'static str] = &["required", "off"];
    const ALL: &'static [Self] = &[Self::Required, Self::Off];
}

impl Choice for OnStale {
    const WORDS: &'static [&'static str] = &["lookup", "deny", "allow"];
    const ALL: &'static [Self] = &[Self::Lookup, Self::Deny, Self::Allow];
}

impl Choice for Approver {
    const WORDS: &'static [&'static str] = &["off", "required"];
    const ALL: &'static [Self] = &[Self::Off, Self::Required];
}

impl Choice for media::Class {
    const WORDS: &'static [&'static str] = &media::Class::WORDS;
    const ALL: &'static [Self] = &media::Class::ALL;
}

impl Item for media::Class {
    const ITEM: &'static Kind = &<Self as Setting>::KIND;
}

/// How letters leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailTransport {
    Smtp,
    /// Kept here and shown to the developer.
    Outbox,
    Off,
}

impl Choice for MailTransport {
    const WORDS: &'static [&'static str] = &["smtp", "outbox", "off"];
    const ALL: &'static [Self] = &[Self::Smtp, Self::Outbox, Self::Off];
}

/// Who carries texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SmsProvider {
    Twilio,
    /// Kept here and shown to the developer.
    Outbox,
    Off,
}

impl Choice for SmsProvider {
    const WORDS: &'static [&'static str] = &["twilio", "outbox", "off"];
    const ALL: &'static [Self] = &[Self::Twilio, Self::Outbox, Self::Off];
}

/// Who makes and checks one-time codes for phones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OtpProvider {
    /// We do; `sms.provider` carries them.
    Sms,
    /// Twilio does.
    TwilioVerify,
}

impl Choice for OtpProvider {
    const WORDS: &'static [&'static str] = &["sms", "twilio_verify"];
    const ALL: &'static [Self] = &[Self::Sms, Self::TwilioVerify];
}

/// A place that calls to addresses named by others may reach although it is not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) Permit);

impl Setting for Place {
    const KIND: Kind = Kind::Place;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => text.parse().ok().map(Self),
            Raw::Integer(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .ok_or_else(|| Self::KIND.describe())
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.0.to_string()))
    }
}

impl Item for Place {
    const ITEM: &'static Kind = &Kind::Place;
}

/// How new passwords are stored; both kinds can always be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordScheme {
    Argon2id,
    Bcrypt,
}

impl Choice for PasswordScheme {
    const WORDS: &'static [&'static str] = &["argon2id", "bcrypt"];
    const ALL: &'static [Self] = &[Self::Argon2id, Self::Bcrypt];
}

/// Scheme, host and port of a web address: `https://example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebOrigin {
    secure: bool,
    /// Lower case; an IPv6 address stands in brackets.
    host: String,
    port: Option<u16>,
}

impl WebOrigin {
    /// The address of a plain listener on this machine.
    pub(crate) fn of_listener(listen: IpAddr, port: u16) -> Self {
        let host = match listen {
            address if address.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        Self {
            secure: false,
            host,
            port: Some(port),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.secure
    }

    /// Whether only this computer can reach it.
    pub(crate) fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare == "localhost"
            || bare.ends_with(".localhost")
            || bare
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The host alone; none if it is an address of numbers.
    pub(crate) fn domain(&self) -> Option<&str> {
        let numbers = self.host.starts_with('[') || self.host.parse::<Ipv4Addr>().is_ok();
        (!numbers).then_some(self.host.as_str())
    }

    /// Host and port without the scheme.
    pub(crate) fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest.parse().ok()?;
        // A user name or password in a public address would end up in every link we make.
        if rest.contains('@') || authority.host().is_empty() {
            return None;
        }
        let after_host = rest.strip_prefix(authority.host())?;
        let port = match after_host.strip_prefix(':') {
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
            None if after_host.is_empty() => None,
            None => return None,
        };
        Some(Self {
            secure,
            host: authority.host().to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}", self.host)?;
        self.port
            .map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl Setting for WebOrigin {
    const KIND: Kind = Kind::Url;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => Self::parse(text),
            Raw::Integer(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .ok_or_else(|| Self::KIND.describe())
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.to_string()))
    }
}

impl Item for WebOrigin {
    const ITEM: &'static Kind = &Kind::Url;
}

/// An address or a network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest)?,
            None => longest,
        };
        Some(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl Setting for Network {
    const KIND: Kind = Kind::Network;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => Self::parse(text),
            Raw::Integer(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .ok_or_else(|| Self::KIND.describe())
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.to_string()))
    }
}

impl Item for Network {
    const ITEM: &'static Kind = &Kind::Network;
}

/// A country, by its two letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Country(identity::Region);

impl Country {
    pub(crate) fn region(self) -> identity::Region {
        self.0
    }
}

impl Setting for Country {
    const KIND: Kind = Kind::Country;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Text(text) | Raw::Loose(text) => text.parse().ok(),
            Raw::Integer(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other(_) => None,
        }
        .map(Self)
        .ok_or_else(|| Self::KIND.describe())
    }

    fn show(&self) -> Shown {
        Shown::Literal(quote(&self.0.to_string()))
    }
}

impl Item for Country {
    const ITEM: &'static Kind = &Kind::Country;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Option<String> {
        WebOrigin::parse(text).map(|origin| origin.to_string())
    }

    #[test]
    fn public_addresses_are_scheme_host_and_port_only() {
        assert_eq!(
            origin("https://Example.com/").as_deref(),
            Some("https://example.com")
        );
        assert_eq!(
            origin("http://127.0.0.1:3000").as_deref(),
            Some("http://127.0.0.1:3000")
        );
        assert_eq!(
            origin("http://[::1]:3000").as_deref(),
            Some("http://[::1]:3000")
        );
        for bad in [
            "example.com",
            "ftp://example.com",
            "https://",
            "https://a/b",
            "https://u:p@a",
            "https://a:0",
            "https://a:70000",
            "https://a:",
            "https://a?x=1",
            "",
        ] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        for (text, loopback) in [
            ("http://localhost:3000", true),
            ("http://app.localhost", true),
            ("http://127.8.8.8", true),
            ("http://[::1]", true),
            ("http://192.168.1.4", false),
            ("https://localhost.example.com", false),
        ] {
            let parsed = WebOrigin::parse(text).unwrap();
            assert_eq!(parsed.is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn networks_have_a_prefix_that_fits() {
        let shown = |text: &str| Network::parse(text).map(|network| network.to_string());
        assert_eq!(shown("10.0.0.1").as_deref(), Some("10.0.0.1/32"));
        assert_eq!(shown("10.0.0.0/8").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(shown("fd00::/128").as_deref(), Some("fd00::/128"));
        for bad in [
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0",
            "10.0.0.0/-1",
            "10.0.0.0/",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
