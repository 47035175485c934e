//! Letters over SMTP, one connection for each: they are few, and a connection that somebody gave
//! up in the middle of a letter is never used for the next one.
//!
//! Passwords and letters go over TLS unless the server is on this computer, or the address says
//! `tls=none` in so many words. A server that does not offer TLS then gets nothing.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use kernel::{SharedClock, SharedRng};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error as Smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Letter, Mail, MailError, count};

/// How long a polite goodbye may take once the letter is taken.
const GOODBYE: Duration = Duration::from_secs(1);

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte.
    Wrapped,
    /// By STARTTLS, or not at all: without it nothing is sent.
    Required,
    /// Not at all.
    None,
}

/// Where the mail server is, and who we are to it.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    tls: SmtpTls,
    credentials: Option<(String, SecretString)>,
}

/// What is wrong with the address of a mail server; it does not show the address.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SmtpUrlError {
    /// Not an address of a mail server.
    #[error("it must read smtp://user:password@host:port or smtps://user:password@host:port")]
    Malformed,
    /// Something other than `tls=required` or `tls=none` after the question mark.
    #[error("after the question mark only tls=required or tls=none may follow, and not with smtps")]
    Option,
}

impl SmtpServer {
    /// Reads `smtp://user:password@host:port?tls=required` or `smtps://…`.
    ///
    /// User and password are percent-encoded. Without `tls` it is required, but not on loopback.
    pub fn parse(url: &str) -> Result<Self, SmtpUrlError> {
        let url: Url = url.trim().parse().or(Err(SmtpUrlError::Malformed))?;
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(SmtpUrlError::Malformed)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = match (url.scheme(), url.query()) {
            ("smtps", None) => SmtpTls::Wrapped,
            ("smtp", Some("tls=required")) => SmtpTls::Required,
            ("smtp", Some("tls=none")) => SmtpTls::None,
            ("smtp", None) if is_loopback(host) => SmtpTls::None,
            ("smtp", None) => SmtpTls::Required,
            ("smtp" | "smtps", Some(_)) => return Err(SmtpUrlError::Option),
            _ => return Err(SmtpUrlError::Malformed),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() || url.port() == Some(0) {
            return Err(SmtpUrlError::Malformed);
        }
        let port = url.port().unwrap_or(match tls {
            SmtpTls::Wrapped => 465,
            SmtpTls::Required => 587,
            SmtpTls::None => 25,
        });
        Ok(SmtpServer {
            host: host.to_owned(),
            port,
            tls,
            credentials: credentials(&url)?,
        })
    }
}

fn credentials(url: &Url) -> Result<Option<(String, SecretString)>, SmtpUrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let password = url.password().ok_or(SmtpUrlError::Malformed)?;
    let user = decoded(url.username()).ok_or(SmtpUrlError::Malformed)?;
    let password = decoded(password).ok_or(SmtpUrlError::Malformed)?;
    Ok(Some((user, SecretString::from(password))))
}

/// Undoes percent-encoding; none if it is broken or is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()?.checked_mul(16)?.checked_add(digit()?)?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What the adapter needs.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// Where letters go.
    pub server: SmtpServer,
    /// Who writes them: `Meydan <no-reply@example.com>`.
    pub from: String,
    /// Until a letter is taken, waiting for others included.
    pub timeout: Duration,
    /// Connections at a time; further letters wait.
    pub connections: usize,
    /// A certificate (PEM) that is trusted besides those of this computer.
    pub trusted: Option<Vec<u8>>,
}

/// Why the adapter cannot be made.
#[derive(Debug, Error)]
pub enum SmtpSetupError {
    /// The sender is not an address.
    #[error("read the sender of letters, such as Meydan <no-reply@example.com>")]
    From,
    /// No TLS.
    #[error("prepare TLS for the mail server")]
    Tls(#[source] Smtp),
}

/// Whether letters can be sent from here: an address, with or without a name before it.
pub fn is_sender(from: &str) -> bool {
    from.parse::<Mailbox>().is_ok()
}

/// Sends letters over SMTP.
pub struct SmtpMail {
    server: SmtpServer,
    from: Mailbox,
    timeout: Duration,
    tls: TlsParameters,
    hello: ClientId,
    /// Connections that may still be made.
    free: Semaphore,
    clock: SharedClock,
    rng: SharedRng,
}

/// What went wrong, without the words of the server: they often repeat the address.
#[derive(Debug, Error)]
enum SmtpFailure {
    #[error("the mail server answered {0}")]
    Answered(String),
    #[error("the mail server did not finish in time")]
    TimedOut,
    #[error("TLS with the mail server failed or is not offered")]
    Tls,
    #[error("the letter cannot be written for this server")]
    Unfit,
    #[error("the connection to the mail server failed")]
    Connection,
}

impl SmtpMail {
    /// Makes the adapter; connects to nothing yet.
    pub fn new(
        settings: SmtpSettings,
        clock: SharedClock,
        rng: SharedRng,
    ) -> Result<Self, SmtpSetupError> {
        let from: Mailbox = settings.from.parse().or(Err(SmtpSetupError::From))?;
        let mut tls = TlsParameters::builder(settings.server.host.clone());
        if let Some(pem) = &settings.trusted {
            let certificate = Certificate::from_pem(pem).map_err(SmtpSetupError::Tls)?;
            tls = tls.add_root_certificate(certificate);
        }
        Ok(SmtpMail {
            hello: ClientId::Domain(from.email.domain().to_owned()),
            tls: tls.build().map_err(SmtpSetupError::Tls)?,
            free: Semaphore::new(settings.connections.clamp(1, 1_000)),
            server: settings.server,
            timeout: settings.timeout,
            from,
            clock,
            rng,
        })
    }

    /// Whether the server answers and takes our name and password; sends nothing.
    pub async fn probe(&self) -> Result<(), MailError> {
        let connect = timeout(self.timeout, self.connect()).await;
        let mut connection = connect.or(Err(unavailable(SmtpFailure::TimedOut)))??;
        let _told = timeout(GOODBYE, connection.quit()).await;
        Ok(())
    }

    async fn deliver(&self, letter: &Letter) -> Result<(), MailError> {
        letter.check()?;
        let message = self.message(letter)?;
        let sent = timeout(self.timeout, self.hand_over(&message)).await;
        let mut connection = sent.or(Err(unavailable(SmtpFailure::TimedOut)))??;
        // The letter is taken; a server that is slow to say goodbye does not undo that.
        let _told = timeout(GOODBYE, connection.quit()).await;
        Ok(())
    }

    async fn hand_over(&self, message: &Message) -> Result<AsyncSmtpConnection, MailError> {
        let _held = self.free.acquire().await;
        let mut connection = self.connect().await?;
        let letter = message.formatted();
        let sent = connection.send(message.envelope(), &letter).await;
        sent.map_err(failed)?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let address = (self.server.host.as_str(), self.server.port);
        let wrapped = (self.server.tls == SmtpTls::Wrapped).then(|| self.tls.clone());
        let limit = Some(self.timeout);
        let connecting =
            AsyncSmtpConnection::connect_tokio1(address, limit, &self.hello, wrapped, None);
        let mut connection = connecting.await.map_err(of_the_server)?;
        if self.server.tls == SmtpTls::Required {
            if !connection.can_starttls() {
                return Err(unavailable(SmtpFailure::Tls));
            }
            let upgraded = connection.starttls(self.tls.clone(), &self.hello).await;
            upgraded.map_err(of_the_server)?;
        }
        if let Some((user, password)) = &self.server.credentials {
            let password = password.expose_secret().to_owned();
            let credentials = Credentials::new(user.clone(), password);
            let known = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            known.map_err(of_the_server)?;
        }
        Ok(connection)
    }

    fn message(&self, letter: &Letter) -> Result<Message, MailError> {
        let unfit = || refused(SmtpFailure::Unfit);
        let to = letter.to.parse().or(Err(unfit()))?;
        let id = kernel::rng::token::<16>(&*self.rng);
        let id = format!("<{id}@{}>", self.from.email.domain());
        // What looks like an encoded word would be decoded by the reader into something else.
        let subject = letter.subject.replace("=?", "= ?");
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(SystemTime::from(self.clock.now()))
            .message_id(Some(id))
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .or(Err(unfit()))
    }
}

#[async_trait]
impl Mail for SmtpMail {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let outcome = self.deliver(letter).await;
        count(&outcome);
        outcome
    }
}

fn refused(failure: SmtpFailure) -> MailError {
    MailError::Refused(Box::new(failure))
}

fn unavailable(failure: SmtpFailure) -> MailError {
    MailError::Unavailable(Box::new(failure))
}

/// What is wrong before the letter was shown: never the letter's fault.
fn of_the_server(error: Smtp) -> MailError {
    unavailable(described(&error))
}

/// What became of a letter.
fn failed(error: Smtp) -> MailError {
    // 53x asks for a login or another protection; the letter may be fine.
    let ours = error
        .status()
        .is_some_and(|code| code.to_string().starts_with("53"));
    if (error.is_permanent() && !ours) || error.is_client() {
        return refused(described(&error));
    }
    unavailable(described(&error))
}

fn described(error: &Smtp) -> SmtpFailure {
    match error.status() {
        Some(code) => SmtpFailure::Answered(code.to_string()),
        None if error.is_timeout() => SmtpFailure::TimedOut,
        None if error.is_tls() => SmtpFailure::Tls,
        None if error.is_client() => SmtpFailure::Unfit,
        None => SmtpFailure::Connection,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, u16, SmtpTls) {
        let server = SmtpServer::parse(url).unwrap();
        (server.host, server.port, server.tls)
    }

    #[test]
    fn servers_are_reached_with_tls_unless_they_are_here() {
        let mail = |port, tls| ("mail.example.com".to_owned(), port, tls);
        assert_eq!(
            parsed("smtp://mail.example.com"),
            mail(587, SmtpTls::Required)
        );
        assert_eq!(
            parsed("smtp://mail.example.com:25?tls=required"),
            mail(25, SmtpTls::Required)
        );
        assert_eq!(
            parsed("smtp://mail.example.com?tls=none"),
            mail(25, SmtpTls::None)
        );
        assert_eq!(
            parsed("smtps://mail.example.com"),
            mail(465, SmtpTls::Wrapped)
        );
        assert_eq!(parsed("smtp://127.0.0.1:1025").2, SmtpTls::None);
        assert_eq!(parsed("smtp://localhost?tls=required").2, SmtpTls::Required);
        assert_eq!(parsed("smtp://[::1]:1025").0, "::1");
    }

    #[test]
    fn names_and_passwords_are_decoded_and_never_shown() {
        let server = SmtpServer::parse("smtp://a%40b.example:p%3Aa%2Bs+s%C5%9F@host").unwrap();
        let (user, password) = server.credentials.as_ref().unwrap();
        assert_eq!(user, "a@b.example");
        assert_eq!(password.expose_secret(), "p:a+s+sş");
        assert!(!format!("{server:?}").contains("p:a"));
    }

    #[test]
    fn addresses_of_other_kinds_are_refused() {
        for url in [
            "",
            "mail.example.com:25",
            "http://mail.example.com",
            "smtp://",
            "smtp://host:0",
            "smtp://host:99999",
            "smtp://host/path",
            "smtp://host#x",
            "smtp://user@host",
            "smtp://u:%zz@host",
            "smtp://u:%ff@host",
        ] {
            assert_eq!(
                SmtpServer::parse(url).unwrap_err(),
                SmtpUrlError::Malformed,
                "{url}"
            );
        }
        for url in [
            "smtp://host?tls=maybe",
            "smtp://host?tls=none&x=1",
            "smtps://host?tls=none",
        ] {
            assert_eq!(
                SmtpServer::parse(url).unwrap_err(),
                SmtpUrlError::Option,
                "{url}"
            );
        }
    }

    #[test]
    fn senders_are_one_address() {
        assert!(is_sender("no-reply@example.com"));
        assert!(is_sender("Meydan Pazarı <no-reply@example.com>"));
        for bad in [
            "",
            "Meydan",
            "a@b.example, c@d.example",
            "a@b.example\r\nBcc: c@d.example",
        ] {
            assert!(!is_sender(bad), "{bad:?}");
        }
    }
}
